"""Finished runs -> one tidy table: python -m analysis.runs outputs.

A run of all folds stands for its folds. Runs are put side by side only where they judged the same clips with
the same labels in the same folds; where they differ otherwise it is said how.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tyro

from core.config import ValidConfig, require
from core.config_checks import expand_home, naming, require_output
from core.config_values import flatten, from_dict, require_types
from core.data.taxonomy import Taxonomy, read_taxonomy
from core.files import TABLE_ENDINGS, read_json, write_table
from core.program import run_program
from core.run_folder import RunFolder, run_name, stamp_of
from core.scoring.metric_names import LABELS
from core.scoring.predictions import FILES, Of, Predictions, require_same_clips, with_counts

MOST_IN_NAMES = 2
PATHS_AND_TRACKING = (
    "data.root", "data.cache", "data.num_workers", "output_dir", "for_few", "resume", "tracking.",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A finished run, or run of all folds: its folder, and what `config.json` and `summary.json` hold.

    `name` is a label, unique among those that were found together.
    """

    folder: Path
    config: dict[str, Any]
    summary: dict[str, Any]
    name: str = ""

    @property
    def fold(self) -> int | str | None:
        """Fold that validated, "all" or None."""
        fold: int | str | None = self.config["data"]["fold"]
        return fold

    @property
    def members(self) -> list[Path]:
        """Folders of the single trainings: its folds, or itself."""
        return [self.folder.parent / name for name in self.summary.get("runs", [self.folder.name])]

    @cached_property
    def predictions(self) -> Predictions:
        """Every validated clip with its truth, its probability and what trained; read once."""
        return with_counts(Predictions.read(self.folder / FILES["recordings"], self.name), self.trained)

    @cached_property
    def soundscapes(self) -> Predictions:
        """The same of every validated window of labelled soundscapes."""
        file = self.folder / FILES["soundscapes"]
        require(file.is_file(), f"{file}: missing; {self.name} validated no labelled soundscapes")
        return with_counts(Predictions.read(file, self.name), self.trained)

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """Names of the species, which the run wrote beside their scores; none where it did not."""
        file = self.folder / "species.csv"
        return read_taxonomy(file) if file.is_file() else Taxonomy()

    @property
    def trained(self) -> dict[int | None, dict[str, int]]:
        """Fold -> species -> recordings that trained, as the checkpoints say; empty without any."""
        found: dict[int | None, dict[str, int]] = {}
        for folder in self.members:
            for file in sorted(folder.glob("checkpoints/*/checkpoint.json")):
                card = read_json(file)
                require_types(f"{file}: ", card, {"fold": int | None, "train_counts": dict[str, int]})
                found[card.get("fold")] = card.get("train_counts", {})
        return found

    @property
    def valid(self) -> ValidConfig:
        """How the run was scored."""
        with naming(self.folder / "config.json"):
            return from_dict(ValidConfig(), self.config["valid"], "valid.")

    def total(self, fact: str) -> float:
        """Return the sum of a number in the summaries of its trainings, such as "minutes"; nan if unknown."""
        numbers = [RunFolder(folder).read_json("summary").get(fact) for folder in self.members]
        return float(np.sum([np.nan if number is None else number for number in numbers]))


def find_runs(paths: Iterable[str | Path]) -> list[Run]:
    """Return the finished runs that some paths name, each once, in the order of the paths.

    A path is the folder of a run or of a run of all folds; or it holds such at any depth (an experiment's,
    `outputs`): every finished run is taken, the folds of a finished group not by themselves.

    Raises
    ------
    ValueError
        If a path does not exist, holds no finished run, or names a run that is not finished.
    """
    folders = dict.fromkeys(folder for path in paths for folder in finished_folders(Path(path)))
    return with_names([read_run(folder) for folder in folders])


def finished_folders(path: Path) -> list[Path]:
    """Return the folders of finished runs that a path names, see `find_runs`; all are absolute."""
    require(path.is_dir(), f"{path}: no such folder of runs (looked in {Path.cwd()})")
    if (path / "config.json").is_file():
        message = f"{path}: not finished, it has no summary.json; continue it with --resume"
        require((path / "summary.json").is_file(), message)
        return [path.resolve()]
    found = [file.parent for file in sorted(path.rglob("summary.json")) if not in_group(file.parent)]
    require(len(found) > 0, f"{path}: holds no finished run (a folder with summary.json)")
    return [folder.resolve() for folder in found]


def in_group(folder: Path) -> bool:
    """Return whether a run belongs to a finished run of all folds beside it."""
    group = folder.with_name(run_name(stamp_of(folder), "all"))
    if folder == group or not (group / "summary.json").is_file():
        return False
    return folder.name in RunFolder(group).read_json("summary").get("runs", [])


def read_run(folder: Path) -> Run:
    """Return a finished run, without a label.

    Raises
    ------
    ValueError
        If one of its files is missing or not readable.
    """
    content = [RunFolder(folder).read_json(name) for name in ("config", "summary")]
    require((folder / FILES["recordings"]).is_file(), f"{folder}: its predictions.parquet is missing")
    return Run(folder, content[0], content[1])


def with_names(runs: Sequence[Run]) -> list[Run]:
    """Return runs with the names of `_names_of`; nothing of them is read before."""
    return [replace(run, name=name) for run, name in zip(runs, _names_of(runs), strict=True)]


def _names_of(runs: Sequence[Run]) -> list[str]:
    """Return a short unique name for each run: its experiment, and as much more as tells it apart."""
    parts: list[Callable[[Sequence[Run]], list[str]]] = [
        lambda same: [f"seed {run.config['seed']}" for run in same],
        _settings_that_differ,
        lambda same: [stamp_of(run.folder) for run in same],
        lambda same: [str(run.folder.parent.parent) for run in same],
    ]
    names = []
    for run in runs:
        fold = "" if run.fold == "all" else ", no fold" if run.fold is None else f", fold {run.fold}"
        names.append(f"{run.config['name']}{fold}")
    for part in parts:  # one that is the same for all runs of a name tells nothing
        for name in {name for name in names if names.count(name) > 1}:
            same = [i for i, other in enumerate(names) if other == name]
            words = part([runs[i] for i in same])
            if len(set(words)) > 1:
                for i, word in zip(same, words, strict=True):
                    names[i] = f"{name}, {word}" if word else name
    return names


def _settings_that_differ(runs: Sequence[Run]) -> list[str]:
    """Return such as `mixup.alpha=0.4` for each run.

    Where more than a few settings differ, those in which a run differs from most; none where they are many.
    """
    table = config_differences(runs).drop(index=["name", "seed", "data.fold"], errors="ignore")
    settings = [dict(zip(table.index, column, strict=True)) for column in table.to_numpy().T]
    if len(table) > MOST_IN_NAMES:
        usual = {key: Counter(one[key] for one in settings).most_common(1)[0][0] for key in table.index}
        settings = [{key: one[key] for key in one if one[key] != usual[key]} for one in settings]
        if max(map(len, settings)) > MOST_IN_NAMES:
            return [""] * len(runs)
    return [", ".join(f"{key}={value}" for key, value in one.items()) for one in settings]


def by_setting(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return runs that differ in their seed alone together, each such setting under a short unique name.

    Of runs of one seed the last that is named counts: a repetition is no further seed.
    """
    found: dict[str, dict[int, Run]] = {}
    for run in runs:
        rest = {
            key: str(value)
            for key, value in flatten(run.config).items()
            if key != "seed" and not key.startswith(PATHS_AND_TRACKING)
        }
        found.setdefault(str(sorted(rest.items())), {})[run.config["seed"]] = run
    groups = [list(by_seed.values()) for by_seed in found.values()]
    firsts = [replace(group[0], config=group[0].config | {"seed": 0}) for group in groups]
    return dict(zip(_names_of(firsts), groups, strict=True))


def position_of(name: str, runs: Sequence[Run], where: object) -> int:
    """Return the position of the run that a person means by an experiment, a run's name or its folder's.

    Raises
    ------
    ValueError
        If it is none of the runs, or several; the message begins with `where`.
    """
    found = [i for i, run in enumerate(runs) if name in {run.name, run.config["name"], run.folder.name}]
    known = ", ".join(run.name for run in runs)
    require(len(found) > 0, f"{where}: {name} is none of the runs: {known}")
    require(len(found) == 1, f"{where}: {name} names {len(found)} of the runs: {known}")
    return found[0]


def predictions_of(runs: Sequence[Run], of: Of = "recordings") -> list[Predictions]:
    """Return the predictions of runs about the same clips of recordings or windows of soundscapes, in order.

    Raises
    ------
    ValueError
        If there is no run, one validated nothing, or they differ in label order, clips, folds or truth; the
        message says how.
    """
    found = [run.predictions if of == "recordings" else run.soundscapes for run in runs]
    require_same_clips(found)
    return found


def runs_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row a run: what it is, what it cost, each metric with both bounds of its interval."""
    rows = []
    for run in runs:
        summary, config = run.summary, run.config
        row: dict[str, Any] = {
            "name": run.name,
            "experiment": config["name"],
            "fold": "all" if run.fold == "all" else run.fold,
            "seed": config["seed"],
            "schedule": config["schedule"],
            "commit": str(summary.get("code_version", "unknown")),
            "metric": run.valid.main_metric,
            "minutes": run.total("minutes"),
            "parameters": run.total("parameters") / len(run.members),
            "clips": summary.get("validated_clips", 0),
        }
        for name, bounds in summary.get("metrics", {}).items():
            row |= {name: bounds["value"], f"{name}_low": bounds["low"], f"{name}_high": bounds["high"]}
        rows.append(row | {"folder": str(run.folder)})
    return pd.DataFrame(rows)


def config_differences(runs: Sequence[Run]) -> pd.DataFrame:
    """Return (dotted field) x (run): the settings in which runs differ, but for paths and tracking."""
    texts = [{key: setting_text(value) for key, value in flatten(run.config).items()} for run in runs]
    table = pd.DataFrame(texts, index=[run.name for run in runs]).fillna("-").T
    differs = table.ne(table.iloc[:, 0], axis=0).any(axis=1)
    return table[differs & ~table.index.str.startswith(PATHS_AND_TRACKING)]


def setting_text(value: Any) -> str:
    """Return a setting as text."""
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, kw_only=True)
class RunsConfig:
    """List finished runs with their scores."""

    runs: tyro.conf.Positional[tuple[str, ...]] = ("outputs",)
    """Runs, runs of all folds, or folders that hold such."""
    out: str | None = None
    """Also write the table, .csv, .json or .parquet."""

    def __post_init__(self) -> None:
        """Check that the table can be written."""
        expand_home(self, "runs", "out")
        require_output("out", self.out, TABLE_ENDINGS)


def _list_runs(config: RunsConfig) -> None:
    """Print the table; write it where wanted."""
    runs = find_runs(config.runs)
    table, main_metric = runs_table(runs), runs[0].valid.main_metric
    if main_metric in table:
        table = table.sort_values(main_metric, ascending=False, na_position="last", ignore_index=True)
    for row in table.to_dict("records"):
        scores = [
            f"{LABELS[key]} {row[key]:.3f} [{row[f'{key}_low']:.3f}, {row[f'{key}_high']:.3f}]"
            for key in dict.fromkeys((row["metric"], "score", "macro_auc"))
            if key in row and not pd.isna(row[key])
        ]
        print(
            f"{row['name']}: {'; '.join(scores) or 'validated nothing'}; {row['clips']} clips\n"
            f"  {row['folder']}"
        )
    if config.out is not None:
        write_table(table, config.out)


if __name__ == "__main__":
    run_program(RunsConfig, _list_runs)
