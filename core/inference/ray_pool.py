"""Predict on every GPU and machine of a Ray cluster: workers predict, this process keeps what they find.

Each worker opens all models once and is given some files at a time. Results come back as files are finished
and go into the one journal, so that decisions, tables and what a killed run has done are as of one process.

A worker that is lost, with its machine or alone, costs time and no result: its files go to others. The more
often a file was there when a worker was lost, the fewer others share its next try. The third time it is
alone, and is left as one that cannot be used.
"""

import math
import platform
import socket
import time
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from core.config import require
from core.data.remote import AudioSource, unreachable
from core.inference.config import InferenceConfig
from core.inference.ensemble import Ensemble
from core.inference.journal import FileFacts, FileResult
from core.inference.opening import choose_device, load_models, open_predictor
from core.inference.predictor import MAX_DECODERS, unusable
from core.inference.ray_cluster import HEARD_SECONDS, connected
from core.machine import tune_cpu
from core.program import describe_error

MOST_FILES = 256
"""That a worker is given at a time."""
SHARES = 4
"""Times that a worker comes back for more, at least, so that all end together."""
FILES_AFTER_LOSSES = (MOST_FILES, 16, 1)
"""That are tried together, after 0, 1 and 2 losses of their worker."""
MOST_LOSSES = 12
"""Workers in a row that are lost while none predicts a file; then all would be."""
USUAL_CORES = 4
LOOK_SECONDS, PATIENCE_SECONDS = 5.0, 600.0
HEAD_TRIES = 5
WHY_LETTERS = 200


class RayWorker:
    """One of the predictors of a cluster; an actor, in a process of its own."""

    def open(self, config: InferenceConfig, probe: AudioSource) -> str:
        """Load the models; return why they, or a soundscape, cannot be used on this machine, "" if they can.

        Parameters
        ----------
        config
            The settings, paths from the root.
        probe
            A soundscape that is there where the run was started.
        """
        try:
            if why := unreachable(probe):
                return (
                    f"on the machine {platform.node()}: {why}; soundscapes must lie on a disk that all "
                    "machines of the cluster share, under the same path, or where all of them can fetch them"
                )
            device = choose_device(config.device)
            tune_cpu()
            self.predictor = open_predictor(config, load_models(config), device)
        except (ValueError, OSError) as error:
            return f"on the machine {platform.node()}: {describe_error(error)}"
        return ""

    def predict(self, files: Sequence[AudioSource]) -> Iterator[tuple[int, FileResult]]:
        """Yield position and result of each file."""
        yield from self.predictor.predict_files(files)


class Work:
    """Files that are still to be predicted, by how many workers were lost with them.

    Parameters
    ----------
    number
        Of files.

    Examples
    --------
    >>> work = Work(40)
    >>> given = work.take(num_workers=2)
    >>> given, work.lose(given[0]), work.lose(given[1])
    ([0, 1, 2, 3, 4], False, False)
    >>> again = work.take(num_workers=1)
    >>> again, work.lose(0), work.take(num_workers=1), work.lose(0)
    ([0], False, [0], True)
    """

    def __init__(self, number: int) -> None:
        self.waiting = tuple(deque[int]() for _ in FILES_AFTER_LOSSES)
        self.waiting[0].extend(range(number))
        self.losses: Counter[int] = Counter()

    def take(self, num_workers: int) -> list[int]:
        """Return positions of files for one of some workers: those with the most losses first."""
        for queue, most in reversed(list(zip(self.waiting, FILES_AFTER_LOSSES, strict=True))):
            if queue:
                share = math.ceil(len(queue) / (SHARES * num_workers))
                return [queue.popleft() for _ in range(min(share, most))]
        return []

    def lose(self, position: int) -> bool:
        """Note that a worker was lost with a file; return whether that was one too many."""
        self.losses[position] += 1
        if self.losses[position] == len(self.waiting):
            return True
        self.waiting[self.losses[position]].append(position)
        return False


@dataclass
class _Hand:
    """A worker as the pool knows it.

    Attributes
    ----------
    actor, job
        Ray's handle of it, and of what it does now: it opens, or streams results.
    is_open
        Whether it has its models.
    given
        Place in the job -> position, of the files that it has not predicted yet.
    """

    actor: Any
    job: Any
    is_open: bool = False
    given: dict[int, int] = field(default_factory=dict)


class RayPool:
    """Predict files with the workers of a cluster.

    Parameters
    ----------
    ray
        The package, connected.
    config
        What the workers are to do.
    ensemble
        The models, for what there is to say of files that nobody can predict.

    Attributes
    ----------
    device
        The kind of device that the workers predict on.

    Raises
    ------
    ValueError
        If no machine of the cluster has what a worker takes.
    """

    def __init__(self, ray: Any, config: InferenceConfig, ensemble: Ensemble) -> None:
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        on_gpu = config.device != "cpu" and any(one.get("GPU", 0) >= 1 for one in machines)
        require(on_gpu or config.device != "cuda", "device=cuda: no machine of the Ray cluster has a GPU")
        fit = [one for one in machines if one.get("CPU", 0) >= 1 and (not on_gpu or one.get("GPU", 0) >= 1)]
        require(len(fit) > 0, f"ray: no machine of the cluster has a core{' and a GPU' if on_gpu else ''}")
        cores = config.ray.cores or _usual_cores(fit, on_gpu)
        room = sum(_room(one, cores, on_gpu) for one in fit)
        most = max(one["CPU"] for one in fit)
        require(room > 0, f"ray.cores={cores}: the largest machine of the cluster has {most:g}")
        self.ray, self.config, self.ensemble = ray, _for_workers(config, cores, on_gpu), ensemble
        self.device, self.size = torch.device("cuda" if on_gpu else "cpu"), config.ray.workers or room
        self.kind = ray.remote(RayWorker).options(
            num_cpus=cores, num_gpus=int(on_gpu), max_restarts=0, scheduling_strategy="SPREAD"
        )
        self.hands: list[_Hand] = []
        self.in_a_row, self.heard = 0, time.monotonic()
        has = f"cores: {cores}{', a GPU' if on_gpu else ''}"
        print(f"Ray: machines: {len(machines)}; workers: {self.size}, each with {has}", flush=True)

    def predict_files(self, paths: Sequence[AudioSource]) -> Iterator[tuple[int, FileResult]]:
        """Yield position and result of each file as it is predicted, in any order.

        A file that cannot be used has no window, and a reason; so has one with which three workers were lost.

        Raises
        ------
        ValueError
            If the models cannot be opened where a worker is, or no worker lives long enough to predict.
        """
        files = [_from_root(path) for path in paths]
        work, missing = Work(len(files)), len(files)
        while missing:
            self._hire(min(self.size, missing))
            self._give(work, files)
            for hand in self._ready():
                for position, result in self._hear(hand, work):
                    missing -= 1
                    yield position, result

    def open(self, probe: AudioSource) -> None:
        """Return once the first worker has its models; the others follow while it predicts.

        Parameters
        ----------
        probe
            A file that the workers must have, too.

        Raises
        ------
        ValueError
            If the models or the file cannot be opened where a worker is.
        """
        self.probe = _from_root(probe)
        while not any(hand.is_open for hand in self.hands):
            self._hire(self.size)
            for hand in self._ready():
                list(self._hear(hand, Work(0)))

    def close(self) -> None:
        """End the workers."""
        for hand in list(self.hands):
            self._dismiss(hand)

    def _hire(self, number: int) -> None:
        """Start workers up to a number; each opens its models once the cluster has room for it."""
        while len(self.hands) < number:
            actor = self.kind.remote()
            self.hands.append(_Hand(actor, actor.open.remote(self.config, self.probe)))

    def _dismiss(self, hand: _Hand) -> None:
        """End a worker, whether it still lives or not."""
        self.hands.remove(hand)
        with suppress(Exception):
            self.ray.kill(hand.actor)

    def _give(self, work: Work, files: Sequence[AudioSource]) -> None:
        """Give files to the workers that have none."""
        opened = [hand for hand in self.hands if hand.is_open]
        for hand in opened:
            if hand.given or not (positions := work.take(len(opened))):
                continue
            hand.given = dict(enumerate(positions))
            predict = hand.actor.predict.options(num_returns="streaming")
            hand.job = predict.remote([files[position] for position in positions])

    def _ready(self) -> list[_Hand]:
        """Return workers that have something to say, after a while none.

        Raises
        ------
        ValueError
            If no worker could be started for long: others use the cluster.
        """
        busy = {hand.job: hand for hand in self.hands if hand.given or not hand.is_open}
        ready, _ = self.ray.wait(list(busy), timeout=LOOK_SECONDS)
        if any(hand.is_open for hand in self.hands):
            self.heard = time.monotonic()
        if not ready:
            self._require_head()
        waited = time.monotonic() - self.heard
        message = f"ray: no worker could start for {waited:.0f} s; see `ray status` for what uses the cluster"
        require(bool(ready) or waited < PATIENCE_SECONDS, message)
        return [busy[job] for job in ready]

    def _require_head(self) -> None:
        """Raise `ValueError` if the cluster's head is gone, of which Ray says nothing before it ends."""
        host, _, port = self.ray.get_runtime_context().gcs_address.rpartition(":")
        for _ in range(HEAD_TRIES):
            with suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), HEARD_SECONDS):
                return
            time.sleep(1)
        message = f"ray: the cluster's head {host}:{port} is gone; start it, and the same command goes on"
        raise ValueError(message)

    def _hear(self, hand: _Hand, work: Work) -> Iterator[tuple[int, FileResult]]:
        """Yield what a worker says: its next result, or, if it was lost, files that are given up."""
        try:
            if not hand.is_open:
                mistake = self.ray.get(hand.job)
                require(not mistake, mistake)
                hand.is_open = True
                return
            place, result = self.ray.get(next(hand.job))
        except StopIteration:
            yield from self._replace(hand, work, "it left files out")
        except self.ray.exceptions.RayError as error:
            yield from self._replace(hand, work, _why(error))
        else:
            self.in_a_row = 0
            yield hand.given.pop(place), result

    def _replace(self, hand: _Hand, work: Work, why: str) -> Iterator[tuple[int, FileResult]]:
        """Hand the files of a lost worker to others; yield those that are given up."""
        self._require_head()
        self._dismiss(hand)
        self.in_a_row += 1
        message = (
            f"ray: {self.in_a_row} workers were lost one after another, and no file predicted: {why}; their "
            "machines' /tmp/ray/session_latest/logs tell more"
        )
        require(self.in_a_row < MOST_LOSSES, message)
        tqdm.write(f"A worker was lost ({why}); {len(hand.given)} files go to others")
        for position in hand.given.values():
            if work.lose(position):
                reason = f"{work.losses[position]} workers were lost with it, the last one alone: {why}"
                yield position, unusable(self.ensemble, FileFacts(reason))


@contextmanager
def started_pool(
    config: InferenceConfig, ensemble: Ensemble, files: Collection[AudioSource]
) -> Iterator[RayPool]:
    """Yield the workers of the cluster that the settings or RAY_ADDRESS name, or of this machine.

    Parameters
    ----------
    config, ensemble
        See `RayPool`.
    files
        That there are, predicted before or not; without any no worker is started.

    Raises
    ------
    ValueError
        If Ray is not installed, no cluster answers, or it has not what a worker takes.
    """
    with connected(config.ray.address) as ray:
        pool = RayPool(ray, config, ensemble)
        try:
            for probe in islice(files, 1):
                pool.open(probe)
            yield pool
        finally:
            pool.close()


def _usual_cores(machines: Sequence[Mapping[str, float]], on_gpu: bool) -> int:
    """Return the cores of a worker, from the resources of machines that can hold one."""
    shares = [one["CPU"] // one["GPU"] if on_gpu else min(one["CPU"], USUAL_CORES) for one in machines]
    return max(int(min(shares)), 1)


def _room(machine: Mapping[str, float], cores: int, on_gpu: bool) -> int:
    """Return how many workers a machine can hold."""
    number = machine["CPU"] // cores
    return int(min(number, machine["GPU"]) if on_gpu else number)


def _for_workers(config: InferenceConfig, cores: int, on_gpu: bool) -> InferenceConfig:
    """Return settings that mean the same elsewhere; a GPU's worker decodes on its own cores only."""
    windows, device = config.windows, "cuda" if on_gpu else "cpu"
    if on_gpu and windows.decoders is None:
        windows = replace(windows, decoders=min(cores, MAX_DECODERS))
    checkpoints = tuple(str(Path(path).absolute()) for path in config.checkpoints)
    exported, nocall = (path and str(Path(path).absolute()) for path in (config.exported, config.nocall))
    return replace(
        config, windows=windows, device=device, checkpoints=checkpoints, exported=exported, nocall=nocall
    )


def _from_root(source: AudioSource) -> AudioSource:
    """Return what means the same file in another folder."""
    return source.absolute() if isinstance(source, Path) else source


def _why(error: BaseException) -> str:
    """Return why a worker was lost, in a few words."""
    cause = getattr(error, "cause", None)
    if cause is None:
        return "its process or its machine ended"
    return f"{type(cause).__name__}: {describe_error(cause)}"[:WHY_LETTERS]
