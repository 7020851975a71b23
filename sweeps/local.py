"""Run a sweep file without a server: python -m sweeps.local FILE [--count=N] [words for every trial].

The same file, programs and parameters as with `wandb sweep` and `wandb agent`. What this program does not
know itself goes to every trial, such as --data.root=FOLDER or --epochs=2. The same command again goes on
where a sweep was stopped or killed: trials that ended are not repeated.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sweeps.check import config_of, keys_of, read_sweep, refusal_at_start
from sweeps.command import fixed_words, num_processes, parameter_words
from sweeps.devices import share, visible_cores, visible_gpus
from sweeps.errors import SweepError, demand
from sweeps.local_run import LocalSweep
from sweeps.proposals import num_trials, propose
from sweeps.sweep_file import Sweep
from sweeps.sweep_folder import SweepFolder, default_id


def parser() -> argparse.ArgumentParser:
    """Return the parser of this program's own options."""
    known = argparse.ArgumentParser(
        prog="python -m sweeps.local",
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    known.add_argument("file", type=Path, help="the sweep file")
    known.add_argument("--count", type=int, help="trials of the sweep in all; a grid ends by itself")
    known.add_argument(
        "--jobs", type=int, default=1, help="trials at once: a GPU, or a share of the cores, each"
    )
    known.add_argument(
        "--seed", type=int, default=0, help="of random and bayes; a trial's own is a parameter"
    )
    known.add_argument("--id", help="name of the sweep's folder; by default from file, seed and words")
    known.add_argument("--out", type=Path, default=Path("outputs/sweeps"), help="folder of all sweeps")
    return known


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a sweep, and exit with 0 when all its trials have ended."""
    given, words = parser().parse_known_args(arguments)
    try:
        sweep = read_sweep(given.file, words)
        count = num_trials(sweep, given.count)
        demand(count is not None, f"{given.file}: a {sweep.method} sweep has no end; give --count or run_cap")
        demand(given.count is None or given.count >= 1, f"--count={given.count}: at least 1")
        check_start(sweep, given.seed, words)
        folder = SweepFolder(given.out / (given.id or default_id(sweep, given.seed, words)), sweep)
        slots = share(given.jobs, num_processes(sweep.command), visible_gpus(), visible_cores())
        folder.open(given.seed, words)
    except SweepError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"{sweep.name}: {sweep.question}\n{count} trials in {folder.path}", flush=True)
    sys.exit(LocalSweep(folder, given.seed, words, count or 0, slots).run())


def check_start(sweep: Sweep, seed: int, words: Sequence[str]) -> None:
    """Check that the first trial could start here: that its data are where they are said to be."""
    keys = [*keys_of([*fixed_words(sweep.command), *words]), *(one.key for one in sweep.parameters)]
    demand(
        "output_dir" not in keys,
        f"{sweep.file}: output_dir: a trial's runs go into the sweep's folder (--out)",
    )
    first = propose(sweep, seed, 0).parameters
    line = [*fixed_words(sweep.command), *parameter_words(first), *words]
    refused = refusal_at_start(config_of(sweep.file, sweep.program), line)
    demand(refused is None, f"{sweep.file}: {refused}")


if __name__ == "__main__":
    main()
