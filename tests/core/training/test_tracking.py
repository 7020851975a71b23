"""What a run tells W&B through the real client: with a server on loopback, without one, without a key."""

import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from core.training.wandb_run import offline_records
from sweeps.sweep_file import LOGGED
from tests.runs import PROGRAM, ROOT, TINY_WORDS, wait_until
from tests.wandb_server.clients import clean_server, run_client, start_client, stop_clients
from tests.wandb_server.server import WandbServer

WORDS = ("--epochs=1", "--schedule=full")


@pytest.fixture
def server() -> Iterator[WandbServer]:
    with clean_server() as server:
        yield server


def command(root: Path, *words: str) -> list[str]:
    return [sys.executable, str(PROGRAM), *TINY_WORDS, f"--data.root={root}", *WORDS, *words]


def run_folder(folder: Path) -> Path:
    (run,) = (folder / "outputs" / "timm_007").iterdir()
    return run


def logged_rows(folder: Path) -> list[dict[str, float]]:
    files = folder.glob("outputs/timm_007/*/metrics.jsonl")
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def train_alone(root: Path, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Train without the test's own W&B settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment = (
        kept | {"PYTHONPATH": str(ROOT), "HOME": str(folder), "NETRC": str(folder / "none")} | variables
    )
    return subprocess.run(
        command(root), cwd=folder, env=environment, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip


@pytest.mark.slow
def test_a_run_arrives_with_config_history_pictures_and_score(
    server: WandbServer, tiny_demo: Path, tmp_path: Path
) -> None:
    words = ("--tracking.notes=more noise", "--tracking.checkpoint=True", "--tracking.code=True")
    done = run_client(server, command(tiny_demo, *words), tmp_path, timeout_seconds=120, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stdout
    (run,) = server.runs.values()
    assert run.state == "finished"
    assert run.notes == "more noise"
    folder = run_folder(tmp_path)
    assert run.name == folder.name
    assert run.config["mixup.alpha"] == 1.0
    assert run.config["data.root"] == str(tiny_demo)
    assert not any(isinstance(value, dict) for key, value in run.config.items() if "." in key)
    summary = json.loads((folder / "summary.json").read_text())
    assert run.summary["valid/score"] == pytest.approx(summary["metrics"]["score"]["value"])
    low, area, high = (run.summary[f"valid/macro_auc{end}"] for end in ("_low", "", "_high"))
    assert low <= area <= high
    assert run.summary["clips_per_second"] == pytest.approx(summary["clips_per_second"])
    assert set(LOGGED) <= {name for row in run.history for name in row}
    assert [row["valid/score"] for row in run.history if "valid/score" in row]
    assert run.summary["best_epoch"] == summary["best_epoch"] == 1
    pictures = [Path(name).name for name in run.files if name.endswith(".png")]
    for name in ("species", "score_by_threshold", "reliability", "confusion", "spectrograms"):
        assert any(picture.startswith(f"{name}_") for picture in pictures), name
    sounds = [content for name, content in run.files.items() if name.endswith(".flac")]
    assert all(soundfile.info(io.BytesIO(sound)).samplerate == 32000 for sound in sounds)
    assert len(sounds) == 4
    for name in ("precision_recall", "roc"):
        (table,) = (content for file, content in run.files.items() if Path(file).name.startswith(f"{name}_"))
        assert {"step", "lineKey", "lineVal"} <= set(json.loads(table)["columns"])
    panels = [key for row in run.history for key, value in row.items() if isinstance(value, dict)]
    assert len(panels) == len(set(panels)) >= 9
    check_artifacts(server, folder)


def check_artifacts(server: WandbServer, folder: Path) -> None:
    """Check that the best checkpoint and the code arrived as they are here."""
    best = folder / "checkpoints" / "best"
    model = server.store.artifacts[f"timm_007-{folder.name}"]
    assert {name: model[name] for name in model} == {file.name: file.read_bytes() for file in best.iterdir()}
    (code,) = (files for name, files in server.store.artifacts.items() if name.startswith("source-"))
    assert code["core/trainer.py"] == (ROOT / "core" / "trainer.py").read_bytes()


@pytest.mark.slow
def test_another_tracker_takes_the_same_record(tiny_demo: Path, tmp_path: Path) -> None:
    words = [*command(tiny_demo, "--tracking.with=tensorboard"), "--epochs=2"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    folder = run_folder(tmp_path)
    events = EventAccumulator(str(folder / "tensorboard" / "birdclef"), size_guidance={"images": 0})
    events.Reload()
    for name in ("train/loss", "valid/macro_auc", "valid/padded_cmap"):
        rows = [row for row in logged_rows(tmp_path) if row.get(name) is not None]
        shown = [(event.step, event.value) for event in events.Scalars(name)][: len(rows)]
        assert shown == [(row["global_step"], pytest.approx(row[name], rel=1e-6)) for row in rows]
    summary = json.loads((folder / "summary.json").read_text())
    low = events.Scalars("valid/macro_auc_low")[-1].value
    assert low == pytest.approx(summary["metrics"]["macro_auc"]["low"], rel=1e-6)
    assert {"spectrograms", "species", "learning_curves"} <= set(events.Tags()["images"])


@pytest.mark.slow
def test_a_tracker_that_is_not_there_leaves_training_alone(tiny_demo: Path, tmp_path: Path) -> None:
    words = command(tiny_demo, "--tracking.with=trackio")
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert (
        "trackio: ModuleNotFoundError: No module named 'trackio'. Training goes on without it." in done.stderr
    )
    assert (run_folder(tmp_path) / "summary.json").exists()


@pytest.mark.slow
def test_a_failed_run_is_marked_as_failed(server: WandbServer, tiny_demo: Path, tmp_path: Path) -> None:
    words = command(tiny_demo, "--optim.lr=1e30", "--epochs=4")
    done = run_client(server, words, tmp_path, timeout_seconds=120, PYTHONPATH=str(ROOT))
    assert done.returncode != 0
    assert "the loss became" in done.stdout
    (run,) = server.runs.values()
    assert run.state == "failed"
    assert "the loss became" in run.summary["error"]


@pytest.mark.slow
def test_folds_are_runs_of_their_own_and_so_is_what_they_say_together(
    server: WandbServer, tiny_demo: Path, tmp_path: Path
) -> None:
    words = command(tiny_demo, "--data.fold=all", "--data.num_folds=2")
    done = run_client(server, words, tmp_path, timeout_seconds=240, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stdout
    runs = {run.name.rpartition("-")[2]: run for run in server.runs.values()}
    assert runs.keys() == {"fold0", "fold1", "all"}
    assert {run.state for run in runs.values()} == {"finished"}
    for end, run in runs.items():
        (folder,) = (tmp_path / "outputs" / "timm_007").glob(f"*-{end}")
        area = json.loads((folder / "summary.json").read_text())["metrics"]["macro_auc"]["value"]
        assert run.summary["valid/macro_auc"] == pytest.approx(area)
    assert {run.config["data.fold"] for run in runs.values()} == {0, 1, "all"}


@pytest.mark.slow
def test_a_trial_of_a_sweep_trains_no_more_than_one_fold(tiny_demo: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        command(tiny_demo, "--data.fold=all"), cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "WANDB_SWEEP_ID": "abc"}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert "data.fold=all: a trial of a sweep is one run" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_a_killed_run_sends_its_server_the_rows_that_it_lacks(
    server: WandbServer, tiny_demo: Path, tmp_path: Path
) -> None:
    # the client sends every few seconds, so that a kill soon after a row loses it on the way
    words = command(tiny_demo, "--epochs=12", "--checkpoint_steps=1")
    slow = {"PYTHONPATH": str(ROOT), "WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL": "15"}
    with (tmp_path / "shown.txt").open("w") as shown:
        process = start_client(server, words, tmp_path, shown, **slow)
        wait_until(lambda: len(logged_rows(tmp_path)) >= 5, process)
    stop_clients(server.url)
    process.wait()
    num_arrived = len(next(iter(server.runs.values())).history)
    assert num_arrived < len(logged_rows(tmp_path)), "the kill came too late to lose a row"
    done = run_client(server, [*words[:2], "--resume"], tmp_path, timeout_seconds=120, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stdout
    (run,) = server.runs.values()
    arrived = {row["_step"]: row for row in run.history}
    for place, row in enumerate(logged_rows(tmp_path)):
        assert arrived[place]["global_step"] == row["global_step"], place


def test_only_offline_records_that_no_sync_has_uploaded_are_outdated(tmp_path: Path) -> None:
    new, uploaded = (tmp_path / "wandb" / f"offline-run-2022010{day}_000000-a" for day in (1, 2))
    for record in (new, uploaded):
        record.mkdir(parents=True)
        (record / "run-a.wandb").touch()
    (uploaded / "run-a.wandb.synced").touch()
    assert offline_records(tmp_path) == [new]


@pytest.mark.slow
def test_without_a_key_the_run_is_kept_offline_and_nobody_is_asked(tiny_demo: Path, tmp_path: Path) -> None:
    done = train_alone(tiny_demo, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no API key" in done.stdout
    assert list(run_folder(tmp_path).glob("wandb/offline-run-*/*.wandb"))


@pytest.mark.parametrize(
    "variables",
    [
        {"WANDB_BASE_URL": "wandb.mylab.org"},
        pytest.param({"WANDB_SILENT": "maybe"}, marks=pytest.mark.slow),
    ],
)
def test_a_setting_that_wandb_refuses_leaves_training_alone(
    tiny_demo: Path, tmp_path: Path, variables: dict[str, str]
) -> None:
    done = train_alone(tiny_demo, tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("W&B: ")]
    assert variables.popitem()[0].removeprefix("WANDB_").lower() in line
    assert line.endswith("Training goes on without it.")
    assert (run_folder(tmp_path) / "summary.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_wandb_mode_is_respected(tiny_demo: Path, tmp_path: Path, mode: str) -> None:
    done = train_alone(tiny_demo, tmp_path, WANDB_MODE=mode, WANDB_API_KEY="0" * 40)
    assert done.returncode == 0, done.stderr
    kept = list(run_folder(tmp_path).glob("wandb/offline-run-*"))
    assert bool(kept) == (mode == "offline")


@pytest.mark.slow
def test_an_absent_server_does_not_hold_the_run_up(tiny_demo: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    started = time.monotonic()
    done = train_alone(tiny_demo, tmp_path, WANDB_BASE_URL=address, WANDB_API_KEY="0" * 40)
    assert done.returncode == 0, done.stderr
    assert f"{address} does not answer" in done.stdout
    assert time.monotonic() - started < 90
    assert (run_folder(tmp_path) / "summary.json").exists()


@pytest.mark.slow
def test_a_server_that_never_answers_does_not_hold_the_run_up(tiny_demo: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done = train_alone(tiny_demo, tmp_path, WANDB_BASE_URL=address, WANDB_API_KEY="0" * 40)
    assert done.returncode == 0, done.stderr
    assert (run_folder(tmp_path) / "summary.json").exists()
    assert list(run_folder(tmp_path).glob("wandb/offline-run-*/*.wandb"))
