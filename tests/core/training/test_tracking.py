"""What a run tells W&B through the real client: with a server on loopback, without one, without a key."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.training.tracking import offline_records
from sweeps.sweep_file import LOGGED
from tests.runs import PROGRAM, ROOT, TINY_WORDS
from tests.wandb_server import WandbServer, clean_server, run_client

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


def test_a_run_arrives_with_config_history_pictures_and_score(
    server: WandbServer, tiny_demo: Path, tmp_path: Path
) -> None:
    done = run_client(server, command(tiny_demo), tmp_path, timeout_seconds=120, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stdout
    (run,) = server.runs.values()
    assert run.state == "finished"
    folder = run_folder(tmp_path)
    assert run.name == folder.name
    assert run.config["mixup.alpha"] == 1.0
    assert run.config["data.root"] == str(tiny_demo)
    assert not any(isinstance(value, dict) for key, value in run.config.items() if "." in key)
    summary = json.loads((folder / "summary.json").read_text())
    assert run.summary["valid/score"] == pytest.approx(summary["metrics"]["score"]["value"])
    assert run.summary["valid/score_low"] <= run.summary["valid/score"] <= run.summary["valid/score_high"]
    assert run.summary["clips_per_second"] == pytest.approx(summary["clips_per_second"])
    assert set(LOGGED) <= {name for row in run.history for name in row}
    assert [row["valid/score"] for row in run.history if "valid/score" in row]
    pictures = [Path(name).name for name in run.files if name.endswith(".png")]
    for name in ("species", "score_by_threshold", "reliability", "confusion"):
        assert any(picture.startswith(f"{name}_") for picture in pictures), name


@pytest.mark.slow
def test_a_failed_run_is_marked_as_failed(server: WandbServer, tiny_demo: Path, tmp_path: Path) -> None:
    words = command(tiny_demo, "--optim.lr=1e30", "--epochs=4")
    done = run_client(server, words, tmp_path, timeout_seconds=120, PYTHONPATH=str(ROOT))
    assert done.returncode != 0
    assert "the loss became" in done.stdout
    (run,) = server.runs.values()
    assert run.state == "failed"


def test_only_offline_records_that_no_sync_has_uploaded_are_outdated(tmp_path: Path) -> None:
    new, uploaded = (tmp_path / "wandb" / f"offline-run-2022010{day}_000000-a" for day in (1, 2))
    for record in (new, uploaded):
        record.mkdir(parents=True)
        (record / "run-a.wandb").touch()
    (uploaded / "run-a.wandb.synced").touch()
    assert offline_records(tmp_path) == [new]


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
