"""Drops from recordings to soundscapes, and which validation predicted which."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.runs import read_run
from analysis.transport import measure_transport
from core.files import write_table
from core.scoring.evaluation import evaluate
from core.scoring.predictions import Predictions
from core.scoring.rank_correlation import rank_correlation
from tests.analysis.conftest import SPECIES, MakeRun, invent_predictions
from tests.programs import refusal, run_program

FEW = "--resamples=200"


def invent_soundscapes(skill: float, seed: int, species: tuple[str, ...] = SPECIES) -> pd.DataFrame:
    """Return windows of 12 soundscapes of four sites; `skill` is a positive's gain in the logit."""
    generator = np.random.default_rng(1)
    truth = generator.random((120, len(SPECIES))) < 0.3
    truth[:, [code not in species for code in SPECIES]] = False
    number = np.repeat(np.arange(12), 10)
    noise = np.random.default_rng([2, seed]).standard_normal(truth.shape)
    return Predictions.of(
        SPECIES,
        1 / (1 + np.exp(-(skill * truth - 1 + noise))),
        truth,
        np.char.add("s", number.astype(str)),
        start_seconds=np.tile(np.arange(10) * 5.0, 12),
        site=np.char.add("site", (number // 3).astype(str)),
    ).to_table()


@pytest.fixture
def runs(make_run: MakeRun) -> list[Path]:
    """Return six runs; the better on recordings, the better on soundscapes, but all are worse there."""
    found = []
    for i in range(6):
        predictions = invent_predictions((0,), skill=0.8 + 0.7 * i, seed=i)
        run = make_run(f"run_{i}", predictions=predictions)
        write_table(invent_soundscapes(0.3 * i, i), run / "soundscape_predictions.parquet")
        found.append(run)
    return found


def test_the_drop_is_that_between_the_scores_of_the_run(runs: list[Path]) -> None:
    run = read_run(runs[5])
    found = measure_transport(run, run.valid)
    aimed, heard = (evaluate(rows, run.valid).metrics for rows in (run.predictions, run.soundscapes))
    for name in ("score", "macro_auc", "padded_cmap", "micro_f1", "top1"):
        assert found.recordings[name] == aimed[name], "the same interval as everywhere"
        assert found.soundscapes[name].value == heard[name].value
        drop = found.drop[name]
        assert drop.value == pytest.approx(heard[name].value - aimed[name].value)
        assert drop.low < drop.value < drop.high
    assert found.num_species == 3


def test_the_drop_is_over_the_species_that_both_hold(make_run: MakeRun) -> None:
    folder = make_run(predictions=invent_predictions((0,)))
    write_table(invent_soundscapes(1.0, 0, SPECIES[:2]), folder / "soundscape_predictions.parquet")
    run = read_run(folder)
    found = measure_transport(run, run.valid)
    both = [
        evaluate(one.columns([0, 1], ""), run.valid).metrics for one in (run.soundscapes, run.predictions)
    ]
    assert found.num_species == 2
    expected = both[0]["macro_auc"].value - both[1]["macro_auc"].value
    assert found.drop["macro_auc"].value == pytest.approx(expected)


def test_the_program_prints_and_writes_drops_and_what_predicted_what(
    runs: list[Path], tmp_path: Path
) -> None:
    board = tmp_path / "board.csv"
    board.write_text("run,score,name\n" + "".join(f"run_{i},{0.9 - i / 100},private\n" for i in range(5)))
    out = tmp_path / "out"
    told = run_program(
        "analysis.transport", *runs, FEW, f"--leaderboard={board}", f"--out={out}", "--format=svg"
    )
    assert "| run_5, fold 0 | macro ROC-AUC | " in told
    drop = pd.read_csv(out / "drop.csv").set_index(["run", "metric"]).loc["run_5, fold 0", :]
    assert drop.loc["macro ROC-AUC", "drop"] < drop.loc["macro ROC-AUC", "drop high"] < 0
    table = pd.read_csv(out / "predicted.csv").set_index(["validated on", "measure", "predicts"])
    same = table.loc[("recordings", "macro ROC-AUC", "macro ROC-AUC of soundscapes")]
    assert same["runs"] == 6
    assert 0.5 < same["rank correlation"] <= 1
    assert same["rank correlation low"] < 0.9
    upside_down = table.loc[("soundscapes", "macro ROC-AUC", "private")]
    assert upside_down["runs"] == 5
    assert upside_down["rank correlation"] < 0
    assert ("soundscapes", "macro ROC-AUC", "macro ROC-AUC of soundscapes") not in table.index
    assert "soundscapes minus recordings" in (out / "drop.svg").read_text()
    on_board = (out / "predicted_leaderboard.svg").read_text()
    assert "private" in on_board
    assert "of soundscapes" in on_board
    assert "private" not in (out / "predicted.svg").read_text()  # where most of its lines would be empty


def test_runs_without_soundscapes_or_about_other_clips_say_so(make_run: MakeRun, runs: list[Path]) -> None:
    told = run_program("analysis.transport", make_run("alone"), FEW)
    assert "None of these runs validated labelled soundscapes" in told
    assert "Not told: 1 run: no order to speak of; name three or more." in told
    other = make_run("other", fold=1)
    told = run_program("analysis.transport", *runs[:2], other, FEW)
    assert "Without labelled soundscapes: other, fold 1" in told
    assert "Not told: run_0, fold 0 and other, fold 1 cannot be compared: other validated clips" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("run,score\nnone,0.5\n", "line 2: none is none of the runs: run_0, fold 0, "),
        ("run,score\nrun_0,\n", "line 2: column score is blank; a number is needed"),
        ("run,score\nrun_0,x\n", "line 2: column score is 'x'; a number is needed"),
        ("run,score\nrun_0,1\nrun_0,1\n", "line 3: run_0 has two scores of leaderboard; keep one"),
        ("run,score\n", "no row; write one a run: run,score,name"),
        ("run\nrun_0\n", "no column score; found run"),
    ],
)
def test_a_leaderboard_that_is_none_is_refused(
    text: str, told: str, runs: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "board.csv").write_text(text)
    said = refusal("analysis.transport", *runs[:2], f"--leaderboard={tmp_path / 'board.csv'}")
    assert told in said
    assert "board.csv" in said


def test_a_rank_correlation_holds_the_truth_as_often_as_it_says() -> None:
    generator, held = np.random.default_rng(0), 0
    for _ in range(1000):
        first, noise = generator.normal(size=(2, 12))
        found = rank_correlation(first, 0.8 * first + 0.6 * noise)
        held += found.low <= 6 / np.pi * np.arcsin(0.4) <= found.high
    assert 0.93 <= held / 1000 <= 0.98
    assert np.isnan(rank_correlation(np.ones(6), np.arange(6.0)).value)
    perfect = rank_correlation(np.arange(6.0), np.arange(6.0))
    assert (perfect.value, perfect.high) == (1.0, 1.0)
    assert perfect.low < 0.9
