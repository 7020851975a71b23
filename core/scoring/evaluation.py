"""Predictions on validation clips -> the metrics of a run with their intervals.

`predictions.parquet` has one row a validated clip: `recording`, `author`, `species` (primary label),
`fold`, `start_seconds`, then `truth:<code>` and `probability:<code>` of every scored species.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.config import ValidConfig
from core.scoring.intervals import Bootstrapped, bootstrap, build_metrics
from core.scoring.metrics import (
    balanced_accuracy,
    best_threshold,
    macro,
    padded_average_precision,
    roc_auc,
    top_one,
)
from core.scoring.resampling import Interval, Resampler
from core.scoring.weighted_metrics import DecisionMetric

TRUTH, PROBABILITY = "truth:", "probability:"


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one set of predictions.

    Attributes
    ----------
    metrics
        `score` (2022, at `threshold`), `best_score` (2022, at the threshold that is best on these very
        rows: optimistic), `padded_cmap`, `macro_auc`, `top1`, each with its interval.
    per_species
        One row a scored species: positives, recordings, score, AUC and average precision with intervals, and
        a note where recordings are too few for them.
    threshold, best
        The two decision thresholds.
    left_out
        Scored species without a positive or without a negative row, in no macro mean but padded cmAP.
    fixed
        Species with a single recording, whose share of the uncertainty no interval holds.
    """

    metrics: dict[str, Interval]
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


def predictions_table(
    information: pd.DataFrame, truth: np.ndarray, probability: np.ndarray, scored: Sequence[str]
) -> pd.DataFrame:
    """Return the table of `predictions.parquet`.

    Parameters
    ----------
    information
        (clip) rows with recording, author, species, fold, start_seconds.
    truth, probability
        (clip, scored species).
    scored
        Their codes.
    """
    return pd.concat(
        [
            information.reset_index(drop=True),
            pd.DataFrame(truth.astype(bool), columns=[TRUTH + code for code in scored]),
            pd.DataFrame(probability.astype(np.float32), columns=[PROBABILITY + code for code in scored]),
        ],
        axis=1,
    )


def scored_species(predictions: pd.DataFrame) -> tuple[str, ...]:
    """Return the codes of a table's scored species, in the order of its columns."""
    return tuple(name.removeprefix(TRUTH) for name in predictions if name.startswith(TRUTH))


def unpack_predictions(predictions: pd.DataFrame) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Return what `predictions_table` took: codes, truth (clip, species) bool, probability float64."""
    scored = scored_species(predictions)
    truth = predictions[[TRUTH + code for code in scored]].to_numpy(dtype=bool)
    probability = predictions[[PROBABILITY + code for code in scored]].to_numpy(dtype=np.float64)
    return scored, truth, probability


def evaluate(predictions: pd.DataFrame, config: ValidConfig, seed: int = 0) -> Evaluation:
    """Score a table of predictions.

    Parameters
    ----------
    predictions
        As `predictions_table` makes.
    config
        Threshold rule, resamples, confidence.
    seed
        Seed of the resamples.
    """
    scored, truth, probability = unpack_predictions(predictions)
    threshold = float(np.quantile(probability, config.threshold_quantile))
    best = best_threshold(truth, probability)
    resampler = Resampler(predictions["recording"], predictions["species"], config.num_resamples, seed)
    clusters = resampler.cluster_of_row
    metrics = build_metrics(truth, probability, clusters, quantile=config.threshold_quantile)
    drawn = bootstrap(metrics, truth, resampler)
    at_best = bootstrap([DecisionMetric(truth, probability >= best, clusters)], truth, resampler)
    macros = {
        "score": drawn.macro_interval("score", config.confidence),
        "best_score": at_best.macro_interval("score", config.confidence),
        "padded_cmap": drawn.macro_interval("padded_average_precision", config.confidence),
        "macro_auc": drawn.macro_interval("auc", config.confidence),
        "top1": drawn.macro_interval("top1", config.confidence),
    }
    undefined = np.asarray(~truth.any(axis=0) | truth.all(axis=0))
    return Evaluation(
        metrics=macros,
        per_species=species_table(drawn, truth, scored, config.confidence),
        threshold=threshold,
        best=best,
        left_out=[code for code, missing in zip(scored, undefined, strict=True) if missing],
        num_fixed=resampler.num_fixed,
        num_rows=len(predictions),
    )


def species_table(
    drawn: Bootstrapped, truth: np.ndarray, scored: Sequence[str], confidence: float
) -> pd.DataFrame:
    """Return one row a species: support, metrics with intervals, and what keeps these from being trusted.

    Parameters
    ----------
    drawn
        Metrics on all resamples.
    truth
        (row, species) bool.
    scored
        Codes of the species.
    confidence
        Wanted coverage.
    """
    table = pd.DataFrame({"species": scored, "positives": truth.sum(axis=0), "recordings": drawn.clusters})
    notes: list[list[str]] = [[] for _ in scored]
    for name in ("score", "auc", "average_precision"):
        intervals = drawn.species_intervals(name, confidence)
        for bound in ("value", "low", "high"):
            column = name if bound == "value" else f"{name}_{bound}"
            table[column] = [getattr(interval, bound) for interval in intervals]
        for known, interval in zip(notes, intervals, strict=True):
            if interval.note and interval.note not in known:
                known.append(interval.note)
    return table.assign(note=["; ".join(known) for known in notes])


def point_metrics(predictions: pd.DataFrame, config: ValidConfig) -> dict[str, float]:
    """Return score, padded cmAP, macro AUC and top-1 without intervals, for the log of an epoch."""
    _, truth, probability = unpack_predictions(predictions)
    threshold = np.quantile(probability, config.threshold_quantile)
    return {
        "score": float(macro(balanced_accuracy(truth, probability >= threshold))[0]),
        "padded_cmap": float(macro(padded_average_precision(truth, probability))[0]),
        "macro_auc": float(macro(roc_auc(truth, probability))[0]),
        "top1": float(top_one(truth, probability)[0]),
    }


def format_table(evaluation: Evaluation, title: str, config: ValidConfig) -> str:
    """Return the table that a run prints at its end."""
    labels = {
        "score": f"2022 score, threshold {evaluation.threshold:.3f} ({config.threshold_quantile:g} quantile)",
        "best_score": f"2022 score, best threshold {evaluation.best:.3f} (optimistic)",
        "padded_cmap": "padded cmAP",
        "macro_auc": "macro ROC-AUC",
        "top1": "top-1 accuracy",
    }
    width = max(map(len, labels.values()))
    rule = "-" * (width + 26)
    lines = [title, rule, f"{'metric':<{width}}  value  {config.confidence:.0%} interval", rule]
    lines += [
        f"{labels[name]:<{width}}  {interval.value:.3f}  [{interval.low:.3f}, {interval.high:.3f}]"
        + (f"  {interval.note}" if interval.note else "")
        for name, interval in evaluation.metrics.items()
    ]
    lines.append(rule)
    count = len(evaluation.per_species)
    note = f"{evaluation.num_rows} clips, {count - len(evaluation.left_out)} of {count} scored species"
    if evaluation.left_out:
        note += f" (left out, no positive or no negative clip: {', '.join(evaluation.left_out)})"
    if evaluation.num_fixed:
        note += f"; {evaluation.num_fixed} species with a single recording, which the intervals cannot vary"
    return "\n".join([*lines, note])
