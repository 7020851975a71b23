"""Choose the trials of a grid or random sweep.

The meaning of the keys follows https://docs.wandb.ai/guides/sweeps/sweep-config-keys: `value`,
`values` (with `probabilities`), `min`/`max`, `mu`/`sigma`, `q`, nested `parameters`, `run_cap`.
Other methods and distributions are refused, because an approximation of them would make a test
pass that the real service fails. Grid order is that of the keys, the last one varying fastest.
"""

import itertools
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

Parameters = dict[str, Any]
Draw = Callable[[dict[str, Any], random.Random], Any]


def _draw_log_uniform_values(spec: dict[str, Any], generator: random.Random) -> float:
    return math.exp(generator.uniform(math.log(spec["min"]), math.log(spec["max"])))


DISTRIBUTIONS: dict[str, Draw] = {
    "constant": lambda spec, _: spec["value"],
    "categorical": lambda spec, generator: generator.choices(
        spec["values"], weights=spec.get("probabilities")
    )[0],
    "int_uniform": lambda spec, generator: generator.randint(spec["min"], spec["max"]),
    "uniform": lambda spec, generator: generator.uniform(spec["min"], spec["max"]),
    "q_uniform": lambda spec, generator: _quantize(
        generator.uniform(spec["min"], spec["max"]), spec.get("q", 1)
    ),
    "log_uniform": lambda spec, generator: math.exp(generator.uniform(spec["min"], spec["max"])),
    "log_uniform_values": _draw_log_uniform_values,
    "q_log_uniform_values": lambda spec, generator: _quantize(
        _draw_log_uniform_values(spec, generator), spec.get("q", 1)
    ),
    "normal": lambda spec, generator: generator.gauss(spec.get("mu", 0), spec.get("sigma", 1)),
    "log_normal": lambda spec, generator: math.exp(generator.gauss(spec.get("mu", 0), spec.get("sigma", 1))),
}
BOUNDS = {"min", "max"}
NEEDED: dict[str, set[str]] = {  # of all others: the bounds
    "constant": {"value"},
    "categorical": {"values"},
    "normal": set(),
    "log_normal": set(),
}


def _quantize(value: float, step: float) -> float:
    return round(value / step) * step


def choose_trials(config: dict[str, Any], generator: random.Random) -> Iterator[Parameters]:
    """Return the trials of a sweep, one after another, up to its `run_cap`.

    Parameters
    ----------
    config
        The sweep's configuration, as in its YAML file.
    generator
        Source of the random trials.

    Raises
    ------
    ValueError
        If the method, a parameter or its distribution is not one this chooser knows.
    """
    parameters = config.get("parameters") or {}
    if not parameters:
        raise ValueError("parameters: found none, expected at least one")
    method = config.get("method")
    trials: Iterator[Parameters]
    if method == "grid":
        trials = iter(list(_grid(parameters)))
    elif method == "random":
        _sample(parameters, generator)  # a wrong parameter is to fail now, not at the first trial
        trials = (_sample(parameters, generator) for _ in itertools.count())
    else:
        raise ValueError(f"method: found {method!r}, expected 'grid' or 'random'")
    return itertools.islice(trials, config.get("run_cap"))


def _grid(parameters: dict[str, Any], prefix: str = "") -> Iterator[Parameters]:
    choices = [_grid_values(prefix + name, spec) for name, spec in parameters.items()]
    for values in itertools.product(*choices):
        yield dict(zip(parameters, values, strict=True))


def _grid_values(name: str, spec: dict[str, Any]) -> list[Any]:
    if _is_group(name, spec):
        return list(_grid(spec["parameters"], f"{name}."))
    distribution = _distribution(name, spec)
    if distribution == "constant":
        return [spec["value"]]
    if distribution == "categorical":
        return list(spec["values"])
    if distribution == "int_uniform":
        return list(range(spec["min"], spec["max"] + 1))
    raise ValueError(f"parameters.{name}: a grid needs values, found {distribution!r}")


def _sample(parameters: dict[str, Any], generator: random.Random, prefix: str = "") -> Parameters:
    sampled = {}
    for name, spec in parameters.items():
        if _is_group(prefix + name, spec):
            sampled[name] = _sample(spec["parameters"], generator, f"{prefix}{name}.")
        else:
            sampled[name] = DISTRIBUTIONS[_distribution(prefix + name, spec)](spec, generator)
    return sampled


def _is_group(name: str, spec: Any) -> bool:
    """Whether a parameter consists of further ones, after a check that it is a mapping."""
    if not isinstance(spec, dict):
        raise ValueError(f"parameters.{name}: found {spec!r}, expected e.g. 'value: 1'")
    return "parameters" in spec


def _distribution(name: str, spec: dict[str, Any]) -> str:
    """Return the distribution of a parameter, after a check that its keys are there."""
    are_integers = isinstance(spec.get("min"), int) and isinstance(spec.get("max"), int)
    distribution: str = spec.get("distribution", "int_uniform" if are_integers else "uniform")
    for key, implied in (("values", "categorical"), ("value", "constant")):
        distribution = implied if key in spec else distribution
    if distribution not in DISTRIBUTIONS or not NEEDED.get(distribution, BOUNDS) <= set(spec):
        raise ValueError(
            f"parameters.{name}: found {spec}, expected value, values, or min and max with a "
            f"distribution out of {sorted(DISTRIBUTIONS)}"
        )
    return distribution
