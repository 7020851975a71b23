"""What a fold assignment does to a data set: coverage of species, author leakage, duplicates."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core.config import DataConfig
from core.data.competition import Competition
from core.data.folds import ALWAYS_TRAINS, SoundscapeFolds
from core.data.ratings import describe_ratings
from core.data.recordings import UNKNOWN_AUTHOR

SESSION_COLUMNS = ("author", "latitude", "longitude", "time")
SHOWN_DUPLICATES = 5


@dataclass(frozen=True)
class FoldAudit:
    """What is to be known about a fold assignment.

    Attributes
    ----------
    num_files, num_species, num_scored
        Recordings, species, judged species.
    sizes
        Recordings that validate in each fold.
    files
        (scored species) x (fold and "trains"): recordings that each fold validates, and that always train.
    untrained
        (species, fold) pairs in which a scored species of at least two files has no training recording;
        empty for an assignment of `core.data.folds`.
    leaking
        Per fold, validated recordings whose author also has a training recording of the same species.
    sessions
        Per fold, validated recordings with a training recording of the same species, author, place and
        hour: probably one session. None where the metadata lacks these columns.
    same_name
        Groups of recordings with one file name in several species folders.
    same_bytes
        Groups of files with identical content; None where the audio is not there.
    num_missing
        Audio files that are not there.
    ratings
        How many recordings are unrated, and how weights fall, in words.
    soundscapes
        How labelled soundscapes are divided, a line each; none where there are none.
    """

    num_files: int
    num_species: int
    num_scored: int
    sizes: list[int]
    files: pd.DataFrame
    untrained: list[tuple[str, int]]
    leaking: list[int]
    sessions: list[int] | None
    same_name: list[list[str]]
    same_bytes: list[list[str]] | None
    num_missing: int
    ratings: str
    soundscapes: tuple[str, ...] = ()


def audit_folds(
    competition: Competition, folds: np.ndarray, soundscapes: SoundscapeFolds | None = None
) -> FoldAudit:
    """Audit an assignment.

    Parameters
    ----------
    competition
        Recordings and species.
    folds
        (recording,) the fold that validates each, -1 where none does.
    soundscapes
        How labelled soundscapes are divided; None: not told.
    """
    recordings = competition.recordings
    number = int(folds.max()) + 1
    scored = recordings["species"].isin(competition.scored)
    column = pd.Series(folds, index=recordings.index).map(
        lambda f: "trains" if f == ALWAYS_TRAINS else str(f)
    )
    files = pd.crosstab(recordings["species"][scored], column[scored])
    names = [str(fold) for fold in range(number)] + ["trains"]
    files = files.reindex(index=list(competition.scored), columns=names, fill_value=0)
    total = files.sum(axis=1)
    untrained = [
        (code, fold)
        for fold in range(number)
        for code in files.index[(total > 1) & (files[str(fold)] == total)]
    ]
    has_session = all(name in recordings for name in SESSION_COLUMNS)
    present = [path for path in recordings["path"] if Path(path).is_file()]
    return FoldAudit(
        num_files=len(recordings),
        num_species=len(competition.species),
        num_scored=len(competition.scored),
        sizes=[int((folds == fold).sum()) for fold in range(number)],
        files=files,
        untrained=untrained,
        leaking=shared_across(recordings, folds, ("species", "author")),
        sessions=shared_across(recordings, folds, ("species", *SESSION_COLUMNS)) if has_session else None,
        same_name=same_names(recordings),
        same_bytes=same_contents(present) if present else None,
        num_missing=len(recordings) - len(present),
        ratings=describe_ratings(competition, DataConfig()),
        soundscapes=tuple(_describe_soundscapes(competition, soundscapes, number)) if soundscapes else (),
    )


def _describe_soundscapes(competition: Competition, folds: SoundscapeFolds, num_folds: int) -> Iterator[str]:
    """Yield how labelled soundscapes are divided."""
    windows = competition.soundscapes
    if len(windows) == 0:
        return
    sites, files = set(windows.site.astype(str)) - {""}, windows.soundscape.astype(str)
    why = "" if folds.by == "site" else f": {len(sites)} sites are fewer than {num_folds} folds"
    yield f"Labelled soundscapes: {len(windows):,} windows of {len(windows.paths)} files, by {folds.by}{why}"
    for fold in (*range(num_folds), ALWAYS_TRAINS):
        chosen = folds.fold == fold
        if chosen.any() or fold != ALWAYS_TRAINS:
            yield (
                f"  {'always trains' if fold == ALWAYS_TRAINS else f'fold {fold}'}: "
                f"{len(set(folds.group[chosen]))} {folds.by}s, {len(set(files[chosen]))} files, "
                f"{chosen.sum():,} windows, {windows.positive[chosen].any(axis=0).sum()} classes heard"
            )
    recorded = set(competition.recordings["species"])
    only = [i for i, code in enumerate(windows.species) if code not in recorded]
    heard = [(windows.species[i], set(folds.group[windows.positive[:, i]])) for i in only]
    names = [code for code, groups in heard if groups]
    alone = [code for code, groups in heard if len(groups) == 1]
    yield f"  classes that no recording holds: {', '.join(names) or 'none'}"
    if alone:
        yield f"  of these in a single {folds.by}, not trained where it validates: {', '.join(alone)}"


def shared_across(recordings: pd.DataFrame, folds: np.ndarray, columns: Sequence[str]) -> list[int]:
    """Return per fold how many validated recordings agree with a training one in all of `columns`.

    Parameters
    ----------
    recordings
        Table of `Competition`.
    folds
        (recording,) the fold that validates each, -1 where none does.
    columns
        Of the table. A recording that lacks one of the values agrees with none.
    """
    known = recordings[list(columns)].fillna("").ne("").all(axis=1).to_numpy()
    if "author" in columns:
        known = known & (recordings["author"] != UNKNOWN_AUTHOR).to_numpy()
    keys = recordings.groupby(list(columns), dropna=False).ngroup().to_numpy()
    shared = []
    for fold in range(int(folds.max()) + 1):
        trains = np.unique(keys[(folds != fold) & known])
        shared.append(int(np.isin(keys[(folds == fold) & known], trains).sum()))
    return shared


def same_names(recordings: pd.DataFrame) -> list[list[str]]:
    """Return groups of recordings whose file name, a xeno-canto number, occurs more than once."""
    stems = recordings["recording"].map(lambda name: Path(name).stem)
    repeated = recordings["recording"][stems.duplicated(keep=False)]
    return [sorted(group) for _, group in repeated.groupby(stems)]


def same_contents(files: Sequence[Path]) -> list[list[str]]:
    """Return groups of files with identical bytes; only files of one size are read."""
    by_size: dict[int, list[Path]] = {}
    for file in files:
        by_size.setdefault(Path(file).stat().st_size, []).append(Path(file))
    groups: dict[str, list[str]] = {}
    for same_size in by_size.values():
        for file in same_size if len(same_size) > 1 else ():
            with file.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            groups.setdefault(content, []).append(str(file))
    return [sorted(group) for group in groups.values() if len(group) > 1]


def format_audit(audit: FoldAudit, *, grouped_leaking: Sequence[int] | None = None) -> str:
    """Return the audit as text.

    Parameters
    ----------
    audit
        The audit.
    grouped_leaking
        `leaking` of the assignment grouped by author, to show beside.
    """
    lines = [
        f"{audit.num_files:,} files, {audit.num_species} species, {audit.num_scored} scored",
        audit.ratings,
        "",
        "Files of the scored species that validate in each fold",
        audit.files.rename_axis(index="species", columns=None)
        .assign(all=audit.files.sum(axis=1))
        .to_string(),
        "",
        "Coverage",
    ]
    if audit.untrained:
        lines += [f"  NOT in training: {code} in fold {fold}" for code, fold in audit.untrained]
    else:
        lines.append("  every scored species with at least two files is in training for each fold")
    alone = audit.files.index[audit.files.sum(axis=1) == 1].tolist()
    absent = audit.files.index[audit.files.sum(axis=1) == 0].tolist()
    lines += [f"  a single file, always trains: {', '.join(alone)}"] if alone else []
    lines += [f"  no file at all: {', '.join(absent)}"] if absent else []
    validating = audit.files.drop(columns="trains")
    gaps = [f"{int((row == 0).sum())} of {code}" for code, row in validating.iterrows() if (row == 0).any()]
    lines += [f"  folds that validate nothing of a species: {', '.join(gaps)}"] if gaps else []
    lines += ["", *audit.soundscapes] if audit.soundscapes else []
    lines += ["", *_format_leakage(audit, grouped_leaking), "", *_format_duplicates(audit)]
    return "\n".join(lines)


def _format_leakage(audit: FoldAudit, grouped_leaking: Sequence[int] | None) -> list[str]:
    lines = [
        "Author leakage: validated recordings whose author also trains the same species",
        "  " + _shares(audit.leaking, audit.sizes),
    ]
    if grouped_leaking is not None:
        lines.append(f"  with --data.group_by_author=True: {sum(grouped_leaking)}")
    if audit.sessions is not None:
        lines.append("Same author, place and hour as a training recording of the species")
        lines.append("  " + _shares(audit.sessions, audit.sizes))
    return lines


def _shares(numbers: Sequence[int], sizes: Sequence[int]) -> str:
    folds = ", ".join(
        f"fold {fold}: {number} of {size}"
        for fold, (number, size) in enumerate(zip(numbers, sizes, strict=True))
    )
    return f"{sum(numbers)} of {sum(sizes)} ({sum(numbers) / max(sum(sizes), 1):.0%}); {folds}"


def _format_duplicates(audit: FoldAudit) -> list[str]:
    lines = ["Duplicate recordings", *_groups("one file name in several folders", audit.same_name)]
    if audit.same_bytes is None:
        lines.append("  identical audio: not looked for, no audio file is there")
    else:
        lines += _groups("identical audio", audit.same_bytes)
        lines += [f"  {audit.num_missing:,} audio files are missing"] if audit.num_missing else []
    return lines


def _groups(what: str, groups: Sequence[Sequence[str]]) -> list[str]:
    shown = [f"    {' = '.join(group)}" for group in groups[:SHOWN_DUPLICATES]]
    more = [f"    and {len(groups) - len(shown)} more"] if len(groups) > len(shown) else []
    return [f"  {what}: {len(groups)}", *shown, *more]
