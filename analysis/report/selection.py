"""Which runs a report shows, which of them may be put side by side, and what is said of the rest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyarrow import ArrowException

from analysis.runs import Run, find_runs, in_group
from core.config import require
from core.run_folder import stamp_of
from core.scoring.predictions import Predictions, difference_of


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

    @property
    def predictions(self) -> list[Predictions]:
        """Of the same clips."""
        return [run.predictions for run in self.runs]


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

    def number_of(self, run: Run) -> int:
        """Return the position of a run in the page, which chooses its colour."""
        return next(i for i, other in enumerate(self.runs) if other is run)


def select(paths: Iterable[str | Path]) -> Selection:
    """Return the finished runs under some paths, grouped by what they judged.

    Raises
    ------
    ValueError
        If no run is left to show; the message says why each was refused.
    """
    folders: dict[Path, None] = {}
    refused: dict[str, None] = {}
    for path in map(Path, paths):
        found, unfinished = expand(path)
        refused |= dict.fromkeys(unfinished)
        for folder in found:
            reason = problem_of(folder)
            if reason is None:
                folders[folder.resolve()] = None
            else:
                refused[reason] = None
    require(len(folders) > 0, "nothing to report:\n  " + "\n  ".join(refused or ["no path was named"]))
    runs = find_runs(folders)
    return Selection(tuple(group_runs(runs)), tuple(refused))


def expand(path: Path) -> tuple[list[Path], list[str]]:
    """Return the folders of runs that a path names, and what is said of unfinished ones inside it."""
    if (path / "config.json").is_file() or not path.is_dir():
        return [path], []
    finished = [file.parent for file in sorted(path.rglob("summary.json")) if not in_group(file.parent)]
    started = {file.parent for file in path.rglob("config.json")}
    unfinished = [
        f"{folder}: not finished, it has no summary.json; continue it with --resume"
        for folder in sorted(started)
        if not (folder / "summary.json").is_file()
    ]
    if not finished and not unfinished:
        return [path], []  # `find_runs` says what is wrong
    return [folder for folder in finished if (folder / "config.json").is_file()], unfinished


def problem_of(folder: Path) -> str | None:
    """Return why a folder cannot be shown; None if it can."""
    try:
        (run,) = find_runs([folder])
        len(run.predictions)
        absent = [member.name for member in run.members if not (member / "summary.json").is_file()]
        require(not absent, f"{folder}: its folds {', '.join(absent)} are missing beside it")
    except (ArrowException, OSError, KeyError) as error:
        return f"{folder}: not readable: {error}"
    except ValueError as error:
        return str(error) if str(folder) in str(error) else f"{folder}: {error}"
    return None


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


def started_at(run: Run) -> str:
    """Return the time in a run's name, such as 2026-11-25 07:07; its stamp where it has none."""
    stamp = stamp_of(run.folder)
    day, _, rest = stamp.partition("-")
    clock = rest[:6]
    if len(day) == 8 and day.isdigit() and len(clock) == 6 and clock.isdigit():
        return f"{day[:4]}-{day[4:6]}-{day[6:]} {clock[:2]}:{clock[2:4]}"
    return stamp
