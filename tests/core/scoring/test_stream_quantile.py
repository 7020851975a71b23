"""The quantile of a stream is that of all its values together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.scoring import stream_quantile as module
from core.scoring.stream_quantile import stream_quantile

NUMBERS = st.floats(-1e6, 1e6) | st.sampled_from([0.0, -0.0, 0.5, 5e-324, 1.0])


def of_blocks(values: np.ndarray, quantile: float, blocks: int = 3) -> float:
    parts = np.array_split(values, blocks)
    return stream_quantile(lambda: iter(parts), len(values), quantile)


@given(st.lists(NUMBERS, min_size=1, max_size=40), st.floats(0, 1))
def test_it_is_numpys(values: list[float], quantile: float) -> None:
    array = np.array(values)
    assert of_blocks(array, quantile) == np.quantile(array, quantile)


@pytest.mark.parametrize("kept", [0, 1, 50])
@pytest.mark.parametrize("quantile", [0.0, 0.123, 0.5, 0.85, 1.0])
def test_it_is_numpys_where_few_values_fit_into_memory(
    kept: int, quantile: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_KEPT", kept)
    generator = np.random.default_rng(0)
    values = np.concatenate([generator.beta(0.1, 3, 5000), np.zeros(3000), generator.normal(size=100)])
    assert of_blocks(values, quantile, blocks=7) == np.quantile(values, quantile)
