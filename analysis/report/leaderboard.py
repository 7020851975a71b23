"""Runs side by side: their metrics, species and differences, and where each number lies on a drawn axis."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from analysis.report.selection import Group
from analysis.runs import Run, config_differences
from core.config import MetricName
from core.data.taxonomy import Taxonomy
from core.scoring.comparison import Comparison, compare_pairs
from core.scoring.evaluation import Evaluation, evaluate
from core.scoring.intervals import Interval
from core.scoring.metric_names import IN_CORE, LABELS, SPECIES_LABELS
from core.scoring.pictures import species_intervals

_BOARD_METRICS: tuple[MetricName, ...] = ("score", "macro_auc", "padded_cmap", "top1")
GUESSES = {"score": 0.5, "macro_auc": 0.5}
"""What a guess reaches, in the metrics where that is known beforehand."""
SPECIES_COLUMNS = ("score", "macro_auc", "cmap")
_COMPARED: tuple[MetricName, ...] = ("score", "macro_auc", "padded_cmap")
ALL_PAIRS = 5
"""Up to as many runs each pair is compared; beyond, each run with the first."""
SMALLEST_REACH = 0.02
"""Of an axis of differences."""
SHOWN_SETTINGS = 2


@dataclass(frozen=True)
class ColumnScale:
    """The axis of a column of numbers: its ends, and on it the value of a guess, or of no difference."""

    low: float
    high: float
    reference: float | None = None

    def place(self, value: float) -> float:
        """Return where a value lies, 0 to 1; beyond the ends at them."""
        return round(min(max((value - self.low) / (self.high - self.low), 0.0), 1.0), 4)


def scale_around(ends: Iterable[float], reference: float | None = None) -> ColumnScale:
    """Return an axis with round ends around some numbers, and the reference if that is not far away."""
    known = [end for end in ends if np.isfinite(end)] or [0.0, 1.0]
    if reference is not None and min(known) - reference > max(known) - min(known):
        reference = None
    if reference is not None:
        known.append(reference)
    low, *_, high = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(min(known), max(known))
    return ColumnScale(round(low, 6), round(high, 6), reference)


def _ends_of(intervals: Iterable[Interval]) -> list[float]:
    """Return values and bounds."""
    return [end for one in intervals for end in (one.value, one.low, one.high)]


def board_metrics(group: Group, others: Sequence[MetricName] = _BOARD_METRICS) -> list[MetricName]:
    """Return the main metric of a group's first run, and the `others`."""
    return list(dict.fromkeys((group.runs[0].valid.main_metric, *others)))


def leaderboard(group: Group, evaluations: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Return what the page shows of a group: a row a run, an axis a metric, and what to beware of.

    `evaluations` holds the metrics of each run by its name.
    """
    found, names = [evaluations[run.name] for run in group.runs], board_metrics(group)
    shares = sorted({run.valid.confidence for run in group.runs})
    return {
        "rows": list(zip(group.runs, found, distinctions(group.runs), strict=True)),
        "metrics": names,
        "clips": found[0].num_rows,
        "columns": [
            (LABELS[name], scale_around(_ends_of(one.metrics[name] for one in found), GUESSES.get(name)))
            for name in names
        ],
        "confidence": " or ".join(f"{share:.0%}" for share in shares),
        "notes": _notes_of(group, found),
    }


def _notes_of(group: Group, evaluations: Sequence[Evaluation]) -> list[str]:
    """Return what keeps the intervals of a group from being trusted, each once."""
    concerned: dict[str, list[tuple[str, str]]] = {}
    for run, one in zip(group.runs, evaluations, strict=True):
        for name in board_metrics(group):
            if note := one.metrics[name].note:
                concerned.setdefault(note, []).append((LABELS[name], run.name))
    found = []
    for note, pairs in concerned.items():
        labels, runs = (list(dict.fromkeys(column)) for column in zip(*pairs, strict=True))
        whose = "" if len(runs) == len(group.runs) else f" of {'; '.join(runs)}"
        found.append(f"{', '.join(labels)}{whose}: {note}")
    return found


def distinctions(runs: Sequence[Run]) -> list[str]:
    """Return for each run the settings that tell it from the others beside it, the first few of them."""
    differing = config_differences(runs).drop(index=["name", "data.fold"], errors="ignore")
    found = []
    for name, column in differing.items():
        own = [
            f"{field} {value}"
            for field, value in column.items()
            if f"{field}=" not in str(name) and not str(name).endswith(f", {field} {value}")
        ]
        more = f" and {len(own) - SHOWN_SETTINGS} more" if len(own) > SHOWN_SETTINGS else ""
        found.append(", ".join(own[:SHOWN_SETTINGS]) + more)
    return found


def species_board(evaluation: Evaluation, taxonomy: Taxonomy) -> dict[str, Any]:
    """Return what the page shows of a run's species: a row each, most positive clips first.

    Parameters
    ----------
    evaluation
        Of the run.
    taxonomy
        Knows names of its species.
    """
    table = evaluation.per_species.sort_values("positives", ascending=False, kind="stable")
    cells = zip(*(species_intervals(table, IN_CORE[name]) for name in SPECIES_COLUMNS), strict=True)
    return {
        "rows": [
            {**row, "cells": found, "names": taxonomy.names(row["species"])[:2]}
            for row, found in zip(table.to_dict("records"), cells, strict=True)
        ],
        "columns": [
            (SPECIES_LABELS[name], ColumnScale(0.0, 1.0, GUESSES.get(name))) for name in SPECIES_COLUMNS
        ],
        "left_out": evaluation.left_out,
    }


def comparisons(group: Group, evaluations: Mapping[str, Evaluation]) -> list[list[Comparison]]:
    """Return every pair by each metric; the `valid` settings of the first run are those of all.

    `evaluations` holds the metrics of each run by its name.
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
        for metric in board_metrics(group, _COMPARED)
    ]


def difference_board(compared: Sequence[Sequence[Comparison]]) -> dict[str, Any]:
    """Return what the page shows of the same pairs by several metrics: a row a pair, an axis a metric."""
    columns = []
    for pairs in compared:
        ends = np.abs(_ends_of(one.difference for one in pairs))
        reach = max(SMALLEST_REACH, float(np.nanmax(ends, initial=0.0)))
        columns.append((LABELS[pairs[0].metric], scale_around([-reach, reach], 0.0)))
    found = [one.is_distinguishable for pairs in compared for one in pairs]
    return {
        "rows": list(zip(*compared, strict=True)),
        "columns": columns,
        "num_found": sum(found),
        "num_all": len(found),
    }
