"""A folder of recordings -> their table, the order of species, and what is known of its soundscapes.

`python -m core.data.competition FOLDER` says what was recognised: each year's BirdCLEF folder, or any lab's
with a table of recordings or with audio in folders named by species. Further folders may be added whose
recordings only train.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import tyro

from core.config_checks import expand_home
from core.config_data import ColumnConfig, DataConfig
from core.data.annotations.windows import label_windows
from core.data.audio import AUDIO_SUFFIXES, duration_seconds
from core.data.labelled_windows import LabelledWindows
from core.data.layouts import (
    LAYOUTS,
    SOUNDSCAPE_FOLDERS,
    SOUNDSCAPE_LABELS,
    TAXONOMY,
    Layout,
    find_taxonomies,
    recognise,
)
from core.data.parquet_set import folder_of, is_unpacked, read_unpacked
from core.data.recordings import Metadata, read_metadata
from core.data.soundscapes import find_soundscapes
from core.data.tables import read_table
from core.data.taxonomy import Taxonomy, read_taxonomy
from core.files import read_json
from core.program import run_program

_SHOWN = 5


@dataclass(frozen=True)
class Competition:
    """Recordings of one or more folders, and the soundscapes of the first.

    Attributes
    ----------
    root
        The folder whose scored species are judged.
    species
        Codes: the order of every array, and of every checkpoint. Sorted, or in the order of taxonomy.csv
        where that is the order of the submission. Classes without a recording are among them.
    scored
        The judged ones, in the order of `species`.
    recordings
        One row a recording: `recording` (unique name `<species>/<file>`), `path`, `species`, `secondary`
        (tuple of known species), `rating`, `author`, `is_extra` (from a further folder), and the
        metadata's other columns where it has them.
    unknown_secondary
        Secondary labels that are no species of this data, with their counts.
    num_duplicates
        Recordings of further folders that were dropped because `root` has them.
    layout
        What is asked for: metric, form of the submission, budget.
    taxonomy
        Names of `species`, in their order.
    soundscapes
        What people heard in soundscapes of `root`.
    unlabelled
        Id -> file of the soundscapes of `root` that nobody labelled.
    notes
        What was met on the way, a sentence each.
    """

    root: Path
    species: tuple[str, ...]
    scored: tuple[str, ...]
    recordings: pd.DataFrame
    unknown_secondary: Counter[str] = field(default_factory=Counter)
    num_duplicates: int = 0
    layout: Layout = LAYOUTS[None]
    taxonomy: Taxonomy = field(default_factory=Taxonomy)
    soundscapes: LabelledWindows = field(default_factory=lambda: LabelledWindows.none(()))
    unlabelled: Mapping[str, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def scored_columns(self) -> list[int]:
        """Positions of the scored species in `species`."""
        position = {code: i for i, code in enumerate(self.species)}
        return [position[code] for code in self.scored]


def read_competition(
    root: Path | str,
    extra_roots: Sequence[Path | str] = (),
    columns: ColumnConfig | None = None,
    cache: str | None = None,
) -> Competition:
    """Read one folder and the recordings of further ones.

    Parameters
    ----------
    root
        The folder whose scored species are judged.
    extra_roots
        Folders whose recordings only train. Those whose file name (a xeno-canto number) occurs in `root`
        already are dropped, so that a validated recording cannot train under another path.
    columns
        Names in a lab's own table; a further folder without a table of that name is read with the usual ones.
    cache
        Where Hugging Face audio sets among them are unpacked; None: as configured by default.

    Raises
    ------
    ValueError
        If a file or column is missing, a row cannot be read, or a path leaves its folder.
    """
    root, *extras = [folder_of(folder, cache) for folder in (root, *extra_roots)]
    layout = recognise(root)
    main = read_metadata(root, columns)
    further = [_read_further(extra, columns) for extra in extras]
    recordings, num_duplicates = _join(main, further)
    listed, names = _read_names((root, *extras), (main, *further))
    listed = listed if layout.taxonomy_order else ()
    scored = _read_scored(root)
    known = {*recordings["species"], *scored}
    candidates = dict.fromkeys((*listed, *sorted(known), *names.codes))
    windows, unlabelled, remarks = _read_soundscapes(root, names.with_codes(list(candidates)))
    heard = set(np.array(windows.species)[windows.positive.any(axis=0)].tolist())
    species = (*listed, *sorted((known | heard) - set(listed)))
    judged = set(scored or listed or {*main.table["species"], *heard})
    secondary, unknown = _known_labels(recordings, set(species))
    found = Competition(
        root=root,
        species=species,
        scored=tuple(code for code in species if code in judged),
        recordings=recordings.assign(secondary=secondary),
        unknown_secondary=unknown,
        num_duplicates=num_duplicates,
        layout=layout,
        taxonomy=names.with_codes(species),
        soundscapes=windows.with_species(species),
        unlabelled=unlabelled,
        notes=(*(note for one in (main, *further) for note in one.notes), *remarks),
    )
    return replace(found, notes=(*found.notes, *_notes_on_classes(found, listed)))


def _read_further(root: Path, columns: ColumnConfig | None) -> Metadata:
    """Return the recordings of a further folder, by the usual names where it lacks the lab's table."""
    own = columns is None or columns.table is None or (root / columns.table).is_file()
    return read_metadata(root, columns if own else None)


def _join(main: Metadata, further: Sequence[Metadata]) -> tuple[pd.DataFrame, int]:
    """Return one table of recordings, and how many of further folders it repeats."""
    tables = [main.table.assign(is_extra=False)]
    if not further:
        return tables[0], 0
    known_files = {PurePosixPath(name).stem for name in main.table["recording"]}
    num_duplicates = 0
    for extra in further:
        stems = extra.table["recording"].map(lambda name: PurePosixPath(name).stem)
        repeated = stems.isin(known_files)
        num_duplicates += int(repeated.sum())
        tables.append(extra.table[~repeated].assign(is_extra=True))
        known_files |= set(stems)
    return pd.concat(tables, ignore_index=True), num_duplicates


def _read_names(roots: Sequence[Path], metadata: Sequence[Metadata]) -> tuple[tuple[str, ...], Taxonomy]:
    """Return the codes in the first folder's own taxonomy, and the names that all tables give."""
    tables = {file: read_taxonomy(file) for root in roots for file in find_taxonomies(root)}
    every = [*tables.values(), *(one.names for one in metadata)]
    codes = list(dict.fromkeys(code for one in every for code in one.codes))
    own = tables.get(roots[0] / TAXONOMY, Taxonomy())
    return own.codes, Taxonomy().with_codes(codes, *every)


def _read_scored(root: Path) -> tuple[str, ...]:
    """Return the codes in `scored_birds.json`, none where there is no such file."""
    file = root / "scored_birds.json"
    if not file.is_file():
        return ()
    scored = read_json(file, list)
    if not scored or not all(isinstance(s, str) for s in scored):
        message = f'{file}: expected a list of eBird codes such as ["akiapo", "aniani"]'
        raise ValueError(message)
    return tuple(scored)


def _known_labels(recordings: pd.DataFrame, species: set[str]) -> tuple[list[tuple[str, ...]], Counter[str]]:
    """Return each recording's secondary labels that are species, and the counts of the others."""
    unknown = Counter(code for codes in recordings["secondary"] for code in codes if code not in species)
    known = [
        tuple(code for code in codes if code in species and code != primary)
        for codes, primary in zip(recordings["secondary"], recordings["species"], strict=True)
    ]
    return known, unknown


def _read_soundscapes(
    root: Path, names: Taxonomy
) -> tuple[LabelledWindows, dict[str, Path], tuple[str, ...]]:
    """Return the labelled windows, the soundscapes nobody labelled, and notes."""
    if is_unpacked(root):
        windows, notes = read_unpacked(root)
        return windows, {}, notes
    folders = [root / name for name in SOUNDSCAPE_FOLDERS if _audio_in(root / name)]
    labels = [root / name for name in SOUNDSCAPE_LABELS if (root / name).is_file()]
    nothing = LabelledWindows.none(names.codes)
    if not folders:
        where = root / SOUNDSCAPE_FOLDERS[0]
        return nothing, {}, tuple(f"{file.name} is not read: no audio in {where}" for file in labels)
    files = find_soundscapes(tuple(str(folder) for folder in folders))
    windows, notes = label_windows(labels, files, names) if labels else (nothing, ())
    labelled = set(windows.soundscape.tolist())
    return windows, {name: path for name, path in files.items() if name not in labelled}, notes


def _audio_in(folder: Path) -> bool:
    return any(file.suffix.lower() in AUDIO_SUFFIXES for file in folder.rglob("*"))


def _notes_on_classes(found: Competition, listed: Sequence[str]) -> Iterator[str]:
    """Yield what is odd about the classes: without recordings, in no taxonomy, not in the submission."""
    recorded = set(found.recordings["species"])
    silent = [code for code in found.species if code not in recorded]
    if silent:
        number = len(set(silent) - set(_unheard(found)))
        yield f"classes without a recording: {_few(silent)}; labelled soundscapes hold {number} of them"
    if listed and (outside := found.species[len(listed) :]):
        yield f"classes that {TAXONOMY} lacks, after the others and not scored: {_few(outside)}"
    sample = found.root / "sample_submission.csv"
    if found.layout.submission == "wide" and sample.is_file():
        columns = [name for name in read_table("", sample).columns if name != "row_id"]
        if strange := set(columns) ^ set(found.scored):
            yield f"{sample.name} and the scored classes differ in: {_few(sorted(strange))}"


def _unheard(found: Competition) -> list[str]:
    """Return the classes that neither a recording nor a labelled window holds."""
    heard = np.array(found.species)[found.soundscapes.positive.any(axis=0)].tolist()
    there = {*found.recordings["species"], *heard}
    return [code for code in found.species if code not in there]


def _few(names: Sequence[str]) -> str:
    """Return a count and the first names."""
    more = ", ..." if len(names) > _SHOWN else ""
    return f"{len(names)} ({', '.join(names[:_SHOWN])}{more})"


def describe(found: Competition) -> str:
    """Return what was recognised in a folder, and what is missing; reads the headers of all its audio."""
    layout, recordings, windows = found.layout, found.recordings, found.soundscapes
    budget = "" if layout.year is None else f", {layout.budget_minutes:g} minutes"
    order = f"in the order of {TAXONOMY}" if layout.taxonomy_order else "sorted"
    groups = Counter(group or "unknown" for group in found.taxonomy.group)
    heard = int(windows.positive.any(axis=0).sum())
    lines = [
        f"{found.root}: {layout.name} (submission {layout.submission}, metric {layout.metric}{budget})",
        f"Classes: {len(found.species)} {order}, {len(found.scored)} scored; "
        + ", ".join(f"{number} {group}" for group, number in groups.most_common()),
        f"Recordings: {len(recordings):,} of {recordings['species'].nunique()} classes, "
        f"{_hours(recordings['path'])}; {(recordings['rating'] <= 0).sum():,} unrated, "
        f"{sum(map(bool, recordings['secondary'])):,} with secondary labels",
        f"Labelled soundscapes: {len(windows.paths)}, {_hours(windows.paths.values())}; {len(windows):,} "
        f"windows, {heard} classes heard",
        f"Unlabelled soundscapes: {len(found.unlabelled):,}, {_hours(found.unlabelled.values())}",
    ]
    notes = [*found.notes]
    numeric = [code for code in found.species if _is_number(code)]
    if numeric:
        notes.append(f"codes that look like numbers are text: {_few(numeric)}")
    if found.unknown_secondary:
        notes.append(f"secondary labels that are no class: {_few(sorted(found.unknown_secondary))}")
    for title, entries in (("Noted", notes), ("Missing", list(_missing(found)))):
        lines += [f"{title}: {'' if entries else 'nothing'}".strip(), *(f"  {entry}" for entry in entries)]
    return "\n".join(lines)


def _missing(found: Competition) -> Iterator[str]:
    """Yield what a folder lacks, a sentence each."""
    absent = [str(path) for path in found.recordings["path"] if not Path(path).is_file()]
    if absent:
        yield f"audio files of recordings: {len(absent):,}, such as {absent[0]}"
    if unheard := _unheard(found):
        yield f"classes that nothing can teach, without recording or labelled window: {_few(unheard)}"
    unnamed = [code for code in found.species if not any(found.taxonomy.names(code)[:2])]
    if unnamed:
        columns = "primary_label, scientific_name, common_name"
        yield f"names of classes: {_few(unnamed)}; add {TAXONOMY} with columns {columns}"
    if found.layout.year is None:
        return
    rows = "sample_submission.csv" if found.layout.submission == "wide" else "test.csv"
    if not (found.root / rows).is_file():
        yield f"{rows}, the rows of the submission"
    if not _audio_in(found.root / "test_soundscapes"):
        yield "audio in test_soundscapes/, which the host fills when a submission is scored"


def _hours(files: Iterable[Path]) -> str:
    return f"{sum(map(duration_seconds, files)) / 3600:,.2f} h"


def _is_number(code: str) -> bool:
    """Return whether a program that guesses types takes a code for something else."""
    try:
        float(code)
    except ValueError:
        return code.lower() in {"na", "null", "none", "true", "false"}
    return True


@dataclass(frozen=True, kw_only=True)
class FolderConfig:
    """Say what is recognised in a folder of recordings, and what is missing."""

    root: tyro.conf.Positional[str]
    """The folder, or a Hugging Face audio set, hf://owner/name/config."""
    cache: str | None = DataConfig.cache
    """Where an audio set is unpacked."""
    columns: ColumnConfig = field(default_factory=ColumnConfig)

    def __post_init__(self) -> None:
        """Expand paths."""
        expand_home(self, "root", "cache")


def print_description(config: FolderConfig) -> None:
    """Print what is in a folder."""
    print(describe(read_competition(config.root, columns=config.columns, cache=config.cache)))


if __name__ == "__main__":
    run_program(FolderConfig, print_description)
