"""A sweep's folder is read right, and what is wrong with it is named."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from analysis.sweep.swept import SweptParameter, swept_parameters
from analysis.sweep.trial_results import TrialResult, read_results
from core.scoring.intervals import Interval
from sweeps.parameters import read_parameters
from tests.analysis.conftest import MakeRun
from tests.analysis.sweeps import MadeTrial, summary_of, write_sweep

VALUES = {"mixup.alpha": 0.5, "mixup.probability": 0.5, "loss.kind": "focal"}
OTHER = {"mixup.alpha": 1.5, "mixup.probability": 1.0, "loss.kind": "bce"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    trials = [
        MadeTrial(VALUES, skill=1.0, speed=20.0),
        MadeTrial(OTHER, skill=2.5, speed=10.0),
        MadeTrial(VALUES, skill=None, state="failed"),
        MadeTrial(OTHER, skill=1.0, state="stopped", value=0.61),
        MadeTrial(OTHER, skill=1.0, state="running"),
    ]
    return write_sweep(tmp_path / "outputs/sweeps/mine-1", trials)


def test_trials_come_with_intervals_throughput_and_predictions(folder: Path) -> None:
    sweep = read_results(folder)
    assert (sweep.name, sweep.question, sweep.metric, sweep.goal) == (
        "mine", "How much?", "valid/macro_auc", "maximize",
    )  # fmt: skip
    assert [trial.name for trial in sweep.ranked] == ["trial 1", "trial 0"]
    best = sweep.ranked[0]
    assert best.run is not None
    assert best.metric.as_dict() == summary_of(best.run.folder)["metrics"]["macro_auc"]
    assert best.clips_per_second == 10.0  # the median: the first, slow row does not count
    assert len(best.run.predictions) == 75
    assert best.values == OTHER


def test_failed_stopped_and_running_trials_are_apart(folder: Path) -> None:
    others = read_results(folder).others
    assert [(one.name, one.state) for one in others] == [
        ("trial 2", "failed"), ("trial 3", "stopped"), ("trial 4", "running"),
    ]  # fmt: skip
    assert others[1].metric.value == 0.61
    assert math.isnan(others[0].metric.value)


def test_only_what_varies_is_a_parameter(folder: Path) -> None:
    keys = [one.key for one in read_results(folder).parameters]
    assert keys == ["loss.kind", "mixup.alpha", "mixup.probability"]


@pytest.mark.parametrize(
    ("entry", "is_log", "levels"),
    [
        ({"min": 1e-4, "max": 1e-2, "distribution": "log_uniform_values"}, True, ()),
        ({"min": -9.0, "max": -4.0, "distribution": "log_uniform"}, True, ()),
        ({"min": 1e-4, "max": 1e-2, "distribution": "q_log_uniform_values", "q": 1e-4}, True, ()),
        ({"min": 0.0, "max": 1.0}, False, ()),
        ({"mu": 0.0, "sigma": 1.0}, False, ()),
        ({"min": 1, "max": 3}, False, (1, 2, 3)),
        ({"min": 1, "max": 300}, False, ()),
        ({"values": [4, 1, 2]}, False, (1, 2, 4)),
        ({"values": list(range(12))}, False, ()),
        ({"values": [True, False]}, False, (True, False)),
        ({"values": ["b", None, "a"]}, False, ("b", None, "a")),
    ],
)
def test_axis_of_a_distribution(entry: dict[str, Any], is_log: bool, levels: tuple[Any, ...]) -> None:
    (found,) = swept_parameters(read_parameters({"optim": {"parameters": {"lr": entry}}}))
    assert found.key == "optim.lr"
    assert (found.is_log, found.levels) == (is_log, levels)


def test_seeds_and_folds_are_names_without_a_trend() -> None:
    listed = {"seed": {"values": [73, 71]}, "data.fold": {"values": [0, 1, 2]}, "epochs": {"values": [3, 1]}}
    found = {one.key: one for one in swept_parameters(read_parameters(listed))}
    assert not found["data.fold"].has_trend
    assert not found["seed"].is_ordered
    assert found["seed"].levels == (73, 71)
    assert found["epochs"].has_trend
    drawn = {"seed": {"min": 1, "max": 10**6}, "epochs": {"value": 3}}
    assert swept_parameters(read_parameters(drawn)) == []


def test_values_have_their_places() -> None:
    parameter = SweptParameter("a", levels=(True, None, 1, 0.5, [1, 2]), is_ordered=False)
    assert parameter.coordinates([True, None, 1.0, 0.5, [1, 2]]).tolist() == [0, 1, 2, 3, 4]
    log = SweptParameter("b", is_log=True)
    assert log.coordinate(0.01) == pytest.approx(-2.0)
    for one, value, message in (
        (parameter, 0.7, r"a=0.7: none of the sweep's values \(True, None, 1, 0.5, \[1, 2\]\)"),
        (log, "half", "b=half: must be a number"),
        (log, -1.0, "b=-1.0: must be positive"),
    ):
        with pytest.raises(ValueError, match=message):
            one.coordinate(value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"state": "done"}, "state=done: one of finished, stopped, failed, running"),
        ({"parameters": {"mixup.alpha": 0.5}}, "parameters: no loss.kind, mixup.probability"),
        ({"parameters": {**VALUES, "loss.kind": "knd"}}, "loss.kind=knd: none of the sweep's values"),
        ({"speed": 3}, "needs minutes, number, parameters, state, of "),
        (None, "trial.json: not JSON: Expecting value"),
    ],
)
def test_damage_of_a_trial_is_named_with_its_file(
    folder: Path, change: dict[str, Any] | None, told: str
) -> None:
    file = folder / "trials/0/trial.json"
    text = "" if change is None else json.dumps(json.loads(file.read_text()) | change)
    file.write_text(text)
    with pytest.raises(ValueError, match=told) as error:
        read_results(folder)
    assert str(folder) in str(error.value)


def test_a_folder_of_the_former_layout_is_read(folder: Path) -> None:
    for file in folder.glob("trials/*/trial.json"):
        content = json.loads(file.read_text())
        del content["value"]
        file.write_text(json.dumps(content))
    assert [trial.name for trial in read_results(folder).ranked] == ["trial 1", "trial 0"]


def test_damaged_files_of_a_sweep_are_named(folder: Path) -> None:
    (folder / "sweep.json").write_text(json.dumps({"question": "mine"}))
    with pytest.raises(ValueError, match=r"sweep\.json: damaged: needs a name"):
        read_results(folder)
    (folder / "sweep.json").write_text(json.dumps({"name": "mine"}))
    (folder / "sweep.yaml").write_text("parameters: [")
    with pytest.raises(ValueError, match=r"sweep\.yaml: not readable as yaml"):
        read_results(folder)


def test_without_a_finished_trial_there_is_nothing_to_analyse(tmp_path: Path) -> None:
    folder = write_sweep(
        tmp_path / "none", [MadeTrial(VALUES, None, "failed"), MadeTrial(OTHER, None, "running")]
    )
    told = "no finished trial with valid/macro_auc .2 trials: 1 failed, 1 running."
    with pytest.raises(ValueError, match=told):
        read_results(folder)


def test_a_trial_of_all_folds_is_judged_on_all_of_them(make_run: MakeRun) -> None:
    group = make_run(fold="all")
    trial = TrialResult("trial 0", "finished", {}, Interval(0.9, math.nan, math.nan))
    found = trial.with_run(group.with_name(group.name.replace("-all", "-fold2")), "valid/macro_auc")
    assert found.run is not None
    assert found.run.fold == "all"
    assert found.metric.as_dict() == summary_of(group)["metrics"]["macro_auc"]


def test_a_trial_whose_run_was_deleted_keeps_its_value(tmp_path: Path) -> None:
    trials = [MadeTrial(VALUES, None, value=0.7), MadeTrial(OTHER, None, value=0.8)]
    sweep = read_results(write_sweep(tmp_path / "bare", trials, metric="valid/loss", goal="minimize"))
    assert [trial.metric.value for trial in sweep.ranked] == [0.7, 0.8]
    assert sweep.ranked[0].run is None
