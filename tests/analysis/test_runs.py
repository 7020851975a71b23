from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.runs import config_differences, find_runs, predictions_of, runs_table
from core.config import DataConfig, MixupConfig
from core.scoring.predictions import TRUTH
from tests.analysis.conftest import MakeRun, invent_predictions
from tests.programs import refusal, run_program


def test_a_run_of_all_folds_stands_for_its_folds(make_run: MakeRun) -> None:
    group = make_run(fold="all")
    single = make_run("conformer", stamp="20260102-000000-bbbb")
    runs = find_runs([group.parents[1]])
    assert {run.folder for run in runs} == {group, single}
    assert [run.name for run in runs] == ["conformer, fold 0", "timm_007"]
    assert len(next(run for run in runs if run.folder == group).members) == 3


def test_a_fold_that_is_named_is_taken_by_itself_and_once(make_run: MakeRun) -> None:
    group = make_run(fold="all")
    fold = group.with_name(group.name.replace("-all", "-fold1"))
    assert [run.folder for run in find_runs([fold, group, fold])] == [fold, group]


def test_names_tell_seeds_and_times_apart(make_run: MakeRun) -> None:
    make_run(seed=1, stamp="20260101-000000-aaaa")
    make_run(seed=2, stamp="20260101-000000-bbbb")
    path = make_run(seed=2, stamp="20260101-000000-cccc")
    names = [run.name for run in find_runs([path.parent])]
    assert names[0] == "timm_007, fold 0, seed 1"
    assert names[1] == "timm_007, fold 0, seed 2, 20260101-000000-bbbb"
    assert len(set(names)) == 3


def test_names_tell_a_setting_or_two_that_differ(make_run: MakeRun) -> None:
    for alpha, stamp in ((0.4, "aaaa"), (1.0, "bbbb"), (1.0, "cccc")):
        path = make_run(mixup=MixupConfig(alpha=alpha), stamp=f"20260101-000000-{stamp}")
    names = [run.name for run in find_runs([path.parent])]
    assert names[0] == "timm_007, fold 0, mixup.alpha=0.4"
    assert names[1] == "timm_007, fold 0, mixup.alpha=1, 20260101-000000-bbbb"


def test_what_is_no_finished_run_is_named(make_run: MakeRun, tmp_path: Path) -> None:
    unfinished = make_run(finished=False)
    with pytest.raises(ValueError, match=r"not finished.*--resume"):
        find_runs([unfinished])
    with pytest.raises(ValueError, match="holds no finished run"):
        find_runs([unfinished.parents[1]])
    with pytest.raises(ValueError, match="no such folder of runs"):
        find_runs([tmp_path / "nowhere"])


def test_clips_are_aligned_whatever_their_order_on_disk(make_run: MakeRun) -> None:
    table = invent_predictions((0,))
    shuffled = table.sample(frac=1, random_state=1)
    runs = find_runs(
        [make_run(predictions=table), make_run("other", predictions=shuffled, stamp="20260102-000000-bbbb")]
    )
    one, other = predictions_of(runs)
    assert np.array_equal(one.probability, other.probability)
    assert one.truth.shape == (len(table), 3)
    assert (one.name, other.name) == ("timm_007, fold 0", "other, fold 0")


def test_what_trained_is_counted_in_the_other_folds_without_checkpoints(make_run: MakeRun) -> None:
    counts = find_runs([make_run(fold="all")])[0].predictions.counts
    assert counts.shape == (72, 3)
    assert (counts == 8).all(), "four recordings a species in each of the two other folds"
    assert not find_runs([make_run("single", fold=0)])[0].predictions.counts.any()


def changed(column: str, row: int, value: object) -> pd.DataFrame:
    table = invent_predictions((0,))
    table.loc[row, column] = value
    return table


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            invent_predictions((0,), species=("aniani", "akiapo", "apapan")),
            "other label order: species 0 is akiapo in one and aniani in the other",
        ),
        (
            invent_predictions((0,), species=("akiapo", "aniani", "barpet")),
            "other scored species: apapan only in the first, barpet only in the second",
        ),
        (invent_predictions((1,)), r"other validated clips \(24 and 24, 0 in common\).*XC00"),
        (changed("fold", 3, 2), "other folds: 1 of 24 clips.*data.fold_seed"),
        (
            changed(TRUTH + "aniani", 0, True),
            "other labels: 1 clip, such as akiapo/XC00.ogg, which holds aniani",
        ),
    ],
)
def test_runs_that_judged_other_clips_are_refused(
    make_run: MakeRun, other: pd.DataFrame, message: str
) -> None:
    runs = find_runs([make_run(predictions=invent_predictions((0,))), make_run("other", predictions=other)])
    with pytest.raises(ValueError, match=message):
        predictions_of(runs)


def test_where_many_settings_differ_a_run_is_named_by_what_it_has_alone(make_run: MakeRun) -> None:
    changed: list[dict[str, object]] = [
        {}, {"mixup": MixupConfig(alpha=0.4)}, {"epochs": 3}, {"precision": "bf16"},
    ]  # fmt: skip
    paths = [make_run(stamp=f"2026010{i + 1}-000000-aaaa", **fields) for i, fields in enumerate(changed)]
    first = "timm_007, fold 0"
    assert [run.name for run in find_runs(paths)] == [
        first, f"{first}, mixup.alpha=0.4", f"{first}, epochs=3", f"{first}, precision=bf16",
    ]  # fmt: skip


def test_tables_hold_scores_costs_and_differing_settings(make_run: MakeRun) -> None:
    make_run(fold="all", mixup=MixupConfig(alpha=0.4))
    path = make_run("other", fold="all", data=DataConfig(num_folds=3, root="elsewhere"))
    runs = find_runs([path.parents[1]])
    table = runs_table(runs)
    assert table["minutes"].tolist() == [4.5, 4.5]
    assert table["parameters"].tolist() == [1000, 1000]
    assert (table["macro_auc_low"] <= table["macro_auc"]).all()
    differences = config_differences(runs)
    assert list(differences.index) == ["name", "mixup.alpha"]
    assert differences.loc["mixup.alpha"].tolist() == ["1", "0.4"]


def test_the_program_lists_runs_and_names_a_mistake(make_run: MakeRun, tmp_path: Path) -> None:
    printed = run_program("analysis.runs", make_run().parent, "--out", tmp_path / "runs.csv")
    assert "timm_007, fold 0: macro ROC-AUC 0." in printed
    assert len(pd.read_csv(tmp_path / "runs.csv")) == 1
    assert "no such folder of runs" in refusal("analysis.runs", tmp_path / "nowhere")
