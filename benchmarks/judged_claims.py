"""What runs say about claims: of trained variants, of rules of the decision, of what is done with windows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.stats import false_discovery_control, norm

from analysis.runs import read_run
from analysis.thresholds.rules import PENALTY, tuned_rule
from benchmarks.noisy_student import judge
from benchmarks.results import NO_MATTER
from core.config import MetricName, ValidConfig
from core.data.demo.build import DEFAULT_SEED, DemoPlan, ensure_demo, unlabelled_truth
from core.inference.config import WindowConfig
from core.inference.windows import mix_neighbours
from core.scoring.comparison import compare_pairs, equivalence_p
from core.scoring.cross_fit import parts_of
from core.scoring.decisions import scale_by_peak
from core.scoring.draws import draw_metrics
from core.scoring.evaluation import evaluate
from core.scoring.fitting import FitConfig, ThresholdRule
from core.scoring.intervals import CONFIDENCE, Draws, Interval
from core.scoring.judging import judge_calibrations, judge_rules
from core.scoring.metric_names import IN_CORE
from core.scoring.predictions import Predictions, pool_predictions
from core.scoring.seeds import mean_of_draws

RunsOfVariants = Mapping[str, Sequence[Path]]
"""Variant -> folders of its runs, one a seed."""
Side = Literal["better", "worse", "equal"]
SITES, SPLITS, PARTITIONS = 20, 5, 5
SHOWN_SCORES: tuple[MetricName, ...] = ("score", "macro_auc", "padded_cmap")
"""Of a variant's row."""
RULES: dict[str, tuple[str, ThresholdRule, float]] = {
    "The published penalty of 0.4 helps": ("Choiuijin1125/bclef2022", "untuned", PENALTY),
    "A tuned quantile beats the untuned 0.85": ("the field", "quantile", 0.0),
    "One tuned threshold beats the 0.85 quantile": ("the field", "fixed", 0.0),
    "Class-wise thresholds beat the 0.85 quantile": ("the field", "class_wise", 0.0),
}


@dataclass(frozen=True)
class Claim:
    """One variant is better, worse or as good as another.

    Attributes
    ----------
    title, source
        What is claimed, and by whom.
    base, variant
        The sides; the difference is the second minus the first.
    side
        What the claim says of it.
    metric
        Settled before anything was trained.
    is_of_rare
        Only of the half of the species with the fewest recordings.
    is_paired
        Whether both validate the same clips.
    """

    title: str
    source: str
    base: str
    variant: str
    side: Side = "better"
    metric: MetricName = "macro_auc"
    is_of_rare: bool = False
    is_paired: bool = True


def judge_claims(
    claims: Sequence[Claim], runs: RunsOfVariants, soundscapes: Path | None
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return what is found of each claim whose runs are there, and the scores of each variant.

    Parameters
    ----------
    claims
        About variants; those about rules and windows are added.
    runs
        Those of "base" among them.
    soundscapes
        Folder of the unlabelled sites, which are generated there; None: nothing is said about windows.
    """
    parts = {name: [read_run(folder).predictions for folder in folders] for name, folders in runs.items()}
    pooled = {name: pool_predictions(one, name) for name, one in parts.items()}
    found = [
        _judge_variants(claim, parts[claim.base], parts[claim.variant])
        for claim in claims
        if claim.base in runs and claim.variant in runs
    ]
    found += _judge_rules(pooled["base"])
    if soundscapes is not None:
        found += _judge_windows(runs["base"], soundscapes)
    scores = {name: evaluate(one, ValidConfig()).metrics for name, one in pooled.items()}
    shown = {
        name: {key: str(one[key]) for key in SHOWN_SCORES} | {"clips": len(pooled[name])}
        for name, one in scores.items()
    }
    return with_false_shares(found), shown


def with_false_shares(claims: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return claims with the share of false discoveries among all of them up to each."""
    shares = false_discovery_control([one["p"] for one in claims])
    return [{**one, "q": float(share)} for one, share in zip(claims, shares, strict=True)]


def _row(
    claim: tuple[str, str, Side],
    what: str,
    interval: Interval,
    p: float,
    p_equal: float,
    by_seed: Sequence[float],
) -> dict[str, Any]:
    """Return the record of a claim (title, source, side) about `what`."""
    title, source, side = claim
    return {
        "title": title, "source": source, "side": side, "what": what, "difference": interval.value,
        "low": interval.low, "high": interval.high, "by_seed": [round(float(one), 4) for one in by_seed],
        "p": p, "p_equal": p_equal,
    }  # fmt: skip


def _judge_variants(
    claim: Claim, base: Sequence[Predictions], variant: Sequence[Predictions]
) -> dict[str, Any]:
    """Return what the runs of two variants say about a claim."""
    if claim.is_of_rare:
        counts = np.sum([one.truth.sum(axis=0) for one in base], axis=0)
        rare = np.argsort(counts, kind="stable")[: len(counts) // 2].tolist()
        base, variant = ([one.columns(rare, one.name) for one in side] for side in (base, variant))
    name = IN_CORE[claim.metric]

    def drawn(rows: Predictions, seed: int = 0) -> Draws:
        return draw_metrics(rows.truth, rows.probability, rows.resampler(seed=seed), (name,))[name].mean()

    by_seed = [
        float(drawn(new).values[0] - drawn(old).values[0]) for old, new in zip(base, variant, strict=True)
    ]
    sides = [pool_predictions(side, one) for side, one in ((base, claim.base), (variant, claim.variant))]
    if claim.is_paired:
        (one,) = compare_pairs(sides, claim.metric, margin=NO_MATTER)
        interval, p, p_equal = one.difference, one.p, one.p_equal
    else:
        difference = drawn(sides[1], seed=1).apart_from(drawn(sides[0]))
        interval, p_equal = difference.interval(), equivalence_p(difference, NO_MATTER)
        p = _p_of(interval)
    what = f"{claim.variant} minus {claim.base}, {claim.metric}" + (
        " of rare species" if claim.is_of_rare else ""
    )
    return _row((claim.title, claim.source, claim.side), what, interval, p, p_equal, by_seed)


def _p_of(interval: Interval) -> float:
    """Return the two-sided p of no difference, by the half of the interval that reaches towards 0."""
    half = interval.value - interval.low if interval.value > 0 else interval.high - interval.value
    if not half > 0:
        return float(interval.value == 0)
    return float(2 * norm.sf(abs(interval.value) / half * norm.isf((1 - CONFIDENCE) / 2)))


def _judge_rules(rows: Predictions) -> list[dict[str, Any]]:
    """Return what cross-fitted rules of the decision, and calibrations, are worth on validated clips."""
    partitions = [parts_of(rows, SPLITS, seed) for seed in range(PARTITIONS)]
    resampler, config = rows.resampler(), FitConfig(rare_boosts=(0.0,))
    rules = [tuned_rule("untuned", "untuned", replace(config, penalties=(0.0,)))] + [
        tuned_rule(title, threshold, replace(config, penalties=(penalty,)))
        for title, (_, threshold, penalty) in RULES.items()
    ]
    judged = judge_rules(rows, rules, partitions, resampler)[1:]
    found = [
        _row((one.name, RULES[one.name][0], "better"), "2022 score, cross-fitted", one.difference,
             _p_of(one.difference), 1.0, ())
        for one in judged
    ]  # fmt: skip
    for one in judge_calibrations(rows, ("temperature", "Platt", "isotonic"), partitions, resampler):
        claim: tuple[str, str, Side] = (
            f"{one.name[0].upper()}{one.name[1:]} calibration lowers the Brier score",
            "the field",
            "worse",
        )
        found.append(_row(claim, "Brier score, cross-fitted", one.gain, _p_of(one.gain), 1.0, ()))
    return found


def _judge_windows(folders: Sequence[Path], soundscapes: Path) -> list[dict[str, Any]]:
    """Return what is gained at sites that nobody labelled by shifts, neighbours, peaks, networks."""
    plan = DemoPlan(unlabelled_sites=SITES)
    root = ensure_demo(soundscapes / "demo", DEFAULT_SEED, plan) / "train_soundscapes"
    truth = unlabelled_truth(DEFAULT_SEED, plan)
    plain = [judge(folder, f"seed {i}", root, truth) for i, folder in enumerate(folders)]
    shifted = [
        judge(folder, f"seed {i}", root, truth, WindowConfig(shifts=(0.0, 2.5)))
        for i, folder in enumerate(folders)
    ]
    together = replace(plain[0], probability=np.mean([one.probability for one in plain], axis=0))
    ways: dict[str, tuple[str, Sequence[Predictions]]] = {
        "A second grid of windows, shifted by 2.5 s, helps": ("the field", shifted),
        "Mixing in a tenth of each neighbouring window helps": (
            "BirdCLEF 2024",
            [_by_file(one, 0.1) for one in plain],
        ),
        "Scaling by the root of the file's peak helps": (
            "BirdCLEF 2025",
            [replace(one, probability=scale_by_peak(one.probability, one.recording, 0.5)) for one in plain],
        ),
        "The mean of three networks beats one": ("the field", [together] * len(plain)),
    }
    return [_judge_way((title, source, "better"), plain, others) for title, (source, others) in ways.items()]


def _by_file(rows: Predictions, share: float) -> Predictions:
    """Return predictions with some of each neighbouring window mixed in, file by file."""
    probability = rows.probability.copy()
    for file in dict.fromkeys(rows.recording.tolist()):
        chosen = rows.recording == file
        probability[chosen] = mix_neighbours(probability[chosen], share)
    return replace(rows, probability=probability)


def _judge_way(
    claim: tuple[str, str, Side], plain: Sequence[Predictions], others: Sequence[Predictions]
) -> dict[str, Any]:
    """Return what a way of using windows is worth, the mean over seeds; sites are drawn."""
    resampler = plain[0].resampler("site")

    def drawn(rows: Predictions) -> Draws:
        return draw_metrics(rows.truth, rows.probability, resampler, ("auc",), known=rows.known)["auc"].mean()

    differences = [drawn(new) - drawn(old) for old, new in zip(plain, others, strict=True)]
    mean = mean_of_draws(differences)
    interval, by_seed = mean.interval(), [float(one.values[0]) for one in differences]
    p_equal = equivalence_p(mean, NO_MATTER)
    return _row(claim, f"macro_auc at {SITES} sites", interval, _p_of(interval), p_equal, by_seed)
