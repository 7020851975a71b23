"""A folder in the BirdCLEF layout -> a table of recordings and the order of species.

`train_metadata.csv`, `train_audio/<species>/<file>` (2021: `train_short_audio`) and `scored_birds.json`
(absent before 2022: then every species is scored). Further folders may be added whose recordings only
train.
"""

import ast
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

REQUIRED_COLUMNS = ("primary_label", "filename")
AUDIO_FOLDERS = ("train_audio", "train_short_audio")
UNKNOWN_AUTHOR = "unknown"


@dataclass(frozen=True)
class Competition:
    """Recordings of one or more folders.

    Attributes
    ----------
    root
        The folder whose scored birds are judged.
    species
        eBird codes in sorted order: the order of every array, and of every checkpoint.
    scored
        The judged ones, sorted.
    recordings
        One row a recording: `recording` (unique name `<species>/<file>`), `path`, `species`, `secondary`
        (tuple of known species), `rating`, `author`, `is_extra` (from a further folder), and the
        metadata's other columns where it has them.
    unknown_secondary
        Secondary labels that are no species of this data, with their counts.
    num_duplicates
        Recordings of further folders that were dropped because `root` has them.
    """

    root: Path
    species: tuple[str, ...]
    scored: tuple[str, ...]
    recordings: pd.DataFrame
    unknown_secondary: Counter[str] = field(default_factory=Counter)
    num_duplicates: int = 0

    @property
    def scored_columns(self) -> list[int]:
        """Positions of the scored species in `species`."""
        position = {code: i for i, code in enumerate(self.species)}
        return [position[code] for code in self.scored]


def read_competition(root: Path | str, extra_roots: Sequence[Path | str] = ()) -> Competition:
    """Read the metadata of one folder and of further ones.

    Parameters
    ----------
    root
        The folder whose scored birds are judged.
    extra_roots
        Folders whose recordings only train. Those whose file name (a xeno-canto number) occurs in `root`
        already are dropped, so that a validated recording cannot train under another path.

    Raises
    ------
    ValueError
        If a file or column is missing, a row cannot be read, or a path leaves its folder.
    """
    root = Path(root)
    main = read_metadata(root)
    tables = [main.assign(is_extra=False)]
    known_files = {PurePosixPath(name).stem for name in main["recording"]}
    num_duplicates = 0
    for extra in extra_roots:
        table = read_metadata(Path(extra))
        stems = table["recording"].map(lambda name: PurePosixPath(name).stem)
        repeated = stems.isin(known_files)
        num_duplicates += int(repeated.sum())
        tables.append(table[~repeated].assign(is_extra=True))
        known_files |= set(stems)
    recordings = pd.concat(tables, ignore_index=True)
    scored = read_scored(root, main)
    species = tuple(sorted(set(recordings["species"]) | set(scored)))
    unknown = Counter(code for codes in recordings["secondary"] for code in codes if code not in set(species))
    known = set(species)
    recordings["secondary"] = [
        tuple(code for code in codes if code in known and code != primary)
        for codes, primary in zip(recordings["secondary"], recordings["species"], strict=True)
    ]
    return Competition(root, species, scored, recordings, unknown, num_duplicates)


def read_scored(root: Path, recordings: pd.DataFrame) -> tuple[str, ...]:
    """Return the scored species in sorted order.

    Parameters
    ----------
    root
        Folder that may hold `scored_birds.json`.
    recordings
        Its table; where the file is absent, all its species are scored.

    Raises
    ------
    ValueError
        If the file holds no list of codes.
    """
    file = root / "scored_birds.json"
    if not file.is_file():
        return tuple(sorted(set(recordings["species"])))
    try:
        scored = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        message = f"{file}: not JSON ({error}); expected a list of eBird codes"
        raise ValueError(message) from error
    if not isinstance(scored, list) or not scored or not all(isinstance(s, str) for s in scored):
        message = f'{file}: expected a list of eBird codes such as ["akiapo", "aniani"]'
        raise ValueError(message)
    return tuple(sorted(set(scored)))


def read_metadata(root: Path) -> pd.DataFrame:
    """Return the table of one folder, see `Competition.recordings`."""
    file = root / "train_metadata.csv"
    if not file.is_file():
        message = f"{file}: missing; data.root needs train_metadata.csv, train_audio/ and scored_birds.json"
        raise ValueError(message)
    table = pd.read_csv(file)
    missing = [column for column in REQUIRED_COLUMNS if column not in table]
    if missing or table.empty:
        what = f"no column {', '.join(missing)}" if missing else "no rows"
        message = f"{file}: {what}; found columns {', '.join(table.columns)}"
        raise ValueError(message)
    audio = next((root / name for name in AUDIO_FOLDERS if (root / name).is_dir()), root / AUDIO_FOLDERS[0])
    names = [
        _relative_name(file, row, str(species), str(name))
        for row, (species, name) in enumerate(
            zip(table["primary_label"], table["filename"], strict=True), start=2
        )
    ]
    secondary = table["secondary_labels"] if "secondary_labels" in table else ["[]"] * len(table)
    table = table.assign(
        recording=names,
        path=[audio / name for name in names],
        species=table["primary_label"].astype(str),
        secondary=[_labels(file, row, text) for row, text in enumerate(secondary, start=2)],
        rating=pd.to_numeric(table["rating"], errors="coerce").fillna(0.0) if "rating" in table else 0.0,
        author=table["author"].fillna(UNKNOWN_AUTHOR).astype(str) if "author" in table else UNKNOWN_AUTHOR,
    )
    return table.drop_duplicates("recording").reset_index(drop=True)


def _relative_name(file: Path, row: int, species: str, name: str) -> str:
    """Return `<species>/<file>`; refuse a path that would leave the folder of audio."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        message = f"{file}, line {row}: filename {name!r} leaves the data folder; refused"
        raise ValueError(message)
    if len(path.parts) == 1:
        code = PurePosixPath(species)
        if len(code.parts) != 1 or ".." in code.parts or code.is_absolute():
            message = f"{file}, line {row}: primary_label {species!r} is no folder name; refused"
            raise ValueError(message)
        path = code / path
    return str(path)


def _labels(file: Path, row: int, text: object) -> tuple[str, ...]:
    """Return the codes in a cell such as `['houfin', 'skylar']`."""
    if not isinstance(text, str) or not text.strip():
        return ()
    try:
        labels = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        labels = None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        message = f"{file}, line {row}: secondary_labels {text!r} is no list such as ['houfin']"
        raise ValueError(message)
    return tuple(dict.fromkeys(labels))
