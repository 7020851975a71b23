"""A person's mistake is one line that names field or file, status 2, before any work; never a traceback."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from core.command_line import parse_config
from core.config_values import flatten
from core.data.audio import read_mono
from core.data.decoding import AudioError
from core.inference.config import BundleConfig, CheckConfig, ExportConfig, InferenceConfig
from core.machine import LAUNCHED
from tests.core.inference.conftest import RATE, Trained
from tests.programs import refusal
from tests.runs import PROGRAM, ROOT


def config_of(experiment: str) -> Any:
    return import_module(f"experiments.{experiment}.config").CONFIG


def one_line(said: str) -> str:
    """Return what a program said, which must be one line."""
    (line,) = said.splitlines()
    assert line.startswith("error: ")
    assert "Traceback" not in line
    return line.removeprefix("error: ")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("--optim.betas=(0.9, 1.5)", "optim.betas=(0.9, 1.5): two numbers from 0 to below 1"),
        ("--optim.betas=(0.9,)", "--optim.betas: Value (0.9,)"),
        ("--seed=-1", "seed=-1: between 0 and "),
        ("--data.fold_seed=-1", "data.fold_seed=-1: between 0 and "),
        ("--optim.warmup_epochs=inf", "optim.warmup_epochs=inf: must be finite"),
        ("--optim.lr=nan", "optim.lr=nan: must be positive"),
        ("--optim.weight_decay=-1", "optim.weight_decay=-1.0: 0 or more"),
        ("--data.clip_seconds=inf", "data.clip_seconds=inf: must be finite"),
        ("--data.noise.min_snr_db=-inf", "data.noise.min_snr_db=-inf: must be finite"),
        ("--spec_augment.num_time_stripes=-1", "spec_augment.num_time_stripes=-1: 0 or more"),
        ("--spec_augment.num_mel_stripes=-1", "spec_augment.num_mel_stripes=-1: 0 or more"),
        ("--loss.focal_gamma=-1", "loss.focal_gamma=-1.0: 0 or more"),
        ("--features.power=0", "features.power=0.0: must be positive"),
        ("--data.batch_size={}", "--data.batch_size: "),
        ("--data={}", "Unrecognized options: --data={}"),
        ("--data.clip_seconds=1e9", "data.clip_seconds=1000000000.0: at most 3600"),
        ("--data.part_seconds=1e-12", "data.part_seconds=1e-12: at least 0.01"),
        ("--features.num_mels=9999", "features.num_mels=9999: at most 1025, as n_fft has bins"),
        ("--features.n_fft=1000000", "features.n_fft=1000000: less than twice the 160000 samples of a part"),
        ("--data.cache=", "data.cache=: empty; name a folder"),
        ("--name=../x", "name=../x: must be the name of a folder, without a path"),
        ("--name=", "name=: must be the name of a folder, without a path"),
        ("--mixup.alhpa=1", "Unrecognized options: --mixup.alhpa=1 Perhaps you meant: --mixup.alpha"),
        ("--epochs=many", "--epochs: invalid literal for int()"),
    ],
)
def test_a_field_that_would_fail_later_is_refused_at_once(
    word: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse_config(config_of("timm_007"), [word, f"--output_dir={tmp_path}"])
    assert stopped.value.code == 2
    assert one_line(capsys.readouterr().err).startswith(said)


OUTPUTS = [
    ("core.inference", ["--checkpoints", "RUN", "--soundscapes", "S"], "out", "s.csv"),
    ("core.inference", ["--checkpoints", "RUN", "--soundscapes", "S"], "probabilities", "p.parquet"),
    ("core.inference", ["--checkpoints", "RUN", "--soundscapes", "S"], "by_recording", "p.csv"),
    ("core.inference", ["--checkpoints", "RUN", "--soundscapes", "S"], "detections", ""),
    ("core.inference", ["export", "--checkpoints", "RUN", "--soundscapes", "S"], "out", ""),
    ("core.inference", ["bundle", "--exported", "X"], "out", "b.zip"),
    ("core.data.annotations", ["A", "--soundscapes", "S"], "out", "labels.csv"),
    ("core.data.annotations", ["A", "--soundscapes", "S", "--format", "raven"], "out", ""),
    ("analysis.runs", ["RUN"], "out", "runs.csv"),
    ("analysis.bootstrap", ["RUN"], "out", "scores.csv"),
    ("analysis.bootstrap", ["RUN"], "figure", "scores.png"),
    ("analysis.compare", ["RUN", "B"], "out", "scores.json"),
    ("analysis.compare", ["RUN", "B"], "figure", "scores.pdf"),
    ("analysis.thresholds", ["RUN"], "out", ""),
    ("analysis.species", ["RUN"], "out", ""),
    ("analysis.ensemble", ["RUN", "B"], "out", ""),
    ("analysis.folds", ["ROOT"], "out", ""),
    ("analysis.sweep", ["SWEEP"], "out", ""),
    ("analysis.report", ["RUN"], "out", "report.html"),
    ("analysis.report", ["RUN", "--format=svg"], "out", ""),
    ("analysis.review", ["RUN"], "out", "review.html"),
    ("sweeps.local", [str(ROOT / "sweeps" / "mixup.yaml"), "--count=1"], "out", ""),
    ("sweeps.adapt", [str(ROOT / "sweeps" / "mixup.yaml")], "to", "b.yaml"),
]


@pytest.mark.parametrize(("module", "words", "option", "name"), OUTPUTS)
def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    module: str, words: list[str], option: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    below_a_file = f"{tmp_path}/file/{name}".rstrip("/")
    faults = [below_a_file if name else f"{below_a_file}/folder"]
    faults += [f"{tmp_path}/{'x' * 300}{name}"]
    if name:
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / name).mkdir()
        faults.append(f"{tmp_path}/folder/{name}")
        faults += [] if name.endswith((".zip", ".yaml")) else [f"{tmp_path}/a.unknown"]
    else:
        faults.append(f"{tmp_path}/file")
    before = sorted(tmp_path.rglob("*"))
    for path in faults:
        line = one_line(refusal(module, *words, f"--{option}={path}"))
        assert line.removeprefix("--").startswith(f"{option}={path}: "), line
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("field", ["output_dir", "data.cache"])
def test_a_run_that_could_not_be_recorded_does_not_start(
    field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit):
        parse_config(config_of("timm_007"), [f"--{field}={tmp_path}/file/x"])
    assert one_line(capsys.readouterr().err).startswith(f"{field}={tmp_path}/file/x: ")


def test_a_device_is_not_replaced_by_a_table() -> None:
    line = one_line(refusal("analysis.bootstrap", "RUN", "--figure=/dev/null"))
    assert line == "figure=/dev/null: the name must end in .png, .svg or .pdf"
    assert one_line(refusal("sweeps.adapt", "a.yaml", "--to=/dev/null")).startswith(
        "--to=/dev/null: is there and no file"
    )


def test_home_is_expanded_in_every_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = InferenceConfig(
        checkpoints=("~/r",), soundscapes=("~/s",), out="~/o.csv", test="~/t.csv", nocall="~/n",
        tuned="~/t.json", probabilities="~/p.csv", by_recording="~/b.csv", detections="~/d",
    )  # fmt: skip
    export = ExportConfig(checkpoints=("~/r",), soundscapes=("~/s",), out="~/e", truth="~/t.csv")
    check = CheckConfig(submission="~/s.csv", test="~/t.csv", sample="~/s.csv", soundscapes=("~/s",))
    for one in (config, export, check, BundleConfig(exported="~/e", out="~/b.zip")):
        paths = [value for value in flatten(one).values() if "~" in str(value) or str(tmp_path) in str(value)]
        assert len(paths) >= 2
        assert not [path for path in paths if "~" in str(path)]


def started(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Return what a program that a launcher started left."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=environment, cwd=folder, check=False
    )


def test_the_launcher_prints_no_traceback_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "accelerate.py").write_text(
        "import os, subprocess, sys\n"
        f"environment = os.environ | {{'{LAUNCHED}': 'no'}}\n"
        "subprocess.run([sys.executable, *sys.argv[1:]], env=environment, check=True)\n"
    )
    command = [sys.executable, str(tmp_path / "accelerate.py"), str(PROGRAM), "--epochs=0"]
    shown = started(command, tmp_path)
    assert one_line(shown.stderr) == "epochs=0: at least 1"
    assert shown.returncode != 0


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["--num_processes=2", "--multi_gpu"]])
def test_nor_does_that_of_accelerate(words: list[str], tmp_path: Path) -> None:
    shared = ["--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"]
    launcher = str(Path(sys.executable).with_name("accelerate"))  # the environment may not be active
    command = [launcher, "launch", *(words or ["--num_processes=1"]), *shared, str(PROGRAM), "--epochs=0"]
    shown = started(command, tmp_path)
    assert "Traceback" not in shown.stderr
    assert shown.stderr.count("error: epochs=0: at least 1") == 1
    assert shown.returncode != 0


def edited(**changes: object) -> Callable[[str], str]:
    """Return what replaces entries of a JSON text, at dotted places; None removes one."""

    def edit(text: str) -> str:
        content = json.loads(text)
        for place, value in changes.items():
            *parents, name = place.split("__")
            branch = content
            for parent in parents:
                branch = branch[parent]
            branch[name] = value
        return json.dumps(content)

    return edit


def halved(text: str) -> str:
    return text[: len(text) // 2]


DAMAGES = [
    ("config.json", halved, "not JSON"),
    ("config.json", lambda text: "[]", "a JSON dict is needed, found list"),
    ("config.json", lambda text: "{}", "no data, data.fold, epochs, name"),
    ("config.json", edited(name=3), "name=3: int is not an instance of str"),
    ("config.json", edited(data="x"), "data"),
    ("config.json", edited(data__fold="x"), "data.fold='x'"),
    (
        "config.json",
        edited(valid__num_resamples="x"),
        "valid.num_resamples='x'",
    ),
    ("summary.json", halved, "not JSON"),
    ("summary.json", lambda text: "\xff\x00", "not JSON"),
    ("summary.json", lambda text: "[" * 100_000, "not JSON"),
    ("summary.json", edited(metrics=[1]), "metrics=[1]: list is not a dict"),
    ("summary.json", edited(metrics={"score": 3}), "metrics={'score': 3}"),
    ("summary.json", edited(metrics={"score": {"value": 1.0, "low": 0.5}}), "metrics.score lacks value, low"),
    ("summary.json", edited(runs="x"), "runs='x': str is not a list"),
    ("summary.json", edited(minutes="x"), "minutes='x'"),
]


@pytest.mark.parametrize(("name", "damage", "said"), DAMAGES)
def test_a_damaged_file_of_a_run_is_named_with_its_entry(
    trained: Trained,
    tmp_path: Path,
    name: str,
    damage: Callable[[str], str],
    said: str,
) -> None:
    run = tmp_path / "tiny" / "20260101-000000-aaaa-fold0"
    run.mkdir(parents=True)
    for file in Path(trained.runs[0]).iterdir():
        if file.is_file():
            (run / file.name).write_bytes(file.read_bytes())
    (run / name).write_text(damage((run / name).read_text()))
    line = one_line(refusal("analysis.runs", run))
    assert line.startswith(f"{run / name}: "), line
    assert said in line


CARDS = [
    (halved, "not JSON"),
    (edited(files=[]), "files=[]: list is not a dict"),
    (edited(files={}), "no model.safetensors in its files"),
    (edited(species="abc"), "species='abc': str is not a list"),
    (edited(species=[]), "species: empty"),
    (edited(train_counts={"a": "b"}), "train_counts={'a': 'b'}"),
    (edited(config={}), "config.model=None"),
    (edited(config__features=3), "config.features=3: int is not a dict"),
    (edited(config__features__n_fft="x"), "n_fft='x': str is not an instance of int"),
    (edited(config__data__short_clips=3), "config.data.short_clips=3"),
    (edited(taxonomy={"codes": ["a"]}), "taxonomy: needs lists of"),
    (edited(year="x"), "year='x'"),
    (edited(model_class="os:system"), "only classes of core and experiments"),
    (edited(model_class="core.models.sed:nothing"), "is not in this code"),
]


@pytest.mark.parametrize(("damage", "said"), CARDS)
def test_a_damaged_card_is_named_before_anything_is_predicted(
    trained: Trained,
    tmp_path: Path,
    damage: Callable[[str], str],
    said: str,
) -> None:
    folder = tmp_path / "last"
    folder.mkdir()
    for file in Path(trained.runs[0], "checkpoints", "last").iterdir():
        (folder / file.name).symlink_to(file)
    card = folder / "checkpoint.json"
    text = damage(card.read_text())
    card.unlink()
    card.write_text(text)
    soundscapes = trained.root / "test_soundscapes"
    out = tmp_path / "s.csv"
    line = one_line(
        refusal("core.inference", "--checkpoints", folder, "--soundscapes", soundscapes, f"--out={out}")
    )
    assert line.startswith(str(folder)), line
    assert said in line
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "tuned.json: not JSON"),
        ("{}", "tuned.json: no post"),
        ('{"post": 3}', "post=3: an object is needed"),
        ('{"post": {"penalty": "x"}}', "post.penalty='x': str is neither float or int"),
        ('{"post": {"quantile": 3}}', "post.quantile=3: a probability lies between 0 and 1"),
        ('{"post": {"class_wise": {"a": "b"}, "threshold": "class_wise"}}', "post.class_wise={'a': 'b'}"),
        ('{"post": {"fixed": NaN}}', "post.fixed=nan: must be finite"),
    ],
)
def test_a_damaged_tuned_file_is_named_before_anything_is_predicted(
    trained: Trained,
    tmp_path: Path,
    text: str,
    said: str,
) -> None:
    (tmp_path / "tuned.json").write_text(text)
    words = ["--checkpoints", trained.runs[0], "--soundscapes", trained.root / "test_soundscapes"]
    line = one_line(
        refusal("core.inference", *words, f"--tuned={tmp_path}/tuned.json", f"--out={tmp_path}/s.csv")
    )
    assert line.startswith("tuned: ")
    assert said in line


def test_rows_of_the_host_are_checked_before_anything_is_predicted(trained: Trained, tmp_path: Path) -> None:
    words = ["--checkpoints", trained.runs[0], "--soundscapes", trained.root / "test_soundscapes"]
    table = tmp_path / "test.csv"
    for rows, said in (
        ("a,b\n1,2\n", "a table without row_id"),
        (
            "row_id,file_id,bird,end_time\nx_sing_5,x,sing,\n",
            "line 2: end_time of row_id 'x_sing_5' is no number",
        ),
        ("row_id,file_id,bird,end_time\nx_sing_5,x,sing,a\n", "line 2: column end_time is 'a'"),
        ("row_id,file_id,bird,end_time\nx_no_5,x,no,5\n", "asks for no, which no checkpoint was trained on"),
    ):
        table.write_text(rows)
        line = one_line(refusal("core.inference", *words, f"--test={table}", f"--out={tmp_path}/s.csv"))
        assert str(table) in line
        assert said in line
    assert not list(tmp_path.glob("s*"))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (edited(number=[]), "number=[]: list is not an instance of int"),
        (edited(parameters=0.5), "parameters=0.5: float is not a dict"),
        (lambda text: "[" * 100_000, "not JSON"),
    ],
)
def test_a_damaged_trial_of_a_sweep_is_named(tmp_path: Path, damage: Callable[[str], str], said: str) -> None:
    trial = {"number": 0, "parameters": {"mixup.alpha": 1.0}, "state": "finished", "minutes": 1.0}
    (tmp_path / "trials" / "0").mkdir(parents=True)
    (tmp_path / "trials" / "0" / "trial.json").write_text(damage(json.dumps(trial)))
    (tmp_path / "sweep.json").write_text('{"name": "s"}')
    (tmp_path / "sweep.yaml").write_text((ROOT / "sweeps" / "mixup.yaml").read_text())
    line = one_line(refusal("analysis.sweep", tmp_path))
    assert line.startswith(f"{tmp_path}/trials/0/trial.json: ")
    assert said in line


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (edited(weights=[]), "no weights or no species"),
        (edited(weights=["x"]), "weights=['x']"),
        (halved, "JSON"),
    ],
)
def test_a_damaged_export_is_named(tmp_path: Path, damage: Callable[[str], str], said: str) -> None:
    manifest = {"format": 1, "context": 1, "species": ["a"], "weights": [1.0], "backend": "torch"}
    (tmp_path / "ensemble.json").write_text(damage(json.dumps(manifest)))
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE), RATE)
    words = [f"--exported={tmp_path}", f"--soundscapes={tmp_path}", f"--out={tmp_path}/s.csv"]
    line = one_line(refusal("core.inference", *words))
    assert line.startswith(f"{tmp_path}: no export of ")
    assert said in line


def test_a_name_that_no_file_can_have_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "train_metadata.csv").write_text(f"primary_label,filename\na,{'x' * 300}.ogg\n")
    line = one_line(refusal("core.data.competition", tmp_path))
    assert line.startswith(f"{tmp_path}/train_metadata.csv, line 2: filename 'xxxx")
    assert line.endswith("has a part of 304 bytes")


def test_a_line_of_the_log_that_is_damaged_is_left_out(trained: Trained, tmp_path: Path) -> None:
    from core.run_folder import RunFolder

    (tmp_path / "metrics.jsonl").write_bytes(b'3\n{"global_step": "x"}\n\xff\n{"global_step": 4}\n{"glo')
    assert RunFolder(tmp_path).history() == [{"global_step": 4}]


def test_a_name_in_another_case_says_which_file_is_there(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "XC1.WAV", np.zeros(8000), 8000)
    with pytest.raises(AudioError, match=r"missing file; XC1\.WAV is there"):
        read_mono(tmp_path / "xc1.wav", 8000)
