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
    """Runs that judged the same clips, best main metric first, and why they are not in the first group."""

    runs: tuple[Run, ...]
    reason: str = ""

    @property
    def validated(self) -> bool:
        """Whether there are predictions to judge."""
        return len(self.runs[0].predictions) > 0


@dataclass(frozen=True)
class Selection:
    """What a report shows, the largest group first, and one sentence on every run that it does not."""

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
        begun = [file.parent for file in sorted(path.rglob("config.json"))]
        for place in [path, *(folder for folder in begun if not (folder / "summary.json").is_file())]:
            try:
                folders |= dict.fromkeys(finished_folders(place))
            except ValueError as error:
                refused[str(error)] = None
    whole, runs = [], []
    for folder in folders:
        try:
            whole.append(_read_whole(folder))
        except ValueError as error:
            refused[str(error)] = None
    for run in with_names(whole):
        try:
            run.predictions  # noqa: B018 (read once, and kept)
            runs.append(run)
        except (ArrowException, OSError, KeyError, ValueError) as error:
            refused[f"{run.folder}: not readable: {error}"] = None
    require(len(runs) > 0, "nothing to report:\n  " + "\n  ".join(refused or ["no path was named"]))
    return Selection(tuple(_group_runs(runs)), tuple(refused))


def _read_whole(folder: Path) -> Run:
    """Return the run of a folder; raise `ValueError` if one of its folds is missing."""
    run = read_run(folder)
    absent = [member.name for member in run.members if not (member / "summary.json").is_file()]
    require(not absent, f"{folder}: its folds {', '.join(absent)} are missing beside it")
    return run


def _group_runs(runs: Sequence[Run]) -> list[Group]:
    """Return runs grouped by what they judged: the largest group first, others with the reason."""
    members: list[list[Run]] = []
    for run in runs:
        home = next((group for group in members if _difference(group[0], run) is None), None)
        if home is None:
            members.append([run])
        else:
            home.append(run)
    members.sort(key=lambda group: (len(group[0].predictions) == 0, -len(group)))
    first = members[0][0]
    return [
        Group(tuple(sorted(group, key=_score_of, reverse=True)), _difference(first, group[0]) or "")
        for group in members
    ]


def _difference(one: Run, other: Run) -> str | None:
    """Return why two runs cannot be put side by side, also where one of them validated nothing."""
    if len(one.predictions) and len(other.predictions):
        return difference_of(one.predictions, other.predictions)
    alike = len(one.predictions) == len(other.predictions)
    return None if alike else "nothing was validated (data.fold=None)"


def _score_of(run: Run) -> float:
    """Return a run's main metric; below all where it has none."""
    value = run.summary.get("metrics", {}).get(run.valid.main_metric, {}).get("value")
    return -1.0 if value is None else float(value)
