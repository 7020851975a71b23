"""From checkpoints and soundscapes to a submission, in this process and in programs that are killed."""

import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file
from scipy.special import expit

from core.checkpoint import CheckpointError
from core.data.audio import read_mono
from core.inference.check import submission_faults
from core.inference.config import InferenceConfig, WindowConfig
from core.inference.ensemble import find_checkpoints, load_ensemble
from core.inference.predictor import Predictor
from core.inference.run import predict
from core.scoring.decisions import DecisionConfig
from core.scoring.metrics import balanced_accuracy
from tests.core.inference.conftest import RATE, Trained, write_noise
from tests.programs import refusal
from tests.runs import ROOT

CPU = torch.device("cpu")


def config_of(trained: Trained, soundscapes: Path, out: Path) -> InferenceConfig:
    return InferenceConfig(checkpoints=trained.runs, soundscapes=(str(soundscapes),), out=str(out))


def test_all_folds_in_one_pass_equal_fold_by_fold(trained: Trained, soundscapes: Path) -> None:
    together = Predictor(load_ensemble(trained.runs), WindowConfig(), CPU)
    alone = [Predictor(load_ensemble([run]), WindowConfig(), CPU) for run in trained.runs]
    for file in sorted(soundscapes.iterdir()):
        one = together.predict_file(file).probability[0]
        each = np.mean([predictor.predict_file(file).probability[0] for predictor in alone], axis=0)
        np.testing.assert_allclose(one, each, atol=1e-5)


def test_a_window_is_what_the_model_gives_for_its_samples(trained: Trained, soundscapes: Path) -> None:
    ensemble = load_ensemble(trained.runs[:1])
    (member,) = ensemble.members
    file = soundscapes / "s2.wav"  # 61 s
    wave = read_mono(file, RATE)
    found = Predictor(ensemble, WindowConfig(batch=5), CPU).predict_file(file).probability[0]
    assert len(found) == 13
    for window in (0, 4, 5, 12):
        samples = np.zeros(5 * RATE, np.float32)
        piece = wave[window * 5 * RATE : (window + 1) * 5 * RATE]
        samples[: len(piece)] = piece
        with torch.inference_mode():
            logit = member.model(torch.from_numpy(samples)[None]).clip_logit[0].numpy()
        np.testing.assert_allclose(found[window], expit(logit[member.columns]), atol=1e-5)


@pytest.mark.parametrize("context", [1, 2, 6])
@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batches_do_not_change_what_is_found(
    trained: Trained, soundscapes: Path, context: int, batch: int
) -> None:
    ensemble = load_ensemble(trained.runs)
    settings = WindowConfig(context=context, shifts=(0.0, 2.5))
    for name in ("s2.wav", "s3.wav", "stereo.flac"):
        expected = Predictor(ensemble, settings, CPU).predict_file(soundscapes / name)
        found = Predictor(ensemble, replace(settings, batch=batch), CPU).predict_file(soundscapes / name)
        np.testing.assert_allclose(found.probability, expected.probability, atol=1e-5)


@pytest.mark.parametrize("combine", ["mean", "logit", "rank", "min"])
def test_ways_to_combine_members(trained: Trained, combine: str) -> None:
    ensemble = load_ensemble(trained.runs, weights=(3.0, 1.0), combine=combine)
    logits = np.random.default_rng(0).normal(size=(2, 9, len(ensemble.species)))
    p = expit(logits)
    found = ensemble.combined(p)
    ranks = (np.argsort(np.argsort(logits, axis=1), axis=1) + 1) / 9
    expected = {
        "mean": 0.75 * p[0] + 0.25 * p[1],
        "logit": expit(0.75 * logits[0] + 0.25 * logits[1]),
        "min": p.min(axis=0),
        "rank": 0.75 * ranks[0] + 0.25 * ranks[1],
    }
    np.testing.assert_allclose(found, expected[combine], atol=1e-12)


def test_submission_of_the_demo_is_right_and_scored(trained: Trained, tmp_path: Path) -> None:
    """Every row of test.csv once, in its order, boolean, the same as decided by hand from probabilities."""
    out = tmp_path / "submission.csv"
    config = config_of(trained, trained.root / "test_soundscapes", out)
    predict(replace(config, probabilities=str(tmp_path / "p.parquet")))
    assert submission_faults(out, trained.root / "test.csv") == []
    given, rows = pd.read_csv(out), pd.read_csv(trained.root / "test.csv")
    table = pd.read_parquet(tmp_path / "p.parquet")
    table = table.drop(columns=["site", "start_time"]).set_index(["file_id", "end_time"])
    values = np.array([table.loc[(r.file_id, r.end_time), r.bird] for r in rows.itertuples()])
    threshold = np.quantile(table.to_numpy(float), 0.85)
    assert (given["target"].to_numpy() == (values >= threshold)).all()
    assert not (tmp_path / "submission.csv.journal").exists()
    truth = pd.read_csv(trained.root / "solution.csv").merge(given, on="row_id", suffixes=("_true", ""))
    assert len(truth) == len(rows)
    score = balanced_accuracy(truth[["target_true"]].to_numpy(), truth[["target"]].to_numpy())
    assert 0 <= score[0] <= 1


def test_missing_and_unusable_soundscapes_are_false_rows_and_in_the_ledger(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "test_soundscapes"
    write_noise(folder / "good.wav", 10)
    (folder / "text.ogg").write_text("this is no audio")
    (folder / "empty.wav").write_bytes(b"")
    wave = np.zeros(RATE, np.float32)
    wave[7] = np.nan
    soundfile.write(folder / "nan.wav", wave, RATE, subtype="FLOAT")
    species = load_ensemble(trained.runs[:1]).species
    names = ("gone", "good", "text", "empty", "nan")
    rows = [(f"{n}_{s}_{e}", n, s, e) for n in names for s in species for e in (5, 10)]
    pd.DataFrame(rows, columns=["row_id", "file_id", "bird", "end_time"]).to_csv(
        tmp_path / "test.csv", index=False
    )
    out = tmp_path / "submission.csv"
    predict(config_of(trained, folder, out))
    assert submission_faults(out, tmp_path / "test.csv") == []
    given = pd.read_csv(out)
    assert not given[~given["row_id"].str.startswith("good")]["target"].any()
    assert given[given["row_id"].str.startswith("good")]["target"].any()
    table = pd.read_csv(tmp_path / "submission_ledger.csv", keep_default_na=False)
    ledger = table.set_index("file_id")["status"]
    assert ledger["good"] == "ok"
    assert ledger["gone"] == "missing file"
    assert ledger["empty"] == "empty file (0 bytes)"
    assert "not finite" in ledger["nan"]
    assert "not readable" in ledger["text"]
    assert "4 soundscapes missing or unusable" in capsys.readouterr().out


def test_detections_for_raven_and_birdnet(trained: Trained, soundscapes: Path, tmp_path: Path) -> None:
    config = config_of(trained, soundscapes, tmp_path / "s.csv")
    predict(
        replace(config, detections=str(tmp_path / "found"), post=DecisionConfig(threshold="fixed", fixed=0.0))
    )
    raven = pd.read_csv(tmp_path / "found" / "s0.selections.txt", sep="\t")
    assert raven["End Time (s)"].tolist() == [60] * len(raven)  # everything is found: one selection a species
    assert raven["Selection"].tolist() == list(range(1, len(raven) + 1))
    names = load_ensemble(trained.runs).taxonomy
    assert all(names.common)
    found = pd.read_csv(tmp_path / "found" / "detections.csv")
    assert set(found["Common name"]) == set(names.common)
    assert set(found["Scientific name"]) == set(names.scientific)
    assert set(raven["Species"]) == set(names.codes)


# Checkpoints that do not fit.


def test_foreign_checkpoints_are_refused_and_nothing_is_executed(trained: Trained, tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {marker}",)

    copy = tmp_path / "copy"
    shutil.copytree(find_checkpoints(trained.runs[0])[0], copy)
    (copy / "model.safetensors").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError, match="checksum"):
        load_ensemble([copy])
    lone = tmp_path / "lone"
    lone.mkdir()
    (lone / "model.pth").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError, match="neither a checkpoint nor a run"):
        load_ensemble([lone])
    card = json.loads((find_checkpoints(trained.runs[1])[0] / "checkpoint.json").read_text())
    shutil.copytree(find_checkpoints(trained.runs[1])[0], tmp_path / "other")
    card["model_class"] = "os:system"
    (tmp_path / "other" / "checkpoint.json").write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match="only classes of core and experiments"):
        load_ensemble([tmp_path / "other"])
    assert not marker.exists()


def test_labels_are_aligned_by_name(trained: Trained, soundscapes: Path, tmp_path: Path) -> None:
    """A member whose labels stand in another order gives the same; one that lacks a species is refused."""
    source = find_checkpoints(trained.runs[0])[0]
    card = json.loads((source / "checkpoint.json").read_text())
    turned = tmp_path / "turned"
    shutil.copytree(source, turned)
    order = list(range(len(card["species"])))[::-1]
    weights = load_file(source / "model.safetensors")
    for name in weights:
        if name.startswith("head.pool."):
            weights[name] = weights[name][order].contiguous()
    save_file(weights, turned / "model.safetensors")
    digest = hashlib.sha256((turned / "model.safetensors").read_bytes()).hexdigest()
    files = {"model.safetensors": digest}
    changed = card | {"species": [card["species"][i] for i in order], "files": files}
    (turned / "checkpoint.json").write_text(json.dumps(changed))
    both = load_ensemble([source, turned])
    found = Predictor(both, WindowConfig(), CPU).predict_file(soundscapes / "s0.wav").probability[0]
    alone = Predictor(load_ensemble([source]), WindowConfig(), CPU)
    np.testing.assert_allclose(found, alone.predict_file(soundscapes / "s0.wav").probability[0], atol=1e-5)
    (turned / "checkpoint.json").write_text(json.dumps(changed | {"species": ["x"] * len(order)}))
    with pytest.raises(CheckpointError, match="knows no"):
        load_ensemble([source, turned])


# As a program.


def program(*words: str) -> list[str]:
    return [sys.executable, "-m", "core.inference", *words]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def test_mistakes_of_the_command_line_are_told(trained: Trained, tmp_path: Path) -> None:
    for words, what in (
        (["--checkpoints", "nowhere", "--soundscapes", str(trained.root)], "nowhere: no such folder"),
        (["--checkpoints", trained.runs[0], "--soundscapes", "nowhere"], "nowhere does not exist"),
        (
            ["--checkpoints", trained.runs[0], "--soundscapes", str(trained.root), "--weights", "1", "2"],
            "weights has 2",
        ),
    ):
        assert what in refusal("core.inference", *words, f"--out={tmp_path}/s.csv")


@pytest.mark.slow
def test_a_killed_run_continues_and_does_no_file_twice(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "soundscapes"
    for i in range(200):
        write_noise(folder / f"s{i:03d}.wav", 10.0, seed=i)
    words = ["--checkpoints", *trained.runs, "--soundscapes", str(folder)]
    subprocess.run(program(*words, f"--out={tmp_path}/whole.csv"), check=True, env=environment())
    journal = tmp_path / "killed.csv.journal"
    for wanted in (1, 2):  # twice
        process = subprocess.Popen(program(*words, f"--out={tmp_path}/killed.csv"), env=environment())
        deadline = time.monotonic() + 120
        while len(list(journal.glob("part-*.parquet"))) < wanted and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "killed.csv").exists()
    before = {path: path.stat().st_mtime_ns for path in journal.glob("part-*.parquet")}
    done = sum(pd.read_parquet(path)["file_id"].nunique() for path in before)
    assert 50 <= done < 200
    shown = subprocess.run(
        program(*words, f"--out={tmp_path}/killed.csv"),
        check=True,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert f"{done} of them done before" in shown.stdout
    assert f"Forecast: {200 - done} files" in shown.stdout + shown.stderr
    assert (tmp_path / "killed.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("batch", [(), ("--windows.batch=48",)], ids=["measured", "48 windows"])
def test_two_hours_stay_below_one_and_a_half_gigabytes(
    trained: Trained, batch: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "long.flac"
    generator = np.random.default_rng(0)
    with soundfile.SoundFile(file, "w", RATE, 1) as sound:
        for _ in range(120):
            sound.write(0.05 * generator.standard_normal(60 * RATE).astype(np.float32))
    # ru_maxrss of a program starts at what its parent held, so the program looks at itself meanwhile
    script = (
        "import sys, threading, time\n"
        "def look():\n"
        "    while True:\n"
        "        pages.append(int(open('/proc/self/statm').read().split()[1]))\n"
        "        time.sleep(0.01)\n"
        "pages = []\n"
        "threading.Thread(target=look, daemon=True).start()\n"
        "sys.argv = ['x', *sys.argv[1:]]\n"
        "from core.inference.__main__ import main; main()\n"
        "print('PEAK', max(pages))"
    )
    words = ["--checkpoints", trained.runs[0], "--soundscapes", str(file), f"--out={tmp_path}/s.csv", *batch]
    shown = subprocess.run(
        [sys.executable, "-c", script, *words], check=True, capture_output=True, text=True, env=environment()
    )
    peak = int(shown.stdout.split("PEAK")[1]) * os.sysconf("SC_PAGE_SIZE") / 1e9
    assert 0.3 < peak < 1.5
    assert len(pd.read_csv(tmp_path / "s.csv")) == 1440 * len(load_ensemble(trained.runs[:1]).species)
