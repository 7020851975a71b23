"""Windows arrive on a device as they were, more of them than there are buffers."""

import numpy as np
import pytest
import torch

from core.inference.staging import NUM_BUFFERS, Staging

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NO_GPU)])
@pytest.mark.parametrize("kind", ["int16", "float32"])
def test_windows_arrive_as_they_were(device: str, kind: str) -> None:
    generator, staging = np.random.default_rng(0), Staging(torch.device(device))
    sent: list[list[np.ndarray]] = [
        [
            generator.integers(-999, 999, (int(n), 1600)).astype(kind)
            for n in generator.integers(1, 13, 2 * NUM_BUFFERS)
        ]
        for _ in range(3)
    ]
    found = [staging.send(waves) for waves in sent]
    for batch, waves in zip(found, sent, strict=True):
        np.testing.assert_array_equal(batch.cpu().numpy(), np.concatenate(waves))
        assert batch.cpu().numpy().dtype == kind
