"""Run a sweep file without a server: python -m sweeps.local FILE [--count=N] [words for every trial].

The same file, programs and parameters as with `wandb sweep` and `wandb agent`. What this program does not
know itself goes to every trial, such as --data.root=FOLDER or --epochs=2. The same command again goes on
where a sweep was stopped or killed: trials that ended are not repeated.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from core.command_line import parse_config
from core.config import require
from sweeps.check import checked_sweep, config_of, keys_of, parsed
from sweeps.command import fixed_words, num_processes, parameter_words
from sweeps.devices import share_devices, visible_cores, visible_gpus
from sweeps.local_run import LocalSweep
from sweeps.parameters import naming
from sweeps.proposals import num_trials, propose
from sweeps.sweep_file import SweepFile
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
        sweep = checked_sweep(given.file, words)
        count = num_trials(sweep, given.count)
        endless = f"{given.file}: a {sweep.method} sweep has no end; give --count or run_cap"
        require(count is not None, endless)
        require(given.count is None or given.count >= 1, f"--count={given.count}: at least 1")
        with naming(given.file):
            check_start(sweep, given.seed, words)
        folder = SweepFolder(given.out / (given.id or default_id(sweep, given.seed, words)), sweep)
        slots = share_devices(given.jobs, num_processes(sweep.command), visible_gpus(), visible_cores())
        folder.open(given.seed, words)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"{sweep.name}: {sweep.question}\n{count} trials in {folder.path}", flush=True)
    sys.exit(LocalSweep(folder, given.seed, words, count or 0, slots).run())


def check_start(sweep: SweepFile, seed: int, words: Sequence[str]) -> None:
    """Check that the first trial could start here: that its data are where they are said to be."""
    given = [*fixed_words(sweep.command), *words]
    keys = [*keys_of(given), *(one.key for one in sweep.parameters)]
    require("output_dir" not in keys, "output_dir: a trial's runs go into the sweep's folder (--out)")
    first = parameter_words(propose(sweep, seed, 0).parameters)
    refusal = parsed(config_of(sweep.program), [*given, *first], parse_config)
    require(not isinstance(refusal, str), str(refusal))


if __name__ == "__main__":
    main()
