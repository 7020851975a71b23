"""Rules of the decision, each judged on recordings that did not fit it, and the safest of them.

A rule is a threshold (the untuned 0.85 quantile, a tuned quantile, one threshold for all species, one a
species) with or without the published penalty of 0.4, a tuned penalty, a tuned boost of rare species, or
both.

One partition of the recordings into parts is luck too: what a rule fits may differ from partition to
partition. So each rule is judged on several, its score is their mean, and every resample takes one of them
in turn, which puts the luck of the partition into the interval.

The safest rule is the one whose difference to the untuned quantile has the highest lower bound, where the
bounds hold for all rules at once (the largest of their standardised deviations in each resample, after
Romano and Wolf 2005): with twenty rules the best of them looks good by luck. Untuned itself has the bound 0,
so a tuned rule is preferred only where it is ahead beyond doubt.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from core.inference.config import PostConfig, TuneConfig
from core.scoring.cross_fit import Observations, Tuned, decide_in_parts, fit, parts_of
from core.scoring.intervals import clusters_with_positive, few_noted
from core.scoring.metrics import balanced_accuracy, macro
from core.scoring.resampling import Interval, Resampler, summarise

PENALTY = 0.4
UNTUNED = "0.85 quantile"
THRESHOLDS = {
    UNTUNED: "untuned",
    "tuned quantile": "quantile",
    "one threshold": "fixed",
    "class-wise thresholds": "class_wise",
}


@dataclass(frozen=True)
class Rule:
    """A way to the settings of the decision.

    Attributes
    ----------
    name
        For tables.
    fitter
        Maps the rows that may be learned from to settings.
    """

    name: str
    fitter: Callable[[Observations], PostConfig]


@dataclass(frozen=True)
class Judged:
    """What a rule is worth.

    Attributes
    ----------
    name
        Of the rule.
    post
        Fitted to all rows.
    decisions
        (partition, row, species), each by settings fitted on other recordings.
    score
        2022 score of `decisions`, mean over partitions.
    partitions
        (partition,) the score with each.
    difference
        `score` minus that of the first rule, paired.
    bound
        Lower bound of `difference` that holds for all rules at once.
    in_sample
        Score of `post` on the rows that fitted it.
    wins
        Share of resamples in which no other rule's decisions score higher; rules that tie share it.
    worst, worst_difference
        The species that loses most to the first rule, and its difference; without bounds where recordings
        are too few for an interval.
    """

    name: str
    post: PostConfig
    decisions: np.ndarray = field(repr=False)
    score: Interval
    partitions: np.ndarray
    difference: Interval
    bound: float
    in_sample: float
    wins: float
    worst: str
    worst_difference: Interval

    @property
    def optimism(self) -> float:
        """How much the rows that fitted flatter."""
        return self.in_sample - self.score.value

    def as_tuned(self, untuned: Interval) -> Tuned:
        """Return what `core.inference tune` would have found."""
        return Tuned(self.name, self.post, self.score, self.in_sample, untuned, self.difference)


def settled(name: str, post: PostConfig) -> Rule:
    """Return a rule that fits nothing."""
    return Rule(name, lambda _: post)


def tuned(name: str, threshold: str, config: TuneConfig) -> Rule:
    """Return a rule that fits a threshold, and penalty and boost among those of `config`."""
    return Rule(name, lambda rows: fit((threshold,), rows, config))


def all_rules(config: TuneConfig, shrinkages: Sequence[float], *, has_counts: bool) -> list[Rule]:
    """Return the rules of this module; the untuned one first.

    Parameters
    ----------
    config
        Penalties and boosts to choose from, shrinkage of class-wise thresholds, parts.
    shrinkages
        Further strengths of that shrinkage, each a rule by itself, and the choice among them one more.
    has_counts
        Whether it is known what trained; without it there is neither penalty nor boost.
    """
    none, boosts, penalties = (0.0,), config.rare_boosts, config.penalties
    adjusted: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {"": (none, none)}
    if has_counts:
        adjusted |= {
            f", penalty {PENALTY:g}": ((PENALTY,), none),
            ", tuned penalty": (penalties, none),
            ", tuned boost": (none, boosts),
            ", both tuned": (penalties, boosts),
        }
    found = [
        tuned(threshold + words, rule, replace(config, penalties=penalty, rare_boosts=boost))
        for threshold, rule in THRESHOLDS.items()
        for words, (penalty, boost) in adjusted.items()
    ]
    plain = replace(config, penalties=none, rare_boosts=none)
    found += [
        tuned(f"class-wise, shrinkage {strength:g}", "class_wise", replace(plain, shrinkage=strength))
        for strength in shrinkages
    ]
    if len(shrinkages) > 1:
        found.append(
            Rule(
                "class-wise, chosen shrinkage",
                lambda rows: fit(("class_wise",), rows, choose_shrinkage(rows, plain, shrinkages)),
            )
        )
    return found


def choose_shrinkage(rows: Observations, config: TuneConfig, strengths: Sequence[float]) -> TuneConfig:
    """Return `config` with the shrinkage that scores best, cross-fitted within these rows.

    Of equally good ones the strongest is taken.
    """
    candidates = [replace(config, shrinkage=strength) for strength in sorted(strengths, reverse=True)]
    parts = parts_of(rows, config)

    def score(one: TuneConfig) -> float:
        decisions = decide_in_parts(lambda others: fit(("class_wise",), others, one), rows, config, parts)
        return float(macro(balanced_accuracy(rows.truth, decisions))[0])

    return max(candidates, key=score)


def judge_rules(
    observed: Observations,
    rules: Sequence[Rule],
    config: TuneConfig,
    resampler: Resampler,
    *,
    partitions: int = 1,
) -> list[Judged]:
    """Return what each rule is worth beside the first one.

    Parameters
    ----------
    observed
        Rows with their truth.
    rules
        The first is what the others are compared with.
    config
        Number and seed of the parts.
    resampler
        Of the rows' recordings.
    partitions
        Ways of cutting the recordings into parts, by the seed of `config` and the next ones.

    Raises
    ------
    ValueError
        If there are fewer recordings than parts.
    """
    cuts = [replace(config, seed=config.seed + number) for number in range(partitions)]
    parts = [parts_of(observed, cut) for cut in cuts]
    decisions = np.stack(
        [np.stack([decide_in_parts(rule.fitter, observed, config, part) for part in parts]) for rule in rules]
    )
    by_partition = own_scores(observed.truth, decisions)  # (rule, partition, species)
    values = by_partition.mean(axis=1)
    drawn = species_scores(observed.truth, decisions, resampler)  # (rule, resample, species)
    scores, means = np.stack([macro(one) for one in drawn]), macro(values)
    bounds = simultaneous_bounds(means - means[0], scores - scores[0])
    wins = shares_of_wins(scores)
    clusters = clusters_with_positive(observed.truth, resampler.cluster_of_row)
    judged = []
    for place, rule in enumerate(rules):
        post = rule.fitter(observed)
        losses = values[place] - values[0]
        worst = int(np.nanargmin(losses)) if not np.isnan(losses).all() else 0
        judged.append(
            Judged(
                rule.name,
                post,
                decisions[place],
                summarise(float(means[place]), scores[place], 0.95),
                macro(by_partition[place]),
                summarise(float(means[place] - means[0]), scores[place] - scores[0], 0.95),
                float(bounds[place]),
                observed.score(post),
                float(wins[place]),
                observed.species[worst],
                few_noted(
                    summarise(float(losses[worst]), drawn[place, :, worst] - drawn[0, :, worst], 0.95),
                    int(clusters[worst]),
                    "recordings",
                ),
            )
        )
    return judged


def species_scores(truth: np.ndarray, decisions: np.ndarray, resampler: Resampler) -> np.ndarray:
    """Return the 2022 score (rule, resample, species) of decisions (rule, partition, row, species).

    Each resample takes the next partition.
    """
    drawn, partitions = [], decisions.shape[1]
    for weights in resampler.chunks():
        scores = np.empty((len(decisions), len(weights), truth.shape[1]))
        for number in range(partitions):
            for rule, decided in enumerate(decisions[:, number]):
                scores[rule, number::partitions] = balanced_accuracy(
                    truth, decided, weights[number::partitions]
                )
        drawn.append(scores)
    return np.concatenate(drawn, axis=1)


def own_scores(truth: np.ndarray, decisions: np.ndarray) -> np.ndarray:
    """Return the 2022 score (rule, partition, species) on the rows themselves."""
    return np.stack(
        [np.concatenate([balanced_accuracy(truth, decided) for decided in one]) for one in decisions]
    )


def simultaneous_bounds(values: np.ndarray, drawn: np.ndarray, confidence: float = 0.95) -> np.ndarray:
    """Return lower bounds, (quantity,), that all hold together with the given confidence.

    Parameters
    ----------
    values
        (quantity,) on the rows themselves.
    drawn
        (quantity, resample) the same in resamples.
    confidence
        Of all bounds at once, one-sided.
    """
    spread = drawn.std(axis=1)
    varies = spread > 1e-12
    if not varies.any():
        return values
    deviation = (drawn[varies] - values[varies, None]) / spread[varies, None]
    return np.asarray(values - np.quantile(deviation.max(axis=0), confidence) * np.where(varies, spread, 0))


def shares_of_wins(scores: np.ndarray) -> np.ndarray:
    """Return in which share of resamples each rule, (rule, resample), scores highest; equals share a win."""
    best = scores >= scores.max(axis=0) - 1e-12
    return np.asarray((best / best.sum(axis=0)).mean(axis=1))


def safest(judged: Sequence[Judged]) -> Judged:
    """Return the rule with the highest lower bound; of equals the first, which is the least tuned."""
    return max(judged, key=lambda one: one.bound)
