"""Runs side by side: their metrics, species and differences, and where each number lies on a drawn axis."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.report.selection import Group
from analysis.runs import Run, config_differences
from core.config import MetricName
from core.scoring.comparison import Comparison, compare_pairs
from core.scoring.evaluation import Evaluation, evaluate
from core.scoring.intervals import Interval
from core.scoring.metric_names import IN_CORE, LABELS, SPECIES_LABELS
from core.scoring.pictures import species_intervals

BOARD_METRICS = {name: LABELS[name] for name in ("score", "macro_auc", "padded_cmap", "top1")}
SPECIES_COLUMNS = ("score", "macro_auc", "cmap")
COMPARED: tuple[MetricName, ...] = ("score", "macro_auc", "padded_cmap")
ALL_PAIRS = 5
"""Up to as many runs each pair is compared; beyond, each run with the first."""
SMALLEST_REACH = 0.02
"""Of an axis of differences."""
SHOWN_SETTINGS = 2
IN_NAMES = ("name", "data.fold")
"""Settings that are part of every run's name."""


@dataclass(frozen=True)
class ColumnScale:
    """The axis of a column of numbers.

    Attributes
    ----------
    low, high
        Its ends.
    reference
        The value of a guess, or of no difference; None: not on it.
    """

    low: float
    high: float
    reference: float | None = None

    def place(self, value: float) -> float:
        """Return where a value lies, 0 to 1; beyond the ends at them."""
        return round(min(max((value - self.low) / (self.high - self.low), 0.0), 1.0), 4)


def scale_around(
    intervals: Iterable[Interval], reference: float | None = None, step: float = 0.1
) -> ColumnScale:
    """Return an axis that holds some intervals, with ends that are multiples of `step`.

    The reference is on it if it is not far away.
    """
    known = finite_ends(intervals)
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if reference is not None and low - reference > high - low:
        reference = None
    if reference is not None:
        low, high = min(low, reference), max(high, reference)
    low, high = np.floor(low / step + 1e-9) * step, np.ceil(high / step - 1e-9) * step
    return ColumnScale(round(low, 6), round(max(high, low + step), 6), reference)


def scale_of_differences(intervals: Iterable[Interval]) -> ColumnScale:
    """Return an axis with 0 in its middle that holds some differences."""
    largest = max(map(abs, finite_ends(intervals)), default=0.0)
    step = 0.05 if largest > SMALLEST_REACH else SMALLEST_REACH
    reach = round(max(float(np.ceil(largest / step - 1e-9)), 1.0) * step, 6)
    return ColumnScale(-reach, reach, 0.0)


def finite_ends(intervals: Iterable[Interval]) -> list[float]:
    """Return the values and bounds that are known."""
    return [end for one in intervals for end in (one.value, one.low, one.high) if np.isfinite(end)]


def leaderboard(group: Group, evaluations: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Return what the page shows of a group: a row a run, an axis a metric, and what to beware of.

    Parameters
    ----------
    group
        Runs that judged the same clips.
    evaluations
        Name of a run -> its metrics.
    """
    found = [evaluations[run.name] for run in group.runs]
    guess = {"score": 0.5, "macro_auc": 0.5}
    scales = {
        name: scale_around((one.metrics[name] for one in found), guess.get(name)) for name in BOARD_METRICS
    }
    return {
        "rows": [
            {
                "run": run,
                "distinction": distinction,
                "cells": [one.metrics[name] for name in BOARD_METRICS],
                "optimistic": one.metrics["best_score"].value,
                "minutes": run.total("minutes"),
            }
            for run, one, distinction in zip(group.runs, found, distinctions(group.runs), strict=True)
        ],
        "clips": found[0].num_rows,
        "columns": [(label, scales[name]) for name, label in BOARD_METRICS.items()],
        "confidence": " or ".join(
            f"{share:.0%}" for share in sorted({r.valid.confidence for r in group.runs})
        ),
        "notes": notes_of(group, found),
    }


def notes_of(group: Group, evaluations: Sequence[Evaluation]) -> list[str]:
    """Return what keeps the intervals of a group from being trusted, each once."""
    labels: dict[str, list[str]] = {}
    names: dict[str, list[str]] = {}
    for run, one in zip(group.runs, evaluations, strict=True):
        for name, label in BOARD_METRICS.items():
            if note := one.metrics[name].note:
                labels.setdefault(note, []).append(label)
                names.setdefault(note, []).append(run.name)
    found = []
    for note in labels:
        concerned = list(dict.fromkeys(names[note]))
        whose = "" if len(concerned) == len(group.runs) else f" of {'; '.join(concerned)}"
        found.append(f"{', '.join(dict.fromkeys(labels[note]))}{whose}: {note}")
    return found


def distinctions(runs: Sequence[Run]) -> list[str]:
    """Return for each run the settings that tell it from the others beside it, the first few of them."""
    differing = config_differences(runs).drop(index=list(IN_NAMES), errors="ignore")
    found = []
    for run in runs:
        own = [
            f"{field} {value}" for field, value in differing[run.name].items() if f"{field}=" not in run.name
        ]
        more = f" and {len(own) - SHOWN_SETTINGS} more" if len(own) > SHOWN_SETTINGS else ""
        found.append(", ".join(own[:SHOWN_SETTINGS]) + more)
    return found


def species_board(evaluation: Evaluation) -> dict[str, Any]:
    """Return what the page shows of a run's species: a row each, most positive clips first."""
    table = evaluation.per_species
    cells = zip(*(species_intervals(table, IN_CORE[name]) for name in SPECIES_COLUMNS), strict=True)
    rows = [{**row, "cells": found} for row, found in zip(table.to_dict("records"), cells, strict=True)]
    return {
        "rows": sorted(rows, key=lambda row: -row["positives"]),
        "scale": ColumnScale(0.0, 1.0, 0.5),
        "columns": [SPECIES_LABELS[name] for name in SPECIES_COLUMNS],
        "left_out": evaluation.left_out,
    }


def comparisons(group: Group, evaluations: Mapping[str, Evaluation]) -> list[list[Comparison]]:
    """Return every pair by each of `COMPARED`.

    Parameters
    ----------
    group
        Runs that judged the same clips; the `valid` settings of the first are those of all.
    evaluations
        Name of a run -> its metrics.
    """
    valid, rows = group.runs[0].valid, [run.predictions for run in group.runs]
    found = [
        evaluations[run.name] if run.valid == valid else evaluate(run.predictions, valid)
        for run in group.runs
    ]
    return [
        compare_pairs(
            rows,
            metric,
            [one.drawn[metric] for one in found],
            pairs="all" if len(rows) <= ALL_PAIRS else "first",
            confidence=valid.confidence,
            quantile=valid.threshold_quantile,
        )
        for metric in COMPARED
    ]


def difference_board(compared: Sequence[Sequence[Comparison]]) -> dict[str, Any]:
    """Return what the page shows of comparisons: a row a pair with every metric, an axis a metric.

    Parameters
    ----------
    compared
        The same pairs by each of `COMPARED`.
    """
    scales = [scale_of_differences(one.difference for one in pairs) for pairs in compared]
    return {
        "rows": list(zip(*compared, strict=True)),
        "columns": list(zip((LABELS[metric] for metric in COMPARED), scales, strict=True)),
        "num_found": sum(one.is_distinguishable for pairs in compared for one in pairs),
        "num_all": sum(map(len, compared)),
    }
