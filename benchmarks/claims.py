"""Which claims of the field hold here? Each is settled by runs of three seeds and a paired interval.

    python -m benchmarks.claims [--train] [--only NAME ...] [--outputs FOLDER]

Each variant is trained on folds 0, 1 and 2 of the generated demo data, with another seed on each. Two
variants are compared on the clips of all three: the paired interval of the difference draws recordings, the
difference of each seed stands beside it. Rules of the decision are judged on the clips of `base`,
cross-fitted; what is done with windows, on soundscapes of 20 sites that nobody labelled and whose truth the
generator knows. What is found is written to experiments/results.json, and experiments/RESULTS.md is made
from it. What is recorded there of variants whose runs are not here stays, if `base` scores as it did.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.experiments import train
from benchmarks.judged_claims import SHOWN_SCORES, Claim, RunsOfVariants, judge_claims, with_false_shares
from benchmarks.results import RESULTS_RECORD, RESULTS_TABLE, render_results
from core.config import require
from core.files import write_atomically
from core.program import run_program
from core.run_folder import RunFolder

SEEDS = (0, 1, 2)
"""Of the runs on the folds of the same numbers."""


@dataclass(frozen=True)
class Variant:
    """An experiment and what differs from its defaults."""

    experiment: str = "timm_008"
    words: tuple[str, ...] = ()


VARIANTS: Mapping[str, Variant] = {
    "base": Variant(),
    "no_selective": Variant(words=("--mixup.selective_probability=0",)),
    "half_strength": Variant(words=("--mixup.selective_strength=0.5",)),
    "mixup": Variant(words=("--mixup.probability=0.5",)),
    "focal": Variant(words=("--loss.kind=focal",)),
    "smoothing": Variant(words=("--loss.label_smoothing=0.1",)),
    "no_ratings": Variant(words=("--data.use_ratings=False",)),
    "unrated_lowest": Variant(words=("--data.unrated=lowest",)),
    "frame_term": Variant(words=("--loss.frame_term_weight=1",)),
    "source_axis": Variant(words=("--model.pool_axis=source",)),
    "bf16": Variant(words=("--precision=bf16",)),
    "balanced": Variant(words=("--data.balance_power=0.5",)),
    "ema": Variant(words=("--optim.ema_decay=0.98",)),
    "swa": Variant(words=("--optim.swa_from=0.6",)),
    "soft_auc": Variant(words=("--loss.kind=soft_auc",)),
    "spec_augment": Variant(words=("--spec_augment.probability=0.25",)),
    "noise": Variant(words=("--data.noise.probabilities=[0.5]",)),
    "drop_path": Variant(words=("--model.drop_path=0.2",)),
    "author_folds": Variant(words=("--data.group_by_author=True",)),
    "long_clips": Variant(words=("--data.clip_seconds=15", "--data.valid_batch_size=8")),
    "conformer": Variant("conformer"),
    "htsat": Variant("htsat"),
    "fdy": Variant("fdy"),
}


ORIGINAL, FIELD = "Choiuijin1125/bclef2022", "the field"
CLAIMS = (
    Claim("Selective mixup helps scored birds", ORIGINAL, "no_selective", "base", metric="score"),
    Claim("The same by ranking", ORIGINAL, "no_selective", "base"),
    Claim("Selective mixup at full strength beats half of it", ORIGINAL, "half_strength", "base"),
    Claim("Ordinary mixup beside it helps", ORIGINAL, "base", "mixup"),
    Claim("Focal loss beats binary cross-entropy", ORIGINAL, "base", "focal"),
    Claim("Focal loss helps the rarer half of species", ORIGINAL, "base", "focal", is_of_rare=True),
    Claim("Label smoothing of 0.1 helps", ORIGINAL, "base", "smoothing"),
    Claim("Weights by rating help", ORIGINAL, "no_ratings", "base"),
    Claim("Unrated recordings deserve the lowest weight", ORIGINAL, "base", "unrated_lowest"),
    Claim("A loss on the loudest frame helps", FIELD, "base", "frame_term"),
    Claim("Attention over time beats the original's axis", FIELD, "source_axis", "base"),
    Claim("Clips of three parts beat clips of one", ORIGINAL, "base", "long_clips"),
    Claim("Folds grouped by author score lower", FIELD, "base", "author_folds", "worse", is_paired=False),
    Claim("Mixed precision (bf16) changes nothing", FIELD, "base", "bf16", "equal"),
    Claim("Drawing by count ** -0.5 helps the rarer half", FIELD, "base", "balanced", is_of_rare=True),
    Claim("An exponential average of weights helps", FIELD, "base", "ema"),
    Claim("A plain average of weights (SWA) helps", FIELD, "base", "swa"),
    Claim("A soft-AUC loss ranks better", "BirdCLEF 2025", "base", "soft_auc"),
    Claim("SpecAugment helps", ORIGINAL, "base", "spec_augment"),
    Claim("Mixing in background noise helps", ORIGINAL, "base", "noise"),
    Claim("Stochastic depth helps", FIELD, "base", "drop_path"),
    Claim("Conformer does not work", ORIGINAL, "base", "conformer", "worse"),
    Claim("HTS-AT does not work", ORIGINAL, "base", "htsat", "worse"),
    Claim("FDY does not work", ORIGINAL, "base", "fdy", "worse"),
)


@dataclass(frozen=True, kw_only=True)
class ClaimsConfig:
    """Decide claims on the generated demo data, and write experiments/RESULTS.md."""

    train: bool = False
    """Train what is missing; without it what is there is judged."""
    only: tuple[str, ...] = ()
    """Variants to train; empty: all."""
    outputs: str = "outputs/claims"
    """Folder of the runs."""

    def __post_init__(self) -> None:
        """Check names."""
        unknown = sorted(set(self.only) - VARIANTS.keys())
        require(not unknown, f"only={unknown}: not among {', '.join(VARIANTS)}")


def train_variants(config: ClaimsConfig) -> None:
    """Train what is missing, a seed of every variant before the next seed."""
    for seed in SEEDS:
        for name in config.only or VARIANTS:
            variant, outputs = VARIANTS[name], Path(config.outputs) / name
            outputs.mkdir(parents=True, exist_ok=True)
            words = ["--tracking.use=False", f"--seed={seed}", *variant.words]
            train(variant.experiment, seed, words, outputs)


def finished_runs(outputs: Path) -> RunsOfVariants:
    """Return the runs of each variant of which all seeds are there, by seed."""
    found = {}
    for name, variant in VARIANTS.items():
        records = [outputs / name / f"{variant.experiment}-fold{seed}.json" for seed in SEEDS]
        if all(record.is_file() for record in records):
            found[name] = [Path(json.loads(record.read_text())["folder"]) for record in records]
    return found


def describe_variant(name: str, folders: Sequence[Path]) -> dict[str, Any]:
    """Return what the table of runs tells of a variant."""
    summaries = [RunFolder(folder).read_json("summary") for folder in folders]
    machine = RunFolder(folders[0]).read_json("environment")
    variant = VARIANTS[name]
    return {
        "name": name,
        "command": " ".join([f"experiments/{variant.experiment}/run.py", *variant.words]),
        "minutes": [round(one["minutes"], 1) for one in summaries],
        "commits": sorted({one["code_version"][:7] for one in summaries}),
        "machine": f"{machine['device']}, {machine['threads']} thread",
        "parameters": summaries[0]["parameters"],
    }


def add_recorded(found: dict[str, Any], recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was found with what is recorded of variants whose runs are not here.

    Raises
    ------
    ValueError
        If `base` scores otherwise than in the record: then the two do not belong together.
    """
    variants, before = ({one["name"]: one for one in side["variants"]} for side in (found, recorded))
    kept = [one for name, one in before.items() if name not in variants]
    if not kept:
        return found
    new, old = variants["base"], before["base"]
    differing = [f"{key} {new[key]} ({old[key]})" for key in SHOWN_SCORES if new[key] != old[key]]
    require(
        not differing,
        f"base: {', '.join(differing)} differs from {RESULTS_RECORD.name}; train every variant anew "
        f"({', '.join(one['name'] for one in kept)} are missing)",
    )
    titles = [one["title"] for one in found["claims"]]
    claims = found["claims"] + [one for one in recorded["claims"] if one["title"] not in titles]
    order = {claim.title: place for place, claim in enumerate(CLAIMS)}
    claims.sort(key=lambda one: order.get(one["title"], len(order)))
    names = list(VARIANTS)
    everything = sorted([*variants.values(), *kept], key=lambda one: names.index(one["name"]))
    return {"claims": with_false_shares(claims), "variants": everything}


def decide(config: ClaimsConfig) -> None:
    """Train where wanted, judge what is there, write the record and the table."""
    if config.train:
        train_variants(config)
    runs = finished_runs(Path(config.outputs))
    require("base" in runs, f"outputs={config.outputs}: no runs of base with seeds {SEEDS}; use --train")
    judged, scores = judge_claims(CLAIMS, runs, Path(config.outputs) / "soundscapes")
    variants = [describe_variant(name, folders) | scores[name] for name, folders in runs.items()]
    record = add_recorded({"claims": judged, "variants": variants}, json.loads(RESULTS_RECORD.read_text()))
    names = {one["name"] for one in record["variants"]}
    record = {"seeds": SEEDS, **record, "not_trained": sorted(VARIANTS.keys() - names)}
    write_atomically(RESULTS_RECORD, json.dumps(record, indent=1) + "\n")
    write_atomically(RESULTS_TABLE, render_results(json.loads(RESULTS_RECORD.read_text())))
    print(f"{len(record['claims'])} claims: {RESULTS_RECORD}, {RESULTS_TABLE}")


if __name__ == "__main__":
    run_program(ClaimsConfig, decide)
