"""What does each step after the networks bring? Scores labelled soundscapes with and without it.

    python -m benchmarks.postprocessing --checkpoints RUN ... [--soundscapes FOLDER] [--truth FILE]
        [--nocall RUN]

Without --soundscapes on the generated demo data. Every row changes one thing of the first (windows alone,
0.85 quantile, no step): 2022 score with its interval and the paired difference to the first row, bootstrapped
over soundscapes. Thresholds marked as cross-fitted are decided by settings fitted on other soundscapes.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.soundscapes import add_soundscapes, open_soundscapes, truth_of
from core.inference.config import PostConfig, TuneConfig, WindowConfig
from core.inference.engines.backends import with_backend
from core.inference.ensemble import Ensemble, load_ensemble
from core.inference.predictor import Predictor
from core.inference.windows import smooth
from core.machine import code_version, tune_cpu
from core.scoring.cross_fit import Observations, cross_fit, judge
from core.scoring.decisions import adjust, thresholds
from core.scoring.resampling import Resampler

RESAMPLES = 5000
WINDOWS = {
    "windows alone, 0.85 quantile": WindowConfig(),
    "a second grid shifted by 2.5 s": WindowConfig(shifts=(0.0, 2.5)),
    "context of 3 windows": WindowConfig(context=3),
    "context of 6 windows": WindowConfig(context=6),
}
STEPS = {
    "penalty 0.4": PostConfig(penalty=0.4),
    "penalty 0.1": PostConfig(penalty=0.1),
    "rare boost 0.25": PostConfig(rare_boost=0.25),
    "0.80 quantile": PostConfig(quantile=0.80),
    "0.90 quantile": PostConfig(quantile=0.90),
}
GATES = {"hard no-call gate": PostConfig(gate="hard"), "soft no-call gate": PostConfig(gate="soft")}
RULES = {
    "best quantile, cross-fitted": ("quantile",),
    "one threshold, cross-fitted": ("fixed",),
    "class-wise thresholds, cross-fitted": ("class_wise",),
}


def predict(
    ensemble: Ensemble, nocall: Ensemble | None, files: Sequence[Path], windows: WindowConfig
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return each file's probabilities (window, species), and p(bird) of all windows."""
    predictor = Predictor(ensemble, windows, torch.device("cpu"), nocall)
    results = [predictor.predict_file(path) for path in files]
    pieces = [result.probability[0].astype(np.float64) for result in results]
    return pieces, np.concatenate([result.bird for result in results]).astype(np.float64)


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--checkpoints", nargs="+", required=True)
    add_soundscapes(parser)
    parser.add_argument("--nocall")
    given = parser.parse_args()
    tune_cpu()
    cpu = torch.device("cpu")
    ensemble = with_backend(load_ensemble(given.checkpoints), "torch", cpu, 1)
    nocall = load_ensemble([given.nocall], species=["bird"]) if given.nocall else None
    files, solution = open_soundscapes(given)
    counts = ensemble.train_counts()
    predicted = {
        name: predict(ensemble, nocall, list(files.values()), windows) for name, windows in WINDOWS.items()
    }
    pieces, bird = predicted[next(iter(WINDOWS))]
    truth, group = truth_of(files, pieces, solution, ensemble.species)
    stratum = np.zeros(len(group), dtype=int)
    base = np.concatenate(pieces)
    observed = Observations(base, truth, group, stratum, counts, tuple(ensemble.species))

    def decide(values: np.ndarray, post: PostConfig) -> np.ndarray:
        adjusted = adjust(values, post, counts, bird if len(bird) else None)
        return np.asarray(adjusted >= thresholds(adjusted, post, ensemble.species))

    plain = PostConfig()
    rows = {name: decide(np.concatenate(values), plain) for name, (values, _) in predicted.items()}
    rows |= {
        f"neighbour smoothing {share:g}": decide(np.concatenate([smooth(p, share) for p in pieces]), plain)
        for share in (0.1, 0.25)
    }
    rows |= {name: decide(base, post) for name, post in (STEPS | (GATES if nocall else {})).items()}
    only = TuneConfig(runs=("-",), penalties=(0.0,), rare_boosts=(0.0,))
    rows |= {name: cross_fit(rules, observed, only) for name, rules in RULES.items()}
    resampler = Resampler(group, stratum, RESAMPLES)
    print(f"commit {code_version()}, {len(files)} soundscapes, {len(truth)} windows")
    print("\n| step | 2022 score | difference |\n|---|---|---|")
    first = next(iter(rows))
    for name, decisions in rows.items():
        score, difference = judge(truth, decisions, rows[first], resampler)
        print(f"| {name} | {score} | {'' if name == first else difference} |")


if __name__ == "__main__":
    main()
