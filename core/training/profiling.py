"""Where a training step's time goes: a table and a trace of some steps, by torch's profiler.

The parts are marked by `part_of_step`, which costs microseconds where nothing is profiled. What lies within
another part is not counted twice. On a GPU a part's time is that of its kernels, but for waiting and for what
the host does.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function, schedule

from core.files import write_table

_T = TypeVar("_T")

FIRST_STEPS, PROFILED_STEPS = 5, 10
PARTS_OF_STEP = (
    "waiting",
    "transfer",
    "noise",
    "log-mel",
    "augment",
    "forward",
    "loss",
    "backward",
    "optimiser",
)
"""In their order; `forward` holds log-mel and augment, which are counted apart."""
WITHIN = {"forward": ("log-mel", "augment")}
_STEP = "ProfilerStep"
PROFILE_TABLE, TRACE = "profile.csv", "profile_trace.json"


def part_of_step(name: str) -> Any:
    """Return a context, or decorator, that marks a part of a step, of `PARTS_OF_STEP`."""
    return record_function(name)


def marked(name: str, action: Callable[..., _T]) -> Callable[..., _T]:
    """Return a function that does the same, marked as a part of a step."""

    def act(*words: Any) -> _T:
        with record_function(name):
            return action(*words)

    return act


@contextmanager
def _marked_calls(front_end: nn.Module) -> Iterator[None]:
    """Mark the calls of a module as the log-mel."""
    begun: list[Any] = []

    def begin(*_: Any) -> None:
        begun.append(record_function("log-mel").__enter__())

    def end(*_: Any) -> None:
        begun.pop().__exit__(None, None, None)

    hooks = [front_end.register_forward_pre_hook(begin), front_end.register_forward_hook(end)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class StepProfiler:
    """Profiles some steps of an epoch after the first ones; the rest of the epoch is not touched.

    Parameters
    ----------
    folder
        Where the table and the trace go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.on_gpu = folder, torch.cuda.is_available()
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if self.on_gpu else [])]
        self.profile = profile(
            activities=activities,
            schedule=schedule(wait=FIRST_STEPS, warmup=1, active=PROFILED_STEPS, repeat=1),
            on_trace_ready=self._write,
            acc_events=True,
        )

    def steps(self, batches: Iterable[_T], front_end: nn.Module) -> Iterator[_T]:
        """Yield batches; what is done between one and the next is a step, and profiled.

        Parameters
        ----------
        batches
            From a loader: taking the next one is waiting.
        front_end
            Its calls are the log-mel.
        """
        waiting = iter(batches)
        with self.profile, _marked_calls(front_end):
            while True:
                with record_function("waiting"):
                    batch = next(waiting, None)
                if batch is None:
                    return
                yield batch
                self.profile.step()

    def _write(self, found: Any) -> None:
        """Write and print what the profiled steps took."""
        found.export_chrome_trace(str(self.folder / TRACE))
        table = self._table(found)
        write_table(table, str(self.folder / PROFILE_TABLE))
        shown = table.assign(share=[f"{share:.1%}" for share in table["share"]])
        print(
            f"\nMilliseconds a step, mean over {self._number(found)} ({self.folder / TRACE}: chrome://tracing)"
        )
        print(shown.to_string(index=False, float_format="%.2f"), flush=True)

    def _table(self, found: Any) -> pd.DataFrame:
        """Return `part`, `milliseconds` a step and `share` of all; "rest" is what no part holds."""
        averages = {one.key: one for one in found.key_averages()}
        taken = dict.fromkeys(PARTS_OF_STEP, 0.0)
        for name in PARTS_OF_STEP:
            if name in averages:
                one = averages[name]
                on_device = self.on_gpu and name != "waiting"
                taken[name] = (one.device_time_total if on_device else one.cpu_time_total) / 1000
        for whole, parts in WITHIN.items():
            taken[whole] -= sum(taken[part] for part in parts)
        number = self._number(found)
        steps = sum(one.cpu_time_total / 1000 for name, one in averages.items() if name.startswith(_STEP))
        total = max(steps, sum(taken.values()))
        taken["rest"] = total - sum(taken.values())
        rows = [(part, time / number, time / total) for part, time in taken.items()]
        return pd.DataFrame(rows, columns=["part", "milliseconds", "share"])

    @staticmethod
    def _number(found: Any) -> int:
        """Return how many steps were profiled."""
        return max(sum(event.name.startswith(_STEP) for event in found.events()), 1)


def profiled_steps(
    batches: Iterable[_T], is_profiled: bool, folder: Path, front_end: nn.Module
) -> Iterable[_T]:
    """Return batches; where that is wished the steps between them are profiled: see `StepProfiler`."""
    return StepProfiler(folder).steps(batches, front_end) if is_profiled else batches
