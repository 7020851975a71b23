"""From a command line to the configuration of a run, before torch is imported.

W&B agents call a program with `--mixup.alpha=0.4 --data.fold=None --optim.betas=(0.9, 0.98)`; tyro takes
exactly that with the two markers below. This module also settles which data a run trains on and whether
it is shortened, so that a program, a sweep and a test agree on both.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import tyro

from core.config import Config
from core.config_values import flatten, from_dict
from core.run_folder import last_run
from core.schedule import changes, shorten

C = TypeVar("C", bound=Config)

SWEEP_SYNTAX = (tyro.conf.FlagConversionOff, tyro.conf.UsePythonSyntaxForLiteralCollections)
DEMO_MARKER = "demo.json"
COMPETITION_ROOT = Path("data/birdclef-2022")
RESUMABLE = ("resume", "schedule", "checkpoint_steps", "data.num_workers", "data.cache")
"""Fields that may differ between a run and its resumption."""


def parse_arguments(default: C, arguments: Sequence[str] | None = None) -> C:
    """Return `default` with the command line's overrides, nothing else settled.

    A mistake prints the field, what it takes and a suggestion, and exits with status 2.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    words = ["--resume=True" if word == "--resume" else word for word in words]
    try:
        return tyro.cli(
            type(default),
            default=default,
            args=words,
            config=SWEEP_SYNTAX,
            use_underscores=True,
            description=f"Train {default.name}.",
        )
    except ValueError as error:  # a check of a configuration dataclass
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def parse_config(default: C, arguments: Sequence[str] | None = None) -> C:
    """Return the complete configuration of a run.

    Parameters
    ----------
    default
        The experiment's `CONFIG`.
    arguments
        Command-line words; None: those of this process.

    Returns
    -------
    Config
        With `data.root` and `schedule` settled. An override given in `arguments` always wins over what
        the schedule or a resumed run would set.
    """
    given = parse_arguments(default, arguments)
    try:
        if given.resume:
            return _resumed(default, given, arguments)
        root, is_demo = choose_data(given)
        if given.schedule == "full" or (given.schedule == "auto" and not is_demo):
            return replace(given, schedule="full", data=replace(given.data, root=root))
        base: C = shorten(default)
        config = parse_arguments(base, arguments)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    announce("Schedule: demo. Changed: " + ("; ".join(changes(given, config)) or "nothing"))
    return replace(config, schedule="demo", data=replace(config.data, root=root))


def choose_data(config: Config) -> tuple[str, bool]:
    """Return the data folder of a run and whether it is the generated demo.

    Raises
    ------
    ValueError
        If `data.root` is given and does not exist, so that a typo never trains on other data.
    """
    for name, roots in (("data.root", [config.data.root]), ("data.extra_roots", config.data.extra_roots)):
        for root in roots:
            if root is not None and not Path(root).is_dir():
                message = f"{name}={root}: no such folder (looked in {Path.cwd()})"
                raise ValueError(message)
    if config.data.root is not None:
        return config.data.root, (Path(config.data.root) / DEMO_MARKER).is_file()
    if COMPETITION_ROOT.is_dir():
        announce(f"Data: {COMPETITION_ROOT}")
        return str(COMPETITION_ROOT), False
    from core.data.demo import demo_root

    demo = demo_root()
    announce(
        f"{'=' * 78}\n"
        f"No --data.root given and no {COMPETITION_ROOT} here: training on GENERATED demo data\n"
        f"in {demo}. Its scores say that the program works, nothing about real birds.\n"
        f"{'=' * 78}"
    )
    return str(demo), True


def announce(text: str) -> None:
    """Print `text` once, however many processes were launched."""
    if os.environ.get("RANK", "0") == "0":
        print(text, flush=True)


def _resumed(default: C, given: C, arguments: Sequence[str] | None) -> C:
    run = last_run(given.output_dir, given.name)
    stored: dict[str, Any] = json.loads((run / "config.json").read_text())
    base = from_dict(default, stored)
    config = parse_arguments(base, arguments)
    before, after = flatten(base), flatten(config)
    differing = [key for key in after if after[key] != before.get(key) and key not in RESUMABLE]
    if differing:
        key = differing[0]
        message = (
            f"--resume continues {run} as it was started: --{key}={after[key]} differs from its "
            f"{before.get(key)}; leave it out, or start a new run without --resume"
        )
        raise ValueError(message)
    announce(f"Resuming {run}")
    return replace(config, schedule=base.schedule)
