"""Fit the decision, and say what it is worth: python -m analysis.thresholds RUN ... [--out FOLDER].

For each run, or for labelled soundscapes: every rule of the decision judged on recordings that did not fit it
(`rules`), how steady what it fits is (`stability`), the score over all thresholds and quantiles, whether the
penalty is dangerous on unseen data (`penalty`), and whether probabilities mean what they say. Tables are
printed in Markdown; `--out` also takes them as csv, with figures, and tuned.json for `python -m
core.inference --tuned`. Intervals vary the recordings, not the training.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from analysis.command import FolderOptions
from analysis.drawing.table_files import slug
from analysis.runs import Run, find_runs, predictions_of
from analysis.soundscapes import read_soundscapes
from analysis.thresholds.answers import Answers, format_answers, write_answers
from analysis.thresholds.penalty import Effects, judge_penalty
from analysis.thresholds.rules import PENALTY, THRESHOLDS, all_rules
from analysis.thresholds.stability import refit
from core.config import ValidConfig, require
from core.config_checks import expand_home
from core.data.taxonomy import Taxonomy
from core.program import run_program
from core.scoring.cross_fit import parts_of
from core.scoring.fitting import CALIBRATIONS, Calibration, FitConfig
from core.scoring.judging import JudgedCalibration, JudgedRule, judge_calibrations, judge_rules
from core.scoring.predictions import Predictions
from core.scoring.reliability import reliability
from core.scoring.score_curves import score_curve
from core.wording import counted


@dataclass(frozen=True, kw_only=True)
class ThresholdsConfig(FolderOptions):
    """Fit rules of the decision, judge them on recordings that did not fit them, and the penalty's danger."""

    runs: tyro.conf.Positional[tuple[str, ...]] = ()
    """Runs, runs of all folds, or folders that hold such; each is judged by itself."""
    probabilities: str | None = None
    """Instead of runs: table of `core.inference --probabilities` of labelled soundscapes, with `truth`."""
    truth: str | None = None
    """Table of `row_id,target` for `probabilities`."""
    checkpoints: tuple[str, ...] = ()
    """Runs whose training counts go into penalty and boost of `probabilities`."""
    rule: str = "safest"
    """The rule whose settings tuned.json holds: a name of the table, or the safest."""
    calibration: Literal["off", "best", "temperature", "Platt", "isotonic"] = "off"
    """How probabilities are calibrated before anything else, here and by tuned.json; best: of the smallest
    cross-fitted Brier score, where that is below the one as trained beyond doubt."""
    refits: int = 500
    """Resamples to which thresholds are fitted anew, and behind the penalty's effects under a change."""
    shrinkages: tuple[float, ...] = (0.0, 3.0, 10.0, 30.0, 100.0)
    """Positives that the common threshold counts for in class-wise ones; each is judged, and their choice."""
    penalties: tuple[float, ...] = FitConfig.penalties
    """Strengths to choose from where the penalty is tuned."""
    rare_boosts: tuple[float, ...] = FitConfig.rare_boosts
    """Powers to choose from where the boost is tuned."""
    splits: int = 5
    """Parts that the recordings are cut into."""
    partitions: int = 5
    """Ways of cutting them, each with the next seed, on all of which a rule is judged."""

    def __post_init__(self) -> None:
        """Check ranges."""
        super().__post_init__()
        expand_home(self, "probabilities", "truth", "checkpoints")
        require(
            (len(self.runs) > 0) != (self.probabilities is not None),
            "runs or probabilities: name runs, or a table of probabilities, and not both",
        )
        require(
            (self.probabilities is None) == (self.truth is None),
            "probabilities and truth belong together: name both or neither",
        )
        require(self.partitions >= 1, f"partitions={self.partitions}: at least 1")
        require(self.splits >= 2, f"splits={self.splits}: at least 2")
        require(self.refits >= 20, f"refits={self.refits}: at least 20")
        require(
            all(strength >= 0 for strength in self.shrinkages),
            f"shrinkages={self.shrinkages}: 0 or more each",
        )
        FitConfig(penalties=self.penalties, rare_boosts=self.rare_boosts)


def judge_thresholds(config: ThresholdsConfig) -> list[Answers]:
    """Judge each run, print the answers and write them where wanted; return them."""
    judged = list(_read_predictions(config))
    found = []
    for rows, valid, origin, taxonomy in judged:
        answers = _judge_predictions(rows, config, config.settled(valid), origin, taxonomy)
        print("\n".join(format_answers(answers)), flush=True)
        chosen = answers.choose(config.rule)
        if config.out is not None:
            folder = Path(config.out) / (slug(rows.name) if len(judged) > 1 else "")
            write_answers(answers, chosen, folder, config.format, dataclasses.asdict(config))
        found.append(answers)
    return found


def _read_predictions(config: ThresholdsConfig) -> list[tuple[Predictions, ValidConfig, str, Taxonomy]]:
    """Return what is to be judged, how it is scored, in words where it comes from, and species' names."""
    if config.probabilities is None:
        runs = find_runs(config.runs)
        return [(predictions_of([run])[0], run.valid, _origin_of(run), run.taxonomy) for run in runs]
    assert config.truth is not None
    trained = find_runs(config.checkpoints) if config.checkpoints else []
    counts = [species for run in trained for species in run.trained.values()]
    rows = read_soundscapes(Path(config.probabilities), Path(config.truth), counts)
    lacking = int((~rows.known).any(axis=1).sum())
    message = f"truth={config.truth}: {counted(lacking, 'windows')} without a row of some species"
    require(bool(rows.known.all()), message)
    taxonomy = Taxonomy().with_codes(rows.species, *(run.taxonomy for run in trained))
    return [(rows, ValidConfig(), config.probabilities, taxonomy)]


def _origin_of(run: Run) -> str:
    """Return where a run's predictions come from."""
    return f"{run.folder}, trained by commit {run.summary.get('code_version', 'unknown')}"


def _judge_predictions(
    rows: Predictions, config: ThresholdsConfig, valid: ValidConfig, origin: str, taxonomy: Taxonomy
) -> Answers:
    """Return what is known about the thresholds of predictions."""
    by, confidence, quantile = config.by, valid.confidence, valid.threshold_quantile
    resampler = rows.resampler(by, valid.num_resamples, config.seed)
    fewer = rows.resampler(by, min(config.refits, valid.num_resamples), config.seed)
    partitions = [parts_of(rows, config.splits, config.seed + i, by) for i in range(config.partitions)]
    calibrated = judge_calibrations(rows, CALIBRATIONS, partitions, resampler, confidence)
    fit = FitConfig(
        penalties=config.penalties,
        rare_boosts=config.rare_boosts,
        quantile=quantile,
        calibration=_chosen_calibration(config, calibrated),
    )
    has_counts = bool(rows.counts.any())
    rules = all_rules(
        fit,
        config.shrinkages,
        has_counts=has_counts,
        has_files=config.probabilities is not None,
        splits=config.splits,
        seed=config.seed,
        by=by,
    )
    names = ["safest", *(rule.name for rule in rules)]
    require(config.rule in names, f"rule={config.rule}: none of {', '.join(names)}")
    judged = judge_rules(rows, rules, partitions, resampler, confidence)
    penalty = None
    if has_counts:
        effects = penalty_by_rule(judged, confidence)
        penalty = judge_penalty(rows, effects, fewer, quantile=quantile, confidence=confidence)
    truth, probability = rows.truth, rows.probability
    return Answers(
        rows,
        origin,
        taxonomy,
        by,
        quantile,
        judged,
        refit(rows, fit, fewer, confidence),
        score_curve("threshold", truth, probability, resampler, confidence),
        score_curve("quantile", truth, probability, resampler, confidence),
        penalty,
        reliability(truth, probability, resampler, confidence=confidence),
        calibrated,
    )


def _chosen_calibration(config: ThresholdsConfig, judged: Sequence[JudgedCalibration]) -> Calibration:
    """Return the calibration that was asked for; of "best" the one that is better beyond doubt, or off."""
    if config.calibration != "best":
        return config.calibration
    better = {one.name: one.reliability.brier.value for one in judged if one.gain.high < 0}
    return min((name for name in CALIBRATIONS if name in better), key=better.__getitem__, default="off")


def penalty_by_rule(judged: Sequence[JudgedRule], confidence: float) -> Effects:
    """Return the cross-fitted effect of the penalty with each threshold rule."""
    drawn = {one.name: one.draws.mean() for one in judged}
    effects = {name: drawn[f"{name}, penalty {PENALTY:g}"] - drawn[name] for name in THRESHOLDS}
    return {name: one.interval(confidence) for name, one in effects.items()}


if __name__ == "__main__":
    run_program(ThresholdsConfig, judge_thresholds)
