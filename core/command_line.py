"""From a command line to the configuration of a run, before torch is imported.

W&B agents call a program with `--mixup.alpha=0.4 --data.fold=None --optim.betas=(0.9, 0.98)`; tyro takes
exactly that with the two markers below, and their nested form, `--mixup={'alpha': 0.4}`, is made flat first.
`parse_config` also settles, as `core.schedule` says, which data a run trains on, which metric is its main one
and whether it is shortened, so that a program, a sweep and a test agree on both.
"""

import ast
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import tyro

from core.config import Config
from core.config_values import flatten, from_dict
from core.machine import follow_launcher
from core.run_folder import last_run
from core.schedule import announce, changes, choose_data, shorten

_C = TypeVar("_C", bound=Config)

SWEEP_SYNTAX = (tyro.conf.FlagConversionOff, tyro.conf.UsePythonSyntaxForLiteralCollections)
RESUMABLE = ("resume", "schedule", "checkpoint_steps", "data.num_workers", "data.cache")
"""Fields that may differ between a run and its resumption."""


def parse_arguments(default: _C, arguments: Sequence[str] | None = None) -> _C:
    """Return `default` with overrides, those of this process where none are given; nothing else is settled.

    A mistake prints the field, what it takes and a suggestion, and exits with status 2.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    words = ["--resume=True" if word == "--resume" else word for word in words]
    words = [flat for word in words for flat in _unnest(word)]
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


def _unnest(word: str) -> list[str]:
    """Return `--mixup.alpha=0.4` for `--mixup={'alpha': 0.4}`, and any other word as it is."""
    key, _, text = word.partition("=")
    if not (key.startswith("--") and text.startswith("{")):
        return [word]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return [word]
    if not isinstance(value, dict):
        return [word]
    return [flat for name, child in value.items() for flat in _unnest(f"{key}.{name}={child}")]


def parse_config(default: _C, arguments: Sequence[str] | None = None) -> _C:
    """Return the complete configuration of a run, `data.root`, `valid.metric` and `schedule` settled.

    An override given in `arguments`, else on the command line of this process, always wins over what the
    schedule or a resumed run would set.
    """
    if arguments is None:
        follow_launcher()  # before torch is imported, which takes seconds in which a launcher may be stopped
    given = parse_arguments(default, arguments)
    try:
        if given.resume:
            return _resumed(default, given, arguments)
        chosen, is_demo = choose_data(given)
        if given.schedule == "full" or (given.schedule == "auto" and not is_demo):
            return replace(chosen, schedule="full")
        base: _C = shorten(default)
        config = parse_arguments(base, arguments)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    announce("Schedule: demo. Changed: " + ("; ".join(changes(given, config)) or "nothing"))
    data = replace(config.data, root=chosen.data.root, extra_roots=chosen.data.extra_roots)
    valid = replace(config.valid, metric=chosen.valid.metric)
    return replace(config, schedule="demo", data=data, valid=valid)


def _resumed(default: _C, given: _C, arguments: Sequence[str] | None) -> _C:
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
