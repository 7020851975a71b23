"""How often verdicts are wrong: "equal within" of runs that differ, and "better" of the best of equal runs.

    python -m benchmarks.verdicts [--datasets 400]

Data sets are those of `benchmarks.coverage`: clips of recordings, species of 5 to 300 of them, two models
that make the same mistakes in part. The margin is set to shares of the true difference: at 1 and below, each
"equal" is wrong, and 5 % of them are allowed; above it, each is right. Of eight runs that are equally good
the best is compared with every other: a set of them with any verdict is a false alarm, once by Holm over the
pairs with the best, and once corrected for its choice. Settings of several seeds differ by a known amount;
each seed has skills of its own and hears each recording in its own way. Sweeps of four parameters, of which
none or one matters: how often some change along a parameter leaves zero out, and how often a p that is
corrected for their number is below 0.05.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from analysis.sweep.effects import marginal_effect
from analysis.sweep.permutation_null import shuffle_scores
from analysis.sweep.swept import SweptParameter
from benchmarks.coverage import QUANTITIES, World, true_values
from core.config import MetricName, require
from core.program import run_program
from core.scoring.comparison import compare_pairs, equivalence_p
from core.scoring.predictions import Predictions
from core.scoring.seeds import compare_settings
from core.scoring.sign_flips import holm

EQUAL = World(recordings=(5, 8, 12, 20, 40, 80), other_recordings=60)
LEVEL = 0.05
SWEPT = (
    SweptParameter("rate", is_log=True),
    SweptParameter("strength"),
    SweptParameter("kind", ("a", "b", "c"), is_ordered=False),
    SweptParameter("switch", (False, True)),
)


@dataclass(frozen=True, kw_only=True)
class VerdictConfig:
    """Measure on invented data how often two runs are called equal within a margin."""

    datasets: int = 400
    """Data sets of each measurement."""
    resamples: int = 500
    """Bootstrap resamples of each."""
    gain: float = 0.3
    """Advantage of the second model, in its logits."""
    shares: tuple[float, ...] = (0.8, 1.0, 2.0, 4.0)
    """Margins as shares of the true difference."""
    runs: int = 8
    """Equal ones, of which the best is picked."""
    seeds: tuple[int, ...] = (3, 5)
    """Numbers of seeds of which settings are compared."""
    trials: tuple[int, ...] = (12, 24, 48)
    """Of sweeps."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(self.datasets >= 1 and self.resamples >= 100, "datasets and resamples: 1 and 100 at least")
        require(min(self.shares) > 0, f"shares={self.shares}: above 0")
        require(self.runs >= 2, f"runs={self.runs}: at least 2")


def equal_shares(
    world: World, name: str, shares: tuple[float, ...], num_datasets: int, num_resamples: int
) -> tuple[float, dict[float, float]]:
    """Return the true difference, and for margins of some shares of it how often runs are called equal.

    Parameters
    ----------
    world
        Its `gain` is what the models differ in.
    name
        Metric, of `core.scoring.draws.METRICS`.
    shares
        Of the true difference.
    num_datasets, num_resamples
        How many.
    """
    difference = f"difference in {name}"
    true = abs(float(true_values(world, [difference])[difference][0]))
    found = np.zeros(len(shares))
    for number in range(num_datasets):
        pair = world.draw_numbered(number, stream=3)
        drawn = QUANTITIES[difference](pair, pair[0].resampler(num_resamples=num_resamples, seed=number))
        found += [equivalence_p(drawn, share * true) <= LEVEL for share in shares]
    return true, dict(zip(shares, found / num_datasets, strict=True))


def false_alarms(name: MetricName, config: VerdictConfig) -> tuple[float, float]:
    """Return the shares of sets of equal runs whose best is told from any other: by Holm, and corrected.

    Parameters
    ----------
    name
        Metric.
    config
        How many sets, runs and resamples.
    """
    found = np.zeros(2)
    for number in range(config.datasets):
        drawn = EQUAL.draw(np.random.default_rng([number, 7]), num_models=config.runs)
        runs = [replace(one, name=str(i)) for i, one in enumerate(drawn)]
        pairs = compare_pairs(
            runs, name, pairs="best", num_resamples=config.resamples, num_flips=config.resamples, seed=number
        )
        found[0] += (holm(np.array([one.p for one in pairs])) <= LEVEL).any()
        found[1] += any(one.is_distinguishable for one in pairs)
    by_holm, corrected = found / config.datasets
    return float(by_holm), float(corrected)


def coverage_over_seeds(
    num_seeds: int, of_seed: float, together: float, config: VerdictConfig
) -> tuple[float, float]:
    """Return how often the interval of two settings holds their true difference, and its mean width.

    Parameters
    ----------
    num_seeds
        Of each setting.
    of_seed
        Deviation of a seed's skill, each species by itself.
    together
        Deviation of what a seed makes of a recording, where that of the recordings themselves is 1.
    config
        How many data sets and resamples.
    """
    counts, skills = np.array(EQUAL.recordings), (1.5, 1.8)
    primary = np.repeat(np.arange(len(counts)), counts)
    truth = np.eye(len(counts), dtype=bool)[primary]
    names, codes = np.array([f"{i}.ogg" for i in range(len(primary))]), [f"s{i}" for i in range(len(counts))]
    spread = np.sqrt(2 * (1 + together**2) + of_seed**2)
    true = float(norm.cdf(skills[1] / spread) - norm.cdf(skills[0] / spread))
    held, widths = 0, []
    for number in range(config.datasets):
        generator = np.random.default_rng([number, num_seeds, 11])
        of_recording = generator.normal(size=truth.shape)
        sides = []
        for skill in skills:
            logits = [
                of_recording
                + together * generator.normal(size=truth.shape)
                + truth * (skill + of_seed * generator.normal(size=len(counts)))
                for _ in range(num_seeds)
            ]
            sides.append(
                [Predictions.of(codes, expit(z), truth, names, primary=primary.astype(str)) for z in logits]
            )
        base, setting = sides
        found = compare_settings(base, setting, num_resamples=config.resamples, seed=number).difference
        held += found.low <= true <= found.high
        widths.append(found.high - found.low)
    return held / config.datasets, float(np.mean(widths))


def sweep_alarms(num_trials: int, share: float, config: VerdictConfig) -> tuple[float, float]:
    """Return how often a sweep seems to show something: by some interval, and by the corrected p.

    Parameters
    ----------
    num_trials
        Of the sweep.
    share
        Of the scores' variance that the first parameter explains; 0: nothing matters.
    config
        How many data sets and resamples.
    """
    by_interval = by_shuffles = 0
    for number in range(config.datasets):
        generator = np.random.default_rng([number, num_trials, 13])
        rate, strength = generator.random((2, num_trials))
        kind, switch = generator.integers(3, size=num_trials), generator.integers(2, size=num_trials)
        places = [rate, strength, kind.astype(float), switch.astype(float)]
        luck = generator.standard_t(5, num_trials) / np.sqrt(5 / 3)
        score = 0.8 + 0.02 * (np.sqrt(share) * (rate - 0.5) * np.sqrt(12) + np.sqrt(1 - share) * luck)
        changes = [
            marginal_effect(one, at, score, num_resamples=config.resamples, seed=number).change
            for one, at in zip(SWEPT, places, strict=True)
        ]
        by_interval += any(one is not None and not one.low <= 0 <= one.high for one in changes)
        null = shuffle_scores(SWEPT, places, score, num_shuffles=1000, seed=number)
        by_shuffles += null is not None and null.p <= LEVEL
    return by_interval / config.datasets, by_shuffles / config.datasets


def print_sweep_alarms(config: VerdictConfig) -> None:
    """Print how often sweeps seem to show something."""
    print("\n| trials | share explained by one of 4 parameters | some interval leaves 0 out | corrected p |")
    print("|---|---|---|---|")
    for num_trials in config.trials:
        for share in (0.0, 0.3):
            alone, corrected = sweep_alarms(num_trials, share, config)
            print(f"| {num_trials} | {share} | {alone:.3f} | {corrected:.3f} |", flush=True)


def measure_verdicts(config: VerdictConfig) -> None:
    """Print the table in Markdown."""
    print("| metric | true difference | margin | called equal |\n|---|---|---|---|")
    for name in ("score", "auc"):
        world = replace(World(), gain=config.gain)
        true, found = equal_shares(world, name, config.shares, config.datasets, config.resamples)
        for share, rate in found.items():
            print(f"| {name} | {true:.4f} | {share * true:.4f} | {rate:.3f} |", flush=True)
    print(f"\n| metric | best of {config.runs} equal runs: by Holm | corrected |\n|---|---|---|")
    metrics: tuple[MetricName, ...] = ("score", "macro_auc")
    for metric in metrics:
        by_holm, corrected = false_alarms(metric, config)
        print(f"| {metric} | {by_holm:.3f} | {corrected:.3f} |", flush=True)
    print("\n| seeds | deviation of a seed | with a recording | interval holds the truth | width |")
    print("|---|---|---|---|---|")
    for num_seeds in config.seeds:
        for of_seed in (0.0, 0.3, 0.8):
            for together in (0.2, 0.7):
                held, width = coverage_over_seeds(num_seeds, of_seed, together, config)
                print(f"| {num_seeds} | {of_seed} | {together} | {held:.3f} | {width:.3f} |", flush=True)
    print_sweep_alarms(config)


if __name__ == "__main__":
    run_program(VerdictConfig, measure_verdicts)
