"""The 5 s grid."""

import numpy as np
import pytest

from core.inference.windows import count_windows, merge_shifts, pieces, smooth


@pytest.mark.parametrize(
    ("seconds", "number"),
    [
        (59.99, 12),
        (60.0, 12),
        (60.01, 12),
        (60.49, 12),
        (61.0, 13),
        (4.2, 1),
        (0.1, 1),
        (5.0, 1),
        (9.99, 2),
        (0, 0),
    ],
)
def test_windows_of_a_file(seconds: float, number: int) -> None:
    assert count_windows(round(seconds * 32000), 32000) == number


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("block", [1, 13, 50, 1000])
def test_pieces_hold_every_sample_once_whatever_the_blocks(size: int, block: int) -> None:
    rate, wave = 10, np.arange(1, 318, dtype=np.float32)  # 31.7 s
    stream = (wave[i : i + block] for i in range(0, len(wave), block))
    found = list(pieces(stream, rate, size))
    assert [piece.first for piece in found] == list(range(0, 7, size))
    windows = np.concatenate([piece.windows(0.0, rate) for piece in found])
    assert windows.shape == (7, 50)
    assert np.array_equal(windows.ravel()[:317], wave)
    assert not windows.ravel()[317:].any()
    shifted = np.concatenate([piece.windows(2.0, rate) for piece in found])
    assert np.array_equal(shifted.ravel()[:297], wave[20:])


def test_shifts_are_averaged_by_overlap() -> None:
    plain, shifted = np.array([[0.0], [1.0], [0.0]]), np.array([[0.5], [1.0], [0.0]])
    merged = merge_shifts({0.0: plain, 2.5: shifted})
    # window 1 is covered half by shifted window 0 (0.5) and half by shifted window 1 (1.0)
    np.testing.assert_allclose(merged[:, 0], [(0 + 0.5) / 2, (1 + 0.75) / 2, (0 + 0.5) / 2])


def test_smoothing_keeps_a_constant_and_spreads_a_peak() -> None:
    assert np.array_equal(smooth(np.ones((4, 2)), 0.2), np.ones((4, 2)))
    np.testing.assert_allclose(smooth(np.array([[0.0], [1.0], [0.0]]), 0.25)[:, 0], [0.25, 0.5, 0.25])
