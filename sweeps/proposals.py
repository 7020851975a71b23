"""What a trial of a sweep tries: a function of the sweep, the seed, its number and the results so far."""

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sweeps.parameters import Parameter
from sweeps.sweep_file import Sweep

if TYPE_CHECKING:
    import optuna

NUM_RANDOM = 5
"""Trials of a bayes sweep that are random, before the sampler has results to learn from."""


@dataclass(frozen=True)
class Proposal:
    """Parameters of a trial.

    Attributes
    ----------
    parameters
        By dotted key, in W&B's order.
    positions
        Where they lie in the space that the bayes sampler sees; empty for other methods.
    """

    parameters: dict[str, Any]
    positions: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of an earlier trial.

    Attributes
    ----------
    positions
        Of its proposal.
    values
        The metric's values, as logged.
    state
        "running", "finished" or "stopped"; failed ones teach nothing.
    """

    positions: dict[str, float]
    values: list[float]
    state: str


def num_trials(sweep: Sweep, count: int | None) -> int | None:
    """Return how many trials a sweep has in all; None: no end is known."""
    limits = [limit for limit in (count, sweep.run_cap) if limit is not None]
    if sweep.method == "grid":
        limits.append(math.prod(len(parameter.values or []) for parameter in sweep.parameters))
    return min(limits, default=None)


def propose(sweep: Sweep, seed: int, number: int, outcomes: Sequence[Outcome] = ()) -> Proposal:
    """Return the parameters of a trial.

    Parameters
    ----------
    sweep
        The sweep.
    seed
        Its seed.
    number
        The trial's, from 0.
    outcomes
        Of the trials before it, in their order; only a bayes sweep looks at them.
    """
    if sweep.method == "grid":
        return Proposal(next(itertools.islice(grid(sweep), number, None)))
    if sweep.method == "bayes":
        return suggest(sweep, seed, number, outcomes)
    generator = random.Random(f"{seed}:{number}")
    return Proposal({parameter.key: parameter.draw(generator) for parameter in sweep.parameters})


def grid(sweep: Sweep) -> Iterator[dict[str, Any]]:
    """Yield every combination; the last parameter by name varies fastest, as in W&B."""
    keys = [parameter.key for parameter in sweep.parameters]
    for values in itertools.product(*(parameter.values or [] for parameter in sweep.parameters)):
        yield dict(zip(keys, values, strict=True))


def suggest(sweep: Sweep, seed: int, number: int, outcomes: Sequence[Outcome]) -> Proposal:
    """Return what Optuna's tree-structured Parzen estimator suggests.

    Bergstra et al., Algorithms for hyper-parameter optimization (NeurIPS 2011). The study is built anew for
    each trial, so that nothing but the arguments decides. A number is searched by its quantile, which makes
    every distribution the uniform one that the sampler knows.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    words = random.Random(f"{seed}:{number}")
    sampler = optuna.samplers.TPESampler(
        seed=words.getrandbits(31), n_startup_trials=NUM_RANDOM, constant_liar=True
    )
    direction = optuna.study.StudyDirection[sweep.goal.upper()]
    study = optuna.create_study(direction=direction, sampler=sampler)
    varied = [parameter for parameter in sweep.parameters if not parameter.is_constant]
    space = {parameter.key: _space(parameter) for parameter in varied}
    for outcome in outcomes:
        study.add_trial(_known(outcome, space))
    positions = dict(study.ask(space).params)
    parameters = {
        parameter.key: parameter.entry["value"]
        if parameter.is_constant
        else _value(parameter, positions[parameter.key])
        for parameter in sweep.parameters
    }
    return Proposal(parameters, positions)


def _space(parameter: Parameter) -> "optuna.distributions.BaseDistribution":
    import optuna

    if parameter.distribution == "categorical":
        return optuna.distributions.CategoricalDistribution(range(len(parameter.entry["values"])))
    return optuna.distributions.FloatDistribution(0.0, 1.0)


def _value(parameter: Parameter, position: float) -> Any:
    if parameter.distribution == "categorical":
        return parameter.entry["values"][int(position)]
    return parameter.at(position)


def _known(
    outcome: Outcome, space: "dict[str, optuna.distributions.BaseDistribution]"
) -> "optuna.trial.FrozenTrial":
    import optuna

    states, create = optuna.trial.TrialState, optuna.trial.create_trial
    if outcome.state == "running" or not outcome.values:
        return create(params=outcome.positions, distributions=space, state=states.RUNNING)
    if outcome.state == "stopped":
        values = dict(enumerate(outcome.values, start=1))
        return create(
            params=outcome.positions, distributions=space, state=states.PRUNED, intermediate_values=values
        )
    return create(params=outcome.positions, distributions=space, value=outcome.values[-1])
