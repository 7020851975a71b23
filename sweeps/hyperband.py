"""Ending poor trials early, by the rule of W&B's `early_terminate: hyperband`.

After Li et al., Hyperband (2018, https://arxiv.org/abs/1603.06560), without its rounds: at certain numbers of
logged values, the brackets, a trial goes on only if it is among the best 1/eta of all that came as far.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.config import require
from core.config_checks import naming
from sweeps.parameters import is_number

HYPERBAND_KEYS = ("type", "min_iter", "max_iter", "s", "eta", "strict")
NEEDED = "needs type: hyperband and min_iter, or max_iter and s"
MOST_ITERATIONS = 10**6


@dataclass(frozen=True)
class Hyperband:
    """When a trial is compared with the others, and how many may go on.

    Attributes
    ----------
    brackets
        Numbers of logged values, rising.
    eta
        The best 1/eta go on.
    strict
        Judge a trial by its value at the bracket instead of by its best so far.
    """

    brackets: tuple[int, ...]
    eta: float
    strict: bool = False

    def stops(self, values: Sequence[float], others: Sequence[Sequence[float]], goal: str) -> bool:
        """Return whether a trial should end.

        Parameters
        ----------
        values
            What the trial has logged so far.
        others
            The same of every other trial of the sweep, ended ones too.
        goal
            "maximize" or "minimize".
        """
        reached = [bracket for bracket in self.brackets if bracket <= len(values)]
        if not reached:
            return False
        bracket, sign = reached[-1], -1.0 if goal == "maximize" else 1.0
        there = sorted(sign * one[bracket - 1] for one in (values, *others) if len(one) >= bracket)
        threshold = there[int(len(there) / self.eta)]
        judged = [values[bracket - 1]] if self.strict else values
        return min(sign * value for value in judged) > threshold


def read_hyperband(entry: Any) -> Hyperband | None:
    """Return the rule of a file's `early_terminate`; None if there is none.

    Raises
    ------
    ValueError
        If a key is unknown, missing or out of its range.
    """
    if entry is None:
        return None
    with naming("early_terminate"):
        require(isinstance(entry, dict), NEEDED)
        unknown = sorted(set(entry) - set(HYPERBAND_KEYS))
        require(not unknown, f"unknown key {', '.join(unknown)}; known are {', '.join(HYPERBAND_KEYS)}")
        require(entry.get("type") == "hyperband", f"type={entry.get('type')}: only hyperband")
        for name in {"min_iter", "max_iter", "s"} & set(entry):
            whole = type(entry[name]) is int and entry[name] >= 1
            require(whole, f"{name}={entry[name]}: at least 1, a whole number")
        eta, strict = entry.get("eta", 3), entry.get("strict", False)
        require(is_number(eta) and eta > 1, f"eta={eta}: a number above 1")
        require(isinstance(strict, bool), f"strict={strict}: true or false")
        brackets = tuple(sorted(set(_brackets(entry, eta)) - {0}))
        require(bool(brackets), "no bracket is left; raise max_iter or lower eta")
        return Hyperband(brackets, float(eta), strict)


def _brackets(entry: Mapping[str, Any], eta: float) -> Iterator[int]:
    """Yield the brackets: min_iter, min_iter * eta, ... or max_iter / eta, max_iter / eta**2, ..."""
    given = {"min_iter", "max_iter", "s"} & set(entry)
    require(given in ({"min_iter"}, {"max_iter", "s"}), f"{NEEDED}, the number of brackets")
    if "max_iter" in entry:
        yield from (int(entry["max_iter"] / eta**i) for i in range(1, entry["s"] + 1))
        return
    bracket = float(entry["min_iter"])
    while bracket < MOST_ITERATIONS:
        yield int(bracket)
        bracket *= eta
