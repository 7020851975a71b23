"""Does a noisy student learn sites that nobody labelled? Rounds of student_017 against their teacher.

    python -m benchmarks.noisy_student [--out FOLDER] [--seed 0] [--sites 20] [--rounds 2]

A demo data set has 6 labelled sites and further ones with three soundscapes of 30 s each, of which no file
says what is heard; its generator knows it. timm_014 learns the recordings (fold 0, demo schedule) and is the
teacher; student_017 learns from it in rounds, whatever a round gained. The control is the same with the
pseudo-labels of the windows exchanged at random. All are judged by the truth of the windows of the sites that
nobody labelled; the intervals of the differences draw sites. What is trained is chosen before this truth is
looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from core.command_line import parse_config
from core.data.demo.build import DEFAULT_SEED, DemoPlan, ensure_demo, unlabelled_truth
from core.data.recorders import describe_origin
from core.data.soundscapes import WINDOW_SECONDS
from core.inference.config import WindowConfig
from core.inference.ensemble import load_ensemble
from core.inference.predictor import Predictor
from core.machine import code_version
from core.program import run_program
from core.scoring.comparison import Comparison, compare_pairs
from core.scoring.predictions import Predictions
from experiments.student_017.config import CONFIG as STUDENT
from experiments.student_017.rounds import Judged
from experiments.student_017.run import Student017
from experiments.timm_014.config import CONFIG as TEACHER
from experiments.timm_014.run import Timm014


class TwoRounds(Student017):
    """The student, which goes on whatever a round gained."""

    @classmethod
    def goes_on(cls, found: Judged) -> bool:
        """Return True."""
        return True


class Shuffled(TwoRounds):
    """The control: each window is taught what the teachers said of another one."""

    def pseudo_labels(self) -> np.ndarray:
        """Return the labels, exchanged at random among the windows that have some."""
        said = super().pseudo_labels()
        rows = np.flatnonzero(said.any(axis=1))
        said[rows] = said[np.random.default_rng(self.config.seed).permutation(rows)]
        return said


@dataclass(frozen=True, kw_only=True)
class StudentBenchmark:
    """Measure what rounds of a noisy student gain on the demo's sites that nobody labelled."""

    out: str = "outputs/noisy_student"
    """Folder of data set, cache and runs; what is there is not trained again."""
    seed: int = 0
    """Of all trainings."""
    sites: int = 20
    """Sites that nobody labelled."""
    rounds: int = 2
    """Of the student."""
    words: tuple[str, ...] = ()
    """Further options of every training; `--features.hop_length=1024 --features.num_mels=64` costs a quarter,
    and its teacher knows too little to be learned from."""
    student_words: tuple[str, ...] = ("--mixup.selective_probability=0.5", "--epochs=10")
    """Further options of student and control."""


def train_all(config: StudentBenchmark) -> dict[str, Path]:
    """Train teacher, student and control; return name -> the run's folder."""
    folder, plan = Path(config.out), DemoPlan(unlabelled_sites=config.sites)
    root = ensure_demo(folder / "demo", DEFAULT_SEED, plan)
    common = [
        f"--data.root={root}", f"--data.cache={folder / 'cache'}", "--tracking.use=False",
        f"--seed={config.seed}", "--schedule=demo", *config.words,
    ]  # fmt: skip
    runs: dict[str, Path] = {}
    for name, trainer, default in (
        ("teacher", Timm014, TEACHER), ("student", TwoRounds, STUDENT), ("shuffled", Shuffled, STUDENT),
    ):  # fmt: skip
        out = folder / f"{name}-{config.seed}"
        words = [*common, f"--output_dir={out}"]
        if name != "teacher":
            words += [f"--teachers=['{runs['teacher']}']", f"--rounds={config.rounds}"]
            words += config.student_words
        if len(_finished(out)) < (1 if name == "teacher" else config.rounds):
            begun = any(out.glob("*/*/config.json"))
            trainer.main(parse_config(default, [f"--output_dir={out}", "--resume"] if begun else words))
        runs |= {
            name if name == "teacher" else f"{name}, round {i + 1}": run
            for i, run in enumerate(_finished(out))
        }
    return runs


def _finished(outputs: Path) -> list[Path]:
    """Return the finished runs, the oldest first."""
    return sorted(path.parent for path in outputs.glob("*/*/summary.json"))


def judge(
    run: Path,
    name: str,
    folder: Path,
    truth: Mapping[str, pd.DataFrame],
    windows: WindowConfig | None = None,
) -> Predictions:
    """Return what a run says of the windows of the sites that nobody labelled.

    Parameters
    ----------
    run
        Its folder.
    name
        Of what predicts.
    folder, truth
        Where the soundscapes are, and what is heard in them (`unlabelled_truth`).
    windows
        How they are cut; None: as by default.
    """
    ensemble = load_ensemble([run])
    files = [folder / file for file in truth]
    results = dict(Predictor(ensemble, windows or WindowConfig(), torch.device("cpu")).predict_files(files))
    rows = []
    for position, (file, heard) in enumerate(truth.items()):
        result, stem, number = results[position], Path(file).stem, len(heard)
        site = describe_origin(folder / file, stem).site
        times = np.arange(number) * float(WINDOW_SECONDS)
        known = heard[list(ensemble.species)].to_numpy(bool)
        rows.append((result.probability[0, :number], known, [stem] * number, [site] * number, times))
    columns = [np.concatenate(one) for one in zip(*rows, strict=True)]
    return Predictions.of(
        ensemble.species, *columns[:3], name=name, site=columns[3], start_seconds=columns[4]
    )


def measure(config: StudentBenchmark) -> list[Comparison]:
    """Train, judge and print the tables in Markdown; return all comparisons."""
    runs = train_all(config)
    truth = unlabelled_truth(DEFAULT_SEED, DemoPlan(unlabelled_sites=config.sites))
    folder = Path(config.out) / "demo" / "train_soundscapes"
    judged = [judge(run, name, folder, truth) for name, run in runs.items()]
    found = compare_pairs(judged, "macro_auc", pairs="all", by="site")
    print(f"\nseed {config.seed}, {config.sites} sites, commit {code_version()}\n")
    print("| | macro ROC-AUC |\n|---|---|")
    values = {found[0].base: found[0].base_value} | {one.run: one.value for one in found}
    for name, value in values.items():
        print(f"| {name} | {value:.3f} |")
    print("\n| | macro ROC-AUC, difference | p |\n|---|---|---|")
    for one in found:
        print(f"| {one.run} minus {one.base} | {one.difference} | {one.p:.3f} |")
    return found


if __name__ == "__main__":
    run_program(StudentBenchmark, measure)
