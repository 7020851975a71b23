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

from sweeps.errors import demand

RANGE = ("min", "max")
NEEDED: dict[str, tuple[str, ...]] = {
    "constant": ("value",),
    "categorical": ("values",),
    "int_uniform": RANGE,
    "uniform": RANGE,
    "q_uniform": RANGE,
    "log_uniform": RANGE,
    "log_uniform_values": RANGE,
    "q_log_uniform": RANGE,
    "q_log_uniform_values": RANGE,
    "inv_log_uniform": RANGE,
    "inv_log_uniform_values": RANGE,
    "normal": (),
    "q_normal": (),
    "log_normal": (),
    "q_log_normal": (),
}
"""Distribution -> the keys it cannot do without."""
OPTIONAL = {"categorical": ("probabilities",), "normal": ("mu", "sigma")}
COUNTABLE = ("constant", "categorical", "int_uniform", "q_uniform")
"""What a grid can go through."""
KEYS = ("value", "values", "probabilities", "distribution", *RANGE, "q", "mu", "sigma")
TAIL = 1e-3
"""Share of a normal distribution beyond each of the two ends that are checked."""


@dataclass(frozen=True)
class Parameter:
    """One swept field.

    Attributes
    ----------
    key
        Its dotted name, such as `mixup.alpha`.
    distribution
        A key of `NEEDED`.
    entry
        What the file says about it.
    """

    key: str
    distribution: str
    entry: Mapping[str, Any]

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
        return [self.at(end) for end in ends]

    def draw(self, generator: random.Random) -> Any:
        """Return a random value."""
        if self.distribution == "categorical":
            return generator.choices(self.entry["values"], weights=self.entry.get("probabilities"))[0]
        return self.entry["value"] if self.is_constant else self.at(generator.random())

    def at(self, position: float) -> Any:
        """Return the value below which a share `position` (0 to 1) of a numeric distribution lies."""
        base = self.distribution.removeprefix("q_")
        value = QUANTILES[base](self.entry, position)
        if self.distribution == base:
            return value
        step = self.entry.get("q", 1)
        rounded = round(value / step) * step
        return (
            rounded if isinstance(step, int) else float(f"{rounded:.12g}")
        )  # 0.3 and not 0.30000000000000004


def _uniform(entry: Mapping[str, Any], position: float) -> float:
    return float(entry["min"] + position * (entry["max"] - entry["min"]))


def _int_uniform(entry: Mapping[str, Any], position: float) -> int:
    count = entry["max"] - entry["min"] + 1
    return int(entry["min"] + min(int(position * count), count - 1))


def _log_uniform_values(entry: Mapping[str, Any], position: float) -> float:
    low, high = float(entry["min"]), float(entry["max"])
    return min(max(low ** (1 - position) * high**position, low), high)


def _normal(entry: Mapping[str, Any], position: float) -> float:
    inside = min(max(position, 1e-12), 1 - 1e-12)
    return NormalDist(entry.get("mu", 0.0), entry.get("sigma", 1.0)).inv_cdf(inside)


QUANTILES: dict[str, Callable[[Mapping[str, Any], float], Any]] = {
    "int_uniform": _int_uniform,
    "uniform": _uniform,
    "log_uniform": lambda entry, position: math.exp(_uniform(entry, position)),
    "log_uniform_values": _log_uniform_values,
    "inv_log_uniform": lambda entry, position: math.exp(-_uniform(entry, 1 - position)),
    "inv_log_uniform_values": _log_uniform_values,
    "normal": _normal,
    "log_normal": lambda entry, position: math.exp(_normal(entry, position)),
}


def read_parameters(where: str, entries: Any, prefix: str = "") -> list[Parameter]:
    """Return the parameters of a sweep, nested ones under their dotted name, in W&B's order: by name.

    Raises
    ------
    SweepError
        If an entry is none that W&B would take.
    """
    demand(isinstance(entries, dict) and bool(entries), f"{where}: {prefix}parameters: needs at least one")
    found: list[Parameter] = []
    for key in sorted(entries, key=str):
        entry, name = entries[key], f"{prefix}{key}"
        if isinstance(entry, dict) and "parameters" in entry:
            demand(set(entry) == {"parameters"}, f"{where}: {name}: nothing goes beside its parameters")
            found += read_parameters(where, entry["parameters"], f"{name}.")
        else:
            found.append(read_parameter(where, name, entry))
    keys = [parameter.key for parameter in found]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    demand(not twice, f"{where}: {', '.join(twice)}: given twice, nested and dotted")
    return found


def read_parameter(where: str, key: str, entry: Any) -> Parameter:
    """Return one parameter after checking its entry."""
    distribution = distribution_of(where, key, entry)
    parameter = Parameter(key, distribution, entry)
    base = distribution.removeprefix("q_").removeprefix("log_") if "normal" in distribution else distribution
    known = {*NEEDED[distribution], *OPTIONAL.get(base, ()), "distribution"}
    known |= {"q"} if distribution.startswith("q_") else set()
    strange = sorted(set(entry) - known)
    demand(not strange, f"{where}: {key}: {', '.join(strange)} does not go with distribution {distribution}")
    if distribution == "categorical":
        check_values(where, key, entry)
    elif distribution == "constant":
        check_value(where, key, entry["value"])
    else:
        check_numbers(where, parameter)
    return parameter


def distribution_of(where: str, key: str, entry: Any) -> str:
    """Return the distribution that an entry names or implies."""
    asked = f"{where}: {key}: needs value, a list of values, or min and max; found {entry}"
    demand(isinstance(entry, dict) and not set(entry) - set(KEYS), asked)
    if "distribution" in entry:
        distribution = str(entry["distribution"])
        demand(
            distribution in NEEDED,
            f"{where}: {key}: distribution={distribution}: one of {', '.join(NEEDED)}",
        )
        missing = [name for name in NEEDED[distribution] if name not in entry]
        demand(not missing, f"{where}: {key}: distribution {distribution} needs {' and '.join(missing)}")
        return distribution
    if "value" in entry:
        return "constant"
    if "values" in entry:
        return "categorical"
    if {"mu", "sigma"} & set(entry):
        return "normal"
    demand(set(RANGE) <= set(entry), asked)
    whole = all(isinstance(entry[end], int) for end in RANGE)
    return "int_uniform" if whole else "uniform"


def check_value(where: str, key: str, value: Any) -> None:
    """Check that a value can be handed over as one word."""
    demand(not isinstance(value, dict), f"{where}: {key}: {value}: name the fields, such as {key}.FIELD")


def check_values(where: str, key: str, entry: Mapping[str, Any]) -> None:
    """Check a list of values and their probabilities."""
    values, chances = entry["values"], entry.get("probabilities")
    listed = isinstance(values, list) and bool(values)
    demand(listed, f"{where}: {key}: needs value, a list of values, or min and max; found {dict(entry)}")
    for value in values:
        check_value(where, key, value)
    if chances is None:
        return
    right = isinstance(chances, list) and all(is_number(chance) and chance >= 0 for chance in chances)
    demand(right and len(chances) == len(values), f"{where}: {key}: probabilities: one number for each value")
    demand(
        math.isclose(sum(chances), 1.0, abs_tol=1e-6),
        f"{where}: {key}: probabilities add up to {sum(chances)}",
    )


def check_numbers(where: str, parameter: Parameter) -> None:
    """Check the numbers of a numeric distribution."""
    key, entry, distribution = parameter.key, parameter.entry, parameter.distribution
    for name in (*RANGE, "q", "mu", "sigma"):
        value = entry.get(name, 0)  # yaml reads 1e-3 as text, 1.0e-3 as a number
        demand(is_number(value), f"{where}: {key}: {name}: {value!r} is no number (write 1.0e-3, not 1e-3)")
    for name in ("q", "sigma"):
        demand(entry.get(name, 1) > 0, f"{where}: {key}: {name}={entry.get(name)}: must be positive")
    if "min" not in entry:
        return
    low, high = entry["min"], entry["max"]
    demand(low < high, f"{where}: {key}: min={low} is not below max={high}")
    if distribution == "int_uniform":
        whole = isinstance(low, int) and isinstance(high, int)
        demand(whole, f"{where}: {key}: int_uniform needs whole numbers, found {low} and {high}")
    if distribution.endswith("_values"):
        demand(low > 0, f"{where}: {key}: min={low}: must be positive for {distribution}")


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
