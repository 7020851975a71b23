"""Whether one run is better than another: python -m analysis.compare A B [C ...].

Both are judged on the same clips. The interval of the difference comes from a paired bootstrap: every
resample draws the same recordings, within species, for both. The p-value comes from a sign-flip test
(`core.scoring.sign_flips`), corrected by Holm for the number of pairs of a metric. Both speak of other
recordings like these, not of training once more: another seed moves a score, too. With `--seeds` settings are
compared, over the seeds of their runs and over recordings at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from analysis.command import IntervalOptions
from analysis.drawing.figure_files import Drawing, save_figure
from analysis.plan import read_plan
from analysis.runs import Run, by_setting, find_runs, predictions_of
from core.config import MetricName, ValidConfig, require
from core.config_checks import expand_home, require_output
from core.files import TABLE_ENDINGS, write_table
from core.program import run_program
from core.scoring.comparison import EFFECTS, Comparison, Pairs, compare_pairs, show_p
from core.scoring.metric_names import LABELS, SPECIES_LABELS
from core.scoring.pictures import Series, draw_forest
from core.scoring.predictions import UNITS
from core.scoring.seeds import LEAST_SEEDS, compare_settings
from core.scoring.species_differences import (
    RankedMetric,
    compare_species,
    format_species,
    species_difference_rows,
)

_ALWAYS_COMPARED: tuple[MetricName, ...] = ("score", "macro_auc")


@dataclass(frozen=True, kw_only=True)
class CompareConfig(IntervalOptions):
    """Compare runs on the clips they all judged: paired intervals, sign-flip tests, what can be seen."""

    metrics: tuple[MetricName, ...] = ()
    """What is compared; empty: the first run's main metric, then 2022 score and macro ROC-AUC. Holm's
    correction is for the pairs of one metric: settle on a metric beforehand."""
    pairs: Literal["first", "all", "best"] = "first"
    """Every run against the first; every pair; or all against the best here, corrected for its choice."""
    flips: int = 10_000
    """Random exchanges of the test."""
    seeds: bool = False
    """Compare settings, not runs: runs that differ in their seed alone are one setting."""
    species: RankedMetric | None = None
    """Also compare every species by this metric of its own ranking; None: macro means alone."""
    species_out: str | None = None
    """Table of the species, .csv, .json or .parquet."""
    margin: float | None = None
    """A difference below it does not matter: runs may then also be "equal within" it. Name it beforehand."""
    plan: str | None = None
    """A yaml with metric, unit, margin and comparisons that was written before the runs."""

    def __post_init__(self) -> None:
        """Check ranges and endings."""
        super().__post_init__()
        right = self.margin is None or 0 < self.margin < float("inf")
        require(right, f"margin={self.margin}: a number above 0")
        expand_home(self, "plan", "species_out")
        require_output("species_out", self.species_out, TABLE_ENDINGS)
        is_told = self.species is not None or self.species_out is None
        require(is_told, "species_out needs --species=macro_auc or cmap")
        require(self.flips >= 100, f"flips={self.flips}: at least 100")


def _compare_runs(config: CompareConfig) -> None:
    """Print verdicts and what the clips can show; write table and figure where wanted."""
    runs = find_runs(config.runs)
    if config.seeds:
        _compare_seeds(config, runs)
        return
    found: list[Comparison] = []
    if config.plan is not None:
        plan = read_plan(Path(config.plan))
        print(plan.describe(runs))
        options = _of_score(config, config.settled(runs[0].valid))
        found = plan.compare(runs, config.of, num_flips=config.flips, **options)
        print("\n".join(f"  planned: {one.verdict}" for one in found), flush=True)
        print("Not planned:")
    for metric in config.metrics or dict.fromkeys((runs[0].valid.main_metric, *_ALWAYS_COMPARED)):
        compared = _compared(config, runs, metric, config.pairs)
        print(f"{LABELS[metric]}\n" + "\n".join(f"  {one.verdict}" for one in compared), flush=True)
        found += compared
    print(_needed_text(found))
    if config.species is not None:
        _compare_species(config, runs, config.species)
    if config.out is not None:
        print(write_table(pd.DataFrame([one.as_row() for one in found]), config.out))
    if config.figure is not None:
        drawing = differences_drawing([one for one in found if not one.is_planned], "differences")
        print(save_figure(drawing.figure, Path(config.figure), drawing.caption))


def _compare_seeds(config: CompareConfig, runs: Sequence[Run]) -> None:
    """Print, and write where wanted, how each setting differs from the first over seeds and recordings."""
    every, valid = by_setting(runs), config.settled(runs[0].valid)
    settings = {name: group for name, group in every.items() if len(group) >= LEAST_SEEDS}
    alone = [name for name in every if name not in settings]
    if alone:
        print(f"Left out, of one seed: {', '.join(alone)}")
    require(
        len(settings) > 1,
        f"seeds: {len(settings)} settings with runs of {LEAST_SEEDS} seeds are among these; two are compared",
    )
    sides = {
        name: [replace(one, name=name) for one in predictions_of(group, config.of)]
        for name, group in settings.items()
    }
    base, *others = sides.values()
    found = []
    for metric in config.metrics or dict.fromkeys((runs[0].valid.main_metric, *_ALWAYS_COMPARED)):
        for other in others:
            one = compare_settings(base, other, metric, **_of_score(config, valid))
            print(one.verdict, flush=True)
            found.append(one.as_row())
    if config.out is not None:
        print(write_table(pd.DataFrame(found), config.out))


def _compare_species(config: CompareConfig, runs: Sequence[Run], metric: RankedMetric) -> None:
    """Print, and write where wanted, which species differ between each run and the first."""
    valid, (base, *others) = config.settled(runs[0].valid), predictions_of(runs, config.of)
    print(f"Species by {SPECIES_LABELS[metric]}")
    found = []
    for run in others:
        compared = compare_species(
            base,
            run,
            metric,
            num_flips=config.flips,
            **_of_interval(config, valid),
        )
        print(format_species(compared, base.name, run.name, 1 - valid.confidence), flush=True)
        found.append((base.name, run.name, compared))
    if config.species_out is not None:
        print(write_table(pd.DataFrame(species_difference_rows(found)), config.species_out))


def _compared(
    config: CompareConfig,
    runs: Sequence[Run],
    metric: MetricName,
    pairs: Pairs,
) -> list[Comparison]:
    """Return pairs of runs compared by a metric."""
    valid = config.settled(runs[0].valid)
    return compare_pairs(
        predictions_of(runs, config.of),
        metric,
        pairs=pairs,
        margin=config.margin,
        num_flips=config.flips,
        **_of_score(config, valid),
    )


def _of_interval(config: CompareConfig, valid: ValidConfig) -> dict[str, Any]:
    """Return how intervals are made, as every comparison takes it."""
    return {
        "by": config.by,
        "num_resamples": valid.num_resamples,
        "confidence": valid.confidence,
        "method": config.method,
        "seed": config.seed,
    }


def _of_score(config: CompareConfig, valid: ValidConfig) -> dict[str, Any]:
    """Return the same, and how the threshold of the 2022 score is picked."""
    repicked = config.threshold == "repicked"
    return _of_interval(config, valid) | {"quantile": valid.threshold_quantile, "repicked": repicked}


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
        f"within species. p: sign-flip test, corrected for the pairs of a metric. Dotted: equal."
    )
    return Drawing(key, draw_forest(labels, series, what, 0.0, texts), caption)


def _difference_text(one: Comparison) -> str:
    """Return what stands beside a difference."""
    ending = "" if one.is_distinguishable else ", not distinguishable"
    return f"{one.difference.value:+.3f}, p = {show_p(one.p_corrected)}{ending}"


if __name__ == "__main__":
    run_program(CompareConfig, _compare_runs)
