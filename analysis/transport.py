"""What a score on recordings says of soundscapes, and of a leaderboard: python -m analysis.transport RUN ...

Recordings were aimed at a bird; soundscapes were not. For every run the drop from the one to the other is
printed, over the species that both hold, with an interval: recordings and soundscapes are drawn apart. For
several runs, rank correlations say which measure on recordings puts the runs in the order that soundscapes
find, or that a leaderboard found. Its scores are typed into a table:

    run,score,name
    timm_007,0.812,public
    timm_008,0.846,public

`run` is an experiment, a run as `python -m analysis.runs` lists it, or its folder's name; `name` may be
missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.command import FolderOptions
from analysis.drawing.figure_files import Drawing, save_drawings
from analysis.drawing.table_files import markdown, write_rows
from analysis.runs import Run, find_runs, position_of, predictions_of
from core.config import ValidConfig, require
from core.config_checks import expand_home
from core.data.tables import line_of, numbers, read_table
from core.program import run_program
from core.scoring.draws import OF_ROWS, draw_metrics
from core.scoring.intervals import Draws, Interval
from core.scoring.metric_names import IN_CORE, LABELS
from core.scoring.pictures import Series, draw_forest
from core.scoring.predictions import FILES, UNITS, Of, Predictions, Unit
from core.scoring.rank_correlation import LEAST_PAIRS, rank_correlation
from core.wording import counted

BOARD = "leaderboard"


@dataclass(frozen=True, kw_only=True)
class TransportConfig(FolderOptions):
    """Say how far scores fall from recordings to soundscapes, and which validation predicted which."""

    leaderboard: str | None = None
    """Table run,score,name of scores from elsewhere, such as a competition's leaderboard."""

    def __post_init__(self) -> None:
        """Check ranges and paths."""
        super().__post_init__()
        expand_home(self, "leaderboard")


@dataclass(frozen=True)
class Transport:
    """What a run scores on recordings and on soundscapes.

    Attributes
    ----------
    run
        Its name.
    recordings, soundscapes
        Metric -> interval, over every species that a set holds.
    drop
        Metric -> soundscapes minus recordings, over the species that both hold; empty without soundscapes.
    num_species
        How many these are.
    """

    run: str
    recordings: Mapping[str, Interval]
    soundscapes: Mapping[str, Interval]
    drop: Mapping[str, Interval]
    num_species: int

    def rows(self) -> list[dict[str, Any]]:
        """Return a row a metric."""
        return [
            {
                "run": self.run,
                "metric": LABELS[name],
                "recordings": self.recordings[name],
                "soundscapes": self.soundscapes[name],
                "drop": one,
                "species": self.num_species,
            }
            for name, one in self.drop.items()
        ]


def measure_transport(run: Run, valid: ValidConfig, by: Unit = "recording", seed: int = 0) -> Transport:
    """Return the scores of a run on recordings and, where it validated some, on labelled soundscapes.

    Parameters
    ----------
    run
        A finished one.
    valid
        Quantile of the 2022 score, resamples, confidence.
    by
        What is drawn as a whole.
    seed
        Of the resamples of recordings; soundscapes take the next one.
    """
    confidence = valid.confidence
    aimed = _drawn(run.predictions, valid, by, seed)
    on_recordings = _means(aimed, np.ones(len(run.predictions.species), dtype=bool))
    scores = {name: one.interval(confidence) for name, one in on_recordings.items()}
    if not (run.folder / FILES["soundscapes"]).is_file() or len(run.soundscapes) == 0:
        return Transport(run.name, scores, {}, {}, 0)
    require(
        run.soundscapes.species == run.predictions.species,
        f"{run.folder}: its soundscapes have other species than its recordings; validate both by one run",
    )
    passive = _drawn(run.soundscapes, valid, by, seed + 1)
    both = ~np.isnan(aimed["auc"].values) & ~np.isnan(passive["auc"].values)
    every = _means(passive, np.ones_like(both))
    common = (_means(one, both) for one in (passive, aimed))
    found, before = common
    return Transport(
        run.name,
        scores,
        {name: one.interval(confidence) for name, one in every.items()},
        {name: found[name].apart_from(before[name]).interval(confidence) for name in found},
        int(both.sum()),
    )


def _drawn(rows: Predictions, valid: ValidConfig, by: Unit, seed: int) -> dict[str, Draws]:
    """Return every metric of some rows on all resamples."""
    return draw_metrics(
        rows.truth,
        rows.probability,
        rows.resampler(by, valid.num_resamples, seed),
        quantile=valid.threshold_quantile,
        known=rows.known,
    )


def _means(drawn: Mapping[str, Draws], species: np.ndarray) -> dict[str, Draws]:
    """Return the metrics by the names of tables, as means over some species where they have some."""
    chosen = np.flatnonzero(species)
    means = {name: drawn[key] if key in OF_ROWS else drawn[key][chosen] for name, key in IN_CORE.items()}
    return {name: one.mean() for name, one in means.items()}


def read_leaderboard(file: Path, runs: Sequence[Run]) -> dict[str, np.ndarray]:
    """Return name of a leaderboard -> (run,) scores, nan where there is none.

    Raises
    ------
    ValueError
        If the table cannot be read, names no run or several, or scores a run twice; with its line.
    """
    table = read_table(BOARD, file, ("run", "score"))
    scores = numbers(table, "score", file)
    names = table["name"].str.strip() if "name" in table else scores.astype(str).map(lambda _: "")
    found: dict[str, np.ndarray] = {}
    for row, run, score, name in zip(table.index, table["run"], scores, names, strict=True):
        where, label = line_of(file, row), name or BOARD
        require(bool(np.isfinite(score)), f"{where}: column score is blank; a number is needed")
        place = position_of(run.strip(), runs, where)
        column = found.setdefault(label, np.full(len(runs), np.nan))
        require(bool(np.isnan(column[place])), f"{where}: {run} has two scores of {label}; keep one")
        column[place] = score
    require(len(found) > 0, f"{BOARD}={file}: no row; write one a run: run,score,name")
    return found


def predicted_by(
    found: Sequence[Transport], boards: Mapping[str, np.ndarray], confidence: float
) -> list[dict[str, Any]]:
    """Return a row for each measure and what came later: their rank correlation over the runs.

    Parameters
    ----------
    found
        Of runs that were judged on the same clips.
    boards
        Leaderboard -> (run,) scores.
    confidence
        Of the intervals.
    """

    def scores(of: Of) -> dict[str, np.ndarray]:
        tables = [one.recordings if of == "recordings" else one.soundscapes for one in found]
        return {
            name: np.array([table[name].value if name in table else np.nan for table in tables])
            for name in IN_CORE
            if any(name in table for table in tables)
        }

    measured: dict[Of, dict[str, np.ndarray]] = {of: scores(of) for of in FILES}
    later = {("soundscapes", LABELS[name]): column for name, column in measured["soundscapes"].items()}
    later |= {(BOARD, name): column for name, column in boards.items()}
    return [
        {
            "validated on": of,
            "measure": LABELS[name],
            "predicts": what if on == BOARD else f"{what} of soundscapes",
            "runs": int((~np.isnan(column) & ~np.isnan(outcome)).sum()),
            "rank correlation": rank_correlation(column, outcome, confidence),
        }
        for (on, what), outcome in later.items()
        for of, columns in measured.items()
        for name, column in columns.items()
        if of == "recordings" or on == BOARD
    ]


def drop_drawing(found: Sequence[Transport], valid: ValidConfig, by: Unit) -> Drawing:
    """Return the forest plot of the drops, a line each run."""
    found = [one for one in found if one.drop]
    series = [Series(LABELS[name], [one.drop[name] for one in found]) for name in IN_CORE]
    caption = (
        "Score on labelled soundscapes minus score on recordings, over the species that both hold. Lines: "
        f"{valid.confidence:.0%} intervals over {valid.num_resamples:,} resamples of {UNITS[by]}, of either "
        "set by itself. Dotted: no drop."
    )
    figure = draw_forest([one.run for one in found], series, "soundscapes minus recordings", 0.0)
    return Drawing("drop", figure, caption)


def predicted_drawings(rows: Sequence[Mapping[str, Any]], confidence: float) -> list[Drawing]:
    """Return forest plots of the rank correlations: a line each measure, a colour each outcome.

    Outcomes of which the same measures know something stand in one figure, so that no line of it is empty.
    """
    known: dict[str, dict[tuple[str, str], Interval]] = {}
    for row in rows:
        of_outcome = known.setdefault(row["predicts"], {})
        of_outcome[row["validated on"], row["measure"]] = row["rank correlation"]
    together: dict[tuple[tuple[str, str], ...], list[Series]] = {}
    for what, found in known.items():
        together.setdefault(tuple(found), []).append(Series(what, list(found.values())))
    caption = (
        "Spearman's rank correlation, over runs, of a measure (lines) with what it is to predict (colours). "
        f"Lines: {confidence:.0%} intervals over runs. Hollow: fewer than {LEAST_PAIRS} runs, no interval. "
        "Dotted: it says nothing of the order."
    )
    drawings = []
    for number, (measures, series) in enumerate(together.items()):
        labels = [f"{measure} of {of}" for of, measure in measures]
        axis = "rank correlation over runs"
        if len(series) == 1:  # there is no legend
            axis += f", with {series[0].name}"
        key = f"predicted_{BOARD}" if number else "predicted"
        drawings.append(Drawing(key, draw_forest(labels, series, axis, 0.0), caption))
    return drawings


def _why_not_ranked(runs: Sequence[Run], found: Sequence[Transport]) -> str:
    """Return why an order of runs means nothing; empty if it does."""
    if len(runs) < 3:
        return f"{counted(len(runs), 'runs')}: no order to speak of; name three or more"
    try:
        predictions_of(runs)
        heard = [run for run, one in zip(runs, found, strict=True) if one.drop]
        if heard:
            predictions_of(heard, "soundscapes")
    except ValueError as error:
        return str(error)
    return ""


def _measure_runs(config: TransportConfig) -> None:
    """Print drops and rank correlations; write tables and figures where wanted."""
    runs = find_runs(config.runs)
    valid = config.settled(runs[0].valid)
    boards = {} if config.leaderboard is None else read_leaderboard(Path(config.leaderboard), runs)
    for run in runs:
        require(len(run.predictions) > 0, f"{run.folder}: validated nothing (data.fold=None)")
    found = [measure_transport(run, valid, config.by, config.seed) for run in runs]
    drops = [row for one in found for row in one.rows()]
    none = "None of these runs validated labelled soundscapes (data.soundscapes=validate)."
    shown = [row | {"drop": _signed(row["drop"])} for row in drops]
    print("Soundscapes minus recordings, over the species that both hold\n")
    print("\n".join(markdown(shown, none)), flush=True)
    without = [one.run for one in found if not one.drop]
    if drops and without:
        print(f"Without labelled soundscapes: {', '.join(without)}\n")
    why = _why_not_ranked(runs, found) or ("" if drops or boards else "nothing to predict; --leaderboard?")
    rows = [] if why else predicted_by(found, boards, valid.confidence)
    print(f"Which validation predicted which: rank correlation over {len(runs)} runs\n")
    print("\n".join(markdown(rows, f"Not told: {why}.")), flush=True)
    if rows:
        print("Runs whose scores differ by less than their intervals are in no certain order.\n")
    if config.out is None:
        return
    folder = Path(config.out)
    drawings = []
    if drops:
        print(write_rows(drops, folder / "drop.csv"))
        drawings.append(drop_drawing(found, valid, config.by))
    if rows:
        print(write_rows(rows, folder / "predicted.csv"))
        drawings += predicted_drawings(rows, valid.confidence)
    if drawings:
        save_drawings(drawings, folder, config.format)


def _signed(one: Interval) -> str:
    """Return a difference with its bounds, all with signs."""
    return f"{one.value:+.3f} {one.format_bounds('+')}"


if __name__ == "__main__":
    run_program(TransportConfig, _measure_runs)
