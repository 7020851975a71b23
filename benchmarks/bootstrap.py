"""How fast are ten thousand resamples? Times all metrics on rows like those of 2022's competition.

    python -m benchmarks.bootstrap [--clips 1] [--resamples 10000]

About 15,000 rows of 21 scored species and more that are not; every row a recording of its own (the most
expensive case), or --clips rows of each. Of every resample all metrics are computed per species. scikit-learn
computes the same on a few resamples, one call a species and metric with `sample_weight`; its time is scaled
to all of them. That the values are the same, `tests/core/scoring/test_weighted_metrics.py` holds.
"""

import argparse
import os
import platform
import time

import numpy as np
import scipy
import sklearn
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from benchmarks.coverage import World
from core.scoring.draws import build_metrics, draw
from core.scoring.intervals import QUANTILE
from core.scoring.metrics import PADDING_ROWS
from core.scoring.predictions import Predictions
from core.scoring.weighted_metrics import WeightedMetric

ROWS, TIMED_SPECIES = 15_000, 21
SHARED_BY_SCIKIT_LEARN = 3  # resamples


def scikit_learn(rows: Predictions, weights: np.ndarray) -> None:
    """Compute the metrics of each species for the weights (row,) of one resample."""
    ones, padded = np.ones(PADDING_ROWS), np.append(weights, np.ones(PADDING_ROWS))
    decision = rows.probability >= np.quantile(rows.probability, QUANTILE)
    for truth, probability, decided in zip(rows.truth.T, rows.probability.T, decision.T, strict=True):
        balanced_accuracy_score(truth, decided, sample_weight=weights)
        roc_auc_score(truth, probability, sample_weight=weights)
        average_precision_score(truth, probability, sample_weight=weights)
        average_precision_score(np.append(truth, ones), np.append(probability, ones), sample_weight=padded)


def main() -> None:
    """Print the times in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=1, help="of each recording, at most")
    parser.add_argument("--resamples", type=int, default=10_000)
    given = parser.parse_args()
    recordings = np.geomspace(300, 5, TIMED_SPECIES).round().astype(int)
    other = 2 * ROWS // (1 + given.clips) - recordings.sum()
    world = World(
        recordings=tuple(recordings.tolist()), other_recordings=other, max_clips=given.clips,
        secondary_share=0.005,
    )  # fmt: skip
    (rows,) = world.draw(np.random.default_rng(0))
    resampler = rows.resampler(num_resamples=given.resamples)

    def seconds(metrics: list[WeightedMetric]) -> float:
        start = time.perf_counter()
        draw(metrics, resampler)
        return time.perf_counter() - start

    data = rows.truth, rows.probability, resampler.cluster_of_row
    drawing, fixed = seconds([]), seconds(build_metrics(*data, repicked=False))
    anew = seconds(build_metrics(*data, ("score",))) - drawing
    start = time.perf_counter()
    for weights in next(resampler.blocks())[:, :SHARED_BY_SCIKIT_LEARN][resampler.cluster_of_row].T:
        scikit_learn(rows, weights)
    theirs = (time.perf_counter() - start) / SHARED_BY_SCIKIT_LEARN * given.resamples

    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, one thread used, numpy "
        f"{np.__version__}, scipy {scipy.__version__}, scikit-learn {sklearn.__version__}\n"
        f"{len(rows)} rows, {resampler.num_clusters} recordings, {TIMED_SPECIES} species, {rows.truth.sum()} "
        f"positives, {given.resamples} resamples\n"
    )
    print("| what | seconds | ratio to scikit-learn |\n|---|---|---|")
    print(f"| drawing alone | {drawing:.1f} | |")
    print(f"| all metrics, drawing included | {fixed:.1f} | {theirs / fixed:.0f} |")
    print(f"| the 2022 score at repicked thresholds besides | {anew:.1f} | |")
    print(f"| scikit-learn, scaled from {SHARED_BY_SCIKIT_LEARN} resamples | {theirs:.0f} | 1 |")


if __name__ == "__main__":
    main()
