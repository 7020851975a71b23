"""Read annotations of any known tool, say what is in them, and write them for another.

python -m core.data.annotations FILES --soundscapes=FOLDER --taxonomy=taxonomy.csv --out=labels.csv
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import tyro

from core.config_checks import expand_home, require_output
from core.data.annotations.events import COMPLETE, NEGATIVE, NO_CALL, AnnotationOptions, match_names
from core.data.annotations.places import names_of_files, place
from core.data.annotations.readers import read_annotations
from core.data.annotations.windows import to_windows
from core.data.annotations.writers import (
    birdnet_table,
    hoplite_table,
    write_audacity,
    write_raven,
    write_wide,
)
from core.data.labelled_windows import LabelledWindows
from core.data.soundscapes import find_soundscapes
from core.data.taxonomy import Taxonomy, read_taxonomy
from core.files import TABLE_ENDINGS, write_table
from core.program import run_program
from core.wording import counted


@dataclass(frozen=True, kw_only=True)
class AnnotationConfig(AnnotationOptions):
    """Read annotations of soundscapes, say what is in them, and write them for another tool."""

    files: tyro.conf.Positional[tuple[str, ...]]
    """Tables of Raven, Audacity, BirdNET, Kaleidoscope, Perch hoplite, BirdCLEF 2021 or 2026; or folders."""
    soundscapes: tuple[str, ...]
    """Audio files, or folders that are searched for them."""
    taxonomy: str | None = None
    """Table of the species: code, scientific and common name; None: every label is a species."""
    out: str | None = None
    """What to write; for raven and audacity a folder, which gets a file a soundscape; None: nothing."""
    format: Literal["wide", "hoplite", "birdnet", "raven", "audacity"] = "wide"
    """Of `out`; wide: a row a window, 1, 0 or empty for each species, .csv or .parquet."""

    def __post_init__(self) -> None:
        """Check ranges, and that what is to be written can be."""
        super().__post_init__()
        expand_home(self, "files", "soundscapes", "taxonomy", "out")
        endings = {"wide": TABLE_ENDINGS, "hoplite": (".csv",)}.get(self.format, ())
        require_output("out", self.out, endings, is_folder=self.format in ("raven", "audacity"))


def convert(config: AnnotationConfig) -> None:
    """Run the program; raise `ValueError` for what cannot be read or written."""
    soundscapes = find_soundscapes(config.soundscapes)
    annotations = read_annotations(config.files, config)
    if config.taxonomy is not None:
        taxonomy = read_taxonomy(Path(config.taxonomy))
    else:
        labels = set(annotations.events["label"]) - {"", *config.no_species}
        taxonomy = Taxonomy.of(sorted(label for label in labels if not NO_CALL.fullmatch(label)))
    placed, seconds = place(match_names(annotations, taxonomy, config.no_species), soundscapes)
    windows, notes = to_windows(placed, seconds, soundscapes, taxonomy.codes, config)
    events = placed.events[placed.events["kind"].ne(COMPLETE)]
    print(
        f"{counted(annotations.events['source'].nunique(), 'tables')}, "
        f"{len(seconds)} of {len(soundscapes)} soundscapes"
    )
    for (code, kind), number in events.groupby(["code", "kind"]).size().items():
        print(f"  {taxonomy.label(code) if code else 'no species'}: {number} {kind}")
    print(*notes, sep="\n", end="\n" if notes else "")
    known, positive = windows.known.any(axis=1), windows.positive.any(axis=1)
    print(
        f"{len(windows)} windows: {positive.sum()} with a species, {(known & ~positive).sum()} with none of "
        f"those listened for, {(~known).sum()} unknown; labels: {windows.positive.sum()} positive, "
        f"{(windows.known & ~windows.positive).sum()} negative, {(~windows.known).sum()} unknown"
    )
    if config.out is not None:
        files = {name: text for name, text in names_of_files(soundscapes).items() if name in seconds}
        _write(config.format, Path(config.out), events, windows.rows(np.flatnonzero(known)), files, taxonomy)


def _write(
    form: str,
    out: Path,
    events: pd.DataFrame,
    windows: LabelledWindows,
    files: dict[str, str],
    taxonomy: Taxonomy,
) -> None:
    """Write the events or the windows, and say what has no place in the format."""
    writers: dict[str, Callable[[], object]] = {
        "wide": lambda: write_wide(out, windows),
        "hoplite": lambda: write_table(hoplite_table(windows, files), out),
        "birdnet": lambda: write_table(birdnet_table(events, files, taxonomy), out),
        "raven": lambda: write_raven(out, events, files),
        "audacity": lambda: write_audacity(out, events, files),
    }
    writers[form]()
    negative = int(events["kind"].eq(NEGATIVE).sum())
    if negative and form not in ("wide", "hoplite"):
        print(f"{negative} negative annotations left out: {form} cannot hold them")
    print(f"{out}: written as {form}")


if __name__ == "__main__":
    run_program(AnnotationConfig, convert)
