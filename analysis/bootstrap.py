"""Scores of runs with intervals: python -m analysis.bootstrap RUN ...

Per run: 2022 score, cmAP, padded cmAP, macro ROC-AUC, 2021 micro F1 and top-1 accuracy by three intervals,
the first four per species too. `core.scoring.resampling` describes how recordings are drawn,
`core.scoring.intervals` which interval is which.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import tyro
from matplotlib.figure import Figure

from analysis.command import ScoringOptions, run_command
from analysis.drawing.figure_files import save_figure
from analysis.drawing.table_files import require_endings
from analysis.runs import find_runs, predictions_of
from core.config import ValidConfig
from core.files import write_table
from core.scoring.draws import draw_metrics
from core.scoring.intervals import CONFIDENCE, METHODS, Draws, Interval, Method
from core.scoring.metric_names import IN_CORE, LABELS, SPECIES_LABELS
from core.scoring.pictures import Series, draw_forest
from core.scoring.predictions import UNITS

BY_SPECIES = ("score", "macro_auc", "cmap", "padded_cmap")
INTERVAL = ("value", "low", "high", "num_dropped", "note")
SPECIES_SHOWN = ("score", "macro_auc", "cmap")


@dataclass(frozen=True, kw_only=True)
class BootstrapConfig(ScoringOptions):
    """Score runs with intervals: a bootstrap over recordings, stratified by species."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Runs, runs of all folds, or folders that hold such."""
    threshold: Literal["repicked", "fixed"] = "repicked"
    """Whether each resample picks the quantile of its own probabilities, as a new test set would, or all
    share that of the run."""
    method: Method = "adjusted"
    """The interval that is printed per species and drawn; --out holds all."""
    out: str | None = None
    """Also write every interval, .csv or .json."""
    figure: str | None = None
    """Also draw each species' 2022 score and ROC-AUC, .png, .svg or .pdf; several runs share the axes."""

    def __post_init__(self) -> None:
        """Check ranges and endings."""
        super().__post_init__()
        require_endings(self.out, self.figure)


def intervals_table(
    drawn: Mapping[str, Draws], species: Sequence[str], confidence: float = CONFIDENCE
) -> pd.DataFrame:
    """Return one row a metric, species ("macro": their mean) and method, with value, bounds and note.

    Parameters
    ----------
    drawn
        All metrics on all resamples, see `draw_metrics`.
    species
        Codes.
    confidence
        Of the intervals.
    """
    rows = []
    for name, in_core in IN_CORE.items():
        for method in METHODS:
            found = [("macro", drawn[in_core].mean().interval(confidence, method))]
            if name in BY_SPECIES:
                found += zip(species, drawn[in_core].intervals(confidence, method), strict=True)
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
    """Return one interval of an `intervals_table`, by its metric, species and method."""
    chosen = (table["metric"] == metric) & (table["species"] == species) & (table["method"] == method)
    row: dict[str, Any] = table.loc[chosen, list(INTERVAL)].iloc[0].to_dict()
    return Interval(**row | {"num_dropped": int(row["num_dropped"])})


def describe_run(
    name: str, table: pd.DataFrame, drawn: Mapping[str, Draws], config: BootstrapConfig, valid: ValidConfig
) -> str:
    """Return the text about one run."""
    resampler, support = drawn["auc"].resampler, drawn["auc"].support
    assert support is not None
    lines = [
        f"{name}: {resampler.num_clusters} {UNITS[config.by]}, {resampler.num_resamples:,} resamples, "
        f"{valid.confidence:.0%} intervals",
        f"  {'macro mean':<16}" + "".join(f"{method:<25}" for method in METHODS),
    ]
    for metric, label in LABELS.items():
        found = [interval_of(table, metric, "macro", method) for method in METHODS]
        notes = [found[0].note] if found[0].note else []
        if found[0].num_dropped:
            notes.append(f"{found[0].num_dropped} resamples lack a species")
        lines.append(f"  {label:<16}" + "".join(f"{one!s:<25}" for one in found) + "; ".join(notes))
    lines.append(
        f"  {'species':<16}{config.by + 's':<12}" + "".join(f"{SPECIES_LABELS[m]:<25}" for m in SPECIES_SHOWN)
    )
    codes = list(dict.fromkeys(table["species"]))[1:]
    for code, number in zip(codes, support, strict=True):
        found = [interval_of(table, metric, code, config.method) for metric in SPECIES_SHOWN]
        noted = "; ".join(dict.fromkeys(one.note for one in found if one.note))
        lines.append(f"  {code:<16}{number:<12}" + "".join(f"{one!s:<25}" for one in found) + noted)
    return "\n".join(lines)


def draw_species_forest(
    names: Sequence[str],
    tables: Sequence[pd.DataFrame],
    support: Mapping[str, int],
    config: BootstrapConfig,
    valid: ValidConfig,
) -> tuple[Figure, str]:
    """Return the forest plot of species and its caption: 2022 score of each run; of one also its ROC-AUC.

    Parameters
    ----------
    names, tables
        Of the runs.
    support
        Species -> how many recordings hold it.
    config, valid
        What was computed.
    """
    codes = sorted(support, key=lambda code: -support[code])
    labels = [f"{code} ({support[code]})" for code in codes] + ["mean of species"]
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
        f"{', '.join(names)}; decisions at the {valid.threshold_quantile:g} quantile of the probabilities, "
        f"{config.threshold}. Lines: {valid.confidence:.0%} intervals ({config.method}) over "
        f"{valid.num_resamples:,} resamples of {UNITS[config.by]} within species. Hollow: no interval. "
        "Dotted: no skill."
    )
    return draw_forest(labels, series, shown, 0.5), caption


def score_runs(config: BootstrapConfig) -> None:
    """Print the intervals of runs; write table and figure where wanted."""
    runs = find_runs(config.runs)
    valid = config.settled(runs[0].valid)
    tables: list[pd.DataFrame] = []
    support: dict[str, int] = {}
    for run in runs:
        (rows,) = predictions_of([run])
        drawn = draw_metrics(
            rows.truth,
            rows.probability,
            rows.resampler(config.by, valid.num_resamples, config.seed),
            quantile=valid.threshold_quantile,
            repicked=config.threshold == "repicked",
        )
        table = intervals_table(drawn, rows.species, valid.confidence)
        tables.append(table)
        assert drawn["auc"].support is not None
        support |= dict(zip(rows.species, drawn["auc"].support.tolist(), strict=True))
        print(describe_run(run.name, table, drawn, config, valid), flush=True)
    if config.out is not None:
        named = [table.assign(run=run.name) for run, table in zip(runs, tables, strict=True)]
        print(f"  {write_table(pd.concat(named, ignore_index=True), config.out)}")
    if config.figure is not None:
        predictions_of(runs)  # several runs share the axes only if they judged the same clips
        figure, caption = draw_species_forest([run.name for run in runs], tables, support, config, valid)
        print(f"  {save_figure(figure, Path(config.figure), caption)}")


def main() -> None:
    """Score the runs named on the command line."""
    run_command(BootstrapConfig, score_runs)


if __name__ == "__main__":
    main()
