"""Scores of runs with intervals: python -m analysis.bootstrap RUN ...

Per run: 2022 score, cmAP, padded cmAP, macro ROC-AUC, 2021 micro F1 and top-1 accuracy by three intervals,
the first four per species too. `core.scoring.resampling` describes how recordings are drawn,
`core.scoring.intervals` which interval is which.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.command import IntervalOptions
from analysis.drawing.figure_files import save_figure
from analysis.runs import find_runs, predictions_of
from core.config import ValidConfig
from core.data.taxonomy import Taxonomy
from core.files import write_table
from core.program import run_program
from core.scoring.draws import draw_metrics
from core.scoring.intervals import CONFIDENCE, METHODS, Draws, Interval
from core.scoring.metric_names import IN_CORE, LABELS, SPECIES_LABELS
from core.scoring.pictures import Series, draw_forest
from core.scoring.predictions import UNITS
from core.wording import counted

WITH_SPECIES = ("score", "macro_auc", "cmap", "padded_cmap")
SPECIES_SHOWN = ("score", "macro_auc", "cmap")
MEAN_OF_SPECIES = "macro"
Intervals = dict[tuple[str, str, str], Interval]
"""(metric, species or "macro", method) -> the interval."""


@dataclass(frozen=True, kw_only=True)
class BootstrapConfig(IntervalOptions):
    """Score runs with intervals: a bootstrap over recordings, stratified by species.

    The table holds intervals by every method. The figure shows each species' 2022 score, of a single run also
    its ROC-AUC; several runs share the axes.
    """


def all_intervals(
    drawn: Mapping[str, Draws], species: Sequence[str], confidence: float = CONFIDENCE
) -> Intervals:
    """Return every metric's interval by every method, of the mean over species and of each species.

    Parameters
    ----------
    drawn
        All metrics on all resamples, see `draw_metrics`.
    species
        (species,) codes.
    confidence
        Of the intervals.
    """
    found: Intervals = {}
    for name, in_core in IN_CORE.items():
        for method in METHODS:
            found[name, MEAN_OF_SPECIES, method] = drawn[in_core].mean().interval(confidence, method)
            if name in WITH_SPECIES:
                of_species = drawn[in_core].intervals(confidence, method)
                found |= {(name, code, method): one for code, one in zip(species, of_species, strict=True)}
    return found


def _describe_run(found: Intervals, support: Mapping[str, int], config: BootstrapConfig) -> str:
    """Return the text about one run."""

    def line(*heads: str, cells: Iterable[object], notes: Iterable[str] = ()) -> str:
        fields = [f"{text:<{width}}" for text, width in zip(heads, (16, 12), strict=False)]
        return "  " + "".join(
            [*fields, *(f"{cell!s:<25}" for cell in cells), "; ".join(dict.fromkeys(notes))]
        )

    lines = [line("macro mean", cells=METHODS)]
    for metric, label in LABELS.items():
        cells = [found[metric, MEAN_OF_SPECIES, method] for method in METHODS]
        notes = [cells[0].note] if cells[0].note else []
        if cells[0].num_dropped:
            notes.append(f"{counted(cells[0].num_dropped, 'resamples')} without some species")
        lines.append(line(label, cells=cells, notes=notes))
    lines.append(line("species", f"{config.by}s", cells=[SPECIES_LABELS[m] for m in SPECIES_SHOWN]))
    for code, number in support.items():
        cells = [found[metric, code, config.method] for metric in SPECIES_SHOWN]
        lines.append(line(code, str(number), cells=cells, notes=[one.note for one in cells if one.note]))
    return "\n".join(lines)


def _save_species_forest(
    file: Path,
    found: Mapping[str, Intervals],
    support: Mapping[str, int],
    taxonomy: Taxonomy,
    config: BootstrapConfig,
    valid: ValidConfig,
) -> Path:
    """Draw the species: 2022 score of each run; of a single one also its ROC-AUC."""
    codes = sorted(support, key=lambda code: -support[code])
    labels = [f"{taxonomy.label(code)}, {support[code]}" for code in codes] + ["mean of species"]
    metrics = ("score", "macro_auc") if len(found) == 1 else ("score",)
    series = [
        Series(
            SPECIES_LABELS[metric] if len(found) == 1 else name,
            [intervals[metric, code, config.method] for code in (*codes, MEAN_OF_SPECIES)],
        )
        for name, intervals in found.items()
        for metric in metrics
    ]
    shown = " and ".join(SPECIES_LABELS[metric] for metric in metrics)
    caption = (
        f"{shown} of each scored species, with the number of {UNITS[config.by]} that hold it, of "
        f"{', '.join(found)}; decisions at the {valid.threshold_quantile:g} quantile of the probabilities, "
        f"{config.threshold}. Lines: {valid.confidence:.0%} intervals ({config.method}) over "
        f"{valid.num_resamples:,} resamples of {UNITS[config.by]} within species. Hollow: no interval. "
        "Dotted: no skill."
    )
    return save_figure(draw_forest(labels, series, shown, 0.5), file, caption)


def _score_runs(config: BootstrapConfig) -> None:
    """Print the intervals of runs; write table and figure where wanted."""
    runs = find_runs(config.runs)
    valid = config.settled(runs[0].valid)
    found: dict[str, Intervals] = {}
    supports: dict[str, int] = {}
    for run in runs:
        (rows,) = predictions_of([run], config.of)
        resampler = rows.resampler(config.by, valid.num_resamples, config.seed)
        drawn = draw_metrics(
            rows.truth,
            rows.probability,
            resampler,
            quantile=valid.threshold_quantile,
            repicked=config.threshold == "repicked",
            known=rows.known,
        )
        found[run.name] = all_intervals(drawn, rows.species, valid.confidence)
        assert drawn["auc"].support is not None
        support = dict(zip(rows.species, drawn["auc"].support.tolist(), strict=True))
        supports |= support
        drawn_units = f"{resampler.num_clusters} {UNITS[config.by]}, {resampler.num_resamples:,} resamples"
        print(f"{run.name}: {drawn_units}, {valid.confidence:.0%} intervals")
        print(_describe_run(found[run.name], support, config), flush=True)
    if config.out is not None:
        table = [
            {"metric": metric, "species": code, "method": method, **dataclasses.asdict(one), "run": name}
            for name, intervals in found.items()
            for (metric, code, method), one in intervals.items()
        ]
        print(f"  {write_table(pd.DataFrame(table), config.out)}")
    if config.figure is not None:
        predictions_of(runs, config.of)  # several runs share the axes only if they judged the same clips
        names = Taxonomy().with_codes(list(supports), *(run.taxonomy for run in runs))
        print(f"  {_save_species_forest(Path(config.figure), found, supports, names, config, valid)}")


if __name__ == "__main__":
    run_program(BootstrapConfig, _score_runs)
