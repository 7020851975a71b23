"""Whether intervals and tests keep what they promise, on data sets whose true values are known.

    python -m benchmarks.coverage [--datasets 400] [--resamples 1000] [--only score ...] [--rare True]

A world fixes how well each species is told apart and what it is mistaken for. Data sets drawn from it have
few or many recordings a species, several clips a recording that resemble one another, and some clips that
hold a second species; what is true is the same quantity of a data set hundreds of times as large.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import pandas as pd
from scipy.special import expit
from tqdm import tqdm

from analysis.ensemble.weights import combined
from analysis.species.confusion import draw_confusions
from core.config import require
from core.program import run_program
from core.scoring.draws import draw_metrics
from core.scoring.intervals import METHODS, Draws, Method
from core.scoring.predictions import Predictions
from core.scoring.reliability import draw_reliability_numbers
from core.scoring.resampling import Resampler
from core.scoring.score_curves import CurveKind, draw_curve
from core.scoring.sign_flips import flip_test

LARGE = 200
CALIBRATED = "calibration error of 0"
SPECIES_METRICS = ("score", "auc", "average_precision")
SPECIES = tuple(f"s{number:02d}" for number in range(99))


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

    def draw(
        self, generator: np.random.Generator, multiple: int = 1, num_models: int = 1
    ) -> list[Predictions]:
        """Return what each model predicts of a data set, or of one `multiple` times as large."""
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
        names = [f"r{number:06d}" for number in range(len(species))]
        return [
            Predictions.of(
                SPECIES[:number], expit(one - 2), truth, np.array(names)[recording],
                primary=np.array(SPECIES)[primary], name=f"model {model}",
            )
            for model, one in enumerate(logits)
        ]  # fmt: skip

    def _noise(
        self, generator: np.random.Generator, recording: np.ndarray, shape: tuple[int, ...]
    ) -> np.ndarray:
        """Return standard normal noise (row, species) that resembles itself within a recording."""
        common = generator.normal(size=(recording[-1] + 1, shape[1]))[recording]
        own = generator.normal(size=shape)
        return np.sqrt(self.recording_share) * common + np.sqrt(1 - self.recording_share) * own

    def draw_numbered(self, number: int, stream: int = 2) -> list[Predictions]:
        """Return the data set of a number, predicted by both models."""
        return self.draw(np.random.default_rng([self.seed, stream, 0, number]), num_models=2)

    @cached_property
    def large(self) -> list[Predictions]:
        """Very many recordings, predicted by both models: what is true."""
        return self.draw(np.random.default_rng([self.seed, 1]), LARGE, num_models=2)


RARE = World(
    recordings=(2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 8, 8, 10, 10, 15, 15, 20, 20, 30, 30),
    other_recordings=500,
    secondary_share=0.0,
    seed=5,
)
"""Where intervals of single species break."""


Quantity = Callable[[list[Predictions], Resampler], Draws]
"""Maps what two models predict of a data set, and its resampler, to draws."""


def metric_of_species(name: str, predictions: list[Predictions], resampler: Resampler) -> Draws:
    """Return a metric of each species, then its mean over them, of the first model."""
    one = predictions[0]
    drawn = draw_metrics(one.truth, one.probability, resampler, (name,))[name]
    mean = drawn.mean()
    return replace(
        drawn,
        values=np.append(drawn.values, mean.values),
        drawn=np.append(drawn.drawn, mean.drawn, axis=1),
        gradient=np.append(drawn.gradient, mean.gradient, axis=1),
        support=None,  # the simulation wants to see where intervals break
    )


def micro_f1_of_rows(predictions: list[Predictions], resampler: Resampler) -> Draws:
    """Return the micro F1 of the first model."""
    one = predictions[0]
    return draw_metrics(one.truth, one.probability, resampler, ("micro_f1",))["micro_f1"]


def difference_of_models(name: str, predictions: list[Predictions], resampler: Resampler) -> Draws:
    """Return second model minus first of a macro metric."""
    first, second = (
        draw_metrics(one.truth, one.probability, resampler, (name,))[name].mean() for one in predictions
    )
    return second - first


def best_setting(kind: CurveKind, predictions: list[Predictions], resampler: Resampler) -> Draws:
    """Return the best threshold or quantile of the first model."""
    one = predictions[0]
    return draw_curve(kind, one.truth, one.probability, resampler)[2]


def calibration(place: int, predictions: list[Predictions], resampler: Resampler) -> Draws:
    """Return the calibration error (-2) or the Brier score (-1) of the first model."""
    one = predictions[0]
    return draw_reliability_numbers(one.truth, one.probability, resampler)[0][[place]]


def calibrated_error(predictions: list[Predictions], resampler: Resampler) -> Draws:
    """Return the calibration error of probabilities that mean what they say: truth is drawn from them."""
    one = predictions[0]
    generator = np.random.default_rng(len(one))
    truth = generator.random(one.truth.shape) < one.probability
    return draw_reliability_numbers(truth, one.probability, resampler)[0][[-2]]


def confusion_share(predictions: list[Predictions], resampler: Resampler) -> Draws:
    """Return the share of the clips of one species in which another is called, of a common and a rare one."""
    one = predictions[0]
    number = len(one.species)
    drawn = draw_confusions(one, [(number // 2, number - 1), (number - 2, number - 1)], 0.85, resampler)
    return replace(drawn, support=None)


def ensemble_gain(name: str, predictions: list[Predictions], resampler: Resampler) -> Draws:
    """Return the gain of the mean of both models over the first."""
    mean = combined(np.stack([one.probability for one in predictions]), np.full(2, 0.5))
    return difference_of_models(name, [predictions[0], replace(predictions[0], probability=mean)], resampler)


QUANTITIES: dict[str, Quantity] = {
    **{name: partial(metric_of_species, name) for name in SPECIES_METRICS},
    "micro_f1": micro_f1_of_rows,
    **{f"difference in {name}": partial(difference_of_models, name) for name in SPECIES_METRICS},
    "best threshold": partial(best_setting, "threshold"),
    "best quantile": partial(best_setting, "quantile"),
    "calibration error": partial(calibration, -2),
    CALIBRATED: calibrated_error,
    "Brier score": partial(calibration, -1),
    "confusion share": confusion_share,
    **{f"ensemble gain in {name}": partial(ensemble_gain, name) for name in ("score", "auc")},
}


def coverage(
    world: World,
    num_datasets: int,
    num_resamples: int,
    names: Iterable[str] = tuple(QUANTITIES),
    methods: Sequence[Method] = METHODS,
) -> pd.DataFrame:
    """Return how often 95 % intervals hold the true value.

    Parameters
    ----------
    world
        Where data sets come from.
    num_datasets, num_resamples
        How many.
    names
        Keys of `QUANTITIES`.
    methods
        Intervals.

    Returns
    -------
    DataFrame
        One row a quantity, method and `place` in it (of metrics a species each, and last the macro mean):
        `covered`, the share of data sets whose interval holds the value of very many recordings; `above` and
        `below`, of those that lie on one side of it; `covered_mean`, of those that hold the mean value of
        sets of this size, which for average precision is higher; mean `width`.
    """
    names, rows = list(names), []
    true = true_values(world, names)
    for number in tqdm(range(num_datasets), desc="data sets", disable=None):
        predictions = world.draw_numbered(number)
        resampler = predictions[0].resampler(num_resamples=num_resamples, seed=number)
        for name in names:
            drawn = QUANTITIES[name](predictions, resampler)
            rows += [
                (name, method, place, interval.value, interval.low, interval.high)
                for method in methods
                for place, interval in enumerate(drawn.intervals(method=method))
            ]
    table = pd.DataFrame(rows, columns=["quantity", "method", "place", "value", "low", "high"])
    table["true"] = [true[name][place] for name, place in zip(table["quantity"], table["place"], strict=True)]
    groups = ["quantity", "method", "place"]
    table["mean"] = table.groupby(groups)["value"].transform("mean")
    table["covered"] = table["true"].between(table["low"], table["high"])
    table["covered_mean"] = table["mean"].between(table["low"], table["high"])
    table["above"], table["below"] = table["low"] > table["true"], table["high"] < table["true"]
    table["width"] = table["high"] - table["low"]
    means = table.groupby(groups, sort=False).mean().drop(columns=["value", "low", "high"]).reset_index()
    recordings = means["place"].map(dict(enumerate(world.recordings))).fillna(0).astype(int)
    return means.assign(recordings=recordings.where(means["quantity"].isin(SPECIES_METRICS), 0))


def true_values(world: World, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return each quantity on very many recordings, (place,)."""
    one = world.large[0]
    alike = Resampler(np.zeros(len(one)), np.zeros(len(one)), 1)  # nothing is drawn: values are enough
    found = {name: QUANTITIES[name](world.large, alike).values for name in names}
    return found | {name: np.zeros(1) for name in found if name == CALIBRATED}


@dataclass(frozen=True)
class Power:
    """How often a test finds a difference: on very many recordings, and in data sets.

    `found` is the share of data sets in which p is at most 0.05, `wrong_sign` of those in which then the
    worse model leads; `standard_error` is how much the difference varies between data sets,
    `estimated_error` the mean of what the single data sets say about that by the clusters' influence.
    """

    true_difference: float
    found: float
    wrong_sign: float
    standard_error: float
    estimated_error: float


def power(world: World, num_datasets: int, num_flips: int = 500, name: str = "score") -> Power:
    """Return how often the sign-flip test tells the two models of a world apart.

    Parameters
    ----------
    world
        Its `gain` is what the models differ in.
    num_datasets, num_flips
        How many.
    name
        Metric, of `core.scoring.draws.METRICS`.
    """
    difference = f"difference in {name}"
    true = float(true_values(world, [difference])[difference][0]) if world.gain else 0.0
    differences, p_values, errors = [], [], []
    for number in range(num_datasets):
        first, second = world.draw_numbered(number, stream=3)
        resampler = first.resampler(num_resamples=1)
        clusters = np.unique(first.recording, return_inverse=True)[1]
        test = flip_test(
            first.truth, first.probability, second.probability, clusters, name, num_flips=num_flips,
            seed=number,
        )  # fmt: skip
        differences.append(test.difference)
        p_values.append(test.p)
        errors.append(QUANTITIES[difference]([first, second], resampler).influence().standard_error)
    found = np.array(p_values) <= 0.05
    return Power(
        true_difference=true,
        found=float(found.mean()),
        wrong_sign=float((found & (np.sign(differences) == -np.sign(true))).mean()),
        standard_error=float(np.std(differences)),
        estimated_error=float(np.mean(errors)),
    )


@dataclass(frozen=True, kw_only=True)
class CoverageConfig:
    """Measure on invented data whether intervals hold the truth and tests find what there is."""

    datasets: int = 400
    """Data sets of each measurement."""
    resamples: int = 1000
    """Bootstrap resamples of each."""
    flips: int = 1000
    """Random exchanges of each test."""
    gains: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3)
    """Advantages of the second model in the power simulation; 0: how often a test finds what is not there."""
    only: tuple[str, ...] = tuple(QUANTITIES)
    """Quantities whose intervals are measured."""
    rare: bool = False
    """Twenty species of 2 to 30 recordings instead of eight of 5 to 300."""


def simulate(config: CoverageConfig) -> None:
    """Print both tables in Markdown."""
    unknown = sorted(set(config.only) - set(QUANTITIES))
    require(not unknown, f"only={unknown}: none of {', '.join(QUANTITIES)}")
    world = RARE if config.rare else World()
    table = coverage(replace(world, gain=0.2), config.datasets, config.resamples, config.only)
    columns = ["covered", "covered_mean", "above", "below", "width"]
    print("| quantity | interval | recordings | " + " | ".join(columns) + " |\n" + "|---" * 8 + "|")
    for row in table.to_dict("records"):
        cells = " | ".join(f"{row[column]:.3f}" for column in columns)
        print(f"| {row['quantity']} | {row['method']} | {row['recordings'] or 'all'} | {cells} |")
    if not config.gains:
        return
    columns = ["true difference", "found", "wrong sign", "standard error", "estimated"]
    print("\n| metric | " + " | ".join(columns) + " |\n" + "|---" * 6 + "|")
    for name in ("score", "auc"):
        for gain in config.gains:
            result = power(replace(world, gain=gain), config.datasets, config.flips, name)
            print(
                f"| {name} | {result.true_difference:.4f} | {result.found:.3f} | {result.wrong_sign:.3f} | "
                f"{result.standard_error:.4f} | {result.estimated_error:.4f} |",
                flush=True,
            )


if __name__ == "__main__":
    run_program(CoverageConfig, simulate)
