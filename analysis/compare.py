"""Whether one run is better than another: python -m analysis.compare A B [C ...].

Both are judged on the same clips. The interval of the difference comes from a paired bootstrap: every
resample draws the same recordings, within species, for both. The p-value comes from a sign-flip test
(`analysis.permutation`), corrected by Holm for the number of pairs of a metric. Both speak of other
recordings like these, not of training once more: another seed moves a score, too.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import tyro
from matplotlib.figure import Figure

from analysis.command import run_command
from analysis.figures import save
from analysis.forest import Series, draw_forest
from analysis.metric_names import IN_CORE, LABELS, MetricName
from analysis.permutation import flip_test, holm
from analysis.power import detectable_difference, recordings_needed
from analysis.runs import Aligned, align, find_runs
from analysis.tables import write_table
from core.bootstrap import Interval, Method, Resampler, summarise
from core.config import require
from core.metric_bootstrap import Bootstrapped, bootstrap, build_metrics

Unit = Literal["recording", "author"]
EFFECTS = (0.005, 0.01, 0.02, 0.05)
POWER = 0.8


@dataclass(frozen=True)
class Comparison:
    """What the data say about one run against another.

    Attributes
    ----------
    base, run
        Labels; the difference is run minus base.
    metric
        As in `analysis.metric_names`.
    base_value, value
        Of the two.
    difference
        With its paired interval.
    p, p_holm
        Of the sign-flip test, by itself and corrected for the number of pairs.
    standard_error
        Of the difference.
    num_recordings, num_folds
        Units that were drawn, and folds they lie in.
    confidence
        Of interval and verdict.
    unit
        What was drawn.
    """

    base: str
    run: str
    metric: str
    base_value: float
    value: float
    difference: Interval
    p: float
    p_holm: float
    standard_error: float
    num_recordings: int
    num_folds: int
    confidence: float
    unit: Unit = "recording"

    @property
    def is_distinguishable(self) -> bool:
        """Whether the corrected test finds a difference."""
        return self.p_holm <= 1 - self.confidence

    @property
    def detectable(self) -> float:
        """Smallest true difference found with 80 % power by one such test."""
        return detectable_difference(self.standard_error, self.confidence, POWER)

    def needed(self, effect: float) -> int | None:
        """Return how many recordings (authors) like these find a true difference with 80 % power."""
        return recordings_needed(effect, self.standard_error, self.num_recordings, self.confidence, POWER)

    def needed_folds(self, effect: float) -> int | None:
        """Return the same in folds of the size of these."""
        number = self.needed(effect)
        return None if number is None else int(np.ceil(number * self.num_folds / self.num_recordings))

    @property
    def verdict(self) -> str:
        """The result in words."""
        label, d = LABELS[self.metric], self.difference
        numbers = f"{label} {d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}], p = {show_p(self.p_holm)}"
        if self.is_distinguishable:
            word = "better" if d.value > 0 else "worse"
            return f"{self.run} is {word} than {self.base}: {numbers}."
        text = (
            f"not distinguishable: {self.run} and {self.base}, {numbers}. These {self.num_recordings} "
            f"{self.unit}s show true differences from {self.detectable:.3f} on in 4 of 5 cases"
        )
        needed = self.needed(d.value)
        if needed is None or abs(d.value) < 0.0005:
            return text + "."
        return text + f"; one of {abs(d.value):.3f} would take about {needed:,} {self.unit}s."

    def as_row(self) -> dict[str, Any]:
        """Return what a table holds of it."""
        return {
            "metric": self.metric,
            "base": self.base,
            "run": self.run,
            "base_value": self.base_value,
            "value": self.value,
            "difference": self.difference.value,
            "low": self.difference.low,
            "high": self.difference.high,
            "p": self.p,
            "p_holm": self.p_holm,
            "detectable": self.detectable,
            **{f"needed_for_{effect:g}": self.needed(effect) for effect in EFFECTS},
            "verdict": self.verdict,
        }


def compare_pairs(
    aligned: Aligned,
    metric: MetricName = "score",
    *,
    pairs: Literal["first", "all"] = "first",
    by: Unit = "recording",
    num_resamples: int = 2000,
    num_flips: int = 5000,
    confidence: float = 0.95,
    quantile: float = 0.85,
    method: Method = "adjusted",
    seed: int = 0,
) -> list[Comparison]:
    """Compare runs in pairs.

    Parameters
    ----------
    aligned
        Their predictions on the same clips.
    metric
        What is compared, a macro mean.
    pairs
        "first": every run against the first; "all": every run against every earlier one.
    by
        What is drawn and exchanged as a whole.
    num_resamples, num_flips
        Of bootstrap and test.
    confidence
        Of intervals and verdicts.
    quantile
        Each run's threshold of the 2022 score is this quantile of its probabilities.
    method
        Of the interval.
    seed
        Of everything random.

    Raises
    ------
    ValueError
        If there are fewer than two runs.
    """
    require(len(aligned.names) > 1, "comparing takes two runs at least")
    name = IN_CORE[metric]
    resampler = Resampler(getattr(aligned, by), aligned.primary, num_resamples, seed)
    clusters = resampler.cluster_of_row
    drawn = [
        bootstrap(
            build_metrics(aligned.truth, one, clusters, (name,), quantile=quantile), aligned.truth, resampler
        )
        for one in aligned.probability
    ]
    number = len(aligned.names)
    chosen = [(0, i) for i in range(1, number)]
    if pairs == "all":
        chosen = list(itertools.combinations(range(number), 2))
    tests = [
        flip_test(aligned.truth, aligned.probability[[a, b]], clusters, name, num_flips, seed, quantile)
        for a, b in chosen
    ]
    corrected = holm(np.array([test.p for test in tests]))
    found = []
    for (a, b), test, p_holm in zip(chosen, tests, corrected, strict=True):
        difference, error = paired_difference(drawn[a], drawn[b], name, confidence, method)
        values = [drawn[i].macro_interval(name, confidence, "percentile").value for i in (a, b)]
        found.append(
            Comparison(
                base=aligned.names[a],
                run=aligned.names[b],
                metric=metric,
                base_value=values[0],
                value=values[1],
                difference=difference,
                p=test.p,
                p_holm=float(p_holm),
                standard_error=error,
                num_recordings=resampler.num_clusters,
                num_folds=len(np.unique(aligned.fold)),
                confidence=confidence,
                unit=by,
            )
        )
    return found


def paired_difference(
    base: Bootstrapped, run: Bootstrapped, name: str, confidence: float = 0.95, method: Method = "adjusted"
) -> tuple[Interval, float]:
    """Return run minus base of a macro metric with its interval, and its standard error.

    Parameters
    ----------
    base, run
        Drawn by resamplers of the same seed and rows.
    name
        Metric, of `core.metric_bootstrap.METRICS`.
    confidence, method
        Of the interval.
    """
    base_value, value = (float(np.nanmean(one.values[name])) for one in (base, run))
    drawn = run.macro_drawn(name) - base.macro_drawn(name)
    influence = run.resampler.influence(run.macro_gradient(name) - base.macro_gradient(name))
    return summarise(value - base_value, drawn, confidence, influence, method), float(np.std(drawn))


def show_p(p: float) -> str:
    """Return a p-value in the digits that mean something."""
    return f"{p:.1g}" if p < 0.01 else f"{p:.2f}"


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Compare runs on the clips they all judged: paired intervals, sign-flip tests, what can be seen."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Runs, runs of all folds, or folders that hold such; the first is what the others are compared with."""
    metrics: tuple[MetricName, ...] = ("score", "macro_auc")
    """What is compared. Holm's correction is for the pairs of one metric: settle on a metric beforehand."""
    pairs: Literal["first", "all"] = "first"
    """Every run against the first, or every pair."""
    by: Unit = "recording"
    """What is drawn and exchanged as a whole. The author is stricter."""
    quantile: float = 0.85
    """Each run's threshold of the 2022 score is this quantile of its probabilities."""
    resamples: int = 10_000
    """Bootstrap resamples of the interval."""
    flips: int = 10_000
    """Random exchanges of the test."""
    confidence: float = 0.95
    """Of intervals and verdicts."""
    method: Method = "adjusted"
    """Of the interval."""
    seed: int = 0
    """Of everything random."""
    out: str | None = None
    """Also write the table, .csv or .json."""
    figure: str | None = None
    """Also draw the differences, .png, .svg or .pdf."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(0 <= self.quantile <= 1, f"quantile={self.quantile}: between 0 and 1")
        require(0 < self.confidence < 1, f"confidence={self.confidence}: between 0 and 1")
        require(self.resamples >= 100, f"resamples={self.resamples}: at least 100")
        require(self.flips >= 100, f"flips={self.flips}: at least 100")


def compare_runs(config: CompareConfig) -> None:
    """Print verdicts and what the clips can show; write table and figure where wanted."""
    aligned = align(find_runs(config.runs))
    found: list[Comparison] = []
    for metric in config.metrics:
        compared = compare_pairs(
            aligned,
            metric,
            pairs=config.pairs,
            by=config.by,
            num_resamples=config.resamples,
            num_flips=config.flips,
            confidence=config.confidence,
            quantile=config.quantile,
            method=config.method,
            seed=config.seed,
        )
        print(f"{LABELS[metric]}\n" + "\n".join(f"  {one.verdict}" for one in compared), flush=True)
        found += compared
    print(needed_text(found))
    if config.out is not None:
        print(write_table(pd.DataFrame([one.as_row() for one in found]), config.out))
    if config.figure is not None:
        print(save(draw_differences(found), Path(config.figure), differences_caption(found)))


def needed_text(comparisons: Sequence[Comparison]) -> str:
    """Return how many recordings, and folds like these, differences of some sizes take."""
    first = comparisons[0]
    unit = f"{first.unit}s"
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


def draw_differences(comparisons: Sequence[Comparison]) -> Figure:
    """Return the forest plot of differences, one line a pair, in it every metric."""
    metrics = list(dict.fromkeys(one.metric for one in comparisons))
    by_metric = [[one for one in comparisons if one.metric == metric] for metric in metrics]
    lines = list(zip(*by_metric, strict=True))
    texts = ["\n".join(map(difference_text, line)) for line in lines]
    labels = [f"{line[0].run} - {line[0].base}" for line in lines]
    series = [
        Series(LABELS[metric], [one.difference for one in found])
        for metric, found in zip(metrics, by_metric, strict=True)
    ]
    what = "difference" if len(metrics) > 1 else f"difference in {LABELS[metrics[0]]}"
    return draw_forest(labels, series, what, 0.0, texts)


def difference_text(one: Comparison) -> str:
    """Return what stands beside a difference."""
    ending = "" if one.is_distinguishable else ", not distinguishable"
    return f"{one.difference.value:+.3f}, p = {show_p(one.p_holm)}{ending}"


def differences_caption(comparisons: Sequence[Comparison]) -> str:
    """Return what `draw_differences` shows."""
    first = comparisons[0]
    return (
        f"Differences between runs on the same {first.num_recordings} {first.unit}s, to the right: the first "
        f"is better. Lines: {first.confidence:.0%} intervals of a paired bootstrap of {first.unit}s "
        f"within species. p: sign-flip test, corrected by Holm for the pairs of a metric. Dotted: equal."
    )


def main() -> None:
    """Compare the runs named on the command line."""
    run_command(CompareConfig, compare_runs)


if __name__ == "__main__":
    main()
