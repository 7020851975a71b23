"""Sweeps with the unmodified clients of W&B, real trainings, and a server on loopback."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from core.training.wandb_run import offline_records
from sweeps.trial_process import processes_of
from tests.runs import ROOT, TINY_WORDS
from tests.wandb_server.clients import clean_server, run_client, start_client, stop_clients
from tests.wandb_server.server import WandbServer
from tests.wandb_server.store import RunRecord, SweepRecord

pytestmark = pytest.mark.slow
PATIENCE_SECONDS = 500.0
OWN_KEYS = {"_step", "_runtime", "_timestamp", "_wandb"}


@pytest.fixture
def server() -> Iterator[WandbServer]:
    """Yield a server; afterwards no process may be left, and every question was one it knew."""
    with clean_server() as server:
        yield server


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder from which the experiments can be started as from the project's own."""
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    return tmp_path


def write_sweep(folder: Path, data: Path, parameters: dict[str, Any], *words: str) -> Path:
    """Write the mixup sweep with other parameters, adapted to tiny data."""
    content = yaml.safe_load((ROOT / "sweeps" / "mixup.yaml").read_text())
    mine, tiny = folder / "mine.yaml", folder / "tiny.yaml"
    mine.write_text(yaml.safe_dump(content | {"method": "grid", "parameters": parameters}))
    more = (*TINY_WORDS, f"--data.root={data}", "--schedule=full", *words)
    command = [sys.executable, "-m", "sweeps.adapt", str(mine), f"--to={tiny}", *more]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return tiny


def create_sweep(server: WandbServer, folder: Path, file: Path) -> SweepRecord:
    """Create a sweep with `wandb sweep`."""
    done = run_client(server, ["wandb", "sweep", "--project", "birds", file.name], folder)
    assert done.returncode == 0, done.stdout
    (sweep,) = server.store.sweeps.values()
    return sweep


def agent(sweep: SweepRecord, *options: str) -> list[str]:
    return ["wandb", "agent", *options, f"{sweep.entity}/{sweep.project}/{sweep.id}"]


def logged_rows(folder: Path) -> list[dict[str, Any]]:
    """Return what a run's folder says was logged."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def arrived_rows(run: RunRecord) -> list[dict[str, Any]]:
    """Return the history that a server has, without W&B's own columns and pictures."""
    rows = [
        {key: value for key, value in row.items() if key not in OWN_KEYS and not isinstance(value, dict)}
        for row in run.history
    ]
    return [row for row in rows if row]


def check_against_folder(run: RunRecord, folder: Path) -> None:
    """Check that a run arrived as its folder has it."""
    logged, arrived = logged_rows(folder), arrived_rows(run)
    assert [row["global_step"] for row in arrived] == [row["global_step"] for row in logged]
    for there, here in zip(arrived, logged, strict=True):
        assert there == pytest.approx(
            {key: value for key, value in here.items() if value is not None}, nan_ok=True
        )
    summary = json.loads((folder / "summary.json").read_text())
    assert run.summary["valid/score"] == pytest.approx(summary["metrics"]["score"]["value"])
    assert run.summary["valid/score"] == pytest.approx(logged[-1]["valid/score"])
    assert run.summary["clips_per_second"] == pytest.approx(summary["clips_per_second"])


def check_config(run: RunRecord) -> None:
    """Check that every field arrived once, under its dotted name."""
    assert not [key for key, value in run.config.items() if isinstance(value, dict)]
    assert {"mixup.alpha", "data.root", "epochs"} <= set(run.config)
    assert not {"mixup", "data", "model"} & set(run.config)


def test_an_agent_trains_two_alphas(server: WandbServer, tiny_demo: Path, checkout: Path) -> None:
    alphas = [0.2, 0.4, 0.8]
    file = write_sweep(checkout, tiny_demo, {"mixup.alpha": {"values": alphas}}, "--epochs=2")
    sweep = create_sweep(server, checkout, file)
    done = run_client(
        server, agent(sweep, "--count", "2"), checkout, timeout_seconds=PATIENCE_SECONDS, PYTHONPATH=str(ROOT)
    )
    assert done.returncode == 0, done.stdout
    assert [run.config["mixup.alpha"] for run in sweep.runs] == alphas[:2], done.stdout
    for run in sweep.runs:
        assert (run.state, run.exit_code, run.sweep) == ("finished", 0, sweep.id)
        check_config(run)
        check_against_folder(run, checkout / "outputs" / "timm_007" / run.name)


def test_a_trial_that_fails_is_marked_and_one_that_is_stopped_leaves_no_process(
    server: WandbServer, tiny_demo: Path, checkout: Path
) -> None:
    rates = {"optim.lr": {"values": [1.0e30, 0.003]}}
    sweep = create_sweep(server, checkout, write_sweep(checkout, tiny_demo, rates, "--epochs=5000"))
    client = start_client(server, agent(sweep), checkout, PYTHONPATH=str(ROOT))
    server.wait_until(lambda: len(sweep.runs) == 2 and len(sweep.runs[1].history) > 1, PATIENCE_SECONDS)
    failed, stopped = sweep.runs
    assert (failed.state, failed.config["optim.lr"]) == ("failed", 1e30)
    assert failed.exit_code
    server.stop_run(stopped.id)
    assert client.wait(PATIENCE_SECONDS) == 0
    assert stop_clients(server.url, grace_seconds=60) == []
    folder = checkout / "outputs" / "timm_007" / stopped.name
    assert list((folder / "checkpoints").glob("last*")), "SIGTERM saves"
    assert not (folder / "summary.json").exists()
    assert stopped.state != "finished"


def test_a_mistake_before_the_run_is_open_is_shown_in_the_sweep(
    server: WandbServer, tiny_demo: Path, checkout: Path
) -> None:
    file = write_sweep(checkout, tiny_demo, {"mixup.alpha": {"values": [0.4]}})
    file.write_text(file.read_text().replace(str(tiny_demo), str(checkout / "gone")))
    sweep = create_sweep(server, checkout, file)
    run_client(server, agent(sweep, "--count", "1"), checkout, timeout_seconds=120, PYTHONPATH=str(ROOT))
    (run,) = sweep.runs
    assert run.state == "failed"
    assert str(checkout / "gone") in run.summary["error"]


def test_two_processes_are_one_run_and_end_together(
    server: WandbServer, tiny_demo: Path, checkout: Path
) -> None:
    one = write_sweep(checkout, tiny_demo, {"epochs": {"values": [1, 5000]}})
    two = checkout / "two.yaml"
    command = [sys.executable, "-m", "sweeps.adapt", str(one), f"--to={two}", "--processes=2", "--cpu"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    sweep = create_sweep(server, checkout, two)
    client = start_client(server, agent(sweep), checkout, PYTHONPATH=str(ROOT))
    server.wait_until(lambda: len(sweep.runs) == 2 and len(sweep.runs[1].history) > 1, PATIENCE_SECONDS)
    server.stop_run(sweep.runs[1].id)
    assert client.wait(PATIENCE_SECONDS) == 0
    assert stop_clients(server.url, grace_seconds=60) == []
    assert len(server.runs) == 2
    run = sweep.runs[0]
    assert (run.state, run.sweep) == ("finished", sweep.id)
    folder = checkout / "outputs" / "timm_007" / run.name
    assert len(list(folder.parent.iterdir())) == 2
    assert json.loads((folder / "environment.json").read_text())["processes"] == 2
    check_config(run)
    check_against_folder(run, folder)


def start_local(folder: Path, data: Path, words: Sequence[str]) -> "subprocess.Popen[str]":
    """Start `sweeps.local` on the mixup sweep, on tiny data."""
    arguments = ["sweeps/mixup.yaml", "--count=2", "--out", str(folder / "sweeps"), *TINY_WORDS, *words]
    return subprocess.Popen(
        [sys.executable, "-m", "sweeps.local", *arguments, f"--data.root={data}", "--schedule=full"],
        cwd=ROOT, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def test_a_local_sweep_survives_a_kill_and_its_offline_runs_are_uploaded_whole(
    server: WandbServer, tiny_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    words = ("--epochs=8", f"--data.cache={tmp_path / 'cache'}", "--checkpoint_steps=1")
    process = start_local(tmp_path, tiny_demo, words)
    trials = tmp_path / "sweeps"

    def num_rows(trial: int) -> int:
        return sum(
            len(file.read_text().splitlines()) for file in trials.glob(f"*/trials/{trial}/*/*/metrics.jsonl")
        )

    deadline = time.monotonic() + PATIENCE_SECONDS
    while num_rows(1) < 5:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first = next(trials.glob("*/trials/0/*/*/summary.json"))
    finished = first.stat().st_mtime_ns
    for victim in [process.pid, *processes_of(next(trials.glob("*/trials/1")))]:
        subprocess.run(["kill", f"-{signal.SIGKILL.value}", str(victim)], check=False)
    process.communicate()
    process = start_local(tmp_path, tiny_demo, words)
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, output
    assert "trial 1 goes on" in output
    assert first.stat().st_mtime_ns == finished
    (folder,) = trials.iterdir()
    table = pd.read_csv(folder / "trials.csv")
    assert table["trial"].tolist() == [0, 1]
    assert table["state"].tolist() == ["finished", "finished"]
    assert table["mixup.alpha"].nunique() == 2
    records = sorted(map(str, folder.glob("trials/*/*/*/wandb/offline-run-*")))
    assert len(records) == 2
    done = run_client(server, ["wandb", "sync", *records], tmp_path)
    assert done.returncode == 0, done.stdout
    assert [offline_records(Path(record).parents[1]) for record in records] == [[], []]
    runs = {run.name: run for run in server.runs.values()}
    assert len(runs) == 2
    for row in table.itertuples():
        run_folder = folder / str(row.run)
        run = runs[run_folder.name]
        assert (run.state, run.group) == ("finished", folder.name)
        check_config(run)
        check_against_folder(run, run_folder)
        steps = [row["global_step"] for row in logged_rows(run_folder) if "train/loss" in row]
        assert steps == [*range(1, max(steps) + 1)]
