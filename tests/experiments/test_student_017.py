"""Rounds of a noisy student: who teaches it, what it learns, how it ends and goes on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.data.clips import Draw
from experiments.student_017.config import CONFIG, NoisyStudentConfig
from experiments.student_017.run import Student017
from tests.runs import FEATURES, open_trainer, tiny_config, train_two_folds, with_data

TEACHERS = ("20260101-000000-aaaa-fold0", "20260101-000000-aaaa-fold1")


@pytest.fixture(scope="module")
def outputs(tiny_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two trained folds, which validate recordings only."""
    folder = tmp_path_factory.mktemp("teachers")
    train_two_folds(tiny_demo, folder)
    return folder


def config_of(root: Path, outputs: Path, folder: Path, *teachers: str, **data: object) -> NoisyStudentConfig:
    tiny = tiny_config(root, folder)
    given = replace(
        CONFIG,
        schedule="full", output_dir=tiny.output_dir, valid=tiny.valid, tracking=tiny.tracking,
        features=FEATURES, epochs=1,
        model=tiny.model,
        data=replace(tiny.data, min_epoch_steps=2),
        teachers=[str(outputs / "tiny" / name) for name in teachers],
    )  # fmt: skip
    return with_data(given, **data)  # type: ignore[return-value]


def test_a_fold_is_labelled_by_those_that_held_it_out(tiny_demo: Path, outputs: Path, tmp_path: Path) -> None:
    trainer = open_trainer(config_of(tiny_demo, outputs, tmp_path, *TEACHERS, fold=1), kind=Student017)
    assert [path.parents[1].name for path in trainer.teachers] == [TEACHERS[1]]  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="none of them held out fold 2"):
        open_trainer(config_of(tiny_demo, outputs, tmp_path, *TEACHERS, fold=2), kind=Student017)


def test_a_teacher_that_saw_a_site_that_judges_is_refused(
    tiny_demo: Path, outputs: Path, tmp_path: Path
) -> None:
    """The teacher trained with other labelled soundscapes: it cannot say that it held these out."""
    card = outputs / "tiny" / TEACHERS[0] / "checkpoints" / "last" / "checkpoint.json"
    text = card.read_text()
    config = config_of(tiny_demo, outputs, tmp_path, TEACHERS[0], soundscapes="validate")
    open_trainer(config, kind=Student017)
    try:
        card.write_text(text.replace('"soundscapes": "ignore"', '"soundscapes": "train_and_validate"'))
        with pytest.raises(ValueError, match=r"did not validate \d+ of the \d+ soundscapes that judge"):
            open_trainer(config, kind=Student017)
    finally:
        card.write_text(text)


def test_a_window_is_taught_the_power_of_what_its_teacher_said(
    tiny_demo: Path, outputs: Path, tmp_path: Path
) -> None:
    config = config_of(tiny_demo, outputs, tmp_path, TEACHERS[0], soundscapes="validate")
    config = replace(config, rounds=2, round=2)
    trainer = open_trainer(config, kind=Student017)
    items, clips = trainer.data.soundscapes, trainer.loaders.train.clips
    first = open_trainer(replace(config, round=1), "b", kind=Student017).data.soundscapes.guessed
    assert items.guessed is not None
    assert first is not None
    assert np.allclose(items.guessed, first**1.54)
    pool = trainer.loaders.batches.scored_pool
    window = int(pool.positions[0]) - len(trainer.data.store.lengths)
    batch = clips[Draw(0, int(pool.positions[0]), 0, 1)]
    assert torch.allclose(batch.target, torch.from_numpy(items.guessed[window]))
    assert batch.mask.all()
    assert pool.weights is not None
    assert np.allclose(pool.weights[0], items.guessed[window].max())
    assert set(items.windows.site[items.is_unlabelled]) == {"DEMO_S01", "DEMO_S02", "DEMO_S03"}
    assert set(items.windows.site[~items.is_unlabelled]) == {"DEMO_S01", "DEMO_S02"}
    assert not set(pool.positions - len(trainer.data.store.lengths)) & {*items.train, *items.valid}


@pytest.mark.slow
def test_rounds_end_in_their_interval_and_go_on_after_a_kill(
    tiny_demo: Path, outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    config = config_of(tiny_demo, outputs, tmp_path, TEACHERS[0])
    monkeypatch.setattr(Student017, "goes_on", lambda found: True)
    monkeypatch.setattr(Student017, "finish", _killed)
    with pytest.raises(SystemExit):
        Student017.main(config)
    monkeypatch.undo()
    monkeypatch.setattr(Student017, "goes_on", lambda found: True)
    Student017.main(replace(config, resume="last"))
    printed = capsys.readouterr().out
    first, second = sorted((tmp_path / "student_017").iterdir())
    assert json.loads((first / "config.json").read_text())["round"] == 1
    record = json.loads((second / "round.json").read_text())
    assert (record["round"], record["teachers"], record["is_last"]) == (2, [str(first)], True)
    assert "recordings" in record["against_the_one_before"]
    row = json.loads((first / "round.json").read_text())["against_the_one_before"]["recordings"]
    assert row["low"] <= row["difference"] <= row["high"]
    assert "Round 2 and the one before:" in printed


def _killed(trainer: Student017) -> None:
    raise KeyboardInterrupt


def test_a_round_that_gains_nothing_is_the_last(tiny_demo: Path, outputs: Path, tmp_path: Path) -> None:
    config = config_of(tiny_demo, outputs, tmp_path, TEACHERS[0], fold=None)
    Student017.main(config)
    (run,) = (tmp_path / "student_017").iterdir()
    record = json.loads((run / "round.json").read_text())
    assert record["is_last"]
    assert record["against_the_one_before"]["recordings"] == "nothing was judged"
