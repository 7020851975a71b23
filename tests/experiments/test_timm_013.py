from pathlib import Path

import pytest
import torch

from core.run_folder import open_run_folder
from core.trainer import build_accelerator
from experiments.timm_013.config import StudentConfig
from experiments.timm_013.run import Timm013
from tests.runs import tiny_config, train_two_folds, with_data


@pytest.fixture(scope="module")
def outputs(tiny_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two trained folds."""
    folder = tmp_path_factory.mktemp("teachers")
    train_two_folds(tiny_demo, folder)
    return folder


def student(root: Path, outputs: Path, fold: int | None, share: float, teachers: list[str]) -> Timm013:
    plain = with_data(tiny_config(root, outputs), fold=fold)
    values = {name: getattr(plain, name) for name in plain.__dataclass_fields__}
    config = StudentConfig(**values | {"name": "student"}, teachers=teachers, teacher_share=share)
    folder = open_run_folder(config, f"{share}-{fold}", create=True)
    return Timm013(config, folder, build_accelerator(config))


def test_targets_are_labels_and_the_mean_of_the_teachers(tiny_demo: Path, outputs: Path) -> None:
    runs = sorted(str(path) for path in (outputs / "tiny").iterdir())
    trainer = student(tiny_demo, outputs, None, 0.75, runs)
    trainer.loaders.batches.start_at(0, 0)
    batch = next(iter(trainer.loaders.train))
    assert len(trainer.teachers.models) == 2
    with torch.no_grad():
        said = [torch.sigmoid(m(batch.wave, 1).clip_logit) for m in trainer.teachers.models]
    plain = student(tiny_demo, outputs, None, 0.0, []).label(batch)
    expected = 0.25 * plain.target + 0.75 * (said[0] + said[1]) / 2
    assert torch.allclose(trainer.label(batch).target, expected, atol=1e-6)
    assert not trainer.label(batch).target.requires_grad


def test_only_the_teacher_of_the_same_fold_teaches(tiny_demo: Path, outputs: Path) -> None:
    runs = sorted(str(path) for path in (outputs / "tiny").iterdir())
    assert len(student(tiny_demo, outputs, 1, 0.5, runs).teachers.models) == 1
    with pytest.raises(ValueError, match="none of them held out fold 1"):
        _ = student(tiny_demo, outputs, 1, 0.5, runs[:1]).teachers


def test_an_experiment_folder_stands_for_its_last_run(tiny_demo: Path, outputs: Path) -> None:
    assert len(student(tiny_demo, outputs, None, 0.5, [str(outputs / "tiny")]).teachers.models) == 1


def test_a_missing_teacher_is_named(tiny_demo: Path, outputs: Path) -> None:
    with pytest.raises(ValueError, match="nowhere: no such folder"):
        _ = student(tiny_demo, outputs, None, 0.5, ["nowhere"]).teachers


def test_a_student_trains_to_its_end(tiny_demo: Path, outputs: Path) -> None:
    trainer = student(tiny_demo, outputs, 0, 0.5, [str(outputs / "tiny" / "20260101-000000-aaaa-fold0")])
    trainer.fit()
    assert trainer.record.folder.is_finished
