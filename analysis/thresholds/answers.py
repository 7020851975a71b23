"""What is known about a run's thresholds, as printed tables and as files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.drawing.figure_files import Drawing, Format, save_drawings
from analysis.drawing.table_files import markdown, write_rows
from analysis.thresholds.penalty import PenaltyAnswer, describe_penalty
from analysis.thresholds.pictures import draw_penalty, draw_penalty_species, draw_rules, draw_stability
from analysis.thresholds.rules import PENALTY
from analysis.thresholds.stability import FittedSetting
from core.data.taxonomy import Taxonomy
from core.scoring.decisions import describe_decision
from core.scoring.judging import JudgedCalibration, JudgedRule, safest, write_tuned
from core.scoring.pictures import draw_reliability, draw_score_by_threshold
from core.scoring.predictions import UNITS, Predictions, Unit
from core.scoring.reliability import Reliability
from core.scoring.score_curves import ScoreCurve

Rows = list[dict[str, Any]]
SHOWN_CHOICES = 3
CURVE = ("score", "low", "high")


@dataclass(frozen=True)
class Answers:
    """What is known about the thresholds of a run, or of labelled soundscapes.

    Attributes
    ----------
    rows, origin, taxonomy
        The predictions, where they come from in words, and names of their species.
    unit, quantile
        What is drawn as a whole, and which quantile of all values the untuned rule decides at.
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
    taxonomy: Taxonomy
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
        """Return the rule of a name, or the "safest"."""
        return ({one.name: one for one in self.judged} | {"safest": safest(self.judged)})[name]


def _tables_of(answers: Answers) -> dict[str, Rows]:
    """Return the tables by the names of their files, without those of the curves."""
    tables: dict[str, Rows] = {
        "rules": [
            {
                "rule": one.name,
                "2022 score": one.score,
                "minus untuned": one.difference if place else "",
                "lower bound for all at once": one.bound,
                "by partition": f"{one.partitions.min():.3f} to {one.partitions.max():.3f}",
                "optimism": one.optimism,
                "wins": f"{one.wins:.0%}",
                "worst species": f"{one.worst} {one.worst_difference}" if place else "",
                "fitted to all": describe_decision(one.config),
            }
            for place, one in enumerate(answers.judged)
        ],
        "stability": [
            {
                "setting": one.name,
                "fitted": one.interval,
                "chosen most often": _choices_of(one) if one.is_choice else "",
            }
            for one in answers.settings
        ],
        "calibration": [
            _calibration_row("as trained", answers.as_trained),
            *(
                _calibration_row(f"{one.name}, cross-fitted", one.reliability, one)
                for one in answers.calibrated
            ),
        ],
    }
    if answers.penalty is not None:
        tables["penalty"] = [
            {"change": kind, "value": place, "effect": effect}
            for kind, effects in answers.penalty.effects.items()
            for place, effect in effects.items()
        ]
    return tables


def _choices_of(setting: FittedSetting) -> str:
    """Return such as `0.4 (51%), 0 (30%)`."""
    return ", ".join(f"{v:g} ({share:.0%})" for v, share in list(setting.shares.items())[:SHOWN_CHOICES])


def _calibration_row(name: str, found: Reliability, one: JudgedCalibration | None = None) -> dict[str, Any]:
    """Return a row of the table of calibrations; without a method the probabilities are as trained."""
    return {
        "probabilities": name,
        "calibration error": found.error,
        "without correction": found.raw_error,
        "Brier score": found.brier,
        "Brier minus as trained": one.gain if one else "",
        "optimism": f"{one.optimism:.4f}" if one else "",
        "fitted to all": describe_decision(one.config).rsplit(", ", 1)[0] if one else "",
    }


def format_answers(answers: Answers) -> list[str]:
    """Return the lines that are printed about a run."""
    rows, chosen, tables = answers.rows, safest(answers.judged), _tables_of(answers)
    number = len(set(rows.drawn_units(answers.unit)))
    penalty = ["No penalty and no boost: neither a checkpoint nor other folds tell what trained."]
    if answers.penalty is not None:
        penalty = [*markdown(tables["penalty"]), *describe_penalty(answers.penalty)]
    return [
        f"## {rows.name}: {answers.origin}",
        f"{len(rows)} clips of {number} {UNITS[answers.unit]}, {len(rows.species)} species",
        "",
        *markdown(tables["rules"]),
        f"Safest: {chosen.name} ({describe_decision(chosen.config)}), whose difference to the untuned rule "
        "has the highest lower bound for all at once: in "
        f"{answers.by_threshold.confidence:.0%} of cases every rule of the table gains at least its own "
        "bound. The best of many rules looks good by luck, for which this allows.",
        "",
        *markdown(tables["stability"]),
        *(
            f"The best {curve.kind} here is {curve.best.value:.3g}, its {curve.confidence:.0%} interval "
            f"{curve.best.low:.3g} to {curve.best.high:.3g}."
            for curve in (answers.by_threshold, answers.by_quantile)
        ),
        "",
        *penalty,
        "",
        *markdown(tables["calibration"]),
    ]


def _drawings_of(answers: Answers) -> Iterator[Drawing]:
    """Yield everything that is drawn about a run."""
    rows, untuned = answers.rows, float(np.quantile(answers.rows.probability, answers.quantile))
    data = (
        f"{rows.name}, {len(rows)} validated clips of {len(rows.species)} scored species. Bars and bands: "
        f"{answers.by_threshold.confidence:.0%} intervals over {UNITS[answers.unit]}, drawn within their "
        "species."
    )
    yield Drawing(
        "rules",
        draw_rules(answers.judged),
        "2022 score of each rule of the decision, cross-fitted in several partitions of the recordings, and "
        "its paired difference to the untuned quantile. Strokes: score of the same rule on the rows that "
        "fitted it. Arrow heads: each rule gains at least so much, all of them at once, which allows for the "
        f"luck of the best of many rules. Hollow: no interval. {data}",
    )
    yield Drawing(
        "stability",
        draw_stability(answers.settings, answers.taxonomy),
        "Left: thresholds fitted anew to resamples; one for all species, then each species', drawn to it "
        "where positives are few; hollow: no interval. Right: how often each value is chosen; orange: on "
        f"all rows. {data}",
    )
    for curve, decided in ((answers.by_threshold, untuned), (answers.by_quantile, answers.quantile)):
        yield Drawing(
            f"score_by_{curve.kind}",
            draw_score_by_threshold(curve, decided=decided),
            f"2022 score over every {curve.kind}, without penalty or boost. Dotted: the untuned rule. {data}",
        )
    shown = {one.name: one.reliability for one in answers.calibrated if one.name != "Platt"}
    yield Drawing(
        "reliability",
        draw_reliability({"as trained": answers.as_trained} | shown),
        "Share of predictions that came true beside their mean probability, in bins of equally many "
        f"predictions, species pooled; temperature and isotonic fitted on other {answers.unit}s. Hollow: no "
        f"interval, all alike. {data}",
    )
    if answers.penalty is None:
        return
    yield Drawing(
        "penalty",
        draw_penalty(answers.penalty),
        "2022 score with the penalty minus without, at the 0.85 quantile. Left: by strength. Right: a "
        f"penalty of {PENALTY:g} on rows weighted as if species were heard in other proportions, and "
        f"with all probabilities multiplied. Hollow: no interval. {data}",
    )
    yield Drawing(
        "penalty_species",
        draw_penalty_species(answers.penalty, answers.taxonomy),
        f"What a penalty of {PENALTY:g} at the 0.85 quantile does to each species, and to the mean over "
        "species where one of them is heard ten times as often. Hollow: no interval, too few recordings or "
        f"all alike. {data}",
    )


def write_answers(
    answers: Answers, chosen: JudgedRule, folder: Path, kind: Format, settings: Mapping[str, Any]
) -> None:
    """Write tables, figures and tuned.json.

    Parameters
    ----------
    answers
        About a run.
    chosen
        The rule of tuned.json.
    folder
        Made where it is missing.
    kind
        Format of the figures.
    settings
        Of the program, to be kept in tuned.json.
    """
    curves = {
        f"score_by_{one.kind}": [
            {one.kind: place} | dict(zip(CURVE, values, strict=True))
            for place, *values in zip(one.positions, one.score, one.low, one.high, strict=True)
        ]
        for one in (answers.by_threshold, answers.by_quantile)
    }
    for name, rows in (_tables_of(answers) | curves).items():
        write_rows(rows, folder / f"{name}.csv")
    save_drawings(_drawings_of(answers), folder, kind)
    write_tuned(folder / "tuned.json", chosen, answers.judged[0], answers.rows, dict(settings))
    print(f"{folder / 'tuned.json'}: {chosen.name}", flush=True)
