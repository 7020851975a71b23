"""One run, one metric: the same interval, to the last printed digit, wherever it is printed."""

import contextlib
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from core.run_folder import open_run_folder
from core.scoring.intervals import Interval
from core.trainer import build_accelerator
from tests.programs import run_program
from tests.runs import TinyTrainer, tiny_config, with_data


@pytest.fixture(scope="module")
def runs(tiny_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], str]:
    """Return two runs that validated the same clips, and what the trainings printed, the first one first."""
    found, text = [], io.StringIO()
    for seed in (1, 2):
        folder = tmp_path_factory.mktemp("runs")
        config = replace(with_data(tiny_config(tiny_demo, folder), num_folds=2), seed=seed, epochs=1)
        run = open_run_folder(config, f"20260101-00000{seed}-aaaa", create=True)
        with contextlib.redirect_stdout(text):
            TinyTrainer(config, run, build_accelerator(config)).fit()
        found.append(run.path)
    return found, text.getvalue()


def printed(interval: dict[str, float | None]) -> str:
    value, low, high = (
        math.nan if number is None else number for number in map(interval.get, ("value", "low", "high"))
    )
    return str(Interval(value=value, low=low, high=high))


def test_every_program_prints_the_interval_of_the_summary(
    runs: tuple[list[Path], str], tmp_path: Path
) -> None:
    (first, second), table = runs
    run = str(first)
    summary = json.loads((first / "summary.json").read_text())["metrics"]
    expected = {name: printed(one) for name, one in summary.items()}
    assert all("[" in expected[name] for name in ("score", "macro_auc", "padded_cmap"))

    for label, name in {
        "2022 score, threshold": "score", "2022 score, best": "best_score", "padded cmAP": "padded_cmap",
        "macro ROC-AUC": "macro_auc", "2021 micro F1": "micro_f1", "top-1 accuracy": "top1",
    }.items():  # fmt: skip
        line = next(line for line in table.splitlines() if line.startswith(label))
        value, bounds = re.findall(r"(\d\.\d{3})  (\[.*?\]|\(no interval\))", line)[0]
        assert f"{value} {bounds}" == expected[name], f"end table, {name}"

    assert f"macro ROC-AUC {expected['macro_auc']}; 2022 score {expected['score']}" in run_program(
        "analysis.runs", run
    )

    run_program("analysis.bootstrap", run, "--out", tmp_path / "b.csv")
    intervals = pd.read_csv(tmp_path / "b.csv")
    adjusted = intervals[(intervals["species"] == "macro") & (intervals["method"] == "adjusted")]
    names = ["score", "macro_auc", "padded_cmap", "micro_f1", "top1"]
    for row in adjusted.set_index("metric").loc[names].itertuples():
        assert str(Interval(row.value, row.low, row.high)) == expected[str(row.Index)], row.Index

    few = ["--splits=2", "--partitions=2", "--refits=20", "--shrinkages", "0"]
    text = run_program("analysis.thresholds", run, "--out", tmp_path / "t", *few)
    assert f"| untuned quantile | {expected['score']} |" in text
    tuned = json.loads((tmp_path / "t" / "tuned.json").read_text())
    assert printed(tuned["untuned"]) == expected["score"]

    for objective in ("score", "macro_auc"):
        words = ["--splits=2", f"--objective={objective}"]
        text = run_program("analysis.ensemble", run, second, *words)
        (line,) = [line for line in text.splitlines() if line.startswith("| tiny, fold 0, seed 1 |")]
        assert line.split(" | ")[1] == expected[objective], "a single member of an ensemble"

    run_program("analysis.report", run, "--out", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    for name in ("score", "macro_auc", "padded_cmap", "top1"):
        one = summary[name]
        words = [f"{one[bound]:.3f}" for bound in ("value", "low", "high")]
        assert re.search(r"\D+".join(map(re.escape, words)), page), f"report, {name}: {words}"
