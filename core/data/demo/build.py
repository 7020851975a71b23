"""Make the demo data set appear at its place, whole or not at all.

It is written to a hidden folder beside its place and renamed. `demo.json` states what a finished one was made
from.
"""

import argparse
import dataclasses
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.data.demo.layout import write_data_set
from core.data.demo.plan import DemoPlan

DEMO_VERSION = 2
DEFAULT_SEED = 2022
OLDER_SEED = 2021  # of what stands in for an older year's data
STATEMENT = "demo.json"
MAX_WORKERS = 8


def demo_root(base: Path | str = "data", seed: int = DEFAULT_SEED) -> Path:
    """Return the folder of the demo data set of this version under `base`."""
    return Path(base) / f"demo-v{DEMO_VERSION}-{seed}"


def ensure_demo(
    root: Path | str,
    seed: int = DEFAULT_SEED,
    workers: int | None = None,
    plan: DemoPlan | None = None,
) -> Path:
    """Generate the demo data set unless it is there.

    Safe when several processes call it at once (one generates, the others wait), and when killed: `root`
    is then absent, and the next call removes what was left beside it.

    Parameters
    ----------
    root
        Folder of the data set, such as `demo_root()`.
    seed
        Seed of everything random, at least 0.
    workers
        Threads; None: one per core.
    plan
        Counts and lengths; None: the full demo.

    Returns
    -------
    Path
        `root`.

    Raises
    ------
    ValueError
        If `root` holds anything else, another version, seed or plan included.
    """
    root, plan = Path(root), plan or DemoPlan()
    if seed < 0:
        message = f"seed={seed}: expected 0 or above"
        raise ValueError(message)
    statement = _statement(plan, seed)
    if _is_complete(root, statement):
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    with _alone_in(root.parent) as is_alone:
        if _is_complete(root, statement):  # another process was faster
            return root
        if is_alone:
            for leftover in root.parent.glob(f".{root.name}.*.part"):
                shutil.rmtree(leftover, ignore_errors=True)
        begin = time.perf_counter()
        _generate(root, plan, seed, workers or min(os.cpu_count() or 1, MAX_WORKERS), statement)
    size = sum(file.stat().st_size for file in root.rglob("*") if file.is_file())
    print(
        f"Demo data {root}: {sum(plan.recordings.values())} recordings, {plan.num_backgrounds} backgrounds, "
        f"{plan.num_soundscapes} soundscapes, {size / 1e6:.1f} MB, "
        f"made in {time.perf_counter() - begin:.1f} s",
        flush=True,
    )
    return root


def _statement(plan: DemoPlan, seed: int) -> str:
    """Return the text of `demo.json`: what a complete data set says of itself."""
    fields = dataclasses.asdict(dataclasses.replace(plan, recordings=dict(plan.recordings)))
    content = {"version": DEMO_VERSION, "seed": seed, "plan": fields}
    return json.dumps(content, indent=1) + "\n"


def _is_complete(root: Path, statement: str) -> bool:
    """Return whether this very data set is at `root`; refuse a folder that holds something else."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    file = root / STATEMENT
    if not file.is_file():
        message = f"{root}: holds files but no {STATEMENT}, so it is no demo data set; name another folder"
        raise ValueError(message)
    if file.read_text() != statement:
        message = f"{file}: made with another seed, plan or version; delete {root} or name another folder"
        raise ValueError(message)
    return True


@contextmanager
def _alone_in(folder: Path) -> Iterator[bool]:
    """Wait for other processes that generate below a folder; yield whether its file system has locks.

    The kernel frees the lock of a process that is killed.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def _generate(root: Path, plan: DemoPlan, seed: int, workers: int, statement: str) -> None:
    """Write everything beside `root` and rename."""
    folder = Path(tempfile.mkdtemp(prefix=f".{root.name}.", suffix=".part", dir=root.parent))
    try:
        folder.chmod(0o755)  # mkdtemp keeps others out
        write_data_set(folder, plan, seed, workers)
        (folder / STATEMENT).write_text(statement)
        try:
            folder.rename(root)
        except OSError:
            if not _is_complete(root, statement):
                raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Generate the demo data set from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m core.data.demo", description="Generate the demo data set unless it is there."
    )
    parser.add_argument("root", nargs="?", type=Path, help="folder of the data set (default: below data/)")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="seed of everything random")
    parser.add_argument("--workers", type=int, help="threads (default: one per core)")
    options = parser.parse_args(arguments)
    try:
        ensure_demo(options.root or demo_root(seed=options.seed), options.seed, options.workers)
    except (ValueError, OSError) as error:
        parser.error(str(error))
