"""A sweep file: the question, the program, the parameters and how they are chosen."""

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sweeps.command import check_command
from sweeps.errors import SweepError, demand
from sweeps.hyperband import Hyperband, read_hyperband
from sweeps.parameters import COUNTABLE, Parameter, read_parameters

TOP_LEVEL = (
    "name", "description", "project", "entity", "program", "method", "metric", "parameters", "command",
    "early_terminate", "run_cap",
)  # fmt: skip
METHODS = ("grid", "random", "bayes")
GOALS = ("maximize", "minimize")
LOGGED = (
    "train/loss", "train/epoch_loss", "train/clips_per_second", "train/data_wait", "train/lr",
    "valid/loss", "valid/score", "valid/padded_cmap", "valid/macro_auc", "valid/top1",
)  # fmt: skip
"""What every experiment logs and a sweep can therefore optimise."""
DEFAULT_COMMAND = ("${env}", "${interpreter}", "${program}", "${args}")


@dataclass(frozen=True)
class Sweep:
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
    goal: str
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


def read_sweep_file(file: Path) -> Sweep:
    """Return a sweep file's content after checking everything that needs no program.

    Raises
    ------
    SweepError
        If a key is unknown, missing or wrong.
    """
    text, content = load(file)
    unknown = sorted(set(content) - set(TOP_LEVEL))
    demand(
        not unknown,
        f"{file}: unknown key {unknown[0] if unknown else ''}; known are {', '.join(sorted(TOP_LEVEL))}",
    )
    for key in ("program", "method", "metric", "parameters"):
        demand(key in content, f"{file}: no {key}")
    method = content["method"]
    demand(method in METHODS, f"{file}: method={method}: one of {', '.join(METHODS)}")
    parameters = read_parameters(str(file), content["parameters"])
    check_method(file, method, parameters)
    cap = content.get("run_cap")
    demand(cap is None or (type(cap) is int and cap > 0), f"{file}: run_cap={cap}: a number above 0")
    return Sweep(
        file=file,
        text=text,
        name=str(content.get("name", file.stem)),
        question=text.splitlines()[0].lstrip("# ").strip() if text.startswith("#") else "",
        program=str(content["program"]),
        command=check_command(str(file), content.get("command", list(DEFAULT_COMMAND))),
        method=method,
        metric=check_metric(file, content["metric"]),
        goal=content["metric"]["goal"],
        parameters=tuple(parameters),
        early_terminate=read_hyperband(str(file), content.get("early_terminate")),
        run_cap=cap,
    )


def load(file: Path) -> tuple[str, dict[str, Any]]:
    """Return a sweep file's text and its top level."""
    try:
        text = file.read_text()
        content = yaml.load(text, UniqueKeyLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        message = f"{file}: not readable as yaml: {error}"
        raise SweepError(message) from error
    demand(isinstance(content, dict), f"{file}: holds no mapping of keys")
    return text, content


def check_metric(file: Path, metric: Any) -> str:
    """Return the name of the metric."""
    right = isinstance(metric, dict) and metric.get("goal") in GOALS and isinstance(metric.get("name"), str)
    demand(right, f"{file}: metric: needs a name, and goal: maximize or minimize")
    unknown = sorted(set(metric) - {"name", "goal"})
    demand(not unknown, f"{file}: metric: unknown key {', '.join(unknown)}; known are name and goal")
    name: str = metric["name"]
    demand(
        name in LOGGED,
        f"{file}: metric: name={name}: nothing logs that; one of {', '.join(LOGGED)}",
    )
    return name


def check_method(file: Path, method: str, parameters: list[Parameter]) -> None:
    """Check that a method can choose from the parameters."""
    for parameter in parameters:
        weighted = "probabilities" in parameter.entry
        demand(
            method == "random" or not weighted,
            f"{file}: {parameter.key}: method {method} takes no probabilities, only random does",
        )
        demand(
            method != "grid" or parameter.distribution in COUNTABLE,
            f"{file}: {parameter.key}: method grid goes through values; it cannot through a "
            f"{parameter.distribution} range (give values, or take random or bayes)",
        )
    varied = any(not parameter.is_constant for parameter in parameters)
    demand(
        method == "grid" or varied,
        f"{file}: parameters: all are constant, method {method} has nothing to choose",
    )
