"""Which windows to listen to, and which species to ask for in each.

Three ways take turns: the probability nearest to the decision (uncertainty sampling), the window farthest
from all that were heard or chosen (greedy k-center, Sener and Savarese 2018), the best of each species.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from core.scoring.decisions import clipped_logit
from core.scoring.intervals import QUANTILE
from core.scoring.predictions import Predictions

Way = Literal["uncertain", "diverse", "top"]


class Question(NamedTuple):
    """Is this species in this window? Positions of both, and the way that chose them."""

    window: int
    species: int
    way: Way


def choose_questions(
    predictions: Predictions, vectors: np.ndarray, known: np.ndarray, *, number: int, ways: Sequence[Way],
    per_species: int | None = None, per_site: int | None = None, threshold: float | None = None,
    seed: int = 0,
) -> list[Question]:  # fmt: skip
    """Return up to `number` questions about as many windows, the ways in turn.

    Parameters
    ----------
    predictions
        Of the windows.
    vectors
        (window, number) float, in which windows that sound alike are near; NaN unknown.
    known
        (window, species) bool: answered before, and not asked again.
    number, ways
        How many, and how they are chosen.
    per_species, per_site
        Questions about a species and at a site at most; None: twice an equal share. An unknown site has no
        limit.
    threshold
        The probability that decides; None: the 0.85 quantile of all.
    seed
        Decides among equals, and which window is the first.
    """
    order = np.random.default_rng(seed).permutation(len(predictions))
    probability, site, free = predictions.probability[order], predictions.site[order], ~known[order]
    vectors, logit = _standardised(vectors[order]), clipped_logit(probability)
    limit = np.quantile(probability, QUANTILE) if threshold is None else np.asarray(threshold)
    rank = (-logit).argsort(axis=0, kind="stable").argsort(axis=0)
    scores = {"uncertain": -np.abs(logit - clipped_logit(limit)), "top": probability - rank}
    room = np.full(free.shape[1], per_species or -(-2 * number // free.shape[1]))
    room_at = dict.fromkeys(site, per_site or -(-2 * number // len(set(site))))
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
