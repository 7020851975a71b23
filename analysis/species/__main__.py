"""What single species say about finished runs: python -m analysis.species RUN ... [--out FOLDER].

Each scored species' ROC-AUC and 2022 score beside the recordings that trained it; which species' recordings
are taken for which other species; and the clips with the most confident mistakes, drawn with what the
network detects in them where audio and checkpoint are there. Decisions are made at the 0.85 quantile of all
probabilities.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.command import FolderOptions
from analysis.drawing.figure_files import Drawing, save_drawings
from analysis.drawing.table_files import markdown, slug, write_rows
from analysis.runs import Run, find_runs
from analysis.species.confusion import confusion_rows
from analysis.species.hardest import Mistake, clips_of_mistakes, find_mistakes
from analysis.species.pictures import draw_mistakes, draw_scores_by_count
from analysis.species.scores import SpeciesScores, score_species, species_rows
from core.config import require
from core.config_checks import expand_home
from core.program import run_program
from core.scoring.confusion import confusion_of
from core.scoring.pictures import draw_confusion_matrix


@dataclass(frozen=True, kw_only=True)
class SpeciesConfig(FolderOptions):
    """Scores by species, confusion between species, and the hardest clips."""

    root: str | None = None
    """Folder of the recordings; None: the data.root that the run was trained with."""
    clips: int = 8
    """Hardest clips to list and to draw."""
    confusions: int = 10
    """Confusions to list."""

    def __post_init__(self) -> None:
        """Check ranges."""
        super().__post_init__()
        expand_home(self, "root")
        require(self.clips >= 1, f"clips={self.clips}: at least 1")
        require(self.confusions >= 0, f"confusions={self.confusions}: 0 or more")


def analyse_species(config: SpeciesConfig) -> list[SpeciesScores]:
    """Print each run's species, confusions and hardest clips; write and draw them where wanted.

    Raises
    ------
    ValueError
        If a run validated nothing.
    """
    runs = find_runs(config.runs)
    found = [score_species(run, config) for run in runs]
    for run, scores in zip(runs, found, strict=True):
        folder = None
        if config.out is not None:
            folder = Path(config.out) / (slug(run.name) if len(runs) > 1 else "")
        _analyse_run(run, scores, folder, config)
    if config.out is not None and not all(np.isnan(one.trained).all() for one in found):
        valid = config.settled(runs[0].valid)
        trends = [f" {one.run}: rank correlation with ROC-AUC {one.trend}." for one in found if one.has_trend]
        caption = (
            f"Species' ROC-AUC and 2022 score at the {valid.threshold_quantile:g} quantile beside "
            f"the recordings that trained it. Lines: {valid.confidence:.0%} intervals over recordings; "
            f"a hollow dot has none: too few recordings, or all alike.{''.join(trends)}"
        )
        drawing = Drawing("species_by_count", draw_scores_by_count(found), caption)
        save_drawings([drawing], Path(config.out), config.format)
    return found


def _analyse_run(run: Run, scores: SpeciesScores, folder: Path | None, config: SpeciesConfig) -> None:
    """Print what the species of a run say; write and draw it into `folder` if there is one."""
    quantile = config.settled(run.valid).threshold_quantile
    confusion = confusion_of(run.predictions, quantile)
    mistakes = find_mistakes(run, config.clips, quantile)
    tables = {
        "species": species_rows(scores, run.taxonomy),
        "confusions": confusion_rows(run, confusion, config.confusions, config),
        "hardest": [mistake.row for mistake in mistakes],
    }
    trend = f"Rank correlation of ROC-AUC with the recordings that trained: {scores.trend}."
    if not scores.has_trend:
        trend = "No correlation with the recordings that trained: unknown, or too few species."
    lines = [
        f"## {run.name}: {run.folder}",
        "",
        *markdown(tables["species"]),
        trend,
        "",
        *markdown(tables["confusions"], "No species is taken for another."),
        *markdown(tables["hardest"], "No decision is wrong."),
    ]
    print("\n".join(lines), flush=True)
    if folder is not None:
        for name, rows in tables.items():
            write_rows(rows, folder / f"{name}.csv")
        caption = (
            f"{run.name}: share of the clips of a species (row) in which a species (column) is called at the "
            f"{quantile:g} quantile, in percent; off the diagonal it is not there. Species that are confused "
            "stand beside each other."
        )
        confusions = Drawing("confusion", draw_confusion_matrix(confusion, run.taxonomy), caption)
        save_drawings([confusions, *_drawn_mistakes(run, mistakes, config.root)], folder, config.format)


def _drawn_mistakes(run: Run, mistakes: Sequence[Mistake], root: str | None) -> Iterator[Drawing]:
    """Yield the picture of a run's hardest clips, if there are any to be drawn; print what is missing."""
    clips = clips_of_mistakes(run, mistakes, root)
    for message in dict.fromkeys(one.missing for one in clips if one.missing):
        print(f"note: {message}", flush=True)
    caption = (
        f"{run.name}: the most confident mistakes. Log-mels, and below them what the network that did "
        "not train on the recording detects over time: the species of the mistake, the recording's own, "
        "and the one it detects most; dotted: the threshold."
    )
    if shown := [one for one in clips if one.mel is not None]:
        yield Drawing("hardest", draw_mistakes(shown), caption)


if __name__ == "__main__":
    run_program(SpeciesConfig, analyse_species)
