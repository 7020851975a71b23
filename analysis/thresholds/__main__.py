"""Honest thresholds of finished runs: python -m analysis.thresholds RUN ... [--out FOLDER].

For each run: every rule of the decision judged on recordings that did not fit it (`rules`), how steady
what it fits is (`stability`), the score over all thresholds and quantiles, whether the penalty is
dangerous on unseen data (`penalty`), and whether probabilities mean what they say (`calibration`). Tables
are printed in Markdown; `--out` also takes them as csv, with figures, and safest.json for `python -m
core.inference --tuned`. Intervals vary the recordings, not the training.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from analysis.command import require_resampling, run_command
from analysis.drawing.figures import Format
from analysis.observations import observations_of
from analysis.runs import Run, align, find_runs
from analysis.thresholds.calibration import compare_calibrations
from analysis.thresholds.penalty import Effects, ask
from analysis.thresholds.rules import (
    PENALTY,
    THRESHOLDS,
    Judged,
    all_rules,
    judge_rules,
    own_scores,
    species_scores,
)
from analysis.thresholds.stability import refit
from analysis.thresholds.tables import Answers, format_answers, slug, write_answers
from analysis.units import Unit, drawn_units
from core.config import require
from core.inference.config import TuneConfig
from core.scoring.cross_fit import Observations
from core.scoring.metrics import macro
from core.scoring.resampling import Resampler, summarise
from core.scoring.score_curves import score_by_quantile, score_by_threshold


@dataclass(frozen=True, kw_only=True)
class ThresholdsConfig:
    """Judge rules of the decision on recordings that did not fit them, and the penalty's danger."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Runs, runs of all folds, or folders that hold such; each is judged by itself."""
    out: str | None = None
    """Folder for tables, figures and safest.json; of several runs one folder each inside."""
    format: Format = "png"
    """Of the figures."""
    by: Unit = "recording"
    """What is drawn as a whole, and never divided between fitting and judging; author is stricter."""
    resamples: int = 2000
    """Bootstrap resamples behind an interval."""
    refits: int = 500
    """Resamples to which thresholds are fitted anew, and behind the penalty's effects under a change."""
    shrinkages: tuple[float, ...] = (0.0, 3.0, 10.0, 30.0, 100.0)
    """Positives that the common threshold counts for in class-wise ones; each is judged, and their choice."""
    penalties: tuple[float, ...] = TuneConfig.penalties
    """Strengths to choose from where the penalty is tuned."""
    rare_boosts: tuple[float, ...] = TuneConfig.rare_boosts
    """Powers to choose from where the boost is tuned."""
    splits: int = 5
    """Parts that the recordings are cut into."""
    partitions: int = 5
    """Ways of cutting them, each with the next seed, on all of which a rule is judged."""
    seed: int = 0
    """Seed of parts and resamples."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(len(self.runs) > 0, "runs: name at least one")
        require_resampling(self.resamples)
        require(self.partitions >= 1, f"partitions={self.partitions}: at least 1")
        require(self.refits >= 20, f"refits={self.refits}: at least 20")
        require(
            all(strength >= 0 for strength in self.shrinkages),
            f"shrinkages={self.shrinkages}: 0 or more each",
        )

    @property
    def tuning(self) -> TuneConfig:
        """The same as the tuning of `core.inference` takes it."""
        return TuneConfig(
            runs=self.runs,
            penalties=self.penalties,
            rare_boosts=self.rare_boosts,
            splits=self.splits,
            seed=self.seed,
        )


def main() -> None:
    """Judge the thresholds of runs."""
    run_command(ThresholdsConfig, judge_thresholds)


def judge_thresholds(config: ThresholdsConfig) -> list[Answers]:
    """Judge each run, print the answers and write them where wanted; return them."""
    runs = find_runs(config.runs)
    found = []
    for run in runs:
        answers = answer(run, config)
        print("\n".join(format_answers(answers)), flush=True)
        if config.out is not None:
            folder = Path(config.out) / (slug(run.name) if len(runs) > 1 else "")
            write_answers(answers, folder, config.format, dataclasses.asdict(config))
        found.append(answers)
    return found


def answer(run: Run, config: ThresholdsConfig) -> Answers:
    """Return what is known about the thresholds of a run.

    Raises
    ------
    ValueError
        If it validated nothing, or too few recordings to divide them.
    """
    observed = observations_of(run, by=config.by)
    units = drawn_units(align([run]), config.by)
    resampler = Resampler(units, observed.stratum, config.resamples, config.seed)
    has_counts = bool(observed.counts.any())
    rules = all_rules(config.tuning, config.shrinkages, has_counts=has_counts)
    judged = judge_rules(observed, rules, config.tuning, resampler, partitions=config.partitions)
    fewer = Resampler(units, observed.stratum, config.refits, config.seed)
    penalty = None
    if has_counts:
        penalty = ask(observed, penalty_by_rule(observed, judged, resampler), fewer)
    as_trained, calibrated = compare_calibrations(observed, config.tuning, resampler)
    truth, probability = observed.truth, observed.probability
    return Answers(
        run,
        observed,
        config.by,
        judged,
        refit(observed, config.tuning, fewer),
        score_by_threshold(truth, probability, resampler),
        score_by_quantile(truth, probability, resampler),
        penalty,
        as_trained,
        calibrated,
    )


def penalty_by_rule(observed: Observations, judged: Sequence[Judged], resampler: Resampler) -> Effects:
    """Return the cross-fitted effect of the penalty with each threshold rule."""
    by_name = {one.name: one for one in judged}
    places, effects = [], []
    for threshold in THRESHOLDS:
        pair = [by_name[name].decisions for name in (f"{threshold}, penalty {PENALTY:g}", threshold)]
        own = macro(own_scores(observed.truth, np.stack(pair)).mean(axis=1))
        drawn = [macro(one) for one in species_scores(observed.truth, np.stack(pair), resampler)]
        places.append(threshold)
        effects.append(summarise(float(own[0] - own[1]), drawn[0] - drawn[1], 0.95))
    return Effects("threshold rule", tuple(places), tuple(effects))


if __name__ == "__main__":
    main()
