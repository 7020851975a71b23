"""Kill a training before any of the file operations of its folder, and go on with it.

A warm process forks a child for each training, so that nothing is imported again. The child counts the file
operations that Python's audit events tell of, and kills itself before one of them.
"""

import json
import os
import random
import shutil
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from core.config import Config
from core.data.clips import Batch
from tests.runs import PlainTrainer, TinyTrainer, plain_config, tiny_config

NUM_STEPS = 6
KILLS = 20
PATIENCE_SECONDS = 60.0
EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link"}


def train_in_child(train: Callable[[], None], folder: Path, kill_at: int | None = None) -> tuple[int, int]:
    """Train in a forked child; return its exit status and the number of file operations below a folder.

    Parameters
    ----------
    train
        What the child does.
    folder
        Operations on what lies in it count.
    kill_at
        Number, from 0, of the operation before which the child kills itself; None: it lives.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        operations = _watch(folder, kill_at)
        _run_and_exit(lambda: (train(), os.write(writing, str(len(operations)).encode())))  # type: ignore[func-returns-value]
    os.close(writing)
    _, wait = os.waitpid(child, 0)
    with os.fdopen(reading) as told:
        text = told.read()
    return os.waitstatus_to_exitcode(wait), int(text or 0)


def _watch(folder: Path, kill_at: int | None) -> list[str]:
    """Note each file operation below a folder in the list that is returned; kill at one of them."""
    operations: list[str] = []

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            mode, flags = arguments[1:3]
            writes = isinstance(mode, str) and any(letter in mode for letter in "wax+")
            writes = writes or (isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR)))
        else:
            writes = event in EVENTS
        if not writes:
            return
        path = str(arguments[0])
        if not path.startswith(str(folder)):
            return
        if len(operations) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        operations.append(f"{event} {path}")

    sys.addaudithook(note)
    return operations


def contents(run: Path) -> dict[str, object]:
    """Return what a finished run left, without what differs from machine to machine or from time to time."""
    found: dict[str, object] = {}
    for name in ("last", "best"):
        for file in sorted((run / "checkpoints" / name).glob("*.safetensors")):
            with safe_open(file, framework="np") as tensors:
                held = {key: tensors.get_tensor(key).tobytes() for key in tensors.keys()}  # noqa: SIM118
            found[f"{name}/{file.name}"] = held
    for name in ("predictions.parquet", "items.parquet", "species.csv"):
        found[name] = (run / name).read_bytes()
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found["metrics"] = [
        {key: value for key, value in row.items() if key not in ("train/clips_per_second", "train/data_wait")}
        for row in rows
    ]
    summary = json.loads((run / "summary.json").read_text())
    for key in ("run", "minutes", "clips_per_second", "code_version"):
        summary.pop(key)
    found["summary"] = summary
    found["pictures"] = sorted(file.name for file in run.glob("*.png"))
    return found


def losses_in(folder: Path, statuses: list[int], expected: Mapping[str, object], what: str) -> list[str]:
    """Return a line for each thing that a training which went on after a kill lacks; remove it if it ended.

    Parameters
    ----------
    folder
        Where it went.
    statuses
        Of its processes.
    expected
        The `contents` of one that lived.
    what
        The kill.
    """
    left = [path.parent for path in folder.glob("*/*/summary.json")]
    if any(statuses) or len(left) != 1:
        return [f"{what}: statuses {statuses}, {len(left)} finished runs"]
    found = contents(left[0])
    shutil.rmtree(folder)
    return [f"{what}: {name} differs" for name in expected if found.get(name) != expected[name]]


def count_losses(train: Callable[[Path, bool], None], folder: Path) -> list[str]:
    """Kill a training before each of its file operations, go on, and compare with one that lived.

    Parameters
    ----------
    train
        Trains into a folder; its second argument says whether to continue.
    folder
        Where the trainings go.

    Returns
    -------
    list of str
        A line for each kill after which something was lost, or went wrong.
    """
    whole = folder / "whole"
    status, number = train_in_child(partial(train, whole, False), whole)
    assert status == 0
    (run,) = whole.glob("*/*/")
    expected = contents(run)
    lost = []
    for kill_at in range(number):
        torn = folder / f"killed_{kill_at}"
        train_in_child(partial(train, torn, False), torn, kill_at)
        runs = list(torn.glob("*/*/config.json"))
        status, _ = train_in_child(partial(train, torn, bool(runs)), torn)
        lost += losses_in(torn, [status], expected, f"operation {kill_at}")
    print(f"{number} file operations, {len(lost)} losses")
    return lost


class Mortal(TinyTrainer):
    """Kills itself before a training step; batch norm and a moving average are among its state."""

    dies_at: int | None = None
    steps = 0

    def train_step(self, batch: Batch, epoch: int, step: int) -> Tensor:
        """Train on a batch, or die."""
        if self.steps == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.steps += 1
        return super().train_step(batch, epoch, step)


def train_pair(config: Config, folder: Path, deaths: dict[int, tuple[str, int]]) -> list[int]:
    """Train with two processes; return their exit statuses.

    Parameters
    ----------
    config, folder
        Of the run.
    deaths
        Rank -> where it kills itself: ("step", number) or ("operation", number).
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    children = []
    for rank in (0, 1):
        kind, number = deaths.get(rank, ("never", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
        address |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
        child = os.fork()
        if child == 0:
            os.environ |= address
            Mortal.dies_at = number if kind == "step" else None
            _watch(folder, number if kind == "operation" else None)
            _run_and_exit(lambda: Mortal.main(config))
        children.append(child)
    return _wait_for(children)


def _run_and_exit(train: Callable[[], object]) -> None:
    """Train in a forked child, and end it."""
    status = 1
    try:
        train()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _wait_for(children: Sequence[int]) -> list[int]:
    """Return the exit statuses of processes; those that still live after a while are killed."""
    statuses: dict[int, int] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(statuses) < len(children):
        for child in set(children) - statuses.keys():
            ended, wait = os.waitpid(child, os.WNOHANG)
            if ended:
                statuses[child] = os.waitstatus_to_exitcode(wait)
        if time.monotonic() > deadline:
            for child in set(children) - statuses.keys():
                os.kill(child, signal.SIGKILL)
        time.sleep(0.02)
    return [statuses[child] for child in children]


def count_losses_of_pairs(config: Callable[[Path, bool], Config], folder: Path, kills: int) -> list[str]:
    """Kill one of two processes, or both, at random places; go on, and compare with a pair that lived.

    Parameters
    ----------
    config
        Of a training into a folder; its second argument says whether to continue.
    folder
        Where the trainings go.
    kills
        How often.

    Returns
    -------
    list of str
        A line for each kill after which something was lost, or went wrong.
    """
    whole = folder / "pair"
    assert train_pair(config(whole, False), whole, {}) == [0, 0]
    (run,) = whole.glob("*/*/")
    expected, lost, died = contents(run), [], 0
    generator = random.Random(0)
    for number in range(kills):
        torn = folder / f"pair_{number}"
        victims = generator.choice([(0,), (1,), (0, 1)])
        places = {
            rank: ("operation", generator.randrange(2, 60))
            if rank == 0 and generator.random() < 0.5
            else ("step", generator.randrange(NUM_STEPS))
            for rank in victims
        }
        died += train_pair(config(torn, False), torn, places) != [0, 0]
        goes_on = bool(list(torn.glob("*/*/config.json")))
        statuses = train_pair(config(torn, goes_on), torn, {})
        lost += losses_in(torn, statuses, expected, f"kill of {places}")
    print(f"{died} kills of two processes, {len(lost)} losses")
    return lost


def main() -> None:
    """Kill trainings: killing.py DATA OUT one|two."""
    data, out = map(Path, sys.argv[1:3])
    torch.set_num_threads(1)

    def settled(config: Config, goes_on: bool) -> Config:
        config = replace(config, epochs=2, checkpoint_steps=2, resume="last" if goes_on else None)
        config = replace(config, optim=replace(config.optim, ema_decay=0.9))
        return replace(config, data=replace(config.data, min_epoch_steps=NUM_STEPS // 2))

    def train(folder: Path, goes_on: bool) -> None:
        PlainTrainer.main(settled(plain_config(tiny_config(data, folder)), goes_on))

    if sys.argv[3] == "one":
        lost = count_losses(train, out)
    else:
        lost = count_losses_of_pairs(lambda folder, on: settled(tiny_config(data, folder), on), out, KILLS)
    print("\n".join(lost))
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()
