"""What single species say about finished runs: python -m analysis.species RUN ... [--out FOLDER].

Each scored species' ROC-AUC and 2022 score beside the recordings that trained it; which species' recordings
are taken for which other species; and the clips with the most confident mistakes, drawn with what the
network detects in them where audio and checkpoint are there. Decisions are made at the 0.85 quantile of all
probabilities.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from analysis.command import ScoringOptions, run_command
from analysis.drawing.figure_files import Format, save_figure
from analysis.drawing.table_files import markdown, slug, write_rows
from analysis.runs import Run, find_runs
from analysis.species.confusion import confusion_rows
from analysis.species.hardest import Mistake, clips_of_mistakes, find_mistakes
from analysis.species.pictures import draw_mistakes, draw_scores_by_count
from analysis.species.scores import SpeciesScores, score_species, species_rows
from core.config import require
from core.scoring.confusion import Confusion, confusion_of
from core.scoring.pictures import draw_confusion_matrix


@dataclass(frozen=True, kw_only=True)
class SpeciesConfig(ScoringOptions):
    """Scores by species, confusion between species, and the hardest clips."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Runs, runs of all folds, or folders that hold such."""
    out: str | None = None
    """Folder for tables and figures."""
    format: Format = "png"
    """Of the figures."""
    root: str | None = None
    """Folder of the recordings; None: the data.root that the run was trained with."""
    clips: int = 8
    """Hardest clips to list and to draw."""
    confusions: int = 10
    """Confusions to list."""

    def __post_init__(self) -> None:
        """Check ranges."""
        super().__post_init__()
        require(self.clips >= 1, f"clips={self.clips}: at least 1")


def main() -> None:
    """Say what the species of runs tell."""
    run_command(SpeciesConfig, analyse_species)


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
        analyse_run(run, scores, folder, config)
    if config.out is not None and not all(np.isnan(one.trained).all() for one in found):
        caption = "; ".join(
            [
                "Each scored species' ROC-AUC and 2022 score at the 0.85 quantile beside the recordings that "
                "trained it, with 95 % intervals over recordings where a species has four or more",
                *(
                    f"{one.run}: rank correlation with ROC-AUC {one.trend}"
                    for one in found
                    if not np.isnan(one.trend.value)
                ),
            ]
        )
        file = Path(config.out) / f"species_by_count.{config.format}"
        print(save_figure(draw_scores_by_count(found), file, f"{caption}."))
    return found


def analyse_run(run: Run, scores: SpeciesScores, folder: Path | None, config: SpeciesConfig) -> None:
    """Print what the species of a run say; write and draw it into `folder` if there is one."""
    valid = config.settled(run.valid)
    confusion = confusion_of(run.predictions, valid.threshold_quantile)
    mistakes = find_mistakes(run, config.clips, valid.threshold_quantile)
    tables = {
        "species": species_rows(scores),
        "confusions": confusion_rows(run, confusion, config.confusions, config),
        "hardest": [mistake.row for mistake in mistakes],
    }
    trend = f"Rank correlation of ROC-AUC with the recordings that trained: {scores.trend}."
    if np.isnan(scores.trend.value):
        trend = "No correlation with the recordings that trained: unknown, or too few species."
    lines = [
        f"## {run.name}: {run.folder}",
        "",
        *markdown(tables["species"]),
        "",
        trend,
        "",
        *(markdown(tables["confusions"]) or ["No species is taken for another."]),
        "",
        *(markdown(tables["hardest"]) or ["No decision is wrong."]),
        "",
    ]
    print("\n".join(lines), flush=True)
    if folder is not None:
        for name, rows in tables.items():
            write_rows(rows, folder / f"{name}.csv")
        draw_run(run, confusion, mistakes, folder, config)


def draw_run(
    run: Run, confusion: Confusion, mistakes: Sequence[Mistake], folder: Path, config: SpeciesConfig
) -> None:
    """Draw a run's confusions and hardest clips."""
    caption = (
        f"{run.name}: share of the clips of a species (row) in which a species (column) is called at the "
        "0.85 quantile, in percent; off the diagonal it is not there. Species that are confused stand beside "
        "each other."
    )
    print(save_figure(draw_confusion_matrix(confusion), folder / f"confusion.{config.format}", caption))
    if not mistakes:
        return
    clips = clips_of_mistakes(run, mistakes, config.root)
    for message in dict.fromkeys(one.missing for one in clips if one.missing):
        print(f"note: {message}", flush=True)
    shown = [one for one in clips if one.mel is not None]
    if shown:
        caption = (
            f"{run.name}: the most confident mistakes. Log-mels, and below them what the network that did "
            "not train on the recording detects over time: the species of the mistake, the recording's own, "
            "and the one it detects most; dotted: the threshold."
        )
        print(save_figure(draw_mistakes(shown), folder / f"hardest.{config.format}", caption))


if __name__ == "__main__":
    main()
