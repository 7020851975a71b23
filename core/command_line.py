"""From a command line to the configuration of a run, before torch is imported.

W&B agents call a program with `--mixup.alpha=0.4 --data.fold=None --optim.betas=(0.9, 0.98)`; tyro takes
exactly that with the two markers below, and their nested form, `--mixup={'alpha': 0.4}`, is made flat first.
`parse_config` also settles, as `core.schedule` says, which data a run trains on, which metric is its main one
and whether it is shortened, so that a program, a sweep and a test agree on both.
"""

import ast
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import tyro

from core.config import Config
from core.config_checks import require_output
from core.config_values import flatten, read_config
from core.machine import follow_launcher
from core.program import parse_words, telling_mistakes
from core.run_folder import find_run
from core.schedule import announce, changes, choose_data, shorten

_C = TypeVar("_C", bound=Config)

SWEEP_SYNTAX = (tyro.conf.FlagConversionOff, tyro.conf.UsePythonSyntaxForLiteralCollections)
RESUMABLE = {
    "resume", "schedule", "checkpoint_steps", "data.num_workers",
    "output_dir", "data.root", "data.extra_roots", "data.cache", "data.cache_format",  # the data are compared
    "optim.lr", "optim.min_lr", "optim.max_grad_norm", "precision",  # what helps where the loss broke
}  # fmt: skip
"""Fields that may differ between a run and its resumption."""


def parse_arguments(default: _C, arguments: Sequence[str] | None = None) -> _C:
    """Return `default` with overrides, those of this process where none are given; nothing else is settled.

    Raises
    ------
    ValueError
        If there is a mistake; the message names the field, what it takes, and a suggestion.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    words = ["--resume=last" if word == "--resume" else word for word in words]
    words = [flat for word in words for flat in _unnest(word)]
    description = f"Train {default.name}."
    return parse_words(type(default), words, default=default, config=SWEEP_SYNTAX, description=description)


def _unnest(word: str) -> list[str]:
    """Return `--mixup.alpha=0.4` for `--mixup={'alpha': 0.4}`, and any other word as it is."""
    key, _, text = word.partition("=")
    if not (key.startswith("--") and text.startswith("{")):
        return [word]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return [word]
    if not isinstance(value, dict) or not value:
        return [word]
    return [flat for name, child in value.items() for flat in _unnest(f"{key}.{name}={child}")]


def parse_config(default: _C, arguments: Sequence[str] | None = None) -> _C:
    """Return the complete configuration of a run; see `settle_config`. A mistake ends the program."""
    if arguments is None:
        follow_launcher()  # before torch is imported, which takes seconds in which a launcher may be stopped
    with telling_mistakes():
        return settle_config(default, arguments)


def settle_config(default: _C, arguments: Sequence[str] | None = None) -> _C:
    """Return the complete configuration of a run, `data.root`, `valid.metric` and `schedule` settled.

    An override given in `arguments`, else on the command line of this process, always wins over what the
    schedule or a resumed run would set.

    Raises
    ------
    ValueError
        If there is a mistake, or a run could not be recorded where it is to be.
    """
    given = parse_arguments(default, arguments)
    require_output("output_dir", given.output_dir, is_folder=True)
    require_output("data.cache", given.data.cache, is_folder=True)
    if given.resume:
        return _resumed(default, given, arguments)
    chosen, is_demo = choose_data(given)
    if given.schedule == "full" or (given.schedule == "auto" and not is_demo):
        return replace(chosen, schedule="full")
    base: _C = shorten(default)
    config = parse_arguments(base, arguments)
    announce("Schedule: demo. Changed: " + ("; ".join(changes(given, config)) or "nothing"))
    data = replace(config.data, root=chosen.data.root, extra_roots=chosen.data.extra_roots)
    valid = replace(config.valid, metric=chosen.valid.metric)
    return replace(config, schedule="demo", data=data, valid=valid)


def _resumed(default: _C, given: _C, arguments: Sequence[str] | None) -> _C:
    assert given.resume is not None
    run = find_run(given.output_dir, given.name, given.resume)
    stored = read_config(default, run / "config.json")
    base = replace(stored, output_dir=str(run.parent.parent), resume=given.resume)
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
    changed = "; ".join(changes(base, config))
    announce(f"Resuming {run}" + (f". Changed: {changed}" if changed else ""))
    return replace(config, schedule=base.schedule, output_dir=base.output_dir)
