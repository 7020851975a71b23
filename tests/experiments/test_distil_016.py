from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from core import checkpoint
from core.config import SpecAugmentConfig
from core.config_data import NoiseConfig
from core.data.clips import Draw
from core.training.augment import Labelled
from experiments.distil_016.config import CONFIG, TeacherConfig
from experiments.distil_016.run import Distil016
from tests.bird_model import SIZE, write_bird_model
from tests.folders import make_year
from tests.runs import BACKBONE, FEATURES, open_trainer, tiny_config


def trainer_of(root: Path, folder: Path, *, epochs: int, embedding_share: float) -> Distil016:
    tiny, card = tiny_config(root, folder), write_bird_model(folder / "model")
    config = replace(
        CONFIG,
        schedule="full", output_dir=tiny.output_dir, valid=tiny.valid, tracking=tiny.tracking,
        features=FEATURES,
        model=replace(CONFIG.model, backbone=BACKBONE, pretrained=False, embedding_size=SIZE),
        teacher=TeacherConfig(card=str(card)),
        data=replace(
            CONFIG.data, root=str(root), cache=str(folder / "cache"), num_folds=3, min_epoch_steps=8,
            noise=NoiseConfig(probabilities=[]),
        ),
        spec_augment=SpecAugmentConfig(probability=0.0),
        epochs=epochs, embedding_share=embedding_share,
    )  # fmt: skip
    trainer = open_trainer(config, kind=Distil016)
    assert isinstance(trainer, Distil016)
    return trainer


def test_the_target_is_the_teacher_s_embedding_of_the_very_clip(tiny_demo: Path, tmp_path: Path) -> None:
    trainer = trainer_of(tiny_demo, tmp_path, epochs=2, embedding_share=0.5)
    trainer.loaders.batches.start_at(0, 0)
    batch = next(iter(trainer.loaders.train))
    target = trainer.label(batch).target
    assert torch.equal(target[:, : len(trainer.species)], batch.target)
    recording, start = int(trainer.entry[batch.recording[0]]), int(batch.start[0])
    audio, embedder = trainer.teacher.audio, trainer.teacher.embedder
    first = round(start / 32000 * embedder.config.sample_rate)
    wave = audio.read(recording, first, 3 * embedder.config.sample_rate) / np.float32(32768)
    number = embedder.num_frames(len(wave))
    expected = embedder.embed(embedder.windows(wave, 0, number)).embedding.mean(axis=0)
    expected = (expected - trainer.mean) / trainer.deviation
    cosine = functional.cosine_similarity(
        target[0, len(trainer.species) :], torch.from_numpy(expected), dim=0
    )
    assert cosine > 0.9999


@pytest.mark.slow
def test_labels_teach_the_last_layer_first_and_then_all(tiny_demo: Path, tmp_path: Path) -> None:
    trainer = trainer_of(tiny_demo, tmp_path, epochs=6, embedding_share=0.7)
    head = trainer.model.head.weight.clone()
    trainer.start()
    losses, reached = [], []
    for epoch in range(6):
        trainer.train_epoch(epoch)
        losses.append(trainer.progress.epoch_loss)
        trainer.model.zero_grad()
        trainer.model(torch.randn(2, 3 * 32000)).clip_logit.sum().backward()
        reached.append(trainer.model.projection.weight.grad is not None)
        trainer.end_epoch()
    assert reached == [False] * 4 + [True] * 2
    assert losses[3] < 0.6 * losses[0]
    assert (trainer.model.head.weight - head).abs().max() > 1e-3


def test_soundscapes_nobody_labelled_teach_embeddings_and_nothing_else(tmp_path: Path) -> None:
    root = make_year(tmp_path / "2026", 2026)
    trainer = trainer_of(root, tmp_path, epochs=2, embedding_share=0.5)
    labelled = trainer.data.soundscapes.windows.soundscape[trainer.data.soundscapes.train]
    assert [trainer.data.item_names[i] for i in trainer.unlabelled] == [
        f"BC2026_Train_0001_S01_20220101_000000 at {begin} s" for begin in (0, 5)
    ]
    assert "BC2026_Train_0001_S01_20220101_000000" not in labelled
    assert len(trainer.data.soundscapes.windows) == 6 + 2
    item = int(trainer.unlabelled[0])
    clips = trainer.loaders.train.clips.batch([Draw(0, item, 0, 0)])
    labels = trainer.label(clips)
    assert (labels.mask.sum(), labels.weight.item()) == (0, 1)
    trainer.start()
    for epoch, expected in enumerate((True, False)):
        trainer.train_epoch(epoch)
        drawn = {draw.recording for batch in trainer.loaders.batches for draw in batch}
        assert bool(drawn & set(trainer.unlabelled.tolist())) == expected
        trainer.end_epoch()
    alone = Labelled(
        torch.zeros(2, len(trainer.species) + SIZE), torch.zeros(2, len(trainer.species)), torch.zeros(2)
    )
    output = trainer.model(torch.randn(2, 3 * 32000))
    torch.testing.assert_close(trainer.compute_loss(output, alone), torch.ones(2))  # of embeddings alone


def test_a_student_predicts_without_its_teacher(tiny_demo: Path, tmp_path: Path) -> None:
    trainer = trainer_of(tiny_demo, tmp_path, epochs=1, embedding_share=0.0)
    trainer.fit()
    for file in (tmp_path / "model").iterdir():
        file.unlink()
    model, _ = checkpoint.load_model(trainer.record.folder.path / "checkpoints" / "last")
    assert torch.isfinite(model(torch.randn(2, 5 * 32000)).clip_logit).all()


def test_the_size_of_the_teacher_is_checked_before_anything_is_decoded(
    tiny_demo: Path, tmp_path: Path
) -> None:
    config = trainer_of(tiny_demo, tmp_path, epochs=2, embedding_share=0.5).config
    wrong = replace(config, model=replace(config.model, embedding_size=7))
    with pytest.raises(ValueError, match=f"model.embedding_size=7: .* gives {SIZE}"):
        open_trainer(wrong, "b", Distil016)
