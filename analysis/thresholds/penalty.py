"""Whether the penalty is dangerous on unseen data.

The published solution subtracts 0.4 times a species' share of the training recordings from its probability,
then decides at the 0.85 quantile of all values. Its author worried that this may be dangerous on data that
nobody has seen. Four questions answer what validation recordings can answer; each is an effect, the 2022
score with the penalty minus the score without, paired over the same resamples of recordings:

1. On recordings like those of validation, with each threshold rule, cross-fitted: the shares come from what
   trained the network that judged a row.
2. Which species pays: the mean over species may hide one that is lost.
3. What if species are heard in other proportions? The penalty is a guess about them: it takes from species
   that trained often. Every row is weighted by n ** -tilt, where n is the number of validated recordings of
   its primary species. Tilt 0 is validation as it is, 1 makes all species equally frequent, 2 turns the
   order round, so that rare ones become common; below 0 the common ones become more so. Then each species in
   turn is made ten times as frequent. The 0.85 quantile is taken of the weighted values, as it would be of
   such a test set. The score itself gives every species the same weight, so what changes is where the
   quantile falls and which recordings are mistaken for others.
4. What if the network is less sure than on validation, as networks are on soundscapes? The penalty is a
   fixed amount of probability, so all probabilities are multiplied by a factor. Without penalty nothing
   changes then, for a quantile does not care; with it a common species may sink below everything.

Weights instead of a drawn test set: the shift itself adds no noise, and the interval holds only that of the
recordings. What this cannot show is a change of the sounds themselves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from analysis.thresholds.rules import PENALTY
from core.scoring.decisions import subtract_penalty
from core.scoring.draws import clusters_with_positive, draw_quantity
from core.scoring.intervals import CONFIDENCE, QUANTILE, Draws, Interval
from core.scoring.predictions import Predictions
from core.scoring.resampling import Resampler
from core.scoring.threshold_ladder import RepickedMetric
from core.scoring.weighted_metrics import Truth

STRENGTHS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
TILTS = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
FACTORS = (1.0, 0.75, 0.5, 0.25, 0.1)
DOMINANT = 10.0
"""Times as frequent as in validation: each species in turn."""
BY_RULE, BY_SPECIES, BY_STRENGTH = "threshold rule", "species", "penalty"
BY_TILT, BY_FACTOR = "tilt of the species' frequencies", "factor on all probabilities"
BY_DOMINANT = "species heard ten times as often"
CHANGES = {
    BY_TILT: "species' frequencies tilted by {}",
    BY_DOMINANT: "{} ten times as often",
    BY_FACTOR: "all probabilities times {}",
}
"""What may be otherwise on unseen data, in words about one place."""
Effects = dict[str, Interval]
"""Place along one kind of change, a number or a name as text -> the penalty's effect there."""


@dataclass(frozen=True)
class PenaltyAnswer:
    """What is known about the penalty.

    Attributes
    ----------
    shares
        (species,) mean share of the training recordings.
    effects
        Kind of change, the names above -> its effects; by threshold rule cross-fitted, else at the 0.85
        quantile; by species without bounds where recordings are too few for an interval.
    """

    shares: np.ndarray = field(repr=False)
    effects: dict[str, Effects]


def draw_effect(
    rows: Predictions,
    resampler: Resampler,
    strength: float,
    *,
    times: np.ndarray | None = None,
    factor: float = 1.0,
    quantile: float = QUANTILE,
) -> Draws:
    """Return the penalty's effect on the 2022 score of each species, on all resamples.

    Parameters
    ----------
    rows
        With their truth, and what trained.
    resampler
        Of the rows.
    strength
        Of the penalty.
    times
        (row,) how often a row counts, the same for all rows of a recording; None: once.
    factor
        What all probabilities are multiplied by first.
    quantile
        Of all values, where decisions are made.
    """
    clusters = resampler.cluster_of_row
    plain = rows.probability * factor
    penalised = subtract_penalty(plain, rows.counts, strength)
    truth = Truth(rows.truth, clusters)
    metrics = [RepickedMetric(truth, values, quantile) for values in (penalised, plain)]
    of_cluster = np.ones((resampler.num_clusters, 1), dtype=np.float32)
    if times is not None:
        of_cluster[clusters, 0] = times

    def effects(weights: np.ndarray) -> np.ndarray:
        scores = [metric.values(weights * of_cluster)["score"] for metric in metrics]
        return scores[0] - scores[1]

    support = clusters_with_positive(rows.truth, clusters)
    return replace(draw_quantity(effects, resampler), support=support, is_difference=True)


def tilt_weights(rows: Predictions, tilt: float) -> np.ndarray:
    """Return how often each row counts when species' frequencies are tilted, (row,), 1 on average."""
    _, stratum = np.unique(rows.primary, return_inverse=True)
    recordings = set(zip(rows.recording, stratum, strict=True))
    number = np.bincount([code for _, code in recordings]).astype(float)
    weights = number[stratum] ** -tilt
    return np.asarray(weights / weights.mean())


def dominant_weights(rows: Predictions, code: str) -> np.ndarray:
    """Return how often each row counts when one species is heard more often, (row,), 1 on average."""
    weights = np.where(rows.primary == code, DOMINANT, 1.0)
    return np.asarray(weights / weights.mean())


def judge_penalty(
    rows: Predictions,
    by_rule: Effects,
    resampler: Resampler,
    *,
    quantile: float = QUANTILE,
    confidence: float = CONFIDENCE,
) -> PenaltyAnswer:
    """Return what is known about the published penalty.

    Parameters
    ----------
    rows
        With their truth, and what trained.
    by_rule
        The effect with each threshold rule, cross-fitted.
    resampler
        Of the rows.
    quantile
        Of all values, where decisions are made.
    confidence
        Of the intervals.
    """

    def effect(penalty: float = PENALTY, times: np.ndarray | None = None, factor: float = 1.0) -> Draws:
        return draw_effect(rows, resampler, penalty, times=times, factor=factor, quantile=quantile)

    def along(places: Sequence[float], drawn: Callable[[float], Draws]) -> Effects:
        return {f"{place:g}": drawn(place).mean().interval(confidence) for place in places}

    shares = rows.counts / np.maximum(rows.counts.sum(axis=-1, keepdims=True), 1)
    present = [code for code in rows.species if (rows.primary == code).any()]
    effects = {
        BY_RULE: by_rule,
        BY_STRENGTH: along(STRENGTHS, effect),
        BY_SPECIES: dict(zip(rows.species, effect().intervals(confidence), strict=True)),
        BY_TILT: along(TILTS, lambda tilt: effect(times=tilt_weights(rows, tilt))),
        BY_DOMINANT: {
            code: effect(times=dominant_weights(rows, code)).mean().interval(confidence) for code in present
        },
        BY_FACTOR: along(FACTORS, lambda factor: effect(factor=factor)),
    }
    return PenaltyAnswer(shares.mean(axis=0), effects)


def describe_penalty(answer: PenaltyAnswer) -> list[str]:
    """Return the answer in plain sentences."""
    rule, effect = next(iter(answer.effects[BY_RULE].items()))
    known = "helps" if effect.low > 0 else "hurts" if effect.high < 0 else "cannot be told from no effect"
    code, loss = _worst(answer.effects[BY_SPECIES])
    lines = [
        f"On recordings like these, at the {rule}, the penalty of {PENALTY:g} {known}: {effect}.",
        f"The species it costs most is {code}: {loss}.",
    ]
    tried: Effects = {}
    for kind, words in CHANGES.items():
        found = {words.format(place): one for place, one in answer.effects[kind].items()}
        tried |= found
        if found:  # soundscapes have no primary species to be heard more often
            place, lowest = _worst(found)
            lines.append(f"The worst of '{kind}' is {place}: {lowest}.")
    if harmful := [words for words, one in tried.items() if one.high < 0]:
        lines.append(
            f"DANGEROUS, the whole interval is below 0, with: {'; '.join(harmful)}. Of the {len(tried)} "
            f"changes that were tried about {len(tried) * 0.025:.1f} would look so by luck."
        )
    else:
        loss_left = max(0.0, *(-one.low for one in tried.values()))
        lines.append(
            "No change that was tried makes it lose beyond doubt; "
            f"a loss of {loss_left:.3f} remains possible."
        )
    return lines


def _worst(effects: Effects) -> tuple[str, Interval]:
    """Return the place with the lowest known effect."""
    return min(effects.items(), key=lambda item: np.nan_to_num(item[1].value, nan=np.inf))
