"""What a folder of recordings holds, found by the names of its files, and which competition it is of.

The years differ in one table, `LAYOUTS`. A year is recognised by its own files; everything else that a folder
may hold (a taxonomy, labelled soundscapes, a list of scored species) is looked for in each folder alike.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.config import RunMetric

SubmissionForm = Literal["birds", "targets", "wide"]
AUDIO_FOLDERS = ("train_audio", "train_short_audio")
TAXONOMY = "taxonomy.csv"
METADATA = ("train_metadata.csv", "train.csv")
SOUNDSCAPE_FOLDERS = ("train_soundscapes", "unlabeled_soundscapes")
SOUNDSCAPE_LABELS = ("train_soundscape_labels.csv", "train_soundscapes_labels.csv")
NO_SPECIES = frozenset({*AUDIO_FOLDERS, *SOUNDSCAPE_FOLDERS, "test_soundscapes", "background"})
"""Folders whose names are no species."""
_EBIRD = "ebird_taxonomy"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What is asked for in a competition.

    Attributes
    ----------
    year
        Of BirdCLEF; None for any other folder.
    submission
        birds: `row_id,birds`, species or nocall; targets: `row_id,target`, a row a window and scored species;
        wide: `row_id` and a probability per species.
    metric
        The one that ranks.
    budget_minutes
        Longest time that predicting the test soundscapes may take.
    taxonomy_order
        Whether the rows of taxonomy.csv are the classes and their order; else codes are sorted.
    """

    year: int | None
    submission: SubmissionForm
    metric: RunMetric
    budget_minutes: float
    taxonomy_order: bool = False

    @property
    def name(self) -> str:
        """How the layout is called."""
        return "a lab's folder" if self.year is None else f"BirdCLEF {self.year}"


LAYOUTS: dict[int | None, Layout] = {
    layout.year: layout
    for layout in (
        Layout(year=2021, submission="birds", metric="micro_f1", budget_minutes=180),
        Layout(year=2022, submission="targets", metric="score", budget_minutes=540),
        Layout(year=2023, submission="wide", metric="padded_cmap", budget_minutes=120),
        Layout(year=2024, submission="wide", metric="macro_auc", budget_minutes=120),
        Layout(year=2025, submission="wide", metric="macro_auc", budget_minutes=90, taxonomy_order=True),
        Layout(year=2026, submission="wide", metric="macro_auc", budget_minutes=90, taxonomy_order=True),
        Layout(year=None, submission="wide", metric="macro_auc", budget_minutes=math.inf),
    )
}
"""Year -> what is asked for; None for a folder that is no competition's."""


def recognise(root: Path) -> Layout:
    """Return the layout of a folder by the files that only its year has."""

    def has(*names: str) -> bool:
        return all((root / name).exists() for name in names)

    rows, sample = _header(root / "test.csv"), _header(root / "sample_submission.csv")
    is_wide = "row_id" in sample and not sample & {"target", "birds"}
    signs = {
        2022: has("scored_birds.json") or "bird" in rows,
        2021: has("train_short_audio") or has("train_soundscape_labels.csv") or "audio_id" in rows,
        2026: has("train.csv", TAXONOMY, "train_soundscapes_labels.csv"),
        2025: has("train.csv", TAXONOMY),
        2024: has("train_metadata.csv", "unlabeled_soundscapes"),
        2023: has("train_metadata.csv") and (is_wide or bool(_ebird_taxonomies(root))),
    }
    return LAYOUTS[next((year for year, found in signs.items() if found), None)]


def find_first(root: Path, names: tuple[str, ...]) -> Path | None:
    """Return the first of these files or folders that `root` has."""
    return next((root / name for name in names if (root / name).exists()), None)


def find_taxonomies(root: Path) -> list[Path]:
    """Return the tables of names that `root` has, the competition's own before eBird's."""
    own = root / TAXONOMY
    return [*([own] if own.is_file() else []), *_ebird_taxonomies(root)]


def _ebird_taxonomies(root: Path) -> list[Path]:
    return sorted(file for file in root.glob("*.csv") if file.name.lower().startswith(_EBIRD))


def _header(file: Path) -> set[str]:
    """Return the names in the first line of a table, none where there is no file."""
    if not file.is_file():
        return set()
    with file.open(encoding="utf-8-sig", errors="replace") as lines:
        return set(lines.readline().strip().split(","))
