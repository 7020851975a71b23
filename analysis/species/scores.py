"""Scores of a run by species, and how they go with the recordings that trained."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from analysis.observations import train_counts
from analysis.runs import Run, align
from core.inference.config import PostConfig
from core.scoring.intervals import bootstrap, build_metrics
from core.scoring.resampling import Interval, Resampler, summarise

QUANTILE = PostConfig().quantile


@dataclass(frozen=True)
class BySpecies:
    """Scores of one run by species.

    Attributes
    ----------
    run
        Its label.
    species
        Codes.
    trained
        (species,) recordings that trained, averaged over the networks that judged; nan where unknown.
    positives, recordings
        (species,) validated clips and recordings with it.
    auc, score
        One interval a species, without bounds where recordings are too few for one; nan where it has no
        positive or no negative clip.
    trend
        Spearman correlation of `auc` with `trained` over the species, with its interval over recordings.
    """

    run: str
    species: tuple[str, ...]
    trained: np.ndarray
    positives: np.ndarray
    recordings: np.ndarray
    auc: tuple[Interval, ...]
    score: tuple[Interval, ...]
    trend: Interval


def by_species(run: Run, num_resamples: int, seed: int) -> BySpecies:
    """Return a run's scores by species.

    Parameters
    ----------
    run
        The run.
    num_resamples, seed
        Of the bootstrap behind the intervals.

    Raises
    ------
    ValueError
        If the run validated nothing.
    """
    aligned = align([run])
    truth, probability = aligned.truth, aligned.probability[0]
    resampler = Resampler(aligned.recording, aligned.primary, num_resamples, seed)
    metrics = build_metrics(truth, probability, resampler.cluster_of_row, ("score", "auc"), quantile=QUANTILE)
    drawn = bootstrap(metrics, truth, resampler)
    counts = train_counts(run, aligned.species)
    trained = counts.mean(axis=0) if counts.any() else np.full(len(aligned.species), np.nan)
    trends = np.array([correlation(one, trained) for one in drawn.drawn["auc"]])
    return BySpecies(
        run.name,
        aligned.species,
        trained,
        truth.sum(axis=0),
        drawn.clusters,
        tuple(drawn.species_intervals("auc")),
        tuple(drawn.species_intervals("score")),
        summarise(correlation(drawn.values["auc"], trained), trends, 0.95),
    )


def correlation(values: np.ndarray, trained: np.ndarray) -> float:
    """Return the rank correlation over the species where both are known; nan for fewer than three."""
    known = ~np.isnan(values) & ~np.isnan(trained)
    if known.sum() < 3 or len(set(values[known])) == 1 or len(set(trained[known])) == 1:
        return float("nan")
    return float(spearmanr(values[known], trained[known]).statistic)


def species_rows(found: BySpecies) -> list[dict[str, object]]:
    """Return the table of species, the most trained first."""
    order = np.argsort(-np.nan_to_num(found.trained), kind="stable")
    return [
        {
            "species": found.species[i],
            "trained": "unknown" if np.isnan(found.trained[i]) else f"{found.trained[i]:.1f}",
            "clips with it": int(found.positives[i]),
            "recordings": int(found.recordings[i]),
            "ROC-AUC": found.auc[i],
            "2022 score": found.score[i],
            "note": "; ".join(dict.fromkeys(filter(None, (found.auc[i].note, found.score[i].note)))),
        }
        for i in order
    ]
