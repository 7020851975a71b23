"""From the probabilities of all soundscapes to decisions, once every file is predicted."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.config import require
from core.inference.config import InferenceConfig
from core.inference.ensemble import Ensemble
from core.inference.journal import FileResult
from core.inference.tables import Decisions
from core.inference.windows import mix_neighbours
from core.scoring.decisions import DecisionConfig, adjust, calibrate, read_tuned, thresholds


@dataclass(frozen=True)
class PostProcessing:
    """Steps and thresholds: the scored species among themselves, and so the others.

    A scored species' decisions therefore do not depend on whether others are predicted, too.

    Attributes
    ----------
    config
        Which steps.
    species
        (species,) codes.
    scored
        (species,) bool.
    counts
        (species,) recordings that trained.
    """

    config: DecisionConfig
    species: np.ndarray
    scored: np.ndarray
    counts: np.ndarray

    def adjust(self, probability: np.ndarray, bird: np.ndarray | None) -> np.ndarray:
        """Return what is compared with the thresholds, (window, species), from probabilities and p(bird)."""
        adjusted = np.empty_like(probability)
        for columns in filter(np.any, (self.scored, ~self.scored)):
            adjusted[:, columns] = adjust(probability[:, columns], self.config, self.counts[columns], bird)
        return adjusted

    def thresholds(self, adjusted: np.ndarray) -> np.ndarray:
        """Return the threshold of each species, (species,); the quantile is that of the scored ones.

        Raises
        ------
        ValueError
            If class-wise thresholds lack a species.
        """
        if self.config.threshold == "class_wise":
            return thresholds(adjusted, self.config, self.species.tolist())
        limits = thresholds(adjusted[:, self.scored], self.config, self.species[self.scored].tolist())
        return np.full(len(self.species), limits[0])


def open_post_processing(config: InferenceConfig, ensemble: Ensemble) -> PostProcessing:
    """Return the wanted steps for an ensemble's species.

    Raises
    ------
    ValueError
        If a tuned file cannot be read, or a no-call model or the threshold of a species is missing.
    """
    settings = read_tuned(Path(config.tuned)) if config.tuned is not None else config.post
    require(
        settings.gate == "off" or config.nocall is not None,
        f"post.gate={settings.gate} needs --nocall=CHECKPOINT",
    )
    species = np.array(ensemble.species)
    post = PostProcessing(settings, species, ensemble.scored, ensemble.train_counts())
    post.thresholds(np.zeros((1, len(species))))  # one that is missing is named before hours of work
    return post


def decide_soundscapes(
    results: Mapping[str, FileResult],
    files: Mapping[str, Path],
    config: InferenceConfig,
    post: PostProcessing,
    ensemble: Ensemble,
) -> dict[str, Decisions]:
    """Return the decisions about every usable soundscape; the quantile is over all of them.

    Parameters
    ----------
    results, files
        Soundscape -> what was predicted of it, and its file.
    config
        Smoothing, and whether segments are decided.
    post
        Steps and thresholds.
    ensemble
        Its way to combine members: ranks are taken here, over all soundscapes.
    """
    usable = {name: result for name, result in results.items() if result.probability.shape[1]}
    if not usable:
        return {}
    ends = np.cumsum([result.probability.shape[1] for result in usable.values()])[:-1]
    members = np.concatenate([result.probability for result in usable.values()], axis=1)
    pooled = ensemble.combined(members) if ensemble.combine == "rank" else members[0].astype(np.float64)
    share = config.windows.smoothing
    probability = np.concatenate([mix_neighbours(piece, share) for piece in np.split(pooled, ends)])
    bird = np.concatenate([result.bird for result in usable.values()]).astype(np.float64)
    p_bird = bird if len(bird) else None
    adjusted = post.adjust(probability, p_bird)
    limits = post.thresholds(adjusted)
    target = adjusted >= limits
    segments = np.concatenate([result.segments for result in usable.values()])
    if config.detections_by == "segment":
        segments = decide_segments(segments, target, post, p_bird, limits)
    split = (np.split(array, ends) for array in (calibrate(probability, post.config), target))
    by_file = np.split(segments, ends) if len(segments) else [segments] * len(usable)
    parts = zip(usable, *split, by_file, strict=True)
    return {name: Decisions(p, t, files[name], s) for name, p, t, s in parts}


def decide_segments(
    segments: np.ndarray,
    target: np.ndarray,
    post: PostProcessing,
    bird: np.ndarray | None,
    limits: np.ndarray,
) -> np.ndarray:
    """Return (window, segment, species) bool: the segments above the threshold in windows that are True.

    Segments go through the same steps and thresholds as windows. In a window that is True the loudest
    segment always counts, so that no decision is lost.

    Parameters
    ----------
    segments
        (window, segment, species) probabilities.
    target
        (window, species) bool.
    post
        The steps.
    bird
        (window,) p(bird), or None.
    limits
        (species,) thresholds.
    """
    flat = segments.astype(np.float64).reshape(-1, segments.shape[2])
    repeated = None if bird is None else np.repeat(bird, segments.shape[1])
    above = (post.adjust(flat, repeated) >= limits).reshape(segments.shape)
    loudest = segments == segments.max(axis=1, keepdims=True)
    return np.asarray((above | loudest) & target[:, None])
