"""Ending poor trials early, by the rule of W&B's `early_terminate: hyperband`.

After Li et al., Hyperband (2018, https://arxiv.org/abs/1603.06560), without its rounds: at certain numbers of
logged values, the brackets, a trial goes on only if it is among the best 1/eta of all that came as far.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.errors import demand
from sweeps.parameters import is_number

KEYS = ("type", "min_iter", "max_iter", "s", "eta", "strict")
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


def read_hyperband(where: str, entry: Any) -> Hyperband | None:
    """Return the rule of a file's `early_terminate`; None if there is none.

    Raises
    ------
    SweepError
        If a key is unknown, missing or out of its range.
    """
    if entry is None:
        return None
    name = f"{where}: early_terminate"
    demand(isinstance(entry, dict), f"{name}: needs type: hyperband and min_iter, or max_iter and s")
    unknown = sorted(set(entry) - set(KEYS))
    demand(not unknown, f"{name}: unknown key {', '.join(unknown)}; known are {', '.join(KEYS)}")
    demand(entry.get("type") == "hyperband", f"{name}: type={entry.get('type')}: only hyperband")
    whole = type(entry.get("min_iter", 1)) is int and type(entry.get("max_iter", 1)) is int
    demand(whole, f"{name}: min_iter and max_iter are whole numbers")
    eta, strict = entry.get("eta", 3), entry.get("strict", False)
    demand(is_number(eta) and eta > 1, f"{name}: eta={eta}: a number above 1")
    demand(isinstance(strict, bool), f"{name}: strict={strict}: true or false")
    brackets = brackets_of(name, entry, eta)
    demand(bool(brackets), f"{name}: no bracket is left; raise max_iter or lower eta")
    return Hyperband(brackets, float(eta), strict)


def brackets_of(name: str, entry: Mapping[str, Any], eta: float) -> tuple[int, ...]:
    """Return the brackets: min_iter, min_iter * eta, ... or max_iter / eta, max_iter / eta**2, ..."""
    if "max_iter" in entry:
        steps, bracket = entry.get("s", 0), float(entry["max_iter"])
        demand("min_iter" not in entry, f"{name}: min_iter or max_iter, not both")
        demand(
            is_number(steps) and steps >= 1, f"{name}: max_iter needs s, the number of brackets, at least 1"
        )
        falling = [int(bracket / eta**i) for i in range(1, int(steps) + 1)]
        return tuple(sorted({step for step in falling if step >= 1}))
    demand("min_iter" in entry, f"{name}: needs min_iter, or max_iter and s")
    demand("s" not in entry, f"{name}: s goes with max_iter")
    demand(entry["min_iter"] >= 1, f"{name}: min_iter={entry['min_iter']}: at least 1")
    rising, bracket = [], float(entry["min_iter"])
    while bracket < MOST_ITERATIONS:
        rising.append(int(bracket))
        bracket *= eta
    return tuple(sorted(set(rising)))
