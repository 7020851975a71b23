"""How do all experiments compare? Trains each over the same folds and prints the table of the log.

    python -m benchmarks.experiments [--root FOLDER] [--folds 0 1 ...] [--only NAME ...] [--options="WORDS"]

Without --root on the generated demo data, else on that folder. A fold that finished with the same options is
not repeated, so that more folds can be added later. Each row has score
and macro ROC-AUC with intervals over the pooled out-of-fold predictions, minutes per fold, and the paired
difference in macro ROC-AUC to timm_007 as `analysis.compare` finds it. nocall has another task and stands
for itself; students, which need finished teachers, only take part where --only names them.
"""

import json
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.config import ValidConfig, require
from core.files import write_atomically
from core.machine import code_version
from core.program import run_program
from core.scoring.comparison import compare_pairs
from core.scoring.evaluation import evaluate
from core.scoring.predictions import Predictions, pool_predictions

BASE = "timm_007"
EXPERIMENTS = sorted(path.parent.name for path in Path("experiments").glob("*/run.py"))
STUDENTS = {"timm_013", "student_017"}


@dataclass(frozen=True, kw_only=True)
class ExperimentsConfig:
    """Train all experiments over the same folds; print the table of the log."""

    root: str | None = None
    """Folder of recordings; None: the generated demo."""
    folds: tuple[int, ...] = (0,)
    """Folds that validate in turn."""
    only: tuple[str, ...] = tuple(sorted(set(EXPERIMENTS) - STUDENTS))
    """Folders of `experiments/`."""
    options: str = ""
    """Further words of every experiment's command, with spaces between them."""
    outputs: str = "outputs/comparison"
    """Folder of the runs."""

    def __post_init__(self) -> None:
        """Check names."""
        unknown = sorted(set(self.only) - set(EXPERIMENTS))
        require(not unknown, f"only={', '.join(unknown)}: choose from {', '.join(EXPERIMENTS)}")


def train(name: str, fold: int, words: list[str], outputs: Path) -> dict[str, Any]:
    """Run one fold of an experiment unless it was; return its folder, minutes and commit."""
    record = outputs / f"{name}-fold{fold}.json"
    words = [f"--data.fold={fold}", *words]
    if record.is_file():
        done: dict[str, Any] = json.loads(record.read_text())
        if done["words"] == words:
            return done
    started = time.perf_counter()
    program = [f"experiments/{name}/run.py", f"--output_dir={outputs}", *words]
    command = [sys.executable, "-m", "accelerate.commands.launch", *program]
    print("$ accelerate launch", *program, flush=True)
    with (outputs / f"{name}-fold{fold}.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)
    finished = (outputs / name).glob(f"*-fold{fold}/summary.json")
    folder = max((file.parent for file in finished), key=lambda path: path.name)
    minutes = (time.perf_counter() - started) / 60
    done = {"words": words, "folder": str(folder), "minutes": minutes, "commit": code_version()}
    write_atomically(record, json.dumps(done))
    return done


def row_of(name: str, runs: list[dict[str, Any]], pooled: Predictions, base: Predictions | None) -> str:
    """Return an experiment's row of the table.

    Parameters
    ----------
    name
        Of the experiment.
    runs
        Its folds, each of `train`.
    pooled, base
        The predictions of all its folds, and those it is compared with.
    """
    difference = "-"
    if base is not None and name != BASE:
        difference = "other recordings"
        if pooled.recording.tolist() == base.recording.tolist():
            difference = str(compare_pairs([base, pooled], "macro_auc")[0].difference)
    result = evaluate(pooled, ValidConfig()).metrics
    minutes = np.mean([run["minutes"] for run in runs])
    summary = json.loads((Path(runs[0]["folder"]) / "summary.json").read_text())
    return (
        f"| {name} | {result['score']} | {result['macro_auc']} | {minutes:.1f} "
        f"| {summary['parameters'] / 1e6:.2f} | {difference} |"
    )


def compare_experiments(config: ExperimentsConfig) -> None:
    """Train what is missing, print the table in Markdown."""
    words = ["--tracking.use=False", *config.options.split()]
    if config.root is not None:
        words.append(f"--data.root={config.root}")
    outputs = Path(config.outputs)
    outputs.mkdir(parents=True, exist_ok=True)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in config.only}
    for fold in config.folds:
        for name, done in runs.items():
            done.append(train(name, fold, words, outputs))
    tables = {
        name: pool_predictions(
            [Predictions.read(Path(run["folder"]) / "predictions.parquet") for run in done], name
        )
        for name, done in runs.items()
    }
    print(f"\n{platform.machine()}, {sys.version.split()[0]}, commit {code_version()}\n")
    columns = "2022 score | macro ROC-AUC | minutes a fold | M parameters | macro ROC-AUC minus timm_007"
    print(f"| experiment | {columns} |\n|---|---|---|---|---|---|")
    for name, table in tables.items():
        print(row_of(name, runs[name], table, tables.get(BASE)))


if __name__ == "__main__":
    run_program(ExperimentsConfig, compare_experiments)
