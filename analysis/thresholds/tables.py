"""What is known about a run's thresholds, as printed tables and as files."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from analysis.drawing.figures import save
from analysis.drawing.tables import markdown, write_rows
from analysis.runs import Run
from analysis.thresholds.calibration import Calibrated
from analysis.thresholds.figures import draw_penalty, draw_penalty_species, draw_rules, draw_stability
from analysis.thresholds.penalty import Effects, PenaltyAnswer, verdict
from analysis.thresholds.rules import Judged, safest
from analysis.thresholds.stability import Spread
from core.inference.config import PostConfig
from core.inference.tune import describe, write_tuned
from core.scoring.cross_fit import Observations
from core.scoring.score_curves import Reliability, ScoreCurve
from core.training.pictures import draw_reliability, draw_score_by_threshold

Rows = list[dict[str, Any]]
SHOWN_CHOICES = 3


@dataclass(frozen=True)
class Answers:
    """What is known about the thresholds of a run.

    Attributes
    ----------
    run
        The run.
    observed
        Its predictions.
    unit
        What is drawn as a whole: "recording" or "author".
    judged
        Each rule, the untuned one first.
    spreads
        Of the fitted settings.
    by_threshold, by_quantile
        The score over all of them.
    penalty
        None where it is not known what trained.
    as_trained, calibrated
        Reliability before, and after each method.
    """

    run: Run
    observed: Observations
    unit: str
    judged: list[Judged]
    spreads: list[Spread]
    by_threshold: ScoreCurve
    by_quantile: ScoreCurve
    penalty: PenaltyAnswer | None
    as_trained: Reliability
    calibrated: list[Calibrated]


def rule_rows(judged: list[Judged]) -> Rows:
    """Return the table of rules."""
    return [
        {
            "rule": one.name,
            "2022 score": one.score,
            "minus untuned": one.difference if place else "",
            "bound for all at once": one.bound,
            "by partition": f"{one.partitions.min():.3f} to {one.partitions.max():.3f}",
            "optimism": one.optimism,
            "wins": f"{one.wins:.0%}",
            "worst species": f"{one.worst} {one.worst_difference}" if place else "",
            "fitted to all": describe(one.post),
        }
        for place, one in enumerate(judged)
    ]


def spread_rows(spreads: list[Spread]) -> Rows:
    """Return the table of fitted settings."""
    return [
        {
            "setting": one.name,
            "fitted": f"{one.value:.3g}",
            "95 % of resamples": f"{one.low:.3g} to {one.high:.3g}",
            "chosen most often": choices_of(one) if one.is_choice else "",
        }
        for one in spreads
    ]


def choices_of(spread: Spread) -> str:
    """Return such as `0.4 (51%), 0 (30%)`."""
    return ", ".join(f"{v:g} ({share:.0%})" for v, share in list(spread.shares.items())[:SHOWN_CHOICES])


def effect_rows(effects: Effects, name: str) -> Rows:
    """Return the table of the penalty's effect along one change."""
    return [
        {"change": name, "value": place if isinstance(place, str) else f"{place:g}", "effect": effect}
        for place, effect in zip(effects.places, effects.effects, strict=True)
    ]


def penalty_rows(answer: PenaltyAnswer) -> Rows:
    """Return every effect of the penalty that was looked at."""
    kinds = ("by_rule", "by_strength", "by_species", "by_tilt", "by_dominant", "by_factor")
    return [row for kind in kinds for row in effect_rows(getattr(answer, kind), getattr(answer, kind).what)]


def calibration_rows(before: Reliability, calibrated: list[Calibrated]) -> Rows:
    """Return the table of calibration methods."""
    rows: Rows = [
        {
            "probabilities": "as trained",
            "calibration error": before.error,
            "without correction": before.raw_error,
            "Brier score": before.brier,
            "Brier minus as trained": "",
            "fitted to all": "",
        }
    ]
    return rows + [
        {
            "probabilities": f"{one.name}, cross-fitted",
            "calibration error": one.reliability.error,
            "without correction": one.reliability.raw_error,
            "Brier score": one.reliability.brier,
            "Brier minus as trained": one.gain,
            "fitted to all": one.fitted,
        }
        for one in calibrated
    ]


def format_answers(answers: Answers) -> list[str]:
    """Return the lines that are printed about a run."""
    observed, chosen = answers.observed, safest(answers.judged)
    commit = str(answers.run.summary.get("code_version", "unknown"))
    groups = len(set(observed.group))
    lines = [
        f"## {answers.run.name}: {answers.run.folder}",
        f"trained by commit {commit}; {len(observed.truth)} clips of {groups} {answers.unit}s, "
        f"{len(observed.species)} scored species",
        "",
        *markdown(rule_rows(answers.judged)),
        "",
        f"Safest: {chosen.name} ({describe(chosen.post)}).",
        "",
        *markdown(spread_rows(answers.spreads)),
        "",
    ]
    lines += [
        f"The best {curve.kind} here is {curve.best.value:.3g}; in 95 % of resamples it lies between "
        f"{curve.best.low:.3g} and {curve.best.high:.3g}."
        for curve in (answers.by_threshold, answers.by_quantile)
    ]
    lines.append("")
    if answers.penalty is None:
        lines += ["No penalty and no boost: neither a checkpoint nor other folds tell what trained.", ""]
    else:
        lines += [*markdown(penalty_rows(answers.penalty)), "", *verdict(answers.penalty), ""]
    return [*lines, *markdown(calibration_rows(answers.as_trained, answers.calibrated)), ""]


def figures_of(answers: Answers) -> Iterator[tuple[str, Figure, str]]:
    """Yield the name, figure and caption of everything that is drawn about a run."""
    rows = len(answers.observed.truth)
    data = (
        f"{answers.run.name}, {rows} validated clips of {len(answers.observed.species)} scored species. "
        f"Intervals and bands: 95 % of resamples of the {answers.unit}s, drawn within their species."
    )
    yield (
        "rules",
        draw_rules(answers.judged),
        "2022 score of each rule of the decision, cross-fitted in several partitions of the recordings, and "
        "its paired difference to the untuned 0.85 quantile."
        f" Strokes: score of the same rule on the rows that fitted it. {data}",
    )
    yield (
        "stability",
        draw_stability(answers.spreads),
        "Left: thresholds fitted anew to resamples; one for all species, then each species', drawn to it "
        f"where positives are few. Right: how often each value is chosen; orange: on all "
        f"rows. {data}",
    )
    for curve in (answers.by_threshold, answers.by_quantile):
        yield (
            f"score_by_{curve.kind}",
            draw_score_by_threshold(
                curve,
                decided=PostConfig().quantile if curve is answers.by_quantile else untuned_threshold(answers),
            ),
            f"2022 score over every {curve.kind}, without penalty or boost. Dotted: the untuned rule. {data}",
        )
    shown = {"as trained": answers.as_trained} | {
        one.name: one.reliability for one in answers.calibrated if one.name != "Platt"
    }
    yield (
        "reliability",
        draw_reliability(shown),
        "Share of predictions that came true beside their mean probability, in bins of equally many "
        f"predictions, species pooled; temperature and isotonic fitted on other {answers.unit}s. {data}",
    )
    if answers.penalty is not None:
        strength = f"{answers.penalty.strength:g}"
        yield (
            "penalty",
            draw_penalty(answers.penalty),
            "2022 score with the penalty minus without, at the 0.85 quantile. Left: by strength. Right: a "
            f"penalty of {strength} on rows weighted as if species were heard in other proportions, and "
            f"with all probabilities multiplied. {data}",
        )
        yield (
            "penalty_species",
            draw_penalty_species(answers.penalty),
            f"What a penalty of {strength} at the 0.85 quantile does to each species, and to the mean over "
            "species where one of them is heard ten times as often; species of few recordings have no "
            f"interval. {data}",
        )


def untuned_threshold(answers: Answers) -> float:
    """Return the probability at which the untuned rule decides."""
    return float(np.quantile(answers.observed.probability, PostConfig().quantile))


def curve_rows(curve: ScoreCurve) -> Rows:
    """Return the table of a curve."""
    names = ("positions", "score", "low", "high")
    columns = [getattr(curve, name) for name in names]
    return [
        dict(zip((curve.kind, *names[1:]), map(float, row), strict=True))
        for row in zip(*columns, strict=True)
    ]


def write_answers(answers: Answers, folder: Path, ending: str, settings: dict[str, Any]) -> None:
    """Write tables, figures and safest.json.

    Parameters
    ----------
    answers
        About a run.
    folder
        Made where it is missing.
    ending
        Format of the figures.
    settings
        Of the program, to be kept in safest.json.
    """
    tables = {
        "rules": rule_rows(answers.judged),
        "stability": spread_rows(answers.spreads),
        "score_by_threshold": curve_rows(answers.by_threshold),
        "score_by_quantile": curve_rows(answers.by_quantile),
        "calibration": calibration_rows(answers.as_trained, answers.calibrated),
    }
    if answers.penalty is not None:
        tables["penalty"] = penalty_rows(answers.penalty)
    for name, rows in tables.items():
        write_rows(rows, folder / f"{name}.csv")
    for name, figure, caption in figures_of(answers):
        save(figure, folder / f"{name}.{ending}", caption)
    chosen, untuned = safest(answers.judged), answers.judged[0].score
    write_tuned(folder / "safest.json", chosen.as_tuned(untuned), answers.observed, settings)


def slug(name: str) -> str:
    """Return a run's name as a folder's."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)
