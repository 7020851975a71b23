"""Compiled networks train as uncompiled ones do."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.config import OptimConfig, TimmConfig
from tests.runs import BACKBONE, open_trainer, tiny_config


@pytest.mark.slow
def test_a_compiled_network_trains_alike_and_is_scored_uncompiled(tiny_demo: Path, tmp_path: Path) -> None:
    config = replace(tiny_config(tiny_demo, tmp_path), epochs=1, optim=OptimConfig(lr=3e-4, ema_decay=0.9))
    config = replace(config, model=TimmConfig(backbone=BACKBONE, pretrained=False, dropout=0.0))
    found = []
    for compiled in (False, True):
        trainer = open_trainer(replace(config, compile=compiled), str(compiled))
        trainer.fit()
        validated = trainer.last_validated
        assert validated is not None
        found.append((trainer.progress.epoch_loss, validated.recordings.probability, trainer))
    (loss, probability, plain), (other_loss, other_probability, other) = found
    assert other_loss == pytest.approx(loss, rel=1e-4)
    assert abs(other_probability - probability).max() < 1e-3
    assert plain.model.compiled is None
    assert other.model.compiled is not None
    assert other.scored_model.compiled is None
    for one, same in zip(plain.model.buffers(), other.model.buffers(), strict=True):
        torch.testing.assert_close(same, one, rtol=1e-3, atol=1e-3)


def test_what_a_compiled_network_cannot_is_refused(tiny_demo: Path, tmp_path: Path) -> None:
    config = tiny_config(tiny_demo, tmp_path)
    with pytest.raises(ValueError, match="compile=True: takes whole batches"):
        replace(config, compile=True, optim=OptimConfig(accumulation=2))
    with pytest.raises(ValueError, match="compile=True: takes whole batches"):
        replace(config, compile=True, model=TimmConfig(recompute=True))
