"""Finished runs that may say something to a run of one fold: they held out what that fold validates on.

Any other network has trained on the recordings and sites that judge the run, and would hand their labels on.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from core import checkpoint
from core.checkpoint import Card
from core.config import require
from core.config_data import DataConfig
from core.config_values import to_dict
from core.inference.ensemble import find_checkpoints
from core.run_folder import find_run
from core.scoring.predictions import FILES, Of, Predictions

FOLDS = ("num_folds", "fold_seed", "group_by_author")


def run_of(path: str) -> Path:
    """Return a path, or the last run where it is an experiment's folder."""
    folder = Path(path)
    is_experiment = not (folder / "config.json").is_file() and any(folder.glob("*/config.json"))
    return find_run(folder.parent, folder.name, "last") if is_experiment else folder


def held_out_checkpoints(field: str, paths: Sequence[str], data: DataConfig) -> list[Path]:
    """Return the checkpoints of runs that held out the fold of `data`; all of them where it holds out none.

    Parameters
    ----------
    field
        What a message calls the paths.
    paths
        Runs, runs of all folds, or an experiment's folder, of which its last run is taken.
    data
        Folds of the run that asks.

    Raises
    ------
    ValueError
        If a path is no run, or none held out the same fold of the same folds.
    """
    found = [folder for path in paths for folder in find_checkpoints(run_of(path))]
    chosen = [folder for folder in found if _held_out(checkpoint.read_card(folder), data)]
    message = (
        f"{field}={list(paths)}: none of them held out fold {data.fold} of the same folds, and others would "
        "teach the labels that judge; use --data.fold=None and judge on soundscapes"
    )
    require(len(chosen) > 0, message)
    return chosen


def require_held_out(field: str, folder: Path, of: Of, names: Collection[str]) -> None:
    """Refuse a checkpoint that may have trained on what judges: its run did not validate all of it.

    Parameters
    ----------
    field
        What a message calls the checkpoint.
    folder
        Of the checkpoint, in its run's folder.
    of, names
        Recordings or soundscapes, and which.

    Raises
    ------
    ValueError
        With the first of those that its run did not validate.
    """
    if (
        of == "soundscapes"
        and checkpoint.read_card(folder).config["data"].get("soundscapes", "ignore") in _UNTRAINED
    ):
        return
    file = folder.parents[1] / FILES[of]
    held_out = set(Predictions.read(file).recording.tolist()) if file.is_file() else set()
    left = sorted(set(names) - held_out)
    if left:
        message = (
            f"{field}: {folder.parents[1]} did not validate {len(left)} of the {len(names)} {of} that judge "
            f"here, such as {left[0]}, and may have trained on them; train it with the same data and folds"
        )
        raise ValueError(message)


_UNTRAINED = ("ignore", "validate")
"""Values of `data.soundscapes` with which labelled soundscapes train nothing."""


def _held_out(card: Card, data: DataConfig) -> bool:
    """Return whether a network held out the fold of `data`."""
    own, theirs = to_dict(data), card.config["data"]
    return data.fold is None or (card.fold == data.fold and all(own[name] == theirs[name] for name in FOLDS))
