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
PROCESSES = re.compile(r"--(?:num_processes|nproc[_-]per[_-]node)[= ](\d+)")


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
    order = [word for word in words if word == "${program}" or word in ARGUMENTS]
    right = order in [["${program}", given] for given in ARGUMENTS]
    found = " ".join(order) or "neither"
    require(right, f"command: needs ${{program}} once and behind it ${{args}} once, found {found}")
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
    meant = {macro: [*parameter_words(parameters, macro), *more] for macro in ARGUMENTS}
    meant |= {"${interpreter}": [sys.executable], "${program}": [program]}
    meant["${env}"] = ["/usr/bin/env"] if sys.platform != "win32" else []
    return [part for word in command for part in (meant[word] if word in meant else [_with_variables(word)])]


def num_processes(command: Sequence[str]) -> int:
    """Return how many processes a command launches for one trial."""
    told = PROCESSES.search(" ".join(command))
    return max(int(told[1]), 1) if told else 1


def _with_variables(word: str) -> str:
    """Return a word with the variables of the environment that it names."""
    for name in VARIABLE.findall(word):
        require(name in os.environ, f"command: {word}: the variable {name} is not set here")
    return VARIABLE.sub(lambda match: os.environ[match[1]], word)
