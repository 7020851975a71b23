"""What ratings make of the loss: the weight of each recording."""

import numpy as np
import pandas as pd

from core.config import DataConfig
from core.data.competition import Competition

MIN_WEIGHT = 0.1


def known_ratings(recordings: pd.DataFrame, config: DataConfig) -> np.ndarray:
    """Return (recording,) float32 ratings, in which an unrated recording counts as the median rated one.

    Parameters
    ----------
    recordings
        Table of `Competition`, with a `rating` of 0 where a recording has none.
    config
        `unrated`: "lowest" leaves the unrated at 0. Where none is rated, the median is nan.
    """
    rating = recordings["rating"].to_numpy(np.float32).copy()
    is_rated = rating > 0
    if config.unrated == "median":
        rating[~is_rated] = np.median(rating[is_rated]) if is_rated.any() else np.nan
    return rating


def rating_weights(recordings: pd.DataFrame, config: DataConfig) -> np.ndarray:
    """Return (recording,) float32 loss weights: rating / highest rating, at least 0.1.

    Parameters
    ----------
    recordings
        Table of `Competition`. Where none is rated, all weigh 1.
    config
        `use_ratings` and `unrated`.
    """
    rating = known_ratings(recordings, config)
    if not config.use_ratings or not (rating > 0).any():
        return np.ones_like(rating)
    return np.clip(rating / rating.max(), MIN_WEIGHT, 1.0)


def describe_ratings(competition: Competition, config: DataConfig) -> str:
    """Return one line: how many recordings are unrated, and how weights fall on scored and other species.

    Parameters
    ----------
    competition
        Recordings and scored species.
    config
        `use_ratings` and `unrated`.
    """
    recordings = competition.recordings
    weight = rating_weights(recordings, config)
    is_rated = (recordings["rating"] > 0).to_numpy()
    is_scored = recordings["species"].isin(competition.scored).to_numpy()
    parts = [f"{(~is_rated).sum():,} of {len(recordings):,} recordings are unrated"]
    if not config.use_ratings:
        parts.append("all weigh 1 (data.use_ratings=False)")
    elif not is_rated.any():
        parts.append("all weigh 1")
    elif not is_rated.all():
        parts[0] += f" and weigh {weight[~is_rated][0]:.2f} (data.unrated={config.unrated})"
    for name, chosen in (("scored species", is_scored), ("others", ~is_scored)):
        if chosen.any():
            parts.append(
                f"{name}: {chosen.sum():,} recordings, {(chosen & ~is_rated).sum():,} unrated, "
                f"mean weight {weight[chosen].mean():.2f}"
            )
    return "Ratings: " + "; ".join(parts)
