"""Check sweep files before anything starts: python -m sweeps.check [FILE ...].

Every value and both ends of every range go through the configuration of the sweep's own program, so that a
misspelt key, a wrong type or an impossible range is told in a second, with the file and the key, instead of
by the failure of each trial.
"""

import contextlib
import importlib
import io
import sys
from pathlib import Path
from typing import Any

import yaml

from core.command_line import parse_arguments

ROOT = Path(__file__).resolve().parents[1]
TOP_LEVEL = {
    "name", "description", "project", "entity", "program", "method", "metric", "parameters", "command",
    "early_terminate", "run_cap",
}  # fmt: skip
METHODS = ("grid", "random", "bayes")
PARAMETER = {"value", "values", "min", "max", "distribution", "q", "mu", "sigma", "probabilities"}


class SweepError(ValueError):
    """A sweep file that cannot run; the message names the file and the key."""


def read_sweep(file: Path) -> dict[str, Any]:
    """Return a sweep file's content after checking all of it.

    Raises
    ------
    SweepError
        If a key is unknown or missing, or a value is none that the program takes.
    """
    try:
        sweep = yaml.safe_load(file.read_text())
    except (OSError, yaml.YAMLError) as error:
        message = f"{file}: not readable as yaml: {error}"
        raise SweepError(message) from error
    if not isinstance(sweep, dict):
        message = f"{file}: holds no mapping of keys"
        raise SweepError(message)
    check_top(file, sweep)
    values = {key: values_of(file, key, entry) for key, entry in sweep["parameters"].items()}
    check_values(file, config_of(file, sweep["program"]), values)
    return sweep


def check_top(file: Path, sweep: dict[str, Any]) -> None:
    """Check everything but the parameters' values."""
    unknown = sorted(set(sweep) - TOP_LEVEL)
    if unknown:
        message = f"{file}: unknown key {unknown[0]}; known are {', '.join(sorted(TOP_LEVEL))}"
        raise SweepError(message)
    for key in ("program", "method", "metric", "parameters"):
        if key not in sweep:
            message = f"{file}: no {key}"
            raise SweepError(message)
    if sweep["method"] not in METHODS:
        message = f"{file}: method={sweep['method']}: one of {', '.join(METHODS)}"
        raise SweepError(message)
    metric = sweep["metric"]
    if not isinstance(metric, dict) or metric.get("goal") not in ("maximize", "minimize"):
        message = f"{file}: metric: needs a name, and goal: maximize or minimize"
        raise SweepError(message)
    for word in ("${program}", "${args}"):
        if word not in sweep.get("command", [word]):
            message = f"{file}: command lacks {word}"
            raise SweepError(message)


def values_of(file: Path, key: str, entry: Any) -> list[Any]:
    """Return the values of a parameter, or both ends of its range."""
    known = isinstance(entry, dict) and not set(entry) - PARAMETER
    if known and "value" in entry:
        return [entry["value"]]
    if known and isinstance(entry.get("values"), list) and entry["values"]:
        return list(entry["values"])
    if known and {"min", "max"} <= set(entry):
        return ends_of(file, key, entry["min"], entry["max"])
    message = f"{file}: {key}: needs value, a list of values, or min and max; found {entry}"
    raise SweepError(message)


def ends_of(file: Path, key: str, low: Any, high: Any) -> list[float]:
    """Return both ends of a range."""
    for bound in (low, high):
        if not isinstance(bound, int | float):  # yaml reads 1e-3 as text, 1.0e-3 as a number
            message = f"{file}: {key}: {bound!r} is no number (write 1.0e-3, not 1e-3)"
            raise SweepError(message)
    if low >= high:
        message = f"{file}: {key}: min={low} is not below max={high}"
        raise SweepError(message)
    return [low, high]


def config_of(file: Path, program: str) -> Any:
    """Return the `CONFIG` of the experiment that a program belongs to."""
    path = Path(program)
    if path.parts[:1] != ("experiments",) or not (ROOT / path).is_file():
        message = f"{file}: program={program}: no such experiment"
        raise SweepError(message)
    return importlib.import_module(f"experiments.{path.parts[1]}.config").CONFIG


def check_values(file: Path, default: Any, values: dict[str, list[Any]]) -> None:
    """Parse every value as the program would; as many at once as there are keys."""
    rounds = max((len(candidates) for candidates in values.values()), default=0)
    for i in range(rounds):
        chosen = {key: candidates[min(i, len(candidates) - 1)] for key, candidates in values.items()}
        if refusal(default, chosen) is None:
            continue
        for key, value in chosen.items():
            reason = refusal(default, {key: value})
            if reason is not None:
                message = f"{file}: {key}={value}: {reason}"
                raise SweepError(message)
        message = f"{file}: {chosen}: {refusal(default, chosen)}"
        raise SweepError(message)


def refusal(default: Any, chosen: dict[str, Any]) -> str | None:
    """Return why a program refuses these values; None if it takes them."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            parse_arguments(default, [f"--{key}={value}" for key, value in chosen.items()])
    except SystemExit:
        words = said.getvalue().replace("│", " ").replace("─", " ").split()
        return " ".join(words).strip("╭╮╰╯ ") or "refused"
    return None


def main() -> None:
    """Check the named files, or every one beside this program."""
    files = [Path(word) for word in sys.argv[1:]] or sorted(Path(__file__).parent.glob("*.yaml"))
    wrong = 0
    for file in files:
        try:
            read_sweep(file)
        except SweepError as error:
            wrong += 1
            print(f"error: {error}", file=sys.stderr)
        else:
            print(f"{file}: right")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
