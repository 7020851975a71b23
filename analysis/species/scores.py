"""Scores of a run by species, and how they go with the recordings that trained."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from analysis.command import ScoringOptions
from analysis.runs import Run, predictions_of
from core.data.taxonomy import Taxonomy
from core.scoring.draws import draw_metrics
from core.scoring.intervals import Interval


@dataclass(frozen=True)
class SpeciesScores:
    """Scores of one run by species.

    Attributes
    ----------
    run, species
        Its label, and codes.
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

    @property
    def has_trend(self) -> bool:
        """Whether the correlation is defined."""
        return not np.isnan(self.trend.value)


def score_species(run: Run, options: ScoringOptions) -> SpeciesScores:
    """Return a run's scores by species, with the bootstrap of some options behind the intervals.

    Raises
    ------
    ValueError
        If the run validated nothing.
    """
    (rows,) = predictions_of([run])
    valid = options.settled(run.valid)
    resampler = rows.resampler(options.by, valid.num_resamples, options.seed)
    drawn = draw_metrics(
        rows.truth, rows.probability, resampler, ("score", "auc"), quantile=valid.threshold_quantile
    )
    known = rows.counts.any()
    trained = rows.counts.mean(axis=0) if known else np.full(len(rows.species), np.nan)
    support = drawn["auc"].support
    assert support is not None
    return SpeciesScores(
        run.name,
        rows.species,
        trained,
        rows.truth.sum(axis=0),
        support,
        tuple(drawn["auc"].intervals(valid.confidence)),
        tuple(drawn["score"].intervals(valid.confidence)),
        drawn["auc"].map(lambda values: correlation(values, trained)).interval(valid.confidence),
    )


def correlation(values: np.ndarray, trained: np.ndarray) -> float:
    """Return the rank correlation over the species where both are known; nan for fewer than three."""
    known = ~np.isnan(values) & ~np.isnan(trained)
    if known.sum() < 3 or len(set(values[known])) == 1 or len(set(trained[known])) == 1:
        return float("nan")
    return float(spearmanr(values[known], trained[known]).statistic)


def species_rows(found: SpeciesScores, taxonomy: Taxonomy) -> list[dict[str, object]]:
    """Return the table of species with the names that the taxonomy knows, the most trained first."""
    order = np.argsort(-np.nan_to_num(found.trained), kind="stable")
    scientific, common, _ = zip(*map(taxonomy.names, found.species), strict=True)
    return [
        {
            "species": found.species[i],
            "common name": common[i],
            "scientific name": scientific[i],
            "trained": "unknown" if np.isnan(found.trained[i]) else f"{found.trained[i]:.4g}",
            "clips with it": int(found.positives[i]),
            "recordings": int(found.recordings[i]),
            "ROC-AUC": found.auc[i],
            "2022 score": found.score[i],
            "note": "; ".join(dict.fromkeys(filter(None, (found.auc[i].note, found.score[i].note)))),
        }
        for i in order
    ]
