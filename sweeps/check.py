"""Check sweep files before anything starts: python -m sweeps.check [FILE ... [--FIELD=VALUE ...]].

Every value and both ends of every range go through the configuration of the sweep's own program, so that a
misspelt key, a wrong type or an impossible range is told in a second, with the file and the key, instead of
by the failure of each trial. Words behind the files go to the program as in every trial.
"""

import importlib
import itertools
import math
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.command_line import parse_arguments
from core.config import require
from core.config_checks import naming
from core.config_values import flatten, from_dict
from sweeps.command import fixed_words, parameter_words
from sweeps.sweep_file import SweepFile, read_sweep_file

ROOT = Path(__file__).resolve().parents[1]
NUM_COMBINATIONS = 500
"""Combinations of values that are tried; all of them where there are fewer."""
OWN_FIELDS = {"resume": "a sweep goes on by itself", "name": "it names the experiment"}
"""Fields that a sweep decides, and why."""


def checked_sweep(file: Path, words: Sequence[str] = ()) -> SweepFile:
    """Return a sweep file's content after checking all of it.

    Parameters
    ----------
    file
        The sweep file.
    words
        Further words of every trial, such as `--epochs=2`; they may replace constants of the file.

    Raises
    ------
    ValueError
        If a key is unknown or missing, or a value is none that the program takes.
    """
    sweep = read_sweep_file(file)
    with naming(file):
        default = config_of(sweep.program)
        fixed = fixed_words(sweep.command)
        twice = sorted(set(keys_of(fixed)) & set(keys_of(words)))
        require(not twice, f"--{', '.join(twice)}: the file's command gives it already")
        words = [*fixed, *words]
        given = set(keys_of(words))
        for one in sweep.parameters:
            beside = f"{one.key} is swept; --{one.key} cannot be given beside it"
            require(one.is_constant or one.key not in given, beside)
        sweep = replace(sweep, parameters=tuple(one for one in sweep.parameters if one.key not in given))
        _check_fields(sweep, words)
        with naming(" ".join(words)):
            base = parse_arguments(default, words)
        _check_combinations(base, _checked_values(sweep, default, words))
    return sweep


def config_of(program: str) -> Any:
    """Return the `CONFIG` of the experiment that a program belongs to."""
    path = Path(program)
    known = path.parts[:1] == ("experiments",) and len(path.parts) == 3 and (ROOT / path).is_file()
    require(known, f"program={program}: no such experiment")
    return importlib.import_module(f"experiments.{path.parts[1]}.config").CONFIG


def keys_of(words: Iterable[str]) -> list[str]:
    """Return the fields that words of the form --FIELD=VALUE or --FIELD VALUE set."""
    return [word.partition("=")[0].removeprefix("--") for word in words if word.startswith("--")]


def _check_fields(sweep: SweepFile, words: Sequence[str]) -> None:
    """Check that fields which a sweep cannot leave to its trials are left alone."""
    for key in (*(parameter.key for parameter in sweep.parameters), *keys_of(words)):
        require(key not in OWN_FIELDS, f"{key}: {OWN_FIELDS.get(key)}; leave it out")
    folds = [value for one in sweep.parameters if one.key == "data.fold" for value in one.candidates]
    folds += [word.partition("=")[2] for word in words if word.startswith("--data.fold=")]
    all_folds = "data.fold=all: a trial is one run; give data.fold the values [0, 1, 2, 3, 4]"
    require("all" not in folds, all_folds)
    blind = sweep.metric.startswith("valid/") and any(fold in (None, "None") for fold in folds)
    require(not blind, f"data.fold=None validates nothing, so {sweep.metric} is never logged")


def _checked_values(sweep: SweepFile, default: Any, words: Sequence[str]) -> dict[str, list[Any]]:
    """Return the candidates of every parameter as its program reads them; refuse what it refuses."""
    candidates = {parameter.key: parameter.candidates for parameter in sweep.parameters}
    found: dict[str, list[Any]] = {key: [] for key in candidates}
    for i in range(max(map(len, candidates.values()), default=0)):
        chosen = {key: values[i] for key, values in candidates.items() if i < len(values)}
        try:
            flat = flatten(parse_arguments(default, [*words, *parameter_words(chosen)]))
        except ValueError:
            for key, value in chosen.items():
                with naming(f"{key}={value}"):
                    parse_arguments(default, [*words, *parameter_words({key: value})])
            with naming(_named_values(chosen)):
                raise
        for key in chosen:
            found[key].append(flat[key])
    return found


def _named_values(chosen: dict[str, Any]) -> str:
    """Return parameters and their values in a line."""
    return ", ".join(f"{key}={value}" for key, value in chosen.items())


def _check_combinations(base: Any, values: dict[str, list[Any]]) -> None:
    """Build the configuration of every combination of values, or of a random `NUM_COMBINATIONS` of them."""
    if math.prod(map(len, values.values())) <= NUM_COMBINATIONS:
        chosen: Iterable[tuple[Any, ...]] = itertools.product(*values.values())
    else:
        generator = random.Random(0)
        chosen = (tuple(map(generator.choice, values.values())) for _ in range(NUM_COMBINATIONS))
    for combination in chosen:
        together = dict(zip(values, combination, strict=True))
        try:
            from_dict(base, _nested(together))
        except ValueError as error:
            named = {key: value for key, value in together.items() if key in str(error)}
            message = f"{_named_values(named or together)}, which may come together: {error}"
            raise ValueError(message) from error


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Return `{"mixup": {"alpha": 0.4}}` for `{"mixup.alpha": 0.4}`."""
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, name = key.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[name] = value
    return tree


def main() -> None:
    """Check the named files, or every one beside this program."""
    words = [word for word in sys.argv[1:] if word.startswith("--")]
    files = [Path(word) for word in sys.argv[1:] if not word.startswith("--")]
    wrong = 0
    for file in files or sorted(Path(__file__).parent.glob("*.yaml")):
        try:
            sweep = checked_sweep(file, words)
            print(f"{file}: right, to {sweep.goal} {sweep.metric}")
        except ValueError as error:
            wrong = 1
            print(f"error: {error}", file=sys.stderr)
    sys.exit(wrong)


if __name__ == "__main__":
    main()
