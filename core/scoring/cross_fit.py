"""Post-processing fitted to predictions whose truth is known, and judged on rows that did not fit it.

Anything fitted looks better on the rows that fitted it. So recordings are cut into parts, each part is
decided with settings fitted on the others, and the score of these decisions is the honest one; how much the
settings score above it on their own rows is printed as the optimism. Penalty and boost go by what trained the
network that predicted a row, and that network never saw the row.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from core.inference.config import PostConfig, TuneConfig
from core.scoring.decisions import adjust, thresholds
from core.scoring.metrics import balanced_accuracy, balanced_accuracy_at, macro, roc_auc
from core.scoring.resampling import Interval, Resampler, summarise
from core.scoring.score_curves import QUANTILES, middle_of_best

NUM_THRESHOLDS = 200
RESAMPLES = 2000
CONFIDENCE = 0.95
Part = tuple[np.ndarray, np.ndarray]
"""Rows that fit, and rows that are decided."""


@dataclass(frozen=True)
class Observations:
    """Predictions with their truth.

    Attributes
    ----------
    probability, truth
        (row, species), float and bool.
    group
        (row,) the recording or soundscape that a row belongs to; never divided.
    stratum
        (row,) within what parts and resamples are drawn: the primary species, or one for all.
    counts
        (species,) recordings that trained; or (row, species), those of the network that judged the row.
    species
        Codes.
    """

    probability: np.ndarray
    truth: np.ndarray
    group: np.ndarray
    stratum: np.ndarray
    counts: np.ndarray
    species: tuple[str, ...]

    def rows(self, chosen: np.ndarray) -> "Observations":
        """Return some of the rows."""
        parts = {name: getattr(self, name)[chosen] for name in ("probability", "truth", "group", "stratum")}
        counts = self.counts if self.counts.ndim == 1 else self.counts[chosen]
        return replace(self, **parts, counts=counts)

    def decide(self, post: PostConfig) -> np.ndarray:
        """Return the decisions (row, species) of some settings about these rows."""
        adjusted = adjust(self.probability, post, self.counts)
        return adjusted >= thresholds(adjusted, post, self.species)

    def score(self, post: PostConfig) -> float:
        """Return the 2022 score of some settings on these rows."""
        return float(macro(balanced_accuracy(self.truth, self.decide(post)))[0])


@dataclass(frozen=True)
class Tuned:
    """Settings, and what they are worth.

    Attributes
    ----------
    name
        Of the family that was fitted.
    post
        Fitted to all rows.
    score
        2022 score of decisions by settings fitted on other recordings, with its interval.
    in_sample
        Score of `post` on the rows that fitted it.
    untuned
        Score of the settings nobody tuned (0.85 quantile, no penalty).
    difference
        `score` minus `untuned`, paired.
    """

    name: str
    post: PostConfig
    score: Interval
    in_sample: float
    untuned: Interval
    difference: Interval

    @property
    def optimism(self) -> float:
        """How much the rows that fitted flatter."""
        return self.in_sample - self.score.value


def adjustments(config: TuneConfig) -> Iterator[PostConfig]:
    """Yield every combination of penalty and boost."""
    for penalty in config.penalties:
        for boost in config.rare_boosts:
            yield PostConfig(penalty=penalty, rare_boost=boost)


def fit_threshold(rule: str, observed: Observations, base: PostConfig, shrinkage: float) -> PostConfig:
    """Return `base` with the threshold of a rule that scores best on these rows.

    Parameters
    ----------
    rule
        "untuned" (the 0.85 quantile), "quantile", "fixed" or "class_wise".
    observed
        The rows.
    base
        What happens before the decision.
    shrinkage
        Of class-wise thresholds; see `TuneConfig`.
    """
    if rule == "untuned":
        return base
    adjusted = adjust(observed.probability, base, observed.counts)
    if rule == "quantile":
        candidates = np.quantile(adjusted, QUANTILES)
        best = best_of(macro(balanced_accuracy_at(observed.truth, adjusted, candidates)))
        return replace(base, threshold="quantile", quantile=float(QUANTILES[best]))
    common = np.unique(np.quantile(adjusted, np.linspace(0, 1, NUM_THRESHOLDS)))
    scores = macro(balanced_accuracy_at(observed.truth, adjusted, common))
    fixed = float(common[best_of(scores)])
    if rule == "fixed":
        return replace(base, threshold="fixed", fixed=fixed)
    own = class_wise(observed.truth, adjusted, fixed, shrinkage)
    return replace(base, threshold="class_wise", class_wise=dict(zip(observed.species, own, strict=True)))


def class_wise(truth: np.ndarray, adjusted: np.ndarray, common: float, shrinkage: float) -> list[float]:
    """Return each species' best threshold, drawn to the common one where positives are few.

    Parameters
    ----------
    truth, adjusted
        (row, species).
    common
        The threshold that suits all.
    shrinkage
        Positives that `common` counts for.
    """
    grid = np.quantile(adjusted, np.linspace(0, 1, NUM_THRESHOLDS), axis=0)  # (threshold, species)
    scores = balanced_accuracy_at(truth, adjusted, grid)
    found = []
    for species, positives in enumerate(truth.sum(axis=0)):
        if np.isnan(scores[:, species]).all():
            found.append(common)
            continue
        best = grid[best_of(scores[:, species]), species]
        found.append(float((positives * best + shrinkage * common) / (positives + shrinkage)))
    return found


def best_of(scores: np.ndarray) -> int:
    """Return the middle of the candidates, (candidate,), that share the highest score."""
    return int(middle_of_best(scores[None])[0])


def fit(rules: Sequence[str], observed: Observations, config: TuneConfig) -> PostConfig:
    """Return the settings of the given rules that score best on these rows."""
    found = [
        fit_threshold(rule, observed, base, config.shrinkage)
        for rule in rules
        for base in adjustments(config)
    ]
    return max(found, key=observed.score)


def cross_fit(rules: Sequence[str], observed: Observations, config: TuneConfig) -> np.ndarray:
    """Return decisions (row, species), each by settings of the given rules fitted on other groups.

    Raises
    ------
    ValueError
        If there are fewer groups than parts.
    """
    return decide_in_parts(lambda others: fit(rules, others, config), observed, config)


def decide_in_parts(
    fitter: Callable[[Observations], PostConfig],
    observed: Observations,
    config: TuneConfig,
    parts: Sequence[Part] | None = None,
) -> np.ndarray:
    """Return decisions (row, species), made part by part with settings that `fitter` gives from the others.

    A quantile is chosen from the others' truth, but taken of the values of all rows, as it will be of a whole
    test set: that needs no truth, and a quantile of a few rows would be luck.

    Parameters
    ----------
    fitter
        Maps the rows outside a part to the settings that decide it; of settled settings a constant.
    observed
        The rows.
    config
        Number and seed of the parts.
    parts
        These parts, where they are known; None: those of `parts_of`.

    Raises
    ------
    ValueError
        See `parts_of`.
    """
    decisions = np.zeros(observed.truth.shape, dtype=bool)
    for others, held in parts_of(observed, config) if parts is None else parts:
        decisions[held] = observed.decide(fitter(observed.rows(others)))[held]
    return decisions


def parts_of(observed: Observations, config: TuneConfig) -> list[Part]:
    """Return the parts of some rows; groups stay whole.

    Raises
    ------
    ValueError
        If there are fewer groups than parts.
    """
    number = len(set(observed.group))
    if number < config.splits:
        message = f"splits={config.splits}: there are only {number} recordings"
        raise ValueError(message)
    splitter = StratifiedGroupKFold(config.splits, shuffle=True, random_state=config.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of species with fewer recordings than parts
        return list(splitter.split(observed.probability, observed.stratum, observed.group))


def tune_rules(observed: Observations, config: TuneConfig) -> list[Tuned]:
    """Return each rule by itself, then the choice among all of them, made anew in every part."""
    families: dict[str, tuple[str, ...]] = {rule: (rule,) for rule in config.rules}
    if len(config.rules) > 1:
        families["best of these"] = tuple(config.rules)
    resampler = Resampler(observed.group, observed.stratum, RESAMPLES, config.seed)
    untuned = decide_in_parts(lambda _: PostConfig(), observed, config)
    base, _ = judge(observed.truth, untuned, untuned, resampler)
    results = []
    for name, rules in families.items():
        decisions = cross_fit(rules, observed, config)
        post = fit(rules, observed, config)
        score, difference = judge(observed.truth, decisions, untuned, resampler)
        results.append(Tuned(name, post, score, observed.score(post), base, difference))
    return results


def judge(
    truth: np.ndarray, decisions: np.ndarray, others: np.ndarray, resampler: Resampler
) -> tuple[Interval, Interval]:
    """Return the 2022 score of decisions, and its paired difference to that of others."""
    return paired(lambda of, w: macro(balanced_accuracy(truth, of, w)), decisions, others, resampler)


def judge_areas(
    truth: np.ndarray, probability: np.ndarray, others: np.ndarray, resampler: Resampler
) -> tuple[Interval, Interval]:
    """Return macro ROC-AUC of probabilities, and its paired difference to that of others."""
    return paired(lambda of, w: macro(roc_auc(truth, of, w)), probability, others, resampler)


def paired(
    measure: Callable[[np.ndarray, np.ndarray | None], np.ndarray],
    found: np.ndarray,
    others: np.ndarray,
    resampler: Resampler,
) -> tuple[Interval, Interval]:
    """Return a measure of what was found, and its difference to that of others on the same resamples.

    Parameters
    ----------
    measure
        Maps one of them and weights (resample, row), or None for the rows themselves, to (resample,).
    found, others
        Decisions or probabilities (row, species).
    resampler
        Of the rows' recordings.
    """

    def both(weights: np.ndarray | None) -> np.ndarray:
        return np.stack([measure(found, weights), measure(others, weights)])

    value, other = both(None)[:, 0]
    drawn = np.concatenate([both(weights) for weights in resampler.chunks()], axis=1)
    return (
        summarise(float(value), drawn[0], CONFIDENCE),
        summarise(float(value - other), drawn[0] - drawn[1], CONFIDENCE),
    )
