"""One trial of a sweep without a server, as `trial.json` keeps it."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from core.config import require

RUNNING, FINISHED, FAILED, STOPPED = STATES = ("running", "finished", "failed", "stopped")


@dataclass
class Trial:
    """One trial of a sweep.

    Attributes
    ----------
    number
        From 0.
    parameters
        By dotted key, in W&B's order.
    positions
        Where they lie in the space that the bayes sampler sees; empty for other methods.
    wandb_id
        W&B's id of its run, however often it is taken up again.
    state
        `RUNNING` until it has ended by itself: one that was interrupted goes on with the sweep.
    minutes
        It has run so far, starts included.
    value
        The metric's last when it ended; None: it logged none.
    """

    number: int
    parameters: dict[str, Any]
    positions: dict[str, float] = field(default_factory=dict)
    wandb_id: str = field(default_factory=lambda: secrets.token_hex(4))
    state: str = RUNNING
    minutes: float = 0.0
    value: float | None = None


def trial_of(content: Any, swept: Sequence[str]) -> Trial:
    """Return the trial that a `trial.json` holds, after checking it.

    Raises
    ------
    ValueError
        If the content is another, or lacks a swept parameter.
    """
    needed, known = {"number", "parameters", "state", "minutes"}, {one.name for one in fields(Trial)}
    right = isinstance(content, dict) and needed <= set(content) <= known
    require(right, f"needs {', '.join(sorted(needed))}, of {', '.join(sorted(known))}")
    trial = Trial(**content)
    require(trial.state in STATES, f"state={trial.state}: one of {', '.join(STATES)}")
    missing = [key for key in swept if key not in trial.parameters]
    require(not missing, f"parameters: no {', '.join(missing)}")
    return trial
