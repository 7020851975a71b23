"""From the `command:` of a sweep file to the words of a trial, as `wandb agent` does it."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from core.config import require

ARGUMENTS = ("${args}", "${args_no_equals}")
KNOWN = ("${env}", "${interpreter}", "${program}", *ARGUMENTS, "${envvar:NAME}")
MACRO = re.compile(r"\$\{.*\}")
VARIABLE = re.compile(r"\$\{envvar:([A-Z0-9_]*)\}")


def check_command(command: Any) -> tuple[str, ...]:
    """Return the words of a command after checking its macros.

    Raises
    ------
    ValueError
        If a macro is unknown, or is one whose words no experiment takes.
    """
    require(isinstance(command, list) and bool(command), "command: needs a list of words")
    words = tuple(str(word) for word in command)
    for word in words:
        known = word in KNOWN or VARIABLE.search(word) or not MACRO.search(word)
        require(bool(known), f"command: {word} is not supported; experiments take {', '.join(KNOWN)}")
    given = [word for word in words if word in ARGUMENTS]
    require("${program}" in words, "command lacks ${program}")
    require(bool(given), "command lacks ${args}")
    once = len(given) == 1 and words.count("${program}") == 1
    require(once, "command: ${program} and ${args} come once each")
    behind = words.index("${program}") < words.index(given[0])
    require(behind, f"command: {given[0]} has to come after ${{program}}")
    return words


def fixed_words(command: Sequence[str]) -> list[str]:
    """Return the words that a command itself gives the program, beside those of a trial."""
    behind = command[command.index("${program}") + 1 :]
    return [_with_variables(word) for word in behind if word not in ARGUMENTS]


def parameter_words(parameters: Mapping[str, Any], macro: str = "${args}") -> list[str]:
    """Return the words that set a trial's parameters, in the form of one of the macros."""
    if macro == "${args_no_equals}":
        return [word for key, value in parameters.items() for word in (f"--{key}", str(value))]
    return [f"--{key}={value}" for key, value in parameters.items()]


def trial_command(
    command: Sequence[str], program: str, parameters: Mapping[str, Any], more: Sequence[str] = ()
) -> list[str]:
    """Return the words that start a trial.

    Parameters
    ----------
    command
        As `check_command` returns it.
    program
        Path of the program.
    parameters
        Of the trial, by dotted key.
    more
        Further words for the program, behind the parameters.
    """
    words: list[str] = []
    for word in command:
        if word == "${env}":
            words += ["/usr/bin/env"] if sys.platform != "win32" else []
        elif word == "${interpreter}":
            words.append(sys.executable)
        elif word == "${program}":
            words.append(program)
        elif word in ARGUMENTS:
            words += [*parameter_words(parameters, word), *more]
        else:
            words.append(_with_variables(word))
    return words


def num_processes(command: Sequence[str]) -> int:
    """Return how many processes a command launches for one trial."""
    for i, word in enumerate(command):
        key, _, value = word.partition("=")
        if key in ("--num_processes", "--nproc_per_node", "--nproc-per-node"):
            number = value or next(iter(command[i + 1 :]), "")
            return max(int(number), 1) if number.isdigit() else 1
    return 1


def _with_variables(word: str) -> str:
    for name in VARIABLE.findall(word):
        require(name in os.environ, f"command: {word}: the variable {name} is not set here")
    return VARIABLE.sub(lambda match: os.environ[match[1]], word)
