"""A sweep's folder is read right, and what is wrong with it is named."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from analysis.sweep.parameters import SweptParameter, read_parameters
from analysis.sweep.trials import Trial, read_sweep, with_run
from core.scoring.resampling import Interval
from tests.analysis.conftest import MakeRun
from tests.analysis.sweeps import MIXUP, MadeTrial, summary_of, write_sweep

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
    sweep = read_sweep(folder)
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
    others = read_sweep(folder).others()
    assert [(one.name, one.state) for one in others] == [
        ("trial 2", "failed"), ("trial 3", "stopped"), ("trial 4", "running"),
    ]  # fmt: skip
    assert others[1].metric.value == 0.61
    assert math.isnan(others[0].metric.value)


def test_only_what_varies_is_a_parameter(folder: Path) -> None:
    parameters = {one.key: one for one in read_sweep(folder).parameters}
    assert list(parameters) == ["mixup.alpha", "mixup.probability", "loss.kind"]
    assert parameters["mixup.alpha"].is_log
    assert parameters["mixup.probability"].levels == (0.0, 0.5, 1.0)
    assert parameters["loss.kind"].levels == ("focal", "bce")


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
    (found,) = read_parameters({"optim": {"parameters": {"lr": entry}}})
    assert found.key == "optim.lr"
    assert (found.is_log, found.levels) == (is_log, levels)


def test_seeds_and_folds_are_names_without_a_trend() -> None:
    found = {
        one.key: one
        for one in read_parameters(
            {
                "seed": {"values": [73, 71, 72]},
                "data.fold": {"values": [0, 1, 2]},
                "epochs": {"values": [3, 1, 2]},
            }
        )
    }
    assert not found["seed"].has_trend
    assert not found["data.fold"].has_trend
    assert found["epochs"].has_trend
    assert read_parameters({"seed": {"min": 1, "max": 10**6}, "epochs": {"value": 3}}) == []


def test_values_are_found_from_their_text() -> None:
    parameter = SweptParameter("a", levels=(True, None, 1, 0.5, [1, 2]), is_ordered=False)
    assert [parameter.value_of(text) for text in ("True", "None", "1.0", "0.50", "[1, 2]")] == [
        True,
        None,
        1,
        0.5,
        [1, 2],
    ]
    assert parameter.coordinate(None) == 1.0
    log = SweptParameter("b", is_log=True)
    assert log.coordinate(log.value_of("0.01")) == pytest.approx(-2.0)


def replace_in(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("0,finished", "0,done", "line 2: state=done: one of running, finished, failed, stopped"),
        ("0.5,0.5,focal", "0.5,0.7,focal", r"line 2: mixup.probability=0.7: none of .* \(0, 0.5, 1\)"),
        ("0.5,0.5,focal", "half,0.5,focal", "line 2: mixup.alpha=half: must be a number"),
        ("0.5,0.5,focal", "-1,0.5,focal", "line 2: mixup.alpha=-1: must be positive"),
        ("1.50,0.5,0.5,focal", "0.5,focal", "line 2: damaged, not the 8 columns of the first line"),
        ("1.50", "long", "line 2: minutes=long: must be a number"),
        (",loss.kind,", ",loss.knd,", "damaged, it has no column loss.kind"),
        ("trial,", '"trial,', "damaged"),
    ],
)
def test_damage_in_the_table_is_named_with_its_line(folder: Path, old: str, new: str, told: str) -> None:
    replace_in(folder / "trials.csv", old, new)
    with pytest.raises(ValueError, match=told) as error:
        read_sweep(folder)
    assert str(folder / "trials.csv") in str(error.value)


def test_a_table_that_is_no_text_is_named(folder: Path) -> None:
    (folder / "trials.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match="damaged, not readable as csv"):
        read_sweep(folder)


def test_other_folders_are_told_from_sweeps(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder of a sweep"):
        read_sweep(tmp_path / "outputs/sweeps/mine-2")
    with pytest.raises(ValueError, match=r"not the folder of a sweep, it has no sweep\.json"):
        read_sweep(folder.parent)
    (folder / "sweep.json").write_text(json.dumps({"name": "mine"}))
    with pytest.raises(ValueError, match=r"sweep\.json: needs name, method and metric"):
        read_sweep(folder)


def test_a_damaged_sweep_file_is_named(folder: Path) -> None:
    (folder / "sweep.yaml").write_text("parameters: [")
    with pytest.raises(ValueError, match=r"sweep\.yaml: not readable as a sweep file"):
        read_sweep(folder)


def test_without_a_finished_trial_there_is_nothing_to_analyse(tmp_path: Path) -> None:
    folder = write_sweep(
        tmp_path / "none", [MadeTrial(VALUES, None, "failed"), MadeTrial(OTHER, None, "running")]
    )
    told = "no finished trial with valid/macro_auc .2 trials: 1 running, 0 finished, 1 failed, 0 stopped."
    with pytest.raises(ValueError, match=told):
        read_sweep(folder)


def test_a_trial_of_all_folds_is_judged_on_all_of_them(make_run: MakeRun) -> None:
    group = make_run(fold="all")
    trial = Trial("trial 0", "finished", {}, Interval(0.9, math.nan, math.nan))
    found = with_run(trial, group.with_name(group.name.replace("-all", "-fold2")), "valid/macro_auc")
    assert found.run is not None
    assert found.run.fold == "all"
    assert found.metric.as_dict() == summary_of(group)["metrics"]["macro_auc"]


def test_a_trial_whose_run_was_deleted_keeps_its_value(tmp_path: Path) -> None:
    trials = [MadeTrial(VALUES, None, value=0.7), MadeTrial(OTHER, None, value=0.8)]
    sweep = read_sweep(write_sweep(tmp_path / "bare", trials, metric="valid/loss", goal="minimize"))
    assert [trial.metric.value for trial in sweep.ranked] == [0.7, 0.8]
    assert sweep.ranked[0].run is None
    assert MIXUP["epochs"] == {"value": 2}
