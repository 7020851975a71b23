"""Whether intervals and tests keep what they promise, on data sets whose true scores are known.

    python -m benchmarks.coverage [--datasets 400] [--resamples 1000] [--rare True]

A world fixes how well each species is told apart and what it is mistaken for. Data sets drawn from it have
few or many recordings a species, several clips a recording that resemble one another, and some clips that
hold a second species; the true score is that of a data set hundreds of times as large.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from analysis.command import run_command
from analysis.comparison import paired_difference
from core.scoring.intervals import Bootstrapped, bootstrap, build_metrics
from core.scoring.resampling import METHODS, Method, Resampler, summarise
from core.scoring.sign_flips import flip_test

LARGE = 200
SPECIES_METRICS = ("score", "auc", "average_precision")


@dataclass(frozen=True)
class DataSet:
    """What a world gives.

    Attributes
    ----------
    recording, primary
        (row,) of the clip.
    truth
        (row, species) bool.
    probability
        (model, row, species).
    """

    recording: np.ndarray
    primary: np.ndarray
    truth: np.ndarray
    probability: np.ndarray


@dataclass(frozen=True, kw_only=True)
class World:
    """Two models and the species they are judged on.

    Attributes
    ----------
    recordings
        Of each species in one data set.
    other_recordings
        Of species that are not scored.
    max_clips
        A recording has 1 to so many clips.
    secondary_share
        Of recordings that hold the median species besides their own.
    recording_share
        Of the noise's variance that all clips of a recording have in common.
    model_share
        Of the noise's variance that both models have in common.
    gain
        By how much the second model tells positives further apart, in standard deviations of the noise.
    seed
        Settles how hard the species are and which are mistaken for which.
    """

    recordings: tuple[int, ...] = (5, 8, 12, 20, 40, 80, 150, 300)
    other_recordings: int = 200
    max_clips: int = 3
    secondary_share: float = 0.01
    recording_share: float = 0.5
    model_share: float = 0.7
    gain: float = 0.0
    seed: int = 0

    def draw(self, generator: np.random.Generator, multiple: int = 1, num_models: int = 1) -> DataSet:
        """Return a data set, or one `multiple` times as large."""
        number = len(self.recordings)
        settled = np.random.default_rng(self.seed)
        separation = settled.uniform(0.8, 2.0, number)
        confusion = settled.normal(0, 0.35, (number + 1, number))
        species = np.repeat(
            np.arange(number + 1), np.multiply((*self.recordings, self.other_recordings), multiple)
        )
        recording = np.repeat(
            np.arange(len(species)), generator.integers(1, self.max_clips + 1, len(species))
        )
        primary = species[recording]
        share = self.secondary_share * np.divide(self.recordings, np.median(self.recordings))
        has_second = generator.random((len(species), number)) < share
        truth = (primary[:, None] == np.arange(number)) | has_second[recording]
        noise = [self._noise(generator, recording, truth.shape) for _ in range(num_models + 1)]
        logits = [
            truth * (separation + self.gain * model) + ~truth * confusion[primary]
            + np.sqrt(self.model_share) * noise[-1] + np.sqrt(1 - self.model_share) * noise[model]
            for model in range(num_models)
        ]  # fmt: skip
        return DataSet(recording, primary, truth, 1 / (1 + np.exp(2 - np.stack(logits))))

    def _noise(
        self, generator: np.random.Generator, recording: np.ndarray, shape: tuple[int, ...]
    ) -> np.ndarray:
        """Return standard normal noise (row, species) that resembles itself within a recording."""
        common = generator.normal(size=(recording[-1] + 1, shape[1]))[recording]
        own = generator.normal(size=shape)
        return np.sqrt(self.recording_share) * common + np.sqrt(1 - self.recording_share) * own

    @cached_property
    def true_values(self) -> list[dict[str, np.ndarray]]:
        """Metrics of both models on very many recordings, each (species,)."""
        large = self.draw(np.random.default_rng([self.seed, 1]), LARGE, num_models=2)
        once = np.ones((large.recording[-1] + 1, 1), dtype=np.float32)
        values = []
        for probability in large.probability:
            metrics = build_metrics(large.truth, probability, large.recording, SPECIES_METRICS)
            values.append({k: v[0] for metric in metrics for k, v in metric.values(once).items()})
        return values

    def true_difference(self, name: str) -> float:
        """Return second model minus first of a macro metric on very many recordings."""
        if self.gain == 0:
            return 0.0
        first, second = (float(values[name].mean()) for values in self.true_values)
        return second - first


RARE = World(
    recordings=(2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 8, 8, 10, 10, 15, 15, 20, 20, 30, 30),
    other_recordings=500,
    secondary_share=0.0,
    seed=5,
)
"""Where intervals of single species break."""


def coverage(
    world: World,
    num_datasets: int,
    num_resamples: int,
    names: Sequence[str] = SPECIES_METRICS,
    methods: Sequence[Method] = METHODS,
    *,
    repicked: bool = False,
    one_less: bool = True,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how often 95 % intervals hold the true value.

    Parameters
    ----------
    world
        Where data sets come from.
    num_datasets, num_resamples
        How many.
    names
        Metrics.
    methods
        Intervals.
    repicked
        Whether resamples pick the threshold of the 2022 score anew.
    one_less
        See `Resampler`.
    seed
        Of the data sets.

    Returns
    -------
    DataFrame
        One row a metric, method and species (-1: the macro mean) with its `recordings`: `covered`, the share
        of data sets whose interval holds the value of very many recordings; `above` and `below`, of those
        that lie on one side of it; `covered_mean`, of those that hold the mean value of sets of this size,
        which for average precision is higher; mean `width`.
    """
    rows = []
    for number in range(num_datasets):
        data = world.draw(np.random.default_rng([world.seed, 2, seed, number]))
        resampler = Resampler(data.recording, data.primary, num_resamples, number, one_less=one_less)
        metrics = build_metrics(data.truth, data.probability[0], data.recording, names, repicked=repicked)
        drawn = bootstrap(metrics, data.truth, resampler)
        rows += [
            (name, method, species, *bounds)
            for name in names
            for method in methods
            for species, bounds in enumerate(all_intervals(drawn, name, method))
        ]
    table = pd.DataFrame(rows, columns=["metric", "method", "species", "value", "low", "high"])
    groups = ["metric", "method", "species"]
    true = {name: np.append(world.true_values[0][name], world.true_values[0][name].mean()) for name in names}
    table["true"] = [true[name][species] for name, species in zip(table.metric, table.species, strict=True)]
    table["mean"] = table.groupby(groups)["value"].transform("mean")
    table["covered"] = table["true"].between(table["low"], table["high"])
    table["covered_mean"] = table["mean"].between(table["low"], table["high"])
    table["above"], table["below"] = table["low"] > table["true"], table["high"] < table["true"]
    table["width"] = table["high"] - table["low"]
    means = table.groupby(groups, sort=False).mean().drop(columns=["value", "low", "high"]).reset_index()
    means["recordings"] = [(*world.recordings, -1)[species] for species in means["species"]]
    means.loc[means["species"] == len(world.recordings), "species"] = -1
    return means


def all_intervals(drawn: Bootstrapped, name: str, method: Method) -> list[tuple[float, float, float]]:
    """Return value and bounds of each species, however few its recordings are, then of the mean."""
    found = []
    for species, value in enumerate(drawn.values[name]):
        influence = drawn.resampler.influence(drawn.gradients[name][:, species])
        found.append(summarise(float(value), drawn.drawn[name][:, species], 0.95, influence, method))
    found.append(drawn.macro_interval(name, method=method))
    return [(interval.value, interval.low, interval.high) for interval in found]


@dataclass(frozen=True)
class Power:
    """How often a test finds a difference.

    Attributes
    ----------
    true_difference
        Second model minus first, on very many recordings.
    found, wrong_sign
        Shares of data sets in which p is at most 0.05, and in which then the worse model leads.
    standard_error
        Of the difference: how much it varies between data sets.
    estimated_error
        Mean of what the single data sets say about that by the clusters' influence.
    """

    true_difference: float
    found: float
    wrong_sign: float
    standard_error: float
    estimated_error: float


def power(world: World, num_datasets: int, num_flips: int = 500, name: str = "score", seed: int = 0) -> Power:
    """Return how often the sign-flip test tells the two models of a world apart.

    Parameters
    ----------
    world
        Its `gain` is what the models differ in.
    num_datasets, num_flips
        How many.
    name
        Metric, of `core.scoring.intervals.METRICS`.
    seed
        Of the data sets.
    """
    true = world.true_difference(name)
    differences, p_values, errors = [], [], []
    for number in range(num_datasets):
        data = world.draw(np.random.default_rng([world.seed, 3, seed, number]), num_models=2)
        test = flip_test(data.truth, data.probability, data.recording, name, num_flips, number)
        differences.append(test.difference)
        p_values.append(test.p)
        resampler = Resampler(data.recording, data.primary, 1)
        gradients = [
            build_metrics(data.truth, one, data.recording, (name,))[0].gradients()[name].mean(axis=1)
            for one in data.probability
        ]
        errors.append(resampler.influence(gradients[1] - gradients[0]).standard_error)
    found = np.array(p_values) <= 0.05
    return Power(
        true_difference=true,
        found=float(found.mean()),
        wrong_sign=float((found & (np.sign(differences) == -np.sign(true))).mean()),
        standard_error=float(np.std(differences)),
        estimated_error=float(np.mean(errors)),
    )


def difference_coverage(
    world: World, num_datasets: int, num_resamples: int, name: str = "score", seed: int = 0
) -> float:
    """Return how often the paired 95 % interval holds the true difference of a world's two models.

    Parameters
    ----------
    world
        Where data sets come from.
    num_datasets, num_resamples
        How many.
    name
        Metric, of `core.scoring.intervals.METRICS`.
    seed
        Of the data sets.
    """
    true = world.true_difference(name)
    held = 0
    for number in range(num_datasets):
        data = world.draw(np.random.default_rng([world.seed, 4, seed, number]), num_models=2)
        resampler = Resampler(data.recording, data.primary, num_resamples, number)
        drawn = [
            bootstrap(build_metrics(data.truth, one, data.recording, (name,)), data.truth, resampler)
            for one in data.probability
        ]
        interval, _ = paired_difference(drawn[0], drawn[1], name)
        held += interval.low <= true <= interval.high
    return held / num_datasets


@dataclass(frozen=True, kw_only=True)
class SimulationConfig:
    """Measure on invented data whether intervals hold the truth and tests find what there is."""

    datasets: int = 400
    """Data sets of each measurement."""
    resamples: int = 1000
    """Bootstrap resamples of each."""
    flips: int = 1000
    """Random exchanges of each test."""
    gains: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3)
    """Advantages of the second model in the power simulation; 0: how often a test finds what is not there."""
    rare: bool = False
    """Twenty species of 2 to 30 recordings instead of eight of 5 to 300."""
    repicked: bool = False
    """Resamples pick the threshold anew."""


def simulate(config: SimulationConfig) -> None:
    """Print both tables in Markdown."""
    world = RARE if config.rare else World()
    table = coverage(world, config.datasets, config.resamples, repicked=config.repicked)
    columns = ["covered", "covered_mean", "above", "below", "width"]
    print("| metric | interval | recordings | " + " | ".join(columns) + " |\n" + "|---" * 8 + "|")
    for row in table.to_dict("records"):
        recordings = "macro mean" if row["species"] == -1 else row["recordings"]
        cells = " | ".join(f"{row[column]:.3f}" for column in columns)
        print(f"| {row['metric']} | {row['method']} | {recordings} | {cells} |")
    print(
        "\n| metric | true difference | found | wrong sign | standard error | estimated |\n"
        + "|---" * 6
        + "|"
    )
    for name in ("score", "auc"):
        for gain in config.gains:
            result = power(replace(world, gain=gain), config.datasets, config.flips, name)
            print(
                f"| {name} | {result.true_difference:.4f} | {result.found:.3f} | {result.wrong_sign:.3f} | "
                f"{result.standard_error:.4f} | {result.estimated_error:.4f} |",
                flush=True,
            )


def main() -> None:
    """Run the simulation."""
    run_command(SimulationConfig, simulate)


if __name__ == "__main__":
    main()
