"""What is known about a run's thresholds, as printed tables and as files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from analysis.drawing.figure_files import save_figure
from analysis.drawing.table_files import markdown, write_rows
from analysis.thresholds.penalty import Effects, PenaltyAnswer, describe_penalty
from analysis.thresholds.pictures import draw_penalty, draw_penalty_species, draw_rules, draw_stability
from analysis.thresholds.stability import FittedSetting
from core.config import require
from core.scoring.decisions import describe_decision
from core.scoring.judging import JudgedCalibration, JudgedRule, safest, write_tuned
from core.scoring.pictures import draw_reliability, draw_score_by_threshold
from core.scoring.predictions import UNITS, Predictions, Unit
from core.scoring.reliability import Reliability
from core.scoring.score_curves import ScoreCurve

Rows = list[dict[str, Any]]
SHOWN_CHOICES = 3


@dataclass(frozen=True)
class Answers:
    """What is known about the thresholds of a run, or of labelled soundscapes.

    Attributes
    ----------
    rows
        The predictions.
    origin
        Where they come from, in words.
    unit
        What is drawn as a whole: "recording" or "author".
    quantile
        Of all values, where the untuned rule decides.
    judged
        Each rule, the untuned one first.
    settings
        Fitted, each by itself.
    by_threshold, by_quantile
        The score over all of them.
    penalty
        None where it is not known what trained.
    as_trained, calibrated
        Reliability before, and after each method.
    """

    rows: Predictions
    origin: str
    unit: Unit
    quantile: float
    judged: list[JudgedRule]
    settings: list[FittedSetting]
    by_threshold: ScoreCurve
    by_quantile: ScoreCurve
    penalty: PenaltyAnswer | None
    as_trained: Reliability
    calibrated: list[JudgedCalibration]

    def choose(self, name: str) -> JudgedRule:
        """Return the rule of a name, or the "safest".

        Raises
        ------
        ValueError
            If there is no such rule.
        """
        by_name = {"safest": safest(self.judged)} | {one.name: one for one in self.judged}
        require(name in by_name, f"rule={name}: none of {', '.join(by_name)}")
        return by_name[name]


def rule_rows(judged: list[JudgedRule]) -> Rows:
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
            "fitted to all": describe_decision(one.config),
        }
        for place, one in enumerate(judged)
    ]


def setting_rows(settings: list[FittedSetting]) -> Rows:
    """Return the table of fitted settings."""
    return [
        {
            "setting": one.name,
            "fitted": one.interval,
            "chosen most often": choices_of(one) if one.is_choice else "",
        }
        for one in settings
    ]


def choices_of(setting: FittedSetting) -> str:
    """Return such as `0.4 (51%), 0 (30%)`."""
    return ", ".join(f"{v:g} ({share:.0%})" for v, share in list(setting.shares.items())[:SHOWN_CHOICES])


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


def calibration_rows(before: Reliability, calibrated: list[JudgedCalibration]) -> Rows:
    """Return the table of calibration methods."""
    rows: Rows = [
        {
            "probabilities": "as trained",
            "calibration error": before.error,
            "without correction": before.raw_error,
            "Brier score": before.brier,
            "Brier minus as trained": "",
            "optimism": "",
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
            "optimism": f"{one.optimism:.4f}",
            "fitted to all": describe_decision(one.config).rsplit(", ", 1)[0],
        }
        for one in calibrated
    ]


def format_answers(answers: Answers) -> list[str]:
    """Return the lines that are printed about a run."""
    rows, chosen = answers.rows, safest(answers.judged)
    number = len(set(rows.drawn_units(answers.unit)))
    lines = [
        f"## {rows.name}: {answers.origin}",
        f"{len(rows)} clips of {number} {UNITS[answers.unit]}, {len(rows.species)} species",
        "",
        *markdown(rule_rows(answers.judged)),
        "",
        f"Safest: {chosen.name} ({describe_decision(chosen.config)}).",
        "",
        *markdown(setting_rows(answers.settings)),
        "",
    ]
    lines += [
        f"The best {curve.kind} here is {curve.best.value:.3g}, its {curve.confidence:.0%} interval "
        f"{curve.best.low:.3g} to {curve.best.high:.3g}."
        for curve in (answers.by_threshold, answers.by_quantile)
    ]
    lines.append("")
    if answers.penalty is None:
        lines += ["No penalty and no boost: neither a checkpoint nor other folds tell what trained.", ""]
    else:
        lines += [*markdown(penalty_rows(answers.penalty)), "", *describe_penalty(answers.penalty), ""]
    return [*lines, *markdown(calibration_rows(answers.as_trained, answers.calibrated)), ""]


def figures_of(answers: Answers) -> Iterator[tuple[str, Figure, str]]:
    """Yield the name, figure and caption of everything that is drawn about a run."""
    rows, untuned = answers.rows, float(np.quantile(answers.rows.probability, answers.quantile))
    data = (
        f"{rows.name}, {len(rows)} validated clips of {len(rows.species)} scored species. Bars and bands: "
        f"{answers.by_threshold.confidence:.0%} intervals over {UNITS[answers.unit]}, drawn within their "
        "species."
    )
    yield (
        "rules",
        draw_rules(answers.judged),
        "2022 score of each rule of the decision, cross-fitted in several partitions of the recordings, and "
        "its paired difference to the untuned quantile."
        f" Strokes: score of the same rule on the rows that fitted it. {data}",
    )
    yield (
        "stability",
        draw_stability(answers.settings),
        "Left: thresholds fitted anew to resamples; one for all species, then each species', drawn to it "
        f"where positives are few. Right: how often each value is chosen; orange: on all "
        f"rows. {data}",
    )
    for curve in (answers.by_threshold, answers.by_quantile):
        yield (
            f"score_by_{curve.kind}",
            draw_score_by_threshold(
                curve,
                decided=answers.quantile if curve is answers.by_quantile else untuned,
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


def curve_rows(curve: ScoreCurve) -> Rows:
    """Return the table of a curve."""
    names = ("positions", "score", "low", "high")
    columns = [getattr(curve, name) for name in names]
    return [
        dict(zip((curve.kind, *names[1:]), map(float, row), strict=True))
        for row in zip(*columns, strict=True)
    ]


def write_answers(
    answers: Answers, chosen: JudgedRule, folder: Path, ending: str, settings: dict[str, Any]
) -> Path:
    """Write tables, figures and tuned.json; return the last one's path.

    Parameters
    ----------
    answers
        About a run.
    chosen
        The rule of tuned.json.
    folder
        Made where it is missing.
    ending
        Format of the figures.
    settings
        Of the program, to be kept in tuned.json.
    """
    tables = {
        "rules": rule_rows(answers.judged),
        "stability": setting_rows(answers.settings),
        "score_by_threshold": curve_rows(answers.by_threshold),
        "score_by_quantile": curve_rows(answers.by_quantile),
        "calibration": calibration_rows(answers.as_trained, answers.calibrated),
    }
    if answers.penalty is not None:
        tables["penalty"] = penalty_rows(answers.penalty)
    for name, rows in tables.items():
        write_rows(rows, folder / f"{name}.csv")
    for name, figure, caption in figures_of(answers):
        save_figure(figure, folder / f"{name}.{ending}", caption)
    file = folder / "tuned.json"
    write_tuned(file, chosen, answers.judged[0], answers.rows, settings)
    return file
