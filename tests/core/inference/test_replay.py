"""What a GPU replays equals what it launches, batch by batch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.simulated import RATE, build_ensemble
from core.inference.config import WindowConfig
from core.inference.engines.backends import with_backend
from core.inference.predictor import Predictor
from tests.core.inference.conftest import write_noise


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("context", [1, 3])
def test_replayed_batches_are_those_launched_one_by_one(tmp_path: Path, context: int) -> None:
    device = torch.device("cuda")
    paths = [write_noise(tmp_path / f"{i}.wav", 17.0 + 9 * i, RATE, seed=i) for i in range(8)]
    ensemble = build_ensemble("test_efficientnet", range(2), 0.1 * torch.randn(4, 5 * RATE))
    ensemble = with_backend(ensemble, "torch", device, context)
    predictor = Predictor(ensemble, WindowConfig(batch=6, context=context), device, segments=True)
    replayed = dict(predictor.predict_files(paths))
    assert predictor.replay is not None
    predictor.replay = None
    launched = dict(predictor.predict_files(paths))
    for position, result in launched.items():
        np.testing.assert_allclose(replayed[position].probability, result.probability, atol=1e-6)
        np.testing.assert_allclose(replayed[position].segments, result.segments, atol=1e-6)
