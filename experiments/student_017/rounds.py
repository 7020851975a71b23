"""Whether a round gained: its paired intervals against what came before it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.config import Config
from core.inference.held_out import run_of
from core.run_folder import RunFolder
from core.scoring.comparison import Comparison, compare_pairs
from core.scoring.predictions import FILES, Of, Predictions, difference_of

Judged = dict[Of, Comparison | str]
"""Comparisons on recordings and on labelled soundscapes, or why there is none."""


def compare_round(config: Config, teachers: Sequence[str], run: RunFolder) -> Judged:
    """Return the student minus its teachers on recordings and on labelled soundscapes.

    Parameters
    ----------
    config
        Of the student: what is measured, and how.
    teachers
        Runs; of several the mean of their probabilities is compared.
    run
        The student's folder.

    Returns
    -------
    dict
        A comparison, or why there is none.
    """
    return {of: _compare(config, teachers, run, of) for of in FILES}


def gains(found: Judged) -> bool:
    """Return whether a difference is above 0 and none lies below 0 with its whole interval."""
    differences = [one.difference for one in found.values() if isinstance(one, Comparison)]
    return any(one.value > 0 for one in differences) and not any(one.high < 0 for one in differences)


def format_round(number: int, found: Judged) -> str:
    """Return the lines that a round prints.

    Parameters
    ----------
    number
        Of the round.
    found
        Its comparisons.
    """
    lines = [f"  {of}: {one.verdict if isinstance(one, Comparison) else one}" for of, one in found.items()]
    return "\n".join([f"\nRound {number} and the one before:", *lines])


def round_record(config: Any, found: Judged, *, is_last: bool) -> dict[str, Any]:
    """Return the content of `round.json`.

    Parameters
    ----------
    config
        Of the round.
    found
        Its comparisons.
    is_last
        Whether no further round follows.
    """
    rows = {of: one.as_row() if isinstance(one, Comparison) else one for of, one in found.items()}
    return {
        "round": config.round, "teachers": config.teachers, "power": config.power, "is_last": is_last,
        "against_the_one_before": rows,
    }  # fmt: skip


def _compare(config: Config, teachers: Sequence[str], run: RunFolder, of: Of) -> Comparison | str:
    """Return one of the comparisons, or why there is none."""
    file = run.path / FILES[of]
    student = Predictions.read(file, f"round of {run.run_id}") if file.is_file() else None
    if not student:
        return "nothing was judged"
    folds = np.unique(student.fold)
    judged = [run_of(path) / FILES[of] for path in teachers]
    parts = [Predictions.read(path, path.parent.name) for path in judged if path.is_file()]
    parts = [one.rows(np.isin(one.fold, folds)) for one in parts]
    for one in parts:
        difference = difference_of(one, student)
        if difference is not None:
            return f"{one.name} cannot be compared: {difference}"
    if not parts:
        return "the teachers judged none"
    mean = np.mean([one.probability for one in parts], axis=0)
    valid = config.valid
    return compare_pairs(
        [replace(parts[0], probability=mean), student], valid.main_metric, num_resamples=valid.num_resamples,
        confidence=valid.confidence, quantile=valid.threshold_quantile,
    )[0]  # fmt: skip
