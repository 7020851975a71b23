"""Scores of runs with intervals: python -m analysis.bootstrap RUN ...

Per run: 2022 score, cmAP, padded cmAP, macro ROC-AUC and top-1 accuracy by three intervals, the first three
per species too, and the 2022 score of left-out recordings at a threshold that the drawn ones picked.
`core.scoring.resampling` describes how recordings are drawn and which interval is which.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import tyro
from matplotlib.figure import Figure

from analysis.command import require_resampling, run_command
from analysis.drawing.figures import save
from analysis.drawing.forest import Series, draw_forest
from analysis.drawing.tables import require_endings, write_table
from analysis.out_of_bag import OutOfBag, out_of_bag
from analysis.runs import Aligned, align, find_runs
from analysis.units import UNITS, Unit, drawn_units
from core.scoring.intervals import Bootstrapped, bootstrap, build_metrics
from core.scoring.metric_names import IN_CORE, LABELS, SPECIES_LABELS
from core.scoring.resampling import METHODS, Interval, Method, Resampler

BY_SPECIES = ("score", "macro_auc", "cmap", "padded_cmap")
INTERVAL = ("value", "low", "high", "num_dropped", "note")
SHOWN = ("score", "macro_auc", "cmap")


@dataclass(frozen=True, kw_only=True)
class BootstrapConfig:
    """Score runs with intervals: a bootstrap over recordings, stratified by species."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Runs, runs of all folds, or folders that hold such."""
    by: Unit = "recording"
    """What is drawn as a whole, see `analysis.units`; the author is stricter."""
    threshold: Literal["repicked", "fixed"] = "repicked"
    """Whether each resample picks the quantile of its own probabilities, as a new test set would, or all
    share that of the run."""
    quantile: float = 0.85
    """The 2022 score's threshold is this quantile of all scored probabilities."""
    resamples: int = 10_000
    """Bootstrap resamples."""
    confidence: float = 0.95
    """Coverage that the intervals aim at."""
    method: Method = "adjusted"
    """The interval that is printed per species and drawn; --out holds all."""
    seed: int = 0
    """Seed of the resamples."""
    out: str | None = None
    """Also write every interval, .csv or .json."""
    figure: str | None = None
    """Also draw each species' 2022 score and ROC-AUC, .png, .svg or .pdf; several runs share the axes."""

    def __post_init__(self) -> None:
        """Check ranges and endings."""
        require_endings(self.out, self.figure)
        require_resampling(self.resamples, confidence=self.confidence, quantile=self.quantile)


def bootstrap_run(
    aligned: Aligned, index: int, config: BootstrapConfig
) -> tuple[Bootstrapped, list[OutOfBag]]:
    """Return all metrics of one of some runs on all resamples, and the scores of left-out recordings."""
    resampler = Resampler(drawn_units(aligned, config.by), aligned.primary, config.resamples, config.seed)
    probability = aligned.probability[index]
    metrics = build_metrics(
        aligned.truth,
        probability,
        resampler.cluster_of_row,
        quantile=config.quantile,
        repicked=config.threshold == "repicked",
    )
    left_out = [
        out_of_bag(aligned.truth, probability, resampler, rule, config.quantile, config.confidence)
        for rule in ("quantile", "best")
    ]
    return bootstrap(metrics, aligned.truth, resampler, f"{config.by}s"), left_out


def intervals_table(drawn: Bootstrapped, species: tuple[str, ...], confidence: float = 0.95) -> pd.DataFrame:
    """Return one row a metric, species ("macro": their mean) and method, with value, bounds and note.

    Parameters
    ----------
    drawn
        All metrics on all resamples.
    species
        Codes.
    confidence
        Of the intervals.
    """
    rows = []
    for name, in_core in IN_CORE.items():
        for method in METHODS:
            found = [("macro", drawn.macro_interval(in_core, confidence, method))]
            if name in BY_SPECIES:
                intervals = drawn.species_intervals(in_core, confidence, method)
                found += zip(species, intervals, strict=True)
            rows += [
                {
                    "metric": name,
                    "species": code,
                    "method": method,
                    **{key: getattr(interval, key) for key in INTERVAL},
                }
                for code, interval in found
            ]
    return pd.DataFrame(rows)


def interval_of(table: pd.DataFrame, metric: str, species: str, method: str) -> Interval:
    """Return one interval of an `intervals_table`."""
    chosen = (table["metric"] == metric) & (table["species"] == species) & (table["method"] == method)
    row: dict[str, Any] = table.loc[chosen, list(INTERVAL)].iloc[0].to_dict()
    return Interval(**row | {"num_dropped": int(row["num_dropped"])})


def show_run(
    name: str, table: pd.DataFrame, drawn: Bootstrapped, left_out: list[OutOfBag], config: BootstrapConfig
) -> str:
    """Return the text about one run."""
    resampler = drawn.resampler
    lines = [
        f"{name}: {resampler.num_clusters} {UNITS[config.by]}, {resampler.num_resamples:,} resamples, "
        f"{config.confidence:.0%} intervals",
        f"  {'macro mean':<16}" + "".join(f"{method:<25}" for method in ("adjusted", "bca", "percentile")),
    ]
    for metric, label in LABELS.items():
        found = [interval_of(table, metric, "macro", m) for m in ("adjusted", "bca", "percentile")]
        notes = [found[0].note] if found[0].note else []
        if found[0].num_dropped:
            notes.append(f"{found[0].num_dropped} resamples lack a species")
        lines.append(f"  {label:<16}" + "".join(f"{one!s:<25}" for one in found) + "; ".join(notes))
    lines.append(
        f"  {'species':<16}{config.by + 's':<12}" + "".join(f"{SPECIES_LABELS[m]:<25}" for m in SHOWN)
    )
    codes = list(dict.fromkeys(table["species"]))[1:]
    for code, number in zip(codes, drawn.clusters, strict=True):
        found = [interval_of(table, metric, code, config.method) for metric in SHOWN]
        noted = "; ".join(dict.fromkeys(one.note for one in found if one.note))
        lines.append(f"  {code:<16}{number:<12}" + "".join(f"{one!s:<25}" for one in found) + noted)
    return "\n".join([*lines, *map(show_left_out, left_out)])


def show_left_out(found: OutOfBag) -> str:
    """Return a line about the scores of left-out recordings."""
    rule = "quantile" if found.rule == "quantile" else "best threshold"
    return (
        f"  {rule} of the drawn recordings, 2022 score of the left-out ones: {found.score:.3f} (resamples "
        f"{found.low:.3f} to {found.high:.3f}), optimism {found.optimism:+.3f}, thresholds "
        f"{found.threshold_low:.3f} to {found.threshold_high:.3f}"
        + (f"; {found.num_lacking} resamples lack a species" if found.num_lacking else "")
    )


def draw_species(
    names: Sequence[str],
    tables: Sequence[pd.DataFrame],
    recordings: dict[str, int],
    config: BootstrapConfig,
) -> tuple[Figure, str]:
    """Return the forest plot of species and its caption: 2022 score of each run; of one also its ROC-AUC.

    Parameters
    ----------
    names, tables
        Of the runs.
    recordings
        Species -> how many recordings hold it.
    config
        What was computed.
    """
    codes = sorted(recordings, key=lambda code: -recordings[code])
    labels = [f"{code} ({recordings[code]})" for code in codes] + ["mean of species"]
    metrics = ("score", "macro_auc") if len(names) == 1 else ("score",)
    series = [
        Series(
            SPECIES_LABELS[metric] if len(names) == 1 else name,
            [interval_of(table, metric, code, config.method) for code in (*codes, "macro")],
        )
        for name, table in zip(names, tables, strict=True)
        for metric in metrics
    ]
    shown = " and ".join(SPECIES_LABELS[metric] for metric in metrics)
    caption = (
        f"{shown} of each scored species (in brackets: {UNITS[config.by]} that hold it) of "
        f"{', '.join(names)}; "
        f"decisions at the {config.quantile:g} quantile of the probabilities, {config.threshold}. Lines: "
        f"{config.confidence:.0%} intervals ({config.method}) over {config.resamples:,} resamples of "
        f"{UNITS[config.by]} within species. Hollow: no interval. Dotted: no skill."
    )
    return draw_forest(labels, series, shown, 0.5), caption


def score_runs(config: BootstrapConfig) -> None:
    """Print the intervals of runs; write table and figure where wanted."""
    runs = find_runs(config.runs)
    tables: list[pd.DataFrame] = []
    recordings: dict[str, int] = {}
    for run in runs:
        aligned = align([run])
        drawn, left_out = bootstrap_run(aligned, 0, config)
        table = intervals_table(drawn, aligned.species, config.confidence)
        tables.append(table)
        recordings |= dict(zip(aligned.species, drawn.clusters.tolist(), strict=True))
        print(show_run(run.name, table, drawn, left_out, config), flush=True)
    if config.out is not None:
        named = [table.assign(run=run.name) for run, table in zip(runs, tables, strict=True)]
        print(f"  {write_table(pd.concat(named, ignore_index=True), config.out)}")
    if config.figure is not None:
        align(runs)  # several runs share the axes only if they judged the same clips
        figure, caption = draw_species([run.name for run in runs], tables, recordings, config)
        print(f"  {save(figure, Path(config.figure), caption)}")


def main() -> None:
    """Score the runs named on the command line."""
    run_command(BootstrapConfig, score_runs)


if __name__ == "__main__":
    main()
