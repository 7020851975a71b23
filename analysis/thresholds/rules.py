"""Rules of the decision that are judged beside each other.

A rule is a threshold (the untuned quantile, a tuned quantile, one threshold for all species, one a species)
with or without the published penalty of 0.4, a tuned penalty, a tuned boost of rare species, or both; for
soundscapes also the untuned quantile with a tuned power of the peak of the file.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.scoring.cross_fit import Rule, cross_fit, parts_of
from core.scoring.decisions import DecisionConfig
from core.scoring.fitting import FitConfig, ThresholdRule, fit_decision
from core.scoring.predictions import Predictions, Unit

PENALTY = 0.4
FILE_PEAKS = (0.0, 0.25, 0.5, 1.0)
THRESHOLDS: dict[str, ThresholdRule] = {
    "untuned quantile": "untuned",
    "tuned quantile": "quantile",
    "one threshold": "fixed",
    "class-wise thresholds": "class_wise",
}


def tuned_rule(name: str, threshold: ThresholdRule, config: FitConfig) -> Rule:
    """Return a rule that fits its settings.

    Parameters
    ----------
    name, threshold
        For tables, and what is fitted.
    config
        Penalties and boosts to choose from, shrinkage of class-wise thresholds.
    """
    return Rule(name, lambda rows: fit_decision((threshold,), rows, config))


def all_rules(
    config: FitConfig,
    shrinkages: Sequence[float],
    *,
    has_counts: bool,
    has_files: bool = False,
    splits: int = 5,
    seed: int = 0,
    by: Unit = "recording",
) -> list[Rule]:
    """Return the rules of this module; the untuned one first.

    Parameters
    ----------
    config
        Penalties and boosts to choose from, shrinkage of class-wise thresholds.
    shrinkages
        Further strengths of that shrinkage, each a rule by itself, and the choice among them one more.
    has_counts
        Whether it is known what trained; without it there is neither penalty nor boost.
    has_files
        Whether rows are windows of soundscapes; a recording of one clip has no further peak.
    splits, seed, by
        Of the parts in which the choice of a shrinkage is made.
    """
    none = (0.0,)
    adjusted: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {"": (none, none)}
    if has_counts:
        adjusted |= {
            f", penalty {PENALTY:g}": ((PENALTY,), none),
            ", tuned penalty": (config.penalties, none),
            ", tuned boost": (none, config.rare_boosts),
            ", both tuned": (config.penalties, config.rare_boosts),
        }
    found = [
        tuned_rule(threshold + words, rule, replace(config, penalties=penalties, rare_boosts=boosts))
        for threshold, rule in THRESHOLDS.items()
        for words, (penalties, boosts) in adjusted.items()
    ]
    plain = replace(config, penalties=none, rare_boosts=none)
    if has_files:
        peaks = replace(plain, file_peaks=FILE_PEAKS)
        found.append(tuned_rule("untuned quantile, tuned peak of the file", "untuned", peaks))
    class_wise = {
        strength: tuned_rule(
            f"class-wise, shrinkage {strength:g}", "class_wise", replace(plain, shrinkage=strength)
        )
        for strength in shrinkages
    }
    found += class_wise.values()
    if len(class_wise) > 1:
        strongest_first = [class_wise[strength] for strength in sorted(class_wise, reverse=True)]

        def fit(rows: Predictions) -> DecisionConfig:
            return best_rule(strongest_first, rows, splits, seed, by).fit(rows)

        found.append(Rule("class-wise, chosen shrinkage", fit))
    return found


def best_rule(rules: Sequence[Rule], rows: Predictions, splits: int, seed: int, by: Unit) -> Rule:
    """Return the rule that scores best, cross-fitted within these rows; of equally good ones the first.

    Parameters
    ----------
    rules, rows
        To choose from, and what they are judged on.
    splits, seed, by
        Of the parts that the rows are cut into.
    """
    parts = parts_of(rows, splits, seed, by)
    alike = np.zeros(len(rows), dtype=int)
    return max(rules, key=lambda rule: cross_fit(rule, rows, [parts], alike)[0].score)
