"""Check sweep files before anything starts: python -m sweeps.check [FILE ... [--FIELD=VALUE ...]].

Every value and both ends of every range go through the configuration of the sweep's own program, so that a
misspelt key, a wrong type or an impossible range is told in a second, with the file and the key, instead of
by the failure of each trial. Words behind the files go to the program as in every trial.
"""

import contextlib
import importlib
import io
import itertools
import math
import random
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from core.command_line import parse_arguments, parse_config
from core.config_values import flatten, from_dict
from sweeps.command import fixed_words, parameter_words
from sweeps.errors import SweepError, demand
from sweeps.sweep_file import Sweep, read_sweep_file

ROOT = Path(__file__).resolve().parents[1]
NUM_COMBINATIONS = 500
"""Combinations of values that are tried; all of them where there are fewer."""
FRAME = re.compile(r"[│─╭╮╰╯]|-{4,}")
OWN_FIELDS = {
    "resume": "a sweep goes on by itself",
    "name": "it names the experiment",
}
"""Fields that a sweep decides, and why."""


def read_sweep(file: Path, words: Sequence[str] = ()) -> Sweep:
    """Return a sweep file's content after checking all of it.

    Parameters
    ----------
    file
        The sweep file.
    words
        Further words of every trial, such as `--epochs=2`; they may replace constants of the file.

    Raises
    ------
    SweepError
        If a key is unknown or missing, or a value is none that the program takes.
    """
    sweep = read_sweep_file(file)
    default = config_of(file, sweep.program)
    fixed = fixed_words(sweep.command)
    twice = sorted(set(keys_of(fixed)) & set(keys_of(words)))
    demand(not twice, f"{file}: --{', '.join(twice)}: the file's command gives it already")
    sweep = without_replaced(sweep, [*fixed, *words])
    check_fields(sweep, [*fixed, *words])
    given = parse(default, [*fixed, *words])
    if isinstance(given, str):
        message = f"{file}: {' '.join([*fixed, *words])}: {given}"
        raise SweepError(message)
    check_values(sweep, default, [*fixed, *words])
    return sweep


def config_of(file: Path, program: str) -> Any:
    """Return the `CONFIG` of the experiment that a program belongs to."""
    path = Path(program)
    known = path.parts[:1] == ("experiments",) and len(path.parts) == 3 and (ROOT / path).is_file()
    demand(known, f"{file}: program={program}: no such experiment")
    return importlib.import_module(f"experiments.{path.parts[1]}.config").CONFIG


def keys_of(words: Iterable[str]) -> list[str]:
    """Return the fields that words of the form --FIELD=VALUE or --FIELD VALUE set."""
    return [word.partition("=")[0].removeprefix("--") for word in words if word.startswith("--")]


def without_replaced(sweep: Sweep, words: Sequence[str]) -> Sweep:
    """Return the sweep without the constants that words replace."""
    given = set(keys_of(words))
    for parameter in sweep.parameters:
        demand(
            parameter.is_constant or parameter.key not in given,
            f"{sweep.file}: {parameter.key} is swept; --{parameter.key} cannot be given beside it",
        )
    kept = tuple(parameter for parameter in sweep.parameters if parameter.key not in given)
    return Sweep(**{**vars(sweep), "parameters": kept})


def check_fields(sweep: Sweep, words: Sequence[str]) -> None:
    """Check that fields which a sweep cannot leave to its trials are left alone."""
    swept = [parameter.key for parameter in sweep.parameters]
    for key in (*swept, *keys_of(words)):
        demand(key not in OWN_FIELDS, f"{sweep.file}: {key}: {OWN_FIELDS.get(key)}; leave it out")
    folds = [value for one in sweep.parameters if one.key == "data.fold" for value in one.candidates]
    folds += [word.partition("=")[2] for word in words if word.startswith("--data.fold=")]
    demand(
        "all" not in folds,
        f"{sweep.file}: data.fold=all: a trial is one run; give data.fold the values [0, 1, 2, 3, 4]",
    )
    blind = sweep.metric.startswith("valid/") and any(fold in (None, "None") for fold in folds)
    demand(not blind, f"{sweep.file}: data.fold=None validates nothing, so {sweep.metric} is never logged")


def check_values(sweep: Sweep, default: Any, words: Sequence[str]) -> None:
    """Parse every value as the program would, then try combinations of them."""
    candidates = {parameter.key: parameter.candidates for parameter in sweep.parameters}
    parsed: dict[str, list[Any]] = {key: [] for key in candidates}
    for i in range(max(map(len, candidates.values()), default=0)):
        chosen = {key: values[i] for key, values in candidates.items() if i < len(values)}
        config = parse(default, [*words, *parameter_words(chosen)])
        if isinstance(config, str):
            name_the_culprit(sweep, default, words, chosen, config)
        flat = flatten(config)
        for key in chosen:
            parsed[key].append(flat[key])
    base = parse(default, list(words))
    for chosen in combinations(parsed):
        try:
            from_dict(base, nested(chosen))
        except ValueError as error:
            named = ", ".join(f"{key}={value}" for key, value in chosen.items() if key in str(error))
            message = f"{sweep.file}: {named or chosen}, which may come together: {error}"
            raise SweepError(message) from error


def name_the_culprit(
    sweep: Sweep, default: Any, words: Sequence[str], chosen: dict[str, Any], refusal: str
) -> None:
    """Raise the error of the one value that is refused; of all together if each alone is taken."""
    for key, value in chosen.items():
        reason = parse(default, [*words, *parameter_words({key: value})])
        if isinstance(reason, str):
            message = f"{sweep.file}: {key}={value}: {reason}"
            raise SweepError(message)
    message = f"{sweep.file}: {', '.join(f'{key}={value}' for key, value in chosen.items())}: {refusal}"
    raise SweepError(message)


def combinations(values: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Yield every combination of values, or a random `NUM_COMBINATIONS` of them."""
    if math.prod(map(len, values.values())) <= NUM_COMBINATIONS:
        for chosen in itertools.product(*values.values()):
            yield dict(zip(values, chosen, strict=True))
        return
    generator = random.Random(0)
    for _ in range(NUM_COMBINATIONS):
        yield {key: generator.choice(candidates) for key, candidates in values.items()}


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Return `{"mixup": {"alpha": 0.4}}` for `{"mixup.alpha": 0.4}`."""
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, name = key.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[name] = value
    return tree


def parse(default: Any, words: Sequence[str]) -> Any:
    """Return the configuration that a program makes of words, or as text why it refuses them."""
    return quietly(parse_arguments, default, words)


def refusal_at_start(default: Any, words: Sequence[str]) -> str | None:
    """Return why a program would refuse to start here, such as a folder that is missing."""
    refused = quietly(parse_config, default, words)
    return refused if isinstance(refused, str) else None


def quietly(parser: Any, default: Any, words: Sequence[str]) -> Any:
    """Return what a parser returns, or what it said before it ended the program."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            return parser(default, list(words))
    except SystemExit:
        told = FRAME.sub(" ", said.getvalue()).partition("For full helptext")[0]
        return " ".join(told.split()).removeprefix("error: ") or "refused"


def main() -> None:
    """Check the named files, or every one beside this program."""
    words = [word for word in sys.argv[1:] if word.startswith("--")]
    files = [Path(word) for word in sys.argv[1:] if not word.startswith("--")]
    wrong = 0
    for file in files or sorted(Path(__file__).parent.glob("*.yaml")):
        try:
            read_sweep(file, words)
        except SweepError as error:
            wrong += 1
            print(f"error: {error}", file=sys.stderr)
        else:
            print(f"{file}: right")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
