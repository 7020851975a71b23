"""Which runs a report shows, which of them may be put side by side, and what is said of the rest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyarrow import ArrowException

from analysis.runs import Run, finished_folders, read_run, with_names
from core.config import require
from core.scoring.predictions import difference_of


@dataclass(frozen=True)
class Group:
    """Runs that judged the same clips, best 2022 score first.

    Attributes
    ----------
    runs
        At least one.
    reason
        Why they are not compared with the first group; empty for the first.
    """

    runs: tuple[Run, ...]
    reason: str = ""

    @property
    def validated(self) -> bool:
        """Whether there are predictions to judge."""
        return len(self.runs[0].predictions) > 0


@dataclass(frozen=True)
class Selection:
    """What a report is about.

    Attributes
    ----------
    groups
        The largest first, of equally large ones that which was named first.
    refused
        Why a run is not shown, one sentence each.
    """

    groups: tuple[Group, ...]
    refused: tuple[str, ...]

    @property
    def runs(self) -> list[Run]:
        """All runs, in the order of the page."""
        return [run for group in self.groups for run in group.runs]


def select(paths: Iterable[str | Path]) -> Selection:
    """Return the finished runs under some paths, grouped by what they judged; each is read once.

    Raises
    ------
    ValueError
        If no run is left to show; the message says why each was refused.
    """
    refused: dict[str, None] = {}
    folders: dict[Path, None] = {}
    for path in map(Path, paths):
        try:
            folders |= dict.fromkeys(finished_folders(path))
        except ValueError as error:
            refused[str(error)] = None
        for file in sorted(path.rglob("config.json")):
            if not (file.parent / "summary.json").is_file():
                message = f"{file.parent}: not finished, it has no summary.json; continue it with --resume"
                refused[message] = None
    runs = with_names([run for folder in folders if (run := kept(folder, refused)) is not None])
    runs = [run for run in runs if is_readable(run, refused)]
    require(len(runs) > 0, "nothing to report:\n  " + "\n  ".join(refused or ["no path was named"]))
    return Selection(tuple(group_runs(runs)), tuple(refused))


def kept(folder: Path, refused: dict[str, None]) -> Run | None:
    """Return the run of a folder with all its folds; or None, and why in `refused`."""
    try:
        run = read_run(folder)
    except ValueError as error:
        refused[str(error)] = None
        return None
    absent = [member.name for member in run.members if not (member / "summary.json").is_file()]
    if absent:
        refused[f"{folder}: its folds {', '.join(absent)} are missing beside it"] = None
    return None if absent else run


def is_readable(run: Run, refused: dict[str, None]) -> bool:
    """Return whether a run's predictions can be read; if not, it is said why in `refused`."""
    try:
        _ = run.predictions
    except (ArrowException, OSError, KeyError, ValueError) as error:
        refused[f"{run.folder}: not readable: {error}"] = None
        return False
    return True


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Return runs grouped by what they judged: the largest group first, others with the reason."""
    members: list[list[Run]] = []
    for run in runs:
        home = next((group for group in members if difference(group[0], run) is None), None)
        if home is None:
            members.append([run])
        else:
            home.append(run)
    members.sort(key=lambda group: (len(group[0].predictions) == 0, -len(group)))
    first = members[0][0]
    return [
        Group(tuple(sorted(group, key=score_of, reverse=True)), difference(first, group[0]) or "")
        for group in members
    ]


def difference(one: Run, other: Run) -> str | None:
    """Return why two runs cannot be put side by side, also where one of them validated nothing."""
    empty = [len(run.predictions) == 0 for run in (one, other)]
    if all(empty):
        return None
    return (
        "nothing was validated (data.fold=None)"
        if any(empty)
        else difference_of(one.predictions, other.predictions)
    )


def score_of(run: Run) -> float:
    """Return a run's 2022 score; below all where it has none."""
    value = run.summary.get("metrics", {}).get("score", {}).get("value")
    return -1.0 if value is None else float(value)
