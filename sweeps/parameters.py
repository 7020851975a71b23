"""The parameters of a sweep and their distributions, as the keys of W&B's sweep files define them.

Keys and defaults follow https://docs.wandb.ai/models/sweeps/sweep-config-keys: without `distribution`,
`values` are categorical, whole ends of a range are `int_uniform` and others `uniform`. `min` and `max` of
`log_uniform` and `inv_log_uniform` are exponents of e; those of the `..._values` are the values themselves.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from core.config import require
from core.config_checks import naming

RANGE = ("min", "max")
NUMBERS = (*RANGE, "q", "mu", "sigma", "a", "b")
COUNTABLE = ("constant", "categorical", "int_uniform", "q_uniform")
"""What a grid can go through."""
TAIL = 1e-3
"""Share of a normal distribution beyond each of the two ends that are checked."""
IMPLIED = {"value": "constant", "values": "categorical", "mu": "normal", "sigma": "normal"}
VALUES_NEEDED = "needs value, a list of values, or min and max; found"
Entry = Mapping[str, Any]


def _uniform(entry: Entry, share: float) -> float:
    return float(entry["min"] + share * (entry["max"] - entry["min"]))


def _int_uniform(entry: Entry, share: float) -> int:
    count = entry["max"] - entry["min"] + 1
    return int(entry["min"] + min(int(share * count), count - 1))


def _log_uniform_values(entry: Entry, share: float) -> float:
    low, high = float(entry["min"]), float(entry["max"])
    return min(max(low ** (1 - share) * high**share, low), high)


def _normal(entry: Entry, share: float) -> float:
    inside = min(max(share, 1e-12), 1 - 1e-12)
    return NormalDist(entry.get("mu", 0.0), entry.get("sigma", 1.0)).inv_cdf(inside)


def _beta(entry: Entry, share: float) -> float:
    from scipy.special import betaincinv

    return float(betaincinv(entry["a"], entry["b"], share))


NUMERIC: dict[str, tuple[tuple[str, ...], Callable[[Entry, float], Any]]] = {
    "int_uniform": (RANGE, _int_uniform),
    "uniform": (RANGE, _uniform),
    "log_uniform": (RANGE, lambda entry, share: math.exp(_uniform(entry, share))),
    "log_uniform_values": (RANGE, _log_uniform_values),
    "inv_log_uniform": (RANGE, lambda entry, share: math.exp(-_uniform(entry, 1 - share))),
    "inv_log_uniform_values": (RANGE, _log_uniform_values),
    "beta": (("a", "b"), _beta),
    "normal": ((), _normal),
    "log_normal": ((), lambda entry, share: math.exp(_normal(entry, share))),
}
"""Distribution -> the keys it cannot do without, and its quantile function."""
NUMERIC |= {f"q_{name}": known for name, known in NUMERIC.items() if not name.startswith(("int", "inv"))}
NEEDED_KEYS = {
    "constant": ("value",),
    "categorical": ("values",),
    **{name: needed for name, (needed, _) in NUMERIC.items()},
}


@dataclass(frozen=True)
class Parameter:
    """One swept field.

    Attributes
    ----------
    key
        Its dotted name, such as `mixup.alpha`.
    distribution
        A key of `NEEDED_KEYS`.
    entry
        What the file says about it.
    """

    key: str
    distribution: str
    entry: Entry

    @property
    def is_constant(self) -> bool:
        """Whether it never varies."""
        return self.distribution == "constant"

    @property
    def values(self) -> list[Any] | None:
        """The values that a grid goes through, in its order; None for a continuous distribution."""
        entry = self.entry
        if self.is_constant:
            return [entry["value"]]
        if self.distribution == "categorical":
            return list(entry["values"])
        if self.distribution == "int_uniform":
            return list(range(entry["min"], entry["max"] + 1))
        if self.distribution == "q_uniform":
            step = entry.get("q", 1)
            steps = math.ceil((entry["max"] - entry["min"]) / step)  # the upper end is none, as in W&B's
            return [entry["min"] + i * step for i in range(steps)]
        return None

    @property
    def candidates(self) -> list[Any]:
        """What to try before a sweep starts: every listed value, or both ends of a range."""
        if self.distribution in ("constant", "categorical"):
            return self.values or []
        ends = (TAIL, 1 - TAIL) if self.distribution.endswith("normal") else (0.0, 1.0)
        return [self.quantile(end) for end in ends]

    def draw(self, generator: random.Random) -> Any:
        """Return a random value."""
        if self.distribution == "categorical":
            return generator.choices(self.entry["values"], weights=self.entry.get("probabilities"))[0]
        return self.entry["value"] if self.is_constant else self.quantile(generator.random())

    def quantile(self, share: float) -> Any:
        """Return the value below which a share (0 to 1) of a numeric distribution lies."""
        value = NUMERIC[self.distribution][1](self.entry, share)
        if not self.distribution.startswith("q_"):
            return value
        step = self.entry.get("q", 1)
        rounded = round(value / step) * step
        # 0.3 and not 0.30000000000000004
        return rounded if isinstance(step, int) else float(f"{rounded:.12g}")


def read_parameters(entries: Any, prefix: str = "") -> list[Parameter]:
    """Return the parameters of a sweep, nested ones under their dotted name, in W&B's order: by name.

    Parameters
    ----------
    entries
        The file's `parameters`.
    prefix
        In front of every name.

    Raises
    ------
    ValueError
        If an entry is none that W&B would take; the message names it.
    """
    require(isinstance(entries, dict) and bool(entries), f"{prefix}parameters: needs at least one")
    found: list[Parameter] = []
    for key in sorted(entries, key=str):
        entry, name = entries[key], f"{prefix}{key}"
        if isinstance(entry, dict) and "parameters" in entry:
            require(set(entry) == {"parameters"}, f"{name}: nothing goes beside its parameters")
            found += read_parameters(entry["parameters"], f"{name}.")
        else:
            with naming(name):
                found.append(_read_parameter(name, entry))
    keys = [parameter.key for parameter in found]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    require(not twice, f"{', '.join(twice)}: given twice, nested and dotted")
    return found


def _read_parameter(key: str, entry: Any) -> Parameter:
    """Return one parameter after checking its entry."""
    distribution = _distribution_of(entry)
    known = {*NEEDED_KEYS[distribution], "distribution"}
    known |= {"q"} if distribution.startswith("q_") else set()
    known |= {"mu", "sigma"} if distribution.endswith("normal") else set()
    known |= {"probabilities"} if distribution == "categorical" else set()
    strange = sorted(set(entry) - known)
    require(not strange, f"{', '.join(strange)} does not go with distribution {distribution}")
    if distribution == "categorical":
        _check_listed(entry)
    elif distribution in NUMERIC:
        _check_numbers(distribution, entry)
    for value in (entry.get("value"), *entry.get("values", ())):
        require(not isinstance(value, dict), f"{value}: name the fields, such as {key}.FIELD")
    return Parameter(key, distribution, entry)


def _distribution_of(entry: Any) -> str:
    """Return the distribution that an entry names or implies."""
    require(isinstance(entry, dict), f"{VALUES_NEEDED} {entry}")
    if "distribution" in entry:
        distribution = str(entry["distribution"])
        require(distribution in NEEDED_KEYS, f"distribution={distribution}: one of {', '.join(NEEDED_KEYS)}")
        missing = [name for name in NEEDED_KEYS[distribution] if name not in entry]
        require(not missing, f"distribution {distribution} needs {' and '.join(missing)}")
        return distribution
    for name, implied in IMPLIED.items():
        if name in entry:
            return implied
    require(set(RANGE) <= set(entry), f"{VALUES_NEEDED} {entry}")
    return "int_uniform" if all(isinstance(entry[end], int) for end in RANGE) else "uniform"


def _check_listed(entry: Entry) -> None:
    """Check a list of values and their probabilities."""
    values, chances = entry["values"], entry.get("probabilities")
    require(isinstance(values, list) and bool(values), f"{VALUES_NEEDED} {dict(entry)}")
    if chances is not None:
        right = isinstance(chances, list) and all(is_number(chance) and chance >= 0 for chance in chances)
        require(right and len(chances) == len(values), "probabilities: one number for each value")
        require(math.isclose(sum(chances), 1.0, abs_tol=1e-6), f"probabilities add up to {sum(chances)}")


def _check_numbers(distribution: str, entry: Entry) -> None:
    """Check the numbers of a numeric distribution."""
    for name in NUMBERS:
        value = entry.get(name, 1)  # yaml reads 1e-3 as text, 1.0e-3 as a number
        require(is_number(value), f"{name}: {value!r} is no number (write 1.0e-3, not 1e-3)")
        require(value > 0 or name in (*RANGE, "mu"), f"{name}={value}: must be positive")
    if "min" in entry:
        low, high = entry["min"], entry["max"]
        require(low < high, f"min={low} is not below max={high}")
        whole = isinstance(low, int) and isinstance(high, int)
        unfit = distribution == "int_uniform" and not whole
        require(not unfit, f"int_uniform needs whole numbers, found {low} and {high}")
        positive = low > 0 or not distribution.endswith("_values")
        require(positive, f"min={low}: must be positive for {distribution}")


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def value_text(value: Any) -> str:
    """Return a value as it is shown, numbers with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
