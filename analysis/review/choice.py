"""Which windows to listen to, and which species to ask for in each.

Three ways take turns: the probability nearest to the decision (uncertainty sampling), the window farthest
from all that were heard or chosen (greedy k-center, Sener and Savarese 2018), the best of each species.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from core.config import require
from core.scoring.decisions import clipped_logit
from core.scoring.intervals import QUANTILE
from core.scoring.predictions import Predictions

Pick = Literal["uncertain", "diverse", "top"]
Reason = Pick | Literal["drawn"]


@dataclass(frozen=True, kw_only=True)
class ChoiceOptions:
    """How many windows are chosen, and how."""

    number: int = 60
    """Clips."""
    ways: tuple[Pick, ...] = ("uncertain", "diverse", "top")
    """How they are chosen, in turn: near the decision, unlike the others, the best of each species."""
    per_species: int | None = None
    """Clips a species at most; None: twice an equal share."""
    per_site: int | None = None
    """Clips a site at most; None: twice an equal share. An unknown site has no limit."""
    threshold: float | None = None
    """Probability that decides; None: the 0.85 quantile of all."""
    seed: int = 0
    """Of what is random: the first clip, and the choice among equals."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("number", "per_species", "per_site"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"{name}={value}: at least 1")
        require(len(self.ways) > 0, "ways: one or more of uncertain, diverse, top")
        limit = self.threshold
        require(limit is None or 0 < limit < 1, f"threshold={limit}: between 0 and 1")


class Question(NamedTuple):
    """Is this species in this window? Positions of both, and the way that chose them."""

    window: int
    species: int
    way: Reason


def choose_questions(
    predictions: Predictions, vectors: np.ndarray, known: np.ndarray, options: ChoiceOptions
) -> list[Question]:
    """Return questions about as many windows, the ways in turn.

    Parameters
    ----------
    predictions
        Of the windows.
    vectors
        (window, number) float, in which windows that sound alike are near; NaN unknown.
    known
        (window, species) bool: answered before, and not asked again.
    options
        How many, and how.
    """
    number, ways, limit = options.number, options.ways, options.threshold
    order = np.random.default_rng(options.seed).permutation(len(predictions))
    probability, site, free = predictions.probability[order], predictions.site[order], ~known[order]
    vectors, logit = _standardised(vectors[order]), clipped_logit(probability)
    limit = float(np.quantile(probability, QUANTILE)) if limit is None else limit
    rank = (-logit).argsort(axis=0, kind="stable").argsort(axis=0)
    scores = {"uncertain": -np.abs(logit - clipped_logit(np.asarray(limit))), "top": probability - rank}
    room = np.full(free.shape[1], options.per_species or -(-2 * number // free.shape[1]))
    room_at = dict.fromkeys(site, options.per_site or -(-2 * number // len(set(site))))
    far = np.full(len(order), np.inf)
    for heard in np.flatnonzero(known[order].any(axis=1)):
        far = np.minimum(far, np.square(vectors - vectors[heard]).sum(axis=1))
    found: list[Question] = []
    while len(found) < number and free.any():
        way = ways[len(found) % len(ways)]
        if way == "diverse":
            window = int(np.where(free.any(axis=1), far, -1).argmax())
            species = int(np.where(free[window], logit[window], -np.inf).argmax())
        else:
            window, species = divmod(int(np.where(free, scores[way], -np.inf).argmax()), free.shape[1])
        found.append(Question(int(order[window]), species, way))
        far = np.minimum(far, np.square(vectors - vectors[window]).sum(axis=1))
        room[species] -= 1
        room_at[site[window]] -= 1
        free[window] = False
        free[:, species] &= room[species] > 0
        free[site == site[window]] &= site[window] == "" or room_at[site[window]] > 0
    return found


def _standardised(vectors: np.ndarray) -> np.ndarray:
    """Return (window, number) columns of mean 0 and deviation 1; what is unknown lies in the middle."""
    spread = np.nanstd(vectors, axis=0)
    return np.nan_to_num((vectors - np.nanmean(vectors, axis=0)) / np.where(spread > 0, spread, 1))
