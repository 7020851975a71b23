"""Scores by species, confusions and hardest clips are those that were planted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.command import ScoringOptions
from analysis.runs import Run, find_runs
from analysis.species.__main__ import SpeciesConfig, analyse_species
from analysis.species.confusion import confusion_rows
from analysis.species.hardest import clips_of_mistakes, find_mistakes
from analysis.species.pictures import draw_mistakes, draw_scores_by_count
from analysis.species.scores import correlation, score_species, species_rows
from core.config import DataConfig
from core.data.taxonomy import Taxonomy
from core.run_folder import open_run_folder
from core.scoring.confusion import called_and_there, confusion_of, similarity_order
from core.scoring.metrics import roc_auc
from core.scoring.pictures import draw_confusion_matrix
from core.scoring.predictions import TRUTH, Predictions
from core.trainer import build_accelerator
from tests.analysis.conftest import MakeRun, invent_predictions
from tests.programs import run_program
from tests.runs import TinyTrainer, tiny_config

FEW = ScoringOptions(resamples=100)
SPECIES = ("ant", "bee", "cat", "dog", "eel", "fly")


def planted(make_run: MakeRun) -> Run:
    """Return a run that takes every clip of bee for dog, and one clip of ant for nothing."""
    primary, fold = np.repeat(SPECIES, 9), np.tile(np.arange(9) % 3, len(SPECIES))
    recording = np.array([f"{code}/r{i}.ogg" for code in SPECIES for i in range(9)])
    truth = primary[:, None] == np.array(SPECIES)
    probability = np.where(truth, 0.9, 0.1) + np.linspace(0, 0.01, truth.size).reshape(truth.shape)
    bee, dog = SPECIES.index("bee"), SPECIES.index("dog")
    probability[truth[:, bee], bee], probability[truth[:, bee], dog] = 0.15, 0.8
    probability[0, 0] = 0.001
    rows = Predictions.of(SPECIES, probability, truth, recording, primary=primary, fold=fold)
    return find_runs([make_run(fold="all", predictions=rows.to_table())])[0]


def test_a_planted_confusion_is_found_and_its_species_stand_beside_each_other(make_run: MakeRun) -> None:
    run = planted(make_run)
    confusion = confusion_of(run.predictions, 0.85)
    place = {code: i for i, code in enumerate(confusion.species)}
    assert confusion.share[place["bee"], place["dog"]] == 1
    assert confusion.share[place["bee"], place["bee"]] == 0
    assert confusion.share[place["cat"], place["cat"]] == 1
    assert abs(place["bee"] - place["dog"]) == 1
    row = confusion_rows(run, confusion, 3, FEW)[0]
    assert confusion.num_clips.tolist() == [9] * len(SPECIES)
    assert (row["clips of"], row["taken for"], row["clips"]) == ("bee", "dog", 9)
    assert str(row["share"]) == "1.000 (no interval)", "all recordings are alike"


def test_a_second_species_that_is_there_is_no_confusion(make_run: MakeRun) -> None:
    table = planted(make_run).predictions.to_table()
    table.loc[table["species"] == "bee", TRUTH + "dog"] = True
    run = find_runs([make_run("second", fold="all", predictions=table)])[0]
    called, there = called_and_there(run.predictions, 0.85)
    assert not called[there[SPECIES.index("bee")]].any()


def test_the_order_joins_groups() -> None:
    share = np.zeros((5, 5))
    share[0, 3] = share[3, 4] = 0.8
    order = list(similarity_order(share))
    assert sorted(order) == list(range(5))
    assert {abs(order.index(0) - order.index(3)), abs(order.index(3) - order.index(4))} <= {1, 2}
    assert abs(order.index(0) - order.index(1)) > 0
    assert similarity_order(np.zeros((2, 2))).tolist() == [0, 1]


def test_the_most_confident_mistakes_come_first(make_run: MakeRun) -> None:
    run = planted(make_run)
    mistakes = find_mistakes(run, 4, 0.85)
    assert (mistakes[0].recording, mistakes[0].words) == ("ant/r0.ogg", "ant missed")
    assert {one.primary for one in mistakes[1:]} == {"bee"}
    assert len({one.recording for one in mistakes}) == 4, "one a clip"
    every = find_mistakes(run, 1000, 0.85)
    assert len(every) < len(run.predictions)
    assert all((one.probability >= one.threshold) != one.is_miss for one in every)


def test_scores_by_species_are_those_of_the_metric(make_run: MakeRun) -> None:
    run = find_runs([make_run(fold="all", predictions=invent_predictions((0, 1, 2)))])[0]
    found, rows = score_species(run, FEW), run.predictions
    np.testing.assert_allclose([one.value for one in found.auc], roc_auc(rows.truth, rows.probability))
    assert found.trained.tolist() == [8, 8, 8]
    assert found.positives.tolist() == [24, 24, 24]
    assert found.recordings.tolist() == [12, 12, 12]
    assert np.isnan(found.trend.value), "all trained alike"


def test_a_species_of_few_recordings_has_no_interval(make_run: MakeRun) -> None:
    table = invent_predictions((0, 1, 2))
    rare = (table["species"] == "aniani") & (table["recording"] > "aniani/XC01.ogg")
    found = score_species(find_runs([make_run(predictions=table[~rare], fold="all")])[0], FEW)
    notes = {row["species"]: row["note"] for row in species_rows(found, Taxonomy())}
    assert notes == {"akiapo": "", "aniani": "recordings: 2, no interval", "apapan": ""}
    assert np.isnan(found.auc[1].low)
    assert "aniani" in {text.get_text() for text in draw_scores_by_count([found]).axes[0].texts}


def test_more_recordings_and_better_scores_correlate() -> None:
    trained = np.array([3.0, 10.0, 30.0, 100.0, np.nan])
    assert correlation(np.array([0.5, 0.6, 0.7, 0.8, 0.1]), trained) == pytest.approx(1)
    assert correlation(np.array([0.8, np.nan, 0.7, 0.5, 0.1]), trained) == pytest.approx(-1)
    assert np.isnan(correlation(np.array([0.5, np.nan, np.nan, 0.8, 0.1]), trained))


def test_figures_carry_species_and_shares(make_run: MakeRun) -> None:
    run = planted(make_run)
    confusion = confusion_of(run.predictions, 0.85)
    axes, bar = draw_confusion_matrix(confusion).axes
    assert [text.get_text() for text in bar.get_yticklabels()][-1] == "100%"
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        f"{code}, 9" for code in confusion.species
    ]
    assert {text.get_text() for text in axes.texts} >= {"100", "89"}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("species called", "clips of, number")
    left, right = draw_scores_by_count([score_species(run, FEW)]).axes
    assert {text.get_text() for text in left.texts} == set(SPECIES)
    assert left.get_xscale() == "log"
    assert (left.get_ylabel(), right.get_ylabel()) == ("ROC-AUC", "2022 score")


@pytest.fixture(scope="module")
def trained(tiny_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a real tiny run of one fold."""
    config = replace(tiny_config(tiny_demo, tmp_path_factory.mktemp("runs") / "outputs"), epochs=1)
    folder = open_run_folder(config, "20260101-000000-aaaa", create=True)
    TinyTrainer(config, folder, build_accelerator(config)).fit()
    return find_runs([folder.path])[0]


def test_what_is_drawn_is_what_the_network_of_the_fold_detects(trained: Run) -> None:
    mistakes = find_mistakes(trained, 3, 0.85)
    clips = clips_of_mistakes(trained, mistakes, None)
    for one in clips:
        assert one.missing == ""
        assert one.mel is not None
        assert one.detections is not None
        assert one.clip is not None
        assert one.clip[one.species.index(one.mistake.species)] == pytest.approx(
            one.mistake.probability, abs=2e-3
        )
    panels = draw_mistakes(clips).axes
    assert len(panels) == 2 * len(clips)
    assert mistakes[0].words in panels[0].get_title()
    found = panels[1].get_legend()
    assert found is not None
    assert found.get_texts()[0].get_text() == mistakes[0].species


def test_without_audio_or_checkpoint_it_is_said_which(
    trained: Run, make_run: MakeRun, tmp_path: Path, tiny_demo: Path
) -> None:
    mistakes = find_mistakes(trained, 2, 0.85)
    silent = clips_of_mistakes(trained, mistakes, str(tmp_path))
    assert all(one.mel is None and "name their folder with --root" in one.missing for one in silent)
    data = DataConfig(root=str(tiny_demo), num_folds=3, clip_seconds=5.0)
    copied = find_runs([make_run(predictions=trained.predictions.to_table(), data=data)])[0]
    deaf = clips_of_mistakes(copied, mistakes, None)
    assert all(one.mel is not None and one.detections is None for one in deaf)
    assert "without what the network detects" in deaf[0].missing
    assert draw_mistakes(deaf).axes[1].texts[0].get_text() == "no checkpoint"


def test_the_program_analyses_a_real_run(trained: Run, tmp_path: Path) -> None:
    words = ["--out", tmp_path, "--resamples", "100", "--format", "svg"]
    printed = run_program("analysis.species", trained.folder, *words)
    assert "note:" not in printed
    assert "| recording | from second | mistake |" in printed
    for name in ("confusion", "hardest", "species_by_count"):
        assert "tiny" in (tmp_path / f"{name}.svg").read_text()
    assert len(pd.read_csv(tmp_path / "species.csv")) == len(trained.predictions.species)


def test_several_runs_stand_in_one_figure_and_mistakes_are_named(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = str(make_run(fold="all")), str(make_run("other", fold="all"))
    analyse_species(SpeciesConfig(runs=(one, two), resamples=100, out=str(tmp_path / "out")))
    assert "name their folder with --root" in capsys.readouterr().out
    assert (tmp_path / "out" / "other" / "confusion.png").is_file()
    assert (tmp_path / "out" / "species_by_count.png").is_file()
    with pytest.raises(ValueError, match="no such folder"):
        analyse_species(SpeciesConfig(runs=(str(tmp_path / "nowhere"),)))
    with pytest.raises(ValueError, match="clips=0"):
        SpeciesConfig(runs=(one,), clips=0)
