"""Whether one run is better than another: python -m analysis.compare A B [C ...].

Both are judged on the same clips. The interval of the difference comes from a paired bootstrap: every
resample draws the same recordings, within species, for both. The p-value comes from a sign-flip test
(`core.scoring.sign_flips`), corrected by Holm for the number of pairs of a metric. Both speak of other
recordings like these, not of training once more: another seed moves a score, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from analysis.command import IntervalOptions, run_command
from analysis.drawing.figure_files import Drawing, save_figure
from analysis.runs import find_runs, predictions_of
from core.config import MetricName, require
from core.files import write_table
from core.scoring.comparison import EFFECTS, Comparison, compare_pairs, show_p
from core.scoring.metric_names import LABELS
from core.scoring.pictures import Series, draw_forest
from core.scoring.predictions import UNITS

_ALWAYS_COMPARED: tuple[MetricName, ...] = ("score", "macro_auc")


@dataclass(frozen=True, kw_only=True)
class CompareConfig(IntervalOptions):
    """Compare runs on the clips they all judged: paired intervals, sign-flip tests, what can be seen."""

    metrics: tuple[MetricName, ...] = ()
    """What is compared; empty: the first run's main metric, then 2022 score and macro ROC-AUC. Holm's
    correction is for the pairs of one metric: settle on a metric beforehand."""
    pairs: Literal["first", "all"] = "first"
    """Every run against the first, or every pair."""
    flips: int = 10_000
    """Random exchanges of the test."""

    def __post_init__(self) -> None:
        """Check ranges and endings."""
        super().__post_init__()
        require(self.flips >= 100, f"flips={self.flips}: at least 100")


def _compare_runs(config: CompareConfig) -> None:
    """Print verdicts and what the clips can show; write table and figure where wanted."""
    runs = find_runs(config.runs)
    valid, predictions = config.settled(runs[0].valid), predictions_of(runs, config.of)
    found: list[Comparison] = []
    for metric in config.metrics or dict.fromkeys((runs[0].valid.main_metric, *_ALWAYS_COMPARED)):
        compared = compare_pairs(
            predictions,
            metric,
            pairs=config.pairs,
            by=config.by,
            num_resamples=valid.num_resamples,
            num_flips=config.flips,
            confidence=valid.confidence,
            quantile=valid.threshold_quantile,
            repicked=config.threshold == "repicked",
            method=config.method,
            seed=config.seed,
        )
        print(f"{LABELS[metric]}\n" + "\n".join(f"  {one.verdict}" for one in compared), flush=True)
        found += compared
    print(_needed_text(found))
    if config.out is not None:
        print(write_table(pd.DataFrame([one.as_row() for one in found]), config.out))
    if config.figure is not None:
        drawing = differences_drawing(found, "differences")
        print(save_figure(drawing.figure, Path(config.figure), drawing.caption))


def _needed_text(comparisons: Sequence[Comparison]) -> str:
    """Return how many recordings, and folds like these, differences of some sizes take."""
    first = comparisons[0]
    unit = UNITS[first.unit]
    lines = [
        f"{unit} (folds like these {first.num_folds} with {first.num_recordings} {unit}) that show a true "
        f"difference of so much in 4 of 5 cases:",
        "  " + "".join(f"{effect:<18g}" for effect in EFFECTS) + "smallest here",
    ]
    for one in comparisons:
        cells = [f"{one.needed(effect):,} ({one.needed_folds(effect):,})" for effect in EFFECTS]
        lines.append(
            "  " + "".join(f"{cell:<18}" for cell in cells)
            + f"{one.detectable:<14.3f}{LABELS[one.metric]}: {one.run} - {one.base}"
        )  # fmt: skip
    return "\n".join(lines)


def differences_drawing(comparisons: Sequence[Comparison], key: str) -> Drawing:
    """Return the forest plot of differences, one line a pair, in it every metric."""
    first, units = comparisons[0], UNITS[comparisons[0].unit]
    metrics = list(dict.fromkeys(one.metric for one in comparisons))
    by_metric = [[one for one in comparisons if one.metric == metric] for metric in metrics]
    lines = list(zip(*by_metric, strict=True))
    texts = ["\n".join(map(_difference_text, line)) for line in lines]
    labels = [f"{line[0].run}\nminus {line[0].base}" for line in lines]
    series = [
        Series(LABELS[metric], [one.difference for one in found])
        for metric, found in zip(metrics, by_metric, strict=True)
    ]
    what = "difference" if len(metrics) > 1 else f"difference in {LABELS[metrics[0]]}"
    caption = (
        f"Differences between runs on the same {first.num_recordings} {units}, to the right: the first is "
        f"better. Lines: {first.confidence:.0%} intervals of a paired bootstrap of {units} "
        f"within species. p: sign-flip test, corrected by Holm for the pairs of a metric. Dotted: equal."
    )
    return Drawing(key, draw_forest(labels, series, what, 0.0, texts), caption)


def _difference_text(one: Comparison) -> str:
    """Return what stands beside a difference."""
    ending = "" if one.is_distinguishable else ", not distinguishable"
    return f"{one.difference.value:+.3f}, p = {show_p(one.p_holm)}{ending}"


def main() -> None:
    """Compare the runs named on the command line."""
    run_command(CompareConfig, _compare_runs)


if __name__ == "__main__":
    main()
