"""Is one student as good as the ensemble that taught it? Judges both on labelled soundscapes.

    python -m benchmarks.distillation --teachers RUN ... --student RUN [--soundscapes FOLDER --truth FILE]

Without --soundscapes on the generated demo data. Prints the 2022 score (0.85 quantile) and macro ROC-AUC
of both and the paired differences, bootstrapped over soundscapes. How much faster it is:
benchmarks/inference.py.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from benchmarks.soundscapes import add_soundscapes, open_soundscapes, truth_of
from core.inference.config import WindowConfig
from core.inference.engines.backends import with_backend
from core.inference.ensemble import load_ensemble
from core.inference.predictor import Predictor
from core.machine import code_version, tune_cpu
from core.scoring.cross_fit import judge, judge_areas
from core.scoring.decisions import quantile_threshold
from core.scoring.resampling import Resampler

RESAMPLES, QUANTILE = 5000, 0.85


def predict(
    runs: list[str], species: list[str] | None, paths: list[Path]
) -> tuple[list[str], list[np.ndarray]]:
    """Return species, and the probabilities (window, species) of each soundscape."""
    cpu = torch.device("cpu")
    ensemble = with_backend(load_ensemble(runs, species=species), "torch", cpu, 1)
    results = Predictor(ensemble, WindowConfig(), cpu).predict_files(paths)
    return ensemble.species, [result.probability[0].astype(np.float64) for result in results]


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--teachers", nargs="+", required=True)
    parser.add_argument("--student", required=True)
    add_soundscapes(parser)
    given = parser.parse_args()
    tune_cpu()
    files, solution = open_soundscapes(given)
    species, taught = predict(given.teachers, None, list(files.values()))
    _, learnt = predict([given.student], species, list(files.values()))
    truth, group = truth_of(files, taught, solution, species)
    resampler = Resampler(group, np.zeros(len(group), dtype=int), RESAMPLES)
    values = {"ensemble": np.concatenate(taught), "student": np.concatenate(learnt)}
    decisions = {name: found >= quantile_threshold(found, QUANTILE) for name, found in values.items()}
    print(f"commit {code_version()}, {len(files)} soundscapes, {len(truth)} windows\n")
    print("| | 2022 score | difference | macro ROC-AUC | difference |\n|---|---|---|---|---|")
    for name, found in values.items():
        score, change = judge(truth, decisions[name], decisions["ensemble"], resampler)
        area, gain = judge_areas(truth, found, values["ensemble"], resampler)
        shown = ("", "") if name == "ensemble" else (change, gain)
        print(f"| {name} | {score} | {shown[0]} | {area} | {shown[1]} |")


if __name__ == "__main__":
    main()
