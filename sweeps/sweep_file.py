"""A sweep file: the question, the program, the parameters and how they are chosen."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from core.config import RunMetric, require
from core.config_checks import naming
from sweeps.command import check_command
from sweeps.hyperband import Hyperband, read_hyperband
from sweeps.parameters import COUNTABLE, Parameter, read_parameters

SWEEP_KEYS = (
    "name", "description", "project", "entity", "program", "method", "metric", "parameters", "command",
    "early_terminate", "run_cap",
)  # fmt: skip
SEARCH_METHODS = ("grid", "random", "bayes")
Goal = Literal["maximize", "minimize"]
LOGGED = (
    "train/loss", "train/epoch_loss", "train/clips_per_second", "train/data_wait", "train/lr",
    "valid/loss", *(f"valid/{name}" for name in get_args(RunMetric)),
)  # fmt: skip
"""What every experiment logs and a sweep can therefore optimise."""
DEFAULT_COMMAND = ["${env}", "${interpreter}", "${program}", "${args}"]


@dataclass(frozen=True)
class SweepFile:
    """A sweep file that was read and found right.

    Attributes
    ----------
    file, text
        Where it is, and all it holds.
    name, question
        Its `name` (else the file's), and its first line.
    program, command
        What a trial starts: the program, and the words around it with their macros.
    method, metric, goal
        How parameters are chosen, and for which number.
    parameters
        By name.
    early_terminate
        The rule by which poor trials end early; None: they do not.
    run_cap
        Most trials it may have; None: no limit.
    """

    file: Path
    text: str
    name: str
    question: str
    program: str
    command: tuple[str, ...]
    method: str
    metric: str
    goal: Goal
    parameters: tuple[Parameter, ...]
    early_terminate: Hyperband | None
    run_cap: int | None


class UniqueKeyLoader(yaml.SafeLoader):
    """Reads yaml and refuses a key that is there twice, of which yaml would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping, after looking for a key that comes again."""
        keys = [key.value for key, _ in node.value]
        for i, key in enumerate(keys):
            if key in keys[:i]:
                message = f"the key {key} is given twice"
                raise yaml.YAMLError(message)
        return super().construct_mapping(node, deep)


def read_sweep_file(file: Path) -> SweepFile:
    """Return a sweep file's content after checking everything that needs no program.

    Raises
    ------
    ValueError
        If the file is not readable, or a key is unknown, missing or wrong.
    """
    try:
        text = file.read_text()
        content = yaml.load(text, UniqueKeyLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        message = f"{file}: not readable as yaml: {error}"
        raise ValueError(message) from error
    with naming(file):
        return _parse_sweep(file, text, content)


def _parse_sweep(file: Path, text: str, content: Any) -> SweepFile:
    """Return what the content of a sweep file says, after checking it."""
    require(isinstance(content, dict), "holds no mapping of keys")
    unknown = sorted(set(content) - set(SWEEP_KEYS))
    require(not unknown, f"unknown key {', '.join(unknown)}; known are {', '.join(sorted(SWEEP_KEYS))}")
    for key in ("program", "method", "metric", "parameters"):
        require(key in content, f"no {key}")
    method, metric, cap = content["method"], content["metric"], content.get("run_cap")
    require(method in SEARCH_METHODS, f"method={method}: one of {', '.join(SEARCH_METHODS)}")
    right = (
        isinstance(metric, dict) and metric.keys() == {"name", "goal"} and metric["goal"] in get_args(Goal)
    )
    require(right, f"metric: needs a name, and goal: maximize or minimize, found {metric}")
    require(
        metric["name"] in LOGGED,
        f"metric: name={metric['name']}: nothing logs that; one of {', '.join(LOGGED)}",
    )
    parameters = tuple(read_parameters(content["parameters"]))
    _check_method(method, parameters)
    require(cap is None or (type(cap) is int and cap > 0), f"run_cap={cap}: a number above 0")
    return SweepFile(
        file=file,
        text=text,
        name=str(content.get("name", file.stem)),
        question=text.splitlines()[0].lstrip("# ").strip() if text.startswith("#") else "",
        program=str(content["program"]),
        command=check_command(content.get("command", DEFAULT_COMMAND)),
        method=method,
        metric=metric["name"],
        goal=metric["goal"],
        parameters=parameters,
        early_terminate=read_hyperband(content.get("early_terminate")),
        run_cap=cap,
    )


def _check_method(method: str, parameters: Sequence[Parameter]) -> None:
    """Check that a method can choose from the parameters."""
    for one in parameters:
        weighted = method != "random" and "probabilities" in one.entry
        require(not weighted, f"{one.key}: method {method} takes no probabilities, only random does")
        endless = method == "grid" and one.distribution not in COUNTABLE
        found = f"{one.key}: method grid goes through values; it cannot through a {one.distribution} range"
        require(not endless, f"{found} (give values, or take random or bayes)")
    varied = method == "grid" or not all(one.is_constant for one in parameters)
    require(varied, f"parameters: all are constant, method {method} has nothing to choose")
