"""What a trial of a sweep tries: a function of the sweep, the seed, its number and the results so far."""

import itertools
import math
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sweeps.parameters import Parameter
from sweeps.sweep_file import SweepFile
from sweeps.sweep_folder import FINISHED, RUNNING, Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

NUM_RANDOM = 5
"""Trials of a bayes sweep that are random, before the sampler has results to learn from."""
Known = Sequence[tuple[Trial, list[float]]]
"""Trials with the values of the metric that each has logged."""


def num_trials(sweep: SweepFile, count: int | None) -> int | None:
    """Return how many trials a sweep has in all; None: no end is known."""
    limits = [limit for limit in (count, sweep.run_cap) if limit is not None]
    if sweep.method == "grid":
        limits.append(math.prod(len(parameter.values or []) for parameter in sweep.parameters))
    return min(limits, default=None)


def propose(sweep: SweepFile, seed: int, number: int, known: Known = ()) -> Trial:
    """Return a new trial; of a grid, the last parameter by name varies fastest, as in W&B.

    Parameters
    ----------
    sweep
        The sweep.
    seed
        Its seed.
    number
        The trial's, from 0.
    known
        The trials before it, in their order; only a bayes sweep looks at them.
    """
    if sweep.method == "bayes":
        return _suggest(sweep, seed, number, known)
    if sweep.method == "grid":
        every = itertools.product(*(parameter.values or [] for parameter in sweep.parameters))
        values = next(itertools.islice(every, number, None))
    else:
        generator = random.Random(f"{seed}:{number}")
        values = tuple(parameter.draw(generator) for parameter in sweep.parameters)
    keys = [parameter.key for parameter in sweep.parameters]
    return Trial(number, dict(zip(keys, values, strict=True)))


def _suggest(sweep: SweepFile, seed: int, number: int, known: Known) -> Trial:
    """Return what Optuna's tree-structured Parzen estimator suggests.

    Bergstra et al., Algorithms for hyper-parameter optimization (NeurIPS 2011). The study is built anew for
    each trial, so that nothing but the arguments decides. A number is searched by its quantile, which makes
    every distribution the uniform one that the sampler knows.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(
        seed=random.Random(f"{seed}:{number}").getrandbits(31),
        n_startup_trials=NUM_RANDOM,
        constant_liar=True,
    )
    study = optuna.create_study(direction=sweep.goal, sampler=sampler)
    space: dict[str, BaseDistribution] = {
        parameter.key: optuna.distributions.CategoricalDistribution(range(len(parameter.entry["values"])))
        if parameter.distribution == "categorical"
        else optuna.distributions.FloatDistribution(0.0, 1.0)
        for parameter in sweep.parameters
        if not parameter.is_constant
    }
    for trial, values in known:
        study.add_trial(_known_trial(trial, values, space))
    positions = dict(study.ask(space).params)
    parameters = {one.key: _value_at(one, positions.get(one.key)) for one in sweep.parameters}
    return Trial(number, parameters, positions)


def _value_at(parameter: Parameter, position: float | None) -> Any:
    """Return the value at a position of the space that is searched; of a constant, its only one."""
    if position is None:
        return parameter.entry["value"]
    if parameter.distribution == "categorical":
        return parameter.entry["values"][int(position)]
    return parameter.quantile(position)


def _known_trial(trial: Trial, values: list[float], space: "dict[str, BaseDistribution]") -> "FrozenTrial":
    """Return an earlier trial as Optuna knows it; one that has logged nothing yet counts as running."""
    from optuna.trial import TrialState, create_trial

    facts: dict[str, Any] = {"state": TrialState.RUNNING}
    if trial.state == FINISHED and values:
        facts = {"value": values[-1]}
    elif trial.state != RUNNING and values:
        logged = dict(enumerate(values, start=1))
        facts = {"state": TrialState.PRUNED, "intermediate_values": logged}
    return create_trial(params=trial.positions, distributions=space, **facts)
