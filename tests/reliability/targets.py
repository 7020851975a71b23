"""What is fuzzed: files that people bring or that programs wrote, and the programs that read them."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from analysis.runs import config_differences, find_runs, runs_table
from analysis.soundscapes import read_soundscapes
from core import checkpoint
from core.command_line import settle_config
from core.config import Config
from core.config_data import DataConfig
from core.config_values import flatten, read_config, to_dict
from core.data.annotations.__main__ import AnnotationConfig, convert
from core.data.audio import duration_seconds, stream_mono
from core.data.audit import audit_folds, format_audit
from core.data.competition import describe, read_competition
from core.data.decoding import MAX_FRAMES_PER_BYTE, Findings
from core.data.folds import folds_of
from core.data.recorders import describe_origin
from core.inference.check import submission_faults
from core.inference.config import InferenceConfig
from core.inference.engines.export import MANIFEST, open_export
from core.inference.ensemble import load_ensemble
from core.program import parse_words
from core.run_folder import RunFolder
from core.scoring.decisions import DecisionConfig, read_tuned
from core.training.state import Progress
from sweeps.check import checked_sweep
from sweeps.sweep_folder import read_sweep_folder
from tests.folders import YEARS, make_year
from tests.reliability.mutation import mutate_bytes, mutate_json, mutate_text, mutate_words

SHARES = {"audio": 900, "table": 900, "json": 700, "words": 250, "sweep": 250}
"""Kind -> inputs of a whole run, 3,000 in all."""
RATE = 32000
HIGHEST_UPSAMPLING = 40
SONG = 0.3 * np.sin(2 * np.pi * 3000 * np.arange(RATE) / RATE) * np.linspace(0, 1, RATE)
PLACES = ("S4A03895_20190522_230000.wav", "7019_COR_20190401.flac")
RAVEN_HEAD = "\t".join(
    ("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)",
     "Begin File", "Species")
)  # fmt: skip
ANNOTATIONS = {
    "raven.txt": f"{RAVEN_HEAD}\n1\tSpectrogram 1\t1\t1.250\t3.910\t2100.0\t6400.0\t{PLACES[0]}\tgrekis\n"
    f"2\tWaveform 1\t1\t4.020\t4.980\t900.0\t2200.0\t{PLACES[0]}\t22973\n",
    f"{PLACES[0][:-4]}.labels.txt": "1,25\t3,91\tgrekis\n\\\t2100,0\t6400,0\n4.0\t4.0\ttrsowl\n",
    "all.BirdNET.results.csv": "Start (s);End (s);Scientific name;Common name;Confidence;File\n"
    f"0,0;3,0;Pitangus sulphuratus;Great Kiskadee;0,9321;{PLACES[0]}\n",
    "kaleidoscope.csv": "INDIR,FOLDER,IN FILE,OFFSET,DURATION,TOP1MATCH,MANUAL ID*\n"
    f"D:\\cards\\,,{PLACES[0]},2.5,1.5,x,Great Kiskadee\n",
    "hoplite.csv": f"filename,window_offset_s,label,label_type\n{PLACES[0]},0.0,grekis,positive\n",
    "2021.csv": "row_id,site,audio_id,seconds,birds\n7019_COR_5,COR,7019,5,trsowl grekis\n",
    "2026.csv": f"filename,start,end,primary_label\n{PLACES[0]},00:00:05,00:00:10,22973;001\n",
}
TAXONOMY = (
    "primary_label,scientific_name,common_name\ngrekis,Pitangus sulphuratus,Great Kiskadee\n22973,A b,C d\n"
)
SWEEP = """# A question?
program: experiments/timm_007/run.py
method: random
metric:
  name: valid/score
  goal: maximize
parameters:
  mixup.alpha:
    distribution: log_uniform_values
    min: 0.1
    max: 2.0
  optim.lr:
    values: [0.001, 0.01]
early_terminate:
  type: hyperband
  min_iter: 2
run_cap: 3
command:
  - ${interpreter}
  - ${program}
  - ${args}
"""


@dataclass(frozen=True)
class Target:
    """One file or command line, how it is damaged, and what reads it.

    Attributes
    ----------
    kind
        A key of `SHARES`.
    name
        Unique.
    mutate
        Returns a damaged input, bytes or words, from a generator.
    read
        Gets the input; a `ValueError`, or an `AudioError` of audio, is a refusal.
    """

    kind: str
    name: str
    mutate: Callable[[np.random.Generator], Any]
    read: Callable[[Any], object]


def targets(folder: Path, run: Path) -> list[Target]:
    """Return every target, with its files in an empty folder.

    Parameters
    ----------
    folder
        Where all files are made.
    run
        A finished run.
    """
    makers = (_audio, _years, _annotations, _host_tables, _run_files, _other_json, _words, _sweeps)
    folder.mkdir(parents=True)
    return [target for make in makers for target in make(folder / make.__name__, run)]


def _of_file(
    kind: str, file: Path, mutate: Callable[[bytes, np.random.Generator], bytes], read: Callable[[], object]
) -> Target:
    """Return the target of a file that stands among others, and is put back afterwards."""
    content = file.read_bytes()

    def read_damaged(damaged: bytes) -> None:
        file.unlink(missing_ok=True)
        file.write_bytes(damaged)
        try:
            read()
        finally:
            file.write_bytes(content)

    return Target(kind, f"{file.parent.name}/{file.name}", partial(mutate, content), read_damaged)


def _audio(folder: Path, run: Path) -> Iterator[Target]:
    folder.mkdir()
    stereo = np.stack([SONG, -SONG], axis=1)
    for name, words in {
        "a.wav": {}, "float.wav": {"subtype": "FLOAT"}, "24.wav": {"subtype": "PCM_24"},
        "u8.wav": {"subtype": "PCM_U8"}, "rf64.wav": {"format": "RF64"}, "a.flac": {}, "a.ogg": {},
        "opus.ogg": {"subtype": "OPUS"}, "a.mp3": {}, "a.aiff": {}, "a.w64": {}, "a.caf": {},
    }.items():  # fmt: skip
        rate = 48000 if "opus" in name else RATE
        soundfile.write(folder / name, stereo if name[0] in "2u" else SONG, rate, **words)
        yield _of_file("audio", folder / name, mutate_bytes, partial(_listen, folder / name))
    guano = (
        b"guan"
        + (60).to_bytes(4, "little")
        + b"GUANO|Version: 1.0\nTimestamp: 2023-04-20T07:40:00Z\n".ljust(60)
    )
    (folder / "20230420_074000.WAV").write_bytes((folder / "a.wav").read_bytes() + guano)
    file = folder / "20230420_074000.WAV"
    yield _of_file("audio", file, mutate_bytes, partial(_listen, file))
    if shutil.which("ffmpeg") is not None:
        for name, encoder in {"a.m4a": "aac", "a.wma": "wmav2", "a.webm": "libopus"}.items():
            command = ["ffmpeg", "-v", "error", "-i", f"{folder}/a.wav", "-c:a", encoder, f"{folder}/{name}"]
            subprocess.run(command, check=True)
            yield _of_file("audio", folder / name, mutate_bytes, partial(_listen, folder / name))


def _listen(file: Path) -> None:
    """Read a recording to its end, as training and inference do."""
    duration_seconds(file)
    describe_origin(file, file.stem)
    findings, total = Findings(), 0
    for block in stream_mono(file, RATE, findings):
        assert np.isfinite(block).all()
        total += len(block)
    assert total <= HIGHEST_UPSAMPLING * MAX_FRAMES_PER_BYTE * file.stat().st_size
    assert "\n" not in findings.damage + "".join(findings.notes)


def _years(folder: Path, run: Path) -> Iterator[Target]:
    for year in YEARS:
        root = make_year(folder / str(year), year)
        for file in sorted(root.glob("*.csv")):
            yield _of_file("table", file, mutate_text, partial(_read_folder, root))
        for file in sorted(root.glob("*.json")):
            yield _of_file("json", file, mutate_json, partial(_read_folder, root))


def _read_folder(root: Path) -> None:
    """Say what is in a folder, and audit its folds."""
    found = read_competition(root)
    describe(found)
    format_audit(audit_folds(found, folds_of(found, DataConfig(num_folds=2))))


def _annotations(folder: Path, run: Path) -> Iterator[Target]:
    folder.mkdir()
    for name in PLACES:
        soundfile.write(folder / name, np.zeros(10_000), 1000)
    taxonomy = folder / "taxonomy.csv"
    taxonomy.write_text(TAXONOMY)
    for name, text in ANNOTATIONS.items():
        (folder / name).write_text(text)
        config = AnnotationConfig(
            files=(str(folder / name),), soundscapes=(str(folder),), taxonomy=str(taxonomy),
            out=str(folder / "out" / "labels.csv"),
        )  # fmt: skip
        yield _of_file("table", folder / name, mutate_text, partial(convert, config))
        if name == "2026.csv":
            yield _of_file("table", taxonomy, mutate_text, partial(convert, config))


def _host_tables(folder: Path, run: Path) -> Iterator[Target]:
    folder.mkdir()
    tables = {
        "test.csv": "row_id,file_id,bird,end_time\na_akiapo_5,a,akiapo,5\na_akiapo_10,a,akiapo,10\n",
        "2022.csv": "row_id,target\na_akiapo_5,True\na_akiapo_10,False\n",
        "sample_submission.csv": "row_id,akiapo,22961\na_5,0.5,0.5\na_10,0.5,0.5\n",
        "2025.csv": "row_id,akiapo,22961\na_5,0.1,0.25\na_10,0.9,1e-3\n",
        "probabilities.csv": "file_id,end_time,site,start_time,akiapo\na,5,s,,0.25\na,10,s,,0.75\n",
    }
    for name, text in tables.items():
        (folder / name).write_text(text)
    for wanted, given in (("test.csv", "2022.csv"), ("sample_submission.csv", "2025.csv")):
        read = partial(submission_faults, folder / given, folder / wanted)
        for name in (wanted, given):
            yield _of_file("table", folder / name, mutate_text, read)
    score = partial(read_soundscapes, folder / "probabilities.csv", folder / "2022.csv")
    yield _of_file("table", folder / "probabilities.csv", mutate_text, score)


def _run_files(folder: Path, run: Path) -> Iterator[Target]:
    copy = folder / "tiny" / run.name
    shutil.copytree(run, copy)
    for name in ("config.json", "summary.json"):
        yield _of_file("json", copy / name, mutate_json, partial(_compare_runs, copy))
    last = copy / "checkpoints" / "last"
    yield _of_file("json", last / "checkpoint.json", mutate_json, partial(load_ensemble, [last]))
    training = last / "training.json"
    yield _of_file("json", training, mutate_json, partial(read_config, Progress(), training))
    yield _of_file("json", copy / "metrics.jsonl", mutate_text, partial(_rewind, copy))


def _compare_runs(run: Path) -> None:
    """Read a run as programs of `analysis` do."""
    runs = find_runs([run])
    runs_table(runs)
    config_differences(runs)


def _rewind(run: Path) -> None:
    folder = RunFolder(run)
    folder.history()
    folder.rewind(1)


def _other_json(folder: Path, run: Path) -> Iterator[Target]:
    (folder / "export" / "member0").parent.mkdir(parents=True)
    shutil.copytree(run / "checkpoints" / "last", folder / "export" / "member0")
    card = checkpoint.read_card(folder / "export" / "member0")
    manifest = {"format": 1, "context": 1, "species": card.scored, "weights": [1.0], "backend": "torch"}
    tuned = to_dict(DecisionConfig(threshold="class_wise", class_wise={"akiapo": 0.5}))
    trial = {
        "number": 0,
        "parameters": {"mixup.alpha": 1.0, "optim.lr": 0.01},
        "state": "finished",
        "minutes": 1.0,
    }
    sweep = folder / "sweep"
    written = {
        folder / "export" / MANIFEST: manifest,
        folder / "tuned.json": {"post": tuned},
        sweep / "sweep.json": {"id": "s", "name": "s", "seed": 0, "overrides": []},
        sweep / "trials" / "0" / "trial.json": trial,
    }
    for file, content in written.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    (sweep / "sweep.yaml").write_text(SWEEP)
    reads: tuple[Callable[[], object], ...] = (
        partial(open_export, folder / "export", "mean"), partial(read_tuned, folder / "tuned.json"),
        partial(read_sweep_folder, sweep), partial(read_sweep_folder, sweep),
    )  # fmt: skip
    for file, read in zip(written, reads, strict=True):
        yield _of_file("json", file, mutate_json, read)


def _words(folder: Path, run: Path) -> Iterator[Target]:
    root = make_year(folder / "data", 2022)
    for experiment in (
        "timm_007",
        "conformer",
        "fdy",
        "htsat",
        "distil_016",
        "probe_015",
        "timm_013",
        "nocall",
    ):
        config: Config = import_module(f"experiments.{experiment}.config").CONFIG
        mutate = partial(mutate_words, [f"--data.root={root}"], sorted(flatten(config)))
        yield Target("words", experiment, mutate, partial(settle_config, config))
    words = ["--checkpoints", str(run), "--soundscapes", str(root)]
    flat = list(to_dict(InferenceConfig(checkpoints=("x",), soundscapes=("x",))))
    fields = [*flat, "windows.shifts", "windows.context", "post.threshold", "post.penalty", "post.class_wise"]
    yield Target(
        "words", "inference", partial(mutate_words, words, fields), partial(parse_words, InferenceConfig)
    )


def _sweeps(folder: Path, run: Path) -> Iterator[Target]:
    folder.mkdir()
    (folder / "sweep.yaml").write_text(SWEEP)
    yield _of_file("sweep", folder / "sweep.yaml", mutate_text, partial(checked_sweep, folder / "sweep.yaml"))
