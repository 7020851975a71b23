"""How do all experiments compare? Trains each over the same folds and prints the table of the log.

    python -m benchmarks.experiments [--root FOLDER] [--folds all] [--only NAME ...] [-- WORD ...]

Without --root on the generated demo data, else on that folder. Words after `--` go to every program. Runs
that finished with the same words are not repeated. Each row has score and macro ROC-AUC with intervals, and
the paired difference in macro ROC-AUC to timm_007: both are computed on the same bootstrap resamples of
the same recordings. nocall has another task and stands for itself.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from core.bootstrap import Resampler
from core.config import ValidConfig
from core.evaluation import PROBABILITY, TRUTH, evaluate
from core.machine import code_version
from core.metrics import macro, roc_auc

BASE = "timm_007"
NAMES = sorted(path.parent.name for path in Path("experiments").glob("*/run.py"))
RESAMPLES = 5000


def train(name: str, words: list[str], outputs: Path) -> dict[str, object]:
    """Run an experiment unless it was; return its group folder and minutes."""
    record = outputs / f"{name}.json"
    if record.is_file():
        done: dict[str, object] = json.loads(record.read_text())
        if done["words"] == words:
            return done
    started = time.perf_counter()
    program = [f"experiments/{name}/run.py", f"--output_dir={outputs}", *words]
    command = [sys.executable, "-m", "accelerate.commands.launch", *program]
    print("$ accelerate launch", *program, flush=True)
    with (outputs / f"{name}.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)
    folder = max((outputs / name).glob("*"), key=lambda path: path.name)
    minutes = (time.perf_counter() - started) / 60
    done = {"words": words, "folder": str(folder), "minutes": minutes, "commit": code_version()}
    record.write_text(json.dumps(done))
    return done


def predictions_of(folder: Path) -> pd.DataFrame:
    """Return a run's predictions in a fixed order."""
    table = pd.read_parquet(folder / "predictions.parquet")
    return table.sort_values(["recording", "start_seconds"], ignore_index=True)


def paired_difference(table: pd.DataFrame, base: pd.DataFrame) -> str:
    """Return the difference in macro ROC-AUC with its interval."""
    if table["recording"].tolist() != base["recording"].tolist():
        return "other recordings"
    truth = base.filter(like=TRUTH).to_numpy(dtype=bool)
    one, two = (t[[c for c in base if c.startswith(PROBABILITY)]].to_numpy(float) for t in (table, base))
    resampler = Resampler(base["recording"], base["species"], RESAMPLES)

    def difference(weights: np.ndarray | None) -> np.ndarray:
        return macro(roc_auc(truth, one, weights)) - macro(roc_auc(truth, two, weights))

    return str(resampler.interval(difference))


def parameters_of(folder: Path) -> float:
    """Return a run's parameters in millions; of a group, those of its first fold."""
    summary = json.loads((folder / "summary.json").read_text())
    if "parameters" not in summary:
        summary = json.loads((folder.parent / summary["runs"][0] / "summary.json").read_text())
    return float(summary["parameters"]) / 1e6


def main() -> None:
    """Train what is missing, print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--root")
    parser.add_argument("--folds", default="all")
    parser.add_argument("--only", nargs="*", default=NAMES, choices=NAMES)
    parser.add_argument("--outputs", type=Path, default=Path("outputs/comparison"))
    parser.add_argument("words", nargs="*")
    given = parser.parse_args()
    words = [f"--data.fold={given.folds}", "--tracking.use=False", *given.words]
    if given.root is not None:
        words.append(f"--data.root={given.root}")
    given.outputs.mkdir(parents=True, exist_ok=True)
    runs = {name: train(name, words, given.outputs) for name in given.only}
    tables = {name: predictions_of(Path(str(run["folder"]))) for name, run in runs.items()}
    print(f"\n{platform.machine()}, {sys.version.split()[0]}, commit {code_version()}\n")
    columns = "2022 score | macro ROC-AUC | minutes | M parameters | macro ROC-AUC minus timm_007"
    print(f"| experiment | {columns} |")
    print("|---|---|---|---|---|---|")
    for name, table in tables.items():
        result = evaluate(table, ValidConfig()).metrics
        difference = paired_difference(table, tables[BASE]) if BASE in tables and name != BASE else "-"
        print(
            f"| {name} | {result['score']} | {result['macro_auc']} | {runs[name]['minutes']:.1f} "
            f"| {parameters_of(Path(str(runs[name]['folder']))):.2f} | {difference} |"
        )


if __name__ == "__main__":
    main()
