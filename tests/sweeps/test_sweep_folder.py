"""What the folder of a sweep holds, and that the analysis reads it."""

import csv
import json
from pathlib import Path

import pytest

from analysis.sweep.trial_results import read_results
from sweeps.proposals import propose
from sweeps.sweep_file import read_sweep_file
from sweeps.sweep_folder import SweepFolder
from tests.analysis.sweeps import MadeTrial, write_run
from tests.runs import ROOT
from tests.sweeps.sweep_texts import write_sweep

FILES = sorted((ROOT / "sweeps").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_analysis_reads_what_was_written(file: Path, tmp_path: Path) -> None:
    sweep = read_sweep_file(file)
    folder = SweepFolder(tmp_path / file.stem, sweep)
    folder.open(0, [])
    for number in range(4):
        trial = propose(sweep, 0, number, folder.known())
        folder.record(trial)
        run = write_run(folder.folder_of(trial), MadeTrial({}, 1.0 + 0.3 * number), number)
        with (run / "metrics.jsonl").open("a") as log:
            log.write(json.dumps({"global_step": 9, sweep.metric: 0.5 + 0.1 * number}) + "\n")
        trial.state = "finished"
        folder.record(trial)
    read = read_results(folder.path)
    tried: dict[str, set[str]] = {}
    for trial in folder.trials.values():
        for key, value in trial.parameters.items():
            tried.setdefault(key, set()).add(str(value))
    varied = {key for key, values in tried.items() if len(values) > 1}
    assert {parameter.key for parameter in read.parameters} == varied
    assert len(read.ranked) == 4


def test_a_trial_of_all_folds_counts_by_its_pooled_score(tmp_path: Path) -> None:
    sweep = read_sweep_file(write_sweep(tmp_path))
    folder = SweepFolder(tmp_path / "sweep", sweep)
    folder.open(0, [])
    trial = propose(sweep, 0, 0)
    folder.record(trial)
    runs = folder.folder_of(trial) / "timm_007"
    for name, score in (("all", None), ("fold0", 0.9), ("fold1", 0.1)):
        run = runs / f"20260101-000000-aaaa-{name}"
        run.mkdir(parents=True)
        (run / "config.json").write_text("{}")
        if score is not None:
            (run / "metrics.jsonl").write_text(json.dumps({"global_step": 1, sweep.metric: score}) + "\n")
    assert folder.values_of(trial) == []
    pooled_score = {"value": 0.5, "low": 0.4, "high": 0.6}
    summary = {"runs": [], "metrics": {sweep.metric.removeprefix("valid/"): pooled_score}}
    (runs / "20260101-000000-aaaa-all" / "summary.json").write_text(json.dumps(summary))
    trial.state = "finished"
    folder.record(trial)
    with (folder.path / "trials.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row[sweep.metric]) == 0.5
    assert row["run"].endswith("-all")
