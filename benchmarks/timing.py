"""Ways to do one thing, timed in turns: medians, ratios to the first way, machine and versions."""

import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import torch

from core.files import write_atomically
from core.machine import describe_environment

USUAL_SPINS = {"GOMP_SPINCOUNT": "300000"}
"""How long threads of libgomp spin where nothing is set, as plain torch's do."""
VERSIONS = ("torch", "torchaudio", "timm", "numpy", "soundfile", "onnxruntime", "openvino")


@dataclass
class Timings:
    """Seconds of ways to do the same.

    Attributes
    ----------
    question
        What is compared.
    unit
        What is counted in a second.
    seconds
        Way -> its seconds, a number a round; the ways took turns.
    items
        Way -> units of a call.
    notes
        Way -> what else is said of it.
    """

    question: str
    unit: str
    seconds: dict[str, list[float]] = field(default_factory=dict)
    items: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def ratio(self, way: str) -> float:
        """Return how many times as fast as the first way it is: the median over rounds."""
        first = next(iter(self.seconds))
        pairs = zip(self.seconds[first], self.seconds[way], strict=True)
        return statistics.median(a / b for a, b in pairs) * self.items[way] / self.items[first]

    def rate(self, way: str) -> float:
        """Return units a second, by the median of its seconds."""
        return self.items[way] / statistics.median(self.seconds[way])

    def as_dict(self) -> dict[str, Any]:
        """Return all of it with the ratios, for a file."""
        ways = {
            way: {
                "seconds": times,
                "rate": self.rate(way),
                "ratio": self.ratio(way),
                "note": self.notes.get(way),
            }
            for way, times in self.seconds.items()
        }
        return {"question": self.question, "unit": self.unit, "ways": ways}

    def __str__(self) -> str:
        """Return the table in Markdown."""
        lines = [f"{self.question}\n", f"| | {self.unit}/s | ratio | |\n|---|---|---|---|"]
        lines += [
            f"| {way} | {self.rate(way):.4g} | {self.ratio(way):.2f} | {self.notes.get(way, '')} |"
            for way in self.seconds
        ]
        return "\n".join(lines) + "\n"


def time_in_turns(
    question: str,
    unit: str,
    ways: Mapping[str, Callable[[], object]],
    items: Mapping[str, float] | float,
    *,
    rounds: int,
    notes: Mapping[str, str] | None = None,
    warms_up: bool = True,
) -> Timings:
    """Call each way once unmeasured, then all of them in turns.

    Parameters
    ----------
    question, unit
        For the table.
    ways
        Name -> what is timed; the first is what the others are compared with.
    items
        Units of a call, of each way or of all.
    rounds
        Turns.
    notes
        What else is said of a way.
    warms_up
        Whether there is the unmeasured call.
    """
    each = dict.fromkeys(ways, items) if isinstance(items, (int, float)) else dict(items)
    found = Timings(question, unit, {name: [] for name in ways}, each, dict(notes or {}))
    for way in ways.values() if warms_up else ():
        way()
    for name in list(ways) * rounds:
        started = time.perf_counter()
        ways[name]()
        found.seconds[name].append(time.perf_counter() - started)
    return found


@contextmanager
def untuned_process(start: Callable[..., object], words: Sequence[object]) -> Iterator[Pool]:
    """Give a process without the settings of `core.machine`: its threads spin and its allocator trims.

    Parameters
    ----------
    start
        Called first in it, with `words`.
    words
        Of `start`.
    """
    before = {name: os.environ.get(name) for name in USUAL_SPINS}
    os.environ.update(USUAL_SPINS)
    try:
        with multiprocessing.get_context("spawn").Pool(1, start, tuple(words)) as pool:
            yield pool
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def describe_machine(device: torch.device) -> str:
    """Return the machine, its threads and the versions that matter, in a line."""
    found = describe_environment(device)
    versions = ", ".join(f"{name} {found['packages'][name]}" for name in VERSIONS)
    threads = f"{torch.get_num_threads()} threads"
    return (
        f"{found['device']}, {threads}, Python {platform.python_version()}, {versions}, {found['commit'][:7]}"
    )


def report_timings(found: Sequence[Timings], device: torch.device, out: str | None) -> None:
    """Print the tables, and write them to a .json where wanted."""
    machine = describe_machine(device)
    print(machine + "\n")
    for one in found:
        print(one, flush=True)
    if out is not None:
        text = json.dumps({"machine": machine, "tables": [one.as_dict() for one in found]}, indent=1)
        write_atomically(Path(out), text + "\n")
