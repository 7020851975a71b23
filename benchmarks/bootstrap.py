"""How fast are ten thousand resamples? Times all metrics on rows like those of 2022's competition.

    python -m benchmarks.bootstrap [--rows 15000] [--species 21] [--resamples 10000] [--by row]

Every row a recording of its own (the most expensive case) or, with --by recording, three rows each. Of every
resample all metrics are computed per species: 2022 score at the settled and at the repicked quantile, average
precision with and without padding, ROC-AUC, top-1. scikit-learn computes the same on a few resamples, one
call a species and metric with `sample_weight`; its time is scaled to all of them. The largest difference
between the two on these resamples is printed, too.
"""

import argparse
import itertools
import os
import platform
import time

import numpy as np
import scipy
import sklearn
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from core.scoring.draws import build_metrics, draw
from core.scoring.metrics import PADDING_ROWS
from core.scoring.resampling import BLOCK, Resampler
from core.scoring.weighted_metrics import WeightedMetric

SHARED_BY_SCIKIT_LEARN = 3  # resamples
TIMED_METRICS = ("score", "auc", "average_precision", "padded_average_precision")


def invent(num_rows: int, num_species: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return truth, probability (row, species) and primary species; positives fall off as in a long tail."""
    generator = np.random.default_rng(0)
    shares = np.geomspace(300, 5, num_species)
    primary = np.repeat(np.arange(num_species), np.round(shares * num_rows / 15_000).astype(int).clip(2))
    primary = np.append(primary, np.full(num_rows - len(primary), num_species))  # the rest: not scored
    truth = primary[:, None] == np.arange(num_species)
    truth |= generator.random(truth.shape) < 0.01
    noise = generator.normal(size=truth.shape)
    return truth, 1 / (1 + np.exp(2 - noise - 1.5 * truth)), primary


def scikit_learn(
    truth: np.ndarray, probability: np.ndarray, decision: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the metrics of each species for the weights (row,) of one resample."""
    ones = np.ones(PADDING_ROWS)
    columns = list(zip(truth.T, probability.T, decision.T, strict=True))
    padded = np.append(weights, ones)
    return {
        "score": np.array([balanced_accuracy_score(t, d, sample_weight=weights) for t, _, d in columns]),
        "auc": np.array([roc_auc_score(t, p, sample_weight=weights) for t, p, _ in columns]),
        "average_precision": np.array(
            [average_precision_score(t, p, sample_weight=weights) for t, p, _ in columns]
        ),
        "padded_average_precision": np.array(
            [
                average_precision_score(np.append(t, ones), np.append(p, ones), sample_weight=padded)
                for t, p, _ in columns
            ]
        ),
    }


def compare(
    metrics: list[WeightedMetric], truth: np.ndarray, probability: np.ndarray, resampler: Resampler
) -> tuple[float, float]:
    """Return scikit-learn's seconds a resample, and the largest difference to ours."""
    decision = probability >= np.quantile(probability, 0.85)
    block = next(resampler.blocks())[:, :SHARED_BY_SCIKIT_LEARN]
    ours = {name: found for metric in metrics for name, found in metric.values(block).items()}
    difference, start = 0.0, time.perf_counter()
    for number, weights in enumerate(block[resampler.cluster_of_row].T.astype(np.float64)):
        for name, found in scikit_learn(truth, probability, decision, weights).items():
            difference = max(difference, float(np.abs(found - ours[name][number]).max()))
    return (time.perf_counter() - start) / SHARED_BY_SCIKIT_LEARN, difference


def main() -> None:
    """Print the times in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=15_000)
    parser.add_argument("--species", type=int, default=21)
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--by", choices=["row", "recording"], default="row")
    given = parser.parse_args()
    truth, probability, primary = invent(given.rows, given.species)
    clusters = np.arange(given.rows) // (1 if given.by == "row" else 3)
    resampler = Resampler(clusters, primary, given.resamples)

    start = time.perf_counter()
    for _ in resampler.blocks():
        pass
    drawing = time.perf_counter() - start
    metrics = build_metrics(truth, probability, resampler.cluster_of_row, repicked=False)
    repicked = build_metrics(truth, probability, resampler.cluster_of_row, ("score",))
    start = time.perf_counter()
    draw(metrics, resampler)
    fixed = time.perf_counter() - start
    start = time.perf_counter()
    for block in itertools.islice(resampler.blocks(), max(given.resamples // BLOCK // 4, 1)):
        repicked[0].values(block)
    part = max(given.resamples // BLOCK // 4, 1) * BLOCK / given.resamples
    anew = (time.perf_counter() - start) / part - drawing
    single, difference = compare(metrics, truth, probability, resampler)
    theirs = single * given.resamples

    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, one thread used, numpy "
        f"{np.__version__}, scipy {scipy.__version__}, scikit-learn {sklearn.__version__}\n"
        f"{given.rows} rows, {resampler.num_clusters} clusters, {given.species} species, {truth.sum()} "
        f"positives, {given.resamples} resamples\n"
    )
    print("| what | seconds | ratio to scikit-learn |\n|---|---|---|")
    print(f"| drawing alone | {drawing:.1f} | |")
    print(f"| all metrics, drawing included | {fixed:.1f} | {theirs / fixed:.0f} |")
    print(
        f"| the 2022 score at repicked thresholds besides (from a quarter of the resamples) | {anew:.1f} | |"
    )
    print(f"| scikit-learn, scaled from {SHARED_BY_SCIKIT_LEARN} resamples | {theirs:.0f} | 1 |")
    print(f"\nlargest difference to scikit-learn on these resamples: {difference:.1e}")


if __name__ == "__main__":
    main()
