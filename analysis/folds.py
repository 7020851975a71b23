"""The audit of a fold assignment: python -m analysis.folds ROOT [--out FOLDER].

Prints, and with --out also draws, how many recordings of each scored species validate in each fold, how many
of them share an author or a session with training, and what else can leak: the same file name or the same
audio twice.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.drawing.figure_files import Drawing, Format, save_drawings
from core.config import DataConfig, require
from core.config_checks import expand_home, require_output, require_seed
from core.config_data import ColumnConfig
from core.data.audit import FoldAudit, audit_folds, format_audit
from core.data.competition import Competition, read_competition
from core.data.folds import folds_of, soundscape_folds
from core.data.taxonomy import Taxonomy
from core.program import run_program
from core.scoring.pictures import BLUE, GREY, ORANGE, VERMILION, text_inches


@dataclass(frozen=True, kw_only=True)
class FoldsConfig:
    """Print the audit of a fold assignment, and draw it."""

    root: tyro.conf.Positional[str]
    """Folder of recordings; audio is only needed to find identical files."""
    out: str | None = None
    """Folder for the figures."""
    format: Format = "png"
    """Of the figures."""
    num_folds: int = DataConfig.num_folds
    """Number of folds."""
    fold_seed: int = DataConfig.fold_seed
    """Seed of the assignment."""
    group_by_author: bool = False
    """Keep an author's recordings in one fold."""
    columns: ColumnConfig = field(default_factory=ColumnConfig)

    def __post_init__(self) -> None:
        """Check ranges, and that the folder can be written."""
        expand_home(self, "root", "out")
        require_output("out", self.out, is_folder=True)
        require(self.num_folds >= 2, f"num_folds={self.num_folds}: at least 2")
        require_seed("fold_seed", self.fold_seed)


def draw_audit(config: FoldsConfig) -> tuple[FoldAudit, FoldAudit]:
    """Print and draw the audit; return it, and that of the assignment grouped by author.

    Raises
    ------
    ValueError
        If no recordings are found in the folder, or it holds too few recordings for the folds.
    """
    competition = read_competition(config.root, columns=config.columns)
    audit = _audit_of(competition, config, group_by_author=config.group_by_author)
    grouped = _audit_of(competition, config, group_by_author=True)
    print(format_audit(audit, grouped_leaking=grouped.leaking), flush=True)
    if config.out is None:
        return audit, grouped
    how = "grouped by author" if config.group_by_author else "not grouped by author"
    data = (
        f"{config.root}, {config.num_folds} folds, seed {config.fold_seed}, {how}; {audit.num_files:,} "
        f"recordings of {audit.num_species} species, {audit.num_scored} scored."
    )
    drawings = [
        Drawing(
            "fold_species",
            draw_species_by_fold(audit, competition.taxonomy),
            "Recordings of each scored species that validate in each fold, and that always train. Where a "
            f"cell is empty the fold says nothing of the species. {data}",
        ),
        Drawing(
            "fold_leakage",
            draw_leakage(audit, grouped),
            "Left: validated recordings of each fold, those whose author also trains the species, and those "
            "with a training recording of the same author, place and hour. Middle: scored species that a "
            f"fold validates. Right: what else can leak or is missing. {data}",
        ),
    ]
    save_drawings(drawings, Path(config.out), config.format)
    return audit, grouped


def _audit_of(competition: Competition, config: FoldsConfig, *, group_by_author: bool) -> FoldAudit:
    """Return the audit of one assignment."""
    data = DataConfig(num_folds=config.num_folds, fold_seed=config.fold_seed, group_by_author=group_by_author)
    recorded = set(competition.recordings["species"])
    soundscapes = soundscape_folds(competition.soundscapes, recorded, data)
    return audit_folds(competition, folds_of(competition, data), soundscapes)


def draw_species_by_fold(audit: FoldAudit, taxonomy: Taxonomy | None = None) -> Figure:
    """Return a figure of the recordings of each scored species in each fold, the most frequent on top.

    Parameters
    ----------
    audit
        Of the folds.
    taxonomy
        Knows names of the species; None: codes alone.
    """
    table = audit.files.loc[audit.files.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    counts = table.to_numpy()
    labels = [(taxonomy or Taxonomy()).label(code) for code in table.index]
    figure = Figure(
        figsize=(1.2 + text_inches(labels) + 0.55 * counts.shape[1], 1.3 + 0.27 * len(counts)),
        layout="constrained",
    )
    axes = figure.subplots()
    norm = LogNorm(0.4, max(int(counts.max()), 2))
    axes.imshow(np.ma.masked_equal(counts, 0), cmap="Blues", norm=norm, aspect="auto")
    for row, column in np.argwhere(counts > 0):
        is_dark = norm(counts[row, column]) > 0.6
        axes.text(
            column, row, str(counts[row, column]), ha="center", va="center", fontsize=8,
            color="white" if is_dark else "black",
        )  # fmt: skip
    axes.set_xticks(range(counts.shape[1]), [*table.columns[:-1], "always\ntrains"])
    axes.set_yticks(range(len(table)), labels)
    axes.axvline(counts.shape[1] - 1.5, color=GREY, linewidth=0.8)
    axes.set(xlabel="fold that validates", title="Recordings by fold")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def draw_leakage(audit: FoldAudit, grouped: FoldAudit) -> Figure:
    """Return a figure of what training and validation share, beside that of the `grouped` assignment."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    leaks, coverage, others = figure.subplots(1, 3, width_ratios=(1.5, 1, 1.1))
    _draw_shared_recordings(leaks, audit, grouped)
    validating = audit.files.drop(columns="trains")
    folds = np.arange(len(audit.sizes))
    coverage.bar(folds, (validating > 0).sum(axis=0), color=BLUE)
    coverage.axhline(audit.num_scored, color="black", linestyle=":", linewidth=1)
    coverage.text(
        folds[-1] + 0.5, audit.num_scored, f"all {audit.num_scored}", fontsize=8, ha="right", va="bottom"
    )
    coverage.set(title="Scored species it validates", ylim=(0, audit.num_scored * 1.12))
    for axes in (leaks, coverage):
        axes.set_xlabel("fold")
        axes.set_xticks(folds)
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    others.set_axis_off()
    others.set_title("What else")
    for row, (what, number) in enumerate(_other_facts(audit).items()):
        others.text(0.82, 0.9 - 0.17 * row, what, ha="right", transform=others.transAxes)
        others.text(0.9, 0.9 - 0.17 * row, number, weight="bold", transform=others.transAxes)
    return figure


def _other_facts(audit: FoldAudit) -> dict[str, str]:
    """Return what else is to be known, in words."""
    total = audit.files.sum(axis=1)
    same_bytes = "not looked for" if audit.same_bytes is None else f"{len(audit.same_bytes):,}"
    return {
        "file names in several folders": f"{len(audit.same_name):,}",
        "groups of identical audio": same_bytes,
        "audio files missing": f"{audit.num_missing:,}",
        "scored species with one file": f"{int((total == 1).sum()):,}",
        "scored species without a file": f"{int((total == 0).sum()):,}",
    }


def _draw_shared_recordings(axes: Axes, audit: FoldAudit, grouped: FoldAudit) -> None:
    """Draw each fold's recordings, and how many of them training knows by author or session."""
    folds = np.arange(len(audit.sizes))
    axes.bar(folds, audit.sizes, color="#D9D9D9", label="validated recordings")
    axes.bar(
        folds - 0.2,
        audit.leaking,
        width=0.36,
        color=ORANGE,
        label=f"author also trains the species ({sum(grouped.leaking)} in all if grouped)",
    )
    if audit.sessions is not None:
        axes.bar(
            folds + 0.2, audit.sessions, width=0.36, color=VERMILION, label="same author, place and hour"
        )
    axes.set_title("Shared with training")
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2))


if __name__ == "__main__":
    run_program(FoldsConfig, draw_audit)
