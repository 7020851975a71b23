"""Predictions of validation clips -> the metrics of a run with their intervals."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from core.config import ValidConfig
from core.scoring.decisions import DecisionConfig
from core.scoring.draws import build_metrics, draw, draw_metrics
from core.scoring.fitting import fit_threshold
from core.scoring.intervals import Draws, Interval
from core.scoring.metric_names import IN_CORE, LABELS
from core.scoring.metrics import macro, quantile_of_known
from core.scoring.predictions import Predictions
from core.scoring.weighted_metrics import DecisionMetric, Truth

POINTS = ("score", "padded_cmap", "macro_auc", "micro_f1", "top1")
"""What an epoch's row holds."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one set of predictions.

    Attributes
    ----------
    metrics
        `score` (2022, at the quantile of whatever rows are judged), `best_score` (2022, at the threshold
        that is best on these very rows: optimistic), `padded_cmap`, `macro_auc`,
        `micro_f1` (2021, at that quantile), `top1`, each with its interval.
    drawn
        The same on all resamples.
    per_species
        One row a scored species: positives, recordings, score, AUC and average precision with intervals, and
        a note where recordings are too few for them.
    threshold, best
        The two decision thresholds.
    left_out
        Scored species without a positive or without a negative row, in no macro mean but padded cmAP.
    num_fixed
        Species with a single recording, whose share of the uncertainty no interval holds.
    num_rows
        Validated clips.
    """

    metrics: dict[str, Interval]
    drawn: dict[str, Draws] = field(repr=False)
    per_species: pd.DataFrame
    threshold: float
    best: float
    left_out: list[str]
    num_fixed: int
    num_rows: int

    def as_dict(self) -> dict[str, Any]:
        """Return what `summary.json` holds of it."""
        metrics: dict[str, Any] = {name: interval.as_dict() for name, interval in self.metrics.items()}
        metrics["score"]["threshold"] = self.threshold
        metrics["best_score"] |= {"threshold": self.best, "optimistic": True}
        return {
            "metrics": metrics,
            "validated_clips": self.num_rows,
            "left_out_species": self.left_out,
            "species_with_one_recording": self.num_fixed,
        }


def evaluate(predictions: Predictions, config: ValidConfig, seed: int = 0) -> Evaluation:
    """Score predictions.

    Parameters
    ----------
    predictions
        At least one row.
    config
        Quantile of the threshold, resamples, confidence.
    seed
        Seed of the resamples.
    """
    truth, probability, known = predictions.truth, predictions.probability, predictions.known
    best = fit_threshold("fixed", predictions, DecisionConfig(), 0.0).fixed
    resampler = predictions.resampler(num_resamples=config.num_resamples, seed=seed)
    drawn = draw_metrics(truth, probability, resampler, quantile=config.threshold_quantile, known=known)
    rows = Truth(truth, resampler.cluster_of_row, known)
    at_best = draw([DecisionMetric(rows, probability >= best)], resampler)
    undefined = np.asarray(~truth.any(axis=0) | ~(known & ~truth).any(axis=0))
    means = {"score": drawn["score"].mean(), "best_score": at_best["score"].mean()}
    means |= {name: drawn[IN_CORE[name]].mean() for name in POINTS[1:]}
    return Evaluation(
        metrics={name: one.interval(config.confidence) for name, one in means.items()},
        drawn=means,
        per_species=species_table(drawn, predictions, config.confidence),
        threshold=quantile_of_known(probability, config.threshold_quantile, known),
        best=best,
        left_out=[code for code, missing in zip(predictions.species, undefined, strict=True) if missing],
        num_fixed=resampler.num_fixed,
        num_rows=len(predictions),
    )


def species_table(drawn: Mapping[str, Draws], predictions: Predictions, confidence: float) -> pd.DataFrame:
    """Return one row a species: support, metrics with intervals, and what keeps these from being trusted.

    Parameters
    ----------
    drawn
        Metrics on all resamples, see `draw_metrics`.
    predictions
        What was measured.
    confidence
        Wanted coverage.
    """
    table = pd.DataFrame(
        {
            "species": predictions.species,
            "positives": predictions.truth.sum(axis=0),
            "recordings": drawn["auc"].support,
        }
    )
    notes: list[list[str]] = [[] for _ in predictions.species]
    for name in ("score", "auc", "average_precision"):
        intervals = drawn[name].intervals(confidence)
        for bound in ("value", "low", "high"):
            column = name if bound == "value" else f"{name}_{bound}"
            table[column] = [getattr(interval, bound) for interval in intervals]
        for known, interval in zip(notes, intervals, strict=True):
            if interval.note and interval.note not in known:
                known.append(interval.note)
    return table.assign(note=["; ".join(known) for known in notes])


def point_metrics(predictions: Predictions, config: ValidConfig) -> dict[str, float]:
    """Return score, padded cmAP, macro AUC, micro F1 and top-1 without intervals, for the log of an epoch."""
    known = None if predictions.known.all() else predictions.known
    together, once = np.zeros(len(predictions), dtype=int), np.ones((1, 1), dtype=np.float32)
    rows, quantile = Truth(predictions.truth, together, known), config.threshold_quantile
    metrics = build_metrics(rows, predictions.probability, quantile=quantile, repicked=False)
    found = {name: float(macro(of[0])) for one in metrics for name, of in one.values(once).items()}
    return {name: found[IN_CORE[name]] for name in POINTS}


def differences_from(
    evaluation: Evaluation, other: Evaluation | None, confidence: float
) -> dict[str, Interval]:
    """Return each metric's difference from that of other recordings; none where nothing else was judged.

    Parameters
    ----------
    evaluation, other
        Of sets of recordings that were drawn by different seeds.
    confidence
        Of the intervals.
    """
    drawn = {} if other is None else other.drawn
    return {name: evaluation.drawn[name].apart_from(one).interval(confidence) for name, one in drawn.items()}


def format_table(
    evaluation: Evaluation,
    title: str,
    config: ValidConfig,
    differences: Mapping[str, Interval] | None = None,
) -> str:
    """Return the table that a run prints at its end, the main metric first.

    Parameters
    ----------
    evaluation
        Its scores.
    title, config
        What was scored, and how.
    differences
        Of soundscapes: each metric's difference from that of recordings; None: these are recordings.
    """
    row = "clip" if differences is None else "window"
    names = sorted(evaluation.metrics, key=lambda name: name != config.main_metric)
    labels = LABELS | {
        "score": f"2022 score, threshold {evaluation.threshold:.3f} ({config.threshold_quantile:g} quantile)",
        "best_score": f"2022 score, best threshold {evaluation.best:.3f} (optimistic)",
    }
    width = max(len(labels[name]) for name in evaluation.metrics)
    rule = "-" * (width + (54 if differences else 26))
    heads = "      minus recordings" if differences else ""
    lines = [title, rule, f"{'metric':<{width}}  value  {config.confidence:.0%} interval{heads}", rule]
    lines += [
        (
            f"{labels[name]:<{width}}  {interval.value:.3f}  {interval.format_bounds():<14}"
            + (_format_difference(differences[name]) if differences else "")
            + (f"  {interval.note}" if interval.note else "")
        ).rstrip()
        for name, interval in ((name, evaluation.metrics[name]) for name in names)
    ]
    lines.append(rule)
    count, positives = len(evaluation.per_species), evaluation.per_species["positives"]
    note = f"{evaluation.num_rows} {row}s, {count - len(evaluation.left_out)} of {count} scored species"
    left_out = evaluation.per_species["species"].isin(evaluation.left_out)
    for kind, chosen in (("positive", positives == 0), ("negative", positives > 0)):
        codes = evaluation.per_species["species"][chosen & left_out]
        if len(codes):
            note += f"; {len(codes)} without a {kind} {row} left out of every macro mean but padded cmAP: "
            note += ", ".join(codes)
    if evaluation.num_fixed:
        note += f"; {evaluation.num_fixed} species with a single recording, which the intervals cannot vary"
    return "\n".join([*lines, note])


def _format_difference(one: Interval) -> str:
    """Return a column of the table."""
    return f"  {one.value:+.3f}  {one.format_bounds('+'):<16}"
