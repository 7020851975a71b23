"""Inference by several machines: nodes of a cluster on this one, of which some are killed."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.data.remote import AudioSource
from core.inference import ray_pool
from core.inference.config import InferenceConfig, WindowConfig
from core.inference.journal import FileResult
from core.inference.ray_pool import MOST_FILES, RayWorker, Work
from core.inference.run import predict
from tests.core.inference.conftest import Trained, write_noise
from tests.programs import refusal, wait_until
from tests.runs import ROOT

NUM_FILES = 150
DEADLY = "deadly"
SHIFTS = (0.0, 1.0, 2.0, 3.0, 4.0)
"""Enough to predict that a run can be caught in the middle."""


def words_of(trained: Trained, folder: Path, out: Path) -> list[str]:
    shifts = [str(shift) for shift in SHIFTS]
    words = ["--checkpoints", *trained.runs, "--soundscapes", str(folder), "--windows.shifts", *shifts]
    return [*words, f"--out={out}", f"--probabilities={out.with_suffix('.parquet')}"]


# Who gets which files.


def test_files_are_given_until_all_are_predicted_and_a_deadly_one_is_given_up_alone() -> None:
    work, predicted, given_up, alone = Work(1000), set[int](), set[int](), []
    while given := work.take(num_workers=3):
        assert 1 <= len(given) <= MOST_FILES
        died = 700 in given
        done = given[: given.index(700)] if died else given
        predicted |= set(done)
        lost = [position for position in given if position not in done]
        alone.append(lost == [700])
        given_up |= {position for position in lost if work.lose(position)}
    assert given_up == {700}
    assert predicted == set(range(1000)) - {700}
    assert any(alone)


def test_the_last_files_are_shared() -> None:
    work = Work(40)
    sizes = []
    while given := work.take(num_workers=2):
        sizes.append(len(given))
    assert sizes[0] == 5
    assert sizes[-4:] == [1, 1, 1, 1]


# Mistakes.


def test_a_launcher_is_refused(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = refusal("core.inference", "--checkpoints", *trained.runs, "--soundscapes", trained.root)
    assert "add --engine=ray" in said


@pytest.mark.slow
def test_accelerate_is_refused_in_one_line(trained: Trained, tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_machines=1"]
    command = [*launcher, "--mixed_precision=no", "--dynamo_backend=no", "-m", "core.inference"]
    words = words_of(trained, trained.root / "test_soundscapes", tmp_path / "s.csv")
    shown = subprocess.run([*command, *words], env=environment(), capture_output=True, text=True, check=False)
    (line,) = [line for line in shown.stderr.splitlines() if line.startswith("error: ")]
    assert "--engine=ray" in line
    assert "Traceback" not in shown.stderr
    assert shown.returncode != 0


def test_without_the_package_its_requirements_are_named(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    words = words_of(trained, trained.root / "test_soundscapes", tmp_path / "s.csv")
    said = refusal("core.inference", *words, "--engine=ray")
    assert "pip install -r requirements-ray.txt" in said
    assert said.count("\n") == 1


def test_a_gpu_by_number_is_refused(trained: Trained) -> None:
    with pytest.raises(ValueError, match="device=cuda:1: with --engine=ray"):
        InferenceConfig(checkpoints=trained.runs, soundscapes=("x",), engine="ray", device="cuda:1")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "address", "what"),
    [
        ("RAY_ADDRESS", "127.0.0.1:1", "no Ray cluster answers there"),
        ("--ray.address", "127.0.0.1:1", "no Ray cluster answers there"),
        ("--ray.address", "mute", "no Ray cluster answers there (timed out)"),
        ("--ray.address", "nowhere.invalid:6379", "no Ray cluster answers there"),
        ("--ray.address", "auto", "host:port of the cluster's head"),
        ("--ray.address", "ray://127.0.0.1:10001", "host:port of the cluster's head"),
    ],
)
def test_a_dead_address_is_told_soon(
    place: str, address: str, what: str, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    words = words_of(trained, trained.root / "test_soundscapes", tmp_path / "s.csv")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        if address == "mute":
            address = f"127.0.0.1:{server.getsockname()[1]}"
        given = [f"{place}={address}"] if place.startswith("--") else []
        if not given:
            monkeypatch.setenv(place, address)
        started = time.monotonic()
        said = refusal("core.inference", *words, "--engine=ray", *given)
    assert time.monotonic() - started < 20
    assert said.startswith(f"error: {place.removeprefix('--')}={address}: {what}")
    assert said.count("\n") == 1


# With a cluster of two machines.


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a cluster whose head and second node have a core each."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    machine = {"num_cpus": 1, "object_store_memory": 100_000_000}
    nodes = cluster_utils.Cluster(initialize_head=True, head_node_args=machine | {"include_dashboard": False})
    nodes.add_node(**machine)
    yield nodes
    nodes.shutdown()


@pytest.fixture
def field(tmp_path: Path) -> Path:
    """Return a folder of many soundscapes."""
    for i in range(NUM_FILES):
        write_noise(tmp_path / "field" / f"s{i:03d}.wav", 10.0, seed=i)
    return tmp_path / "field"


def run(words: Sequence[str]) -> str:
    """Run inference to its end; return what it prints."""
    command = [sys.executable, "-m", "core.inference", *words]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def start(words: Sequence[str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "core.inference", *words]
    return subprocess.Popen(
        command, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def wait_for_part(out: Path) -> None:
    """Return when the first results are on disk."""
    wait_until(lambda: any(Path(f"{out}.journal").glob("part-*.parquet")), seconds=120)


def assert_equal(found: Path, expected: Path) -> None:
    assert found.read_bytes() == expected.read_bytes()
    tables = [pd.read_parquet(file.with_suffix(".parquet")) for file in (found, expected)]
    numbers = [table.select_dtypes("number") for table in tables]
    assert tables[0].columns.tolist() == tables[1].columns.tolist()
    assert tables[0].drop(columns=numbers[0]).equals(tables[1].drop(columns=numbers[1]))
    np.testing.assert_allclose(numbers[0], numbers[1], atol=1e-6, rtol=0)
    ledgers = [pd.read_csv(file.with_name(f"{file.stem}_ledger.csv")) for file in (found, expected)]
    assert ledgers[0].drop(columns="took_seconds").equals(ledgers[1].drop(columns="took_seconds"))


@pytest.mark.slow
def test_a_machine_and_then_the_driver_are_killed_and_the_output_is_that_of_one_process(
    trained: Trained, field: Path, cluster: Any, tmp_path: Path
) -> None:
    expected, out = tmp_path / "one.csv", tmp_path / "two.csv"
    run(words_of(trained, field, expected))
    words = [*words_of(trained, field, out), "--engine=ray", f"--ray.address={cluster.address}"]

    process = start(words)
    wait_for_part(out)
    cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0, said
    assert "machines: 2; workers: 2" in said
    (lost,) = re.findall(r"A worker was lost \(.*\); (\d+) files go to others", said)
    assert 0 < int(lost) < NUM_FILES
    assert "Raylet" not in said
    assert_equal(out, expected)

    process = start(words)
    wait_for_part(out)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    parts = sorted(Path(f"{out}.journal").glob("part-*.parquet"))
    done = sum(pd.read_parquet(part)["file_id"].nunique() for part in parts)
    said = run(words)
    assert f"{done} of them done before" in said
    assert f"Forecast: {NUM_FILES - done} files" in said
    assert_equal(out, expected)


@pytest.mark.slow
def test_without_its_head_a_cluster_is_given_up_in_one_line(
    trained: Trained, field: Path, cluster: Any, tmp_path: Path
) -> None:
    out = tmp_path / "s.csv"
    words = [*words_of(trained, field, out), "--engine=ray", f"--ray.address={cluster.address}"]
    process = start(words)
    wait_for_part(out)
    began = time.monotonic()
    cluster.head_node.kill_gcs_server(check_alive=False)
    said, _ = process.communicate(timeout=100)
    assert time.monotonic() - began < 60
    assert process.returncode in (0, 2)  # what was under way may have been the rest
    if process.returncode:
        (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
        assert line.endswith("is gone; start it, and the same command goes on")
        run(words_of(trained, field, out))
    assert len(pd.read_csv(out)) == 2 * NUM_FILES * 3


class DeadlyWorker(RayWorker):
    """Dies of one file, and raises of another."""

    def predict(self, files: Sequence[AudioSource]) -> Iterator[tuple[int, FileResult]]:
        for position, file in enumerate(files):
            assert isinstance(file, Path)
            if file.stem == DEADLY:
                os.kill(os.getpid(), signal.SIGKILL)
            if file.stem == "raises":
                raise RuntimeError("out of memory")
            yield position, self.predictor.predict_file(file)


@pytest.mark.slow
def test_a_file_that_kills_its_worker_is_listed_and_the_others_are_predicted(
    trained: Trained, soundscapes: Path, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (DEADLY, "raises"):
        write_noise(soundscapes / f"{name}.wav", 5.0)
    monkeypatch.setattr(ray_pool, "RayWorker", DeadlyWorker)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    config = InferenceConfig(
        checkpoints=trained.runs,
        soundscapes=(str(soundscapes),),
        out=str(tmp_path / "s.csv"),
        engine="ray",
        windows=WindowConfig(batch=4),
    )
    predict(config)
    ledger = pd.read_csv(tmp_path / "s_ledger.csv").set_index("file_id")["status"]
    bad = {name: ledger.pop(name) for name in (DEADLY, "raises")}
    assert set(ledger) == {"ok"}
    assert bad[DEADLY] == "3 workers were lost with it, the last one alone: its process or its machine ended"
    assert bad["raises"] == "3 workers were lost with it, the last one alone: RuntimeError: out of memory"


@pytest.mark.slow
def test_what_a_worker_cannot_open_ends_the_run_in_one_line(
    trained: Trained, soundscapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    words = words_of(trained, soundscapes, tmp_path / "s.csv")
    monkeypatch.setattr(ray_pool, "RayWorker", BlindWorker)
    said = refusal("core.inference", *words, "--engine=ray", "--ray.cores=1")
    assert "a disk that all machines of the cluster share" in said
    assert said.count("\n") == 1
    monkeypatch.setattr(ray_pool, "RayWorker", DyingWorker)
    monkeypatch.setattr(ray_pool, "MOST_LOSSES", 3)
    said = refusal("core.inference", *words, "--engine=ray", "--ray.cores=1")
    assert "3 workers were lost one after another" in said
    assert said.count("\n") == 1


class BlindWorker(RayWorker):
    """On a machine without the files."""

    def open(self, config: InferenceConfig, probe: AudioSource) -> str:
        return super().open(config, Path(f"{probe}.elsewhere"))


class DyingWorker(RayWorker):
    """Dies before it has its models."""

    def open(self, config: InferenceConfig, probe: AudioSource) -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return ""
