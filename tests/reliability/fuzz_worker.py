"""Fuzz the readers: python -m tests.reliability.fuzz RUN FOLDER FIRST COUNT.

Input number n damages one target, chosen by n, with a generator seeded by n. Each ends in time, in a bounded
memory and disk, with a result or with a refusal of one line; nothing is written outside the folder. A line
of JSON a input goes to stdout; the process ends at the first input that takes too long.
"""

import contextlib
import faulthandler
import io
import json
import os
import resource
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from core.data.decoding import AudioError
from core.program import describe_error
from tests.reliability.targets import SHARES, Target, targets

LIMIT_SECONDS = 10.0
MEMORY_BYTES = 1 << 30
"""That a process may take beyond what it has when all programs are loaded."""
FILE_BYTES = 64 << 20
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def choose(number: int, known: list[Target]) -> Target:
    """Return the target of an input: its kind by the shares, then one of the kind after the other."""
    place = (number * 7919) % sum(SHARES.values())
    ends = np.cumsum([*SHARES.values()])
    index = int(np.searchsorted(ends, place, "right"))
    of_kind = [target for target in known if target.kind == [*SHARES][index]]
    return of_kind[(ends[index] - place) % len(of_kind)]


def outcome(target: Target, number: int) -> str:
    """Return "read", "refused", or what went wrong with an input."""
    damaged = target.mutate(np.random.default_rng([number, 0]))
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            target.read(damaged)
    except SystemExit as stop:
        return "read" if not stop.code else f"SystemExit {stop.code}"
    except (ValueError, AudioError) as error:
        return "refused" if describe_error(error) else "a refusal without words"
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})"[:500]
    return "read"


class Watch:
    """Notes what is opened for writing, made, moved or removed outside of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.found = str(folder), list[str]()
        sys.addaudithook(self._note)

    def _note(self, event: str, values: tuple[Any, ...]) -> None:
        if event == "open" and not (isinstance(values[2], int) and values[2] & WRITING):
            return
        if event in {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"}:
            paths = [os.fsdecode(value) for value in values[:2] if isinstance(value, str | bytes)]
            outside = [
                p for p in paths if not str(Path(p).absolute()).startswith(self.folder) and p != os.devnull
            ]
            self.found += [f"{event} {path}" for path in outside if event != "open" or path == paths[0]]
        elif event in {"os.system", "os.exec", "socket.connect"}:
            self.found.append(f"{event} {values}")


def main() -> None:
    """Run the inputs that the command line names."""
    run, folder, first, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    folder.mkdir(parents=True)
    os.chdir(folder)
    os.environ["HOME"] = os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    known = targets(folder / "files", run)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY_BYTES, size + MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    watch = Watch(folder)
    for number in range(first, first + count):
        faulthandler.dump_traceback_later(LIMIT_SECONDS, exit=True)
        began, target = time.perf_counter(), choose(number, known)
        print(json.dumps({"number": number, "name": target.name, "kind": target.kind}), flush=True)
        found = outcome(target, number)
        faulthandler.cancel_dump_traceback_later()
        if watch.found:
            found = f"outside the folder: {watch.found}"
            watch.found.clear()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        row = {"outcome": found, "seconds": time.perf_counter() - began, "memory_mb": memory}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
