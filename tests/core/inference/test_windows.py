"""The 5 s grid."""

import numpy as np
import pytest

from core.inference.windows import cut_pieces, merge_shifts, mix_neighbours


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("block", [1, 13, 50, 1000])
def test_pieces_hold_every_sample_once_whatever_the_blocks(size: int, block: int) -> None:
    rate, wave = 10, np.arange(1, 318, dtype=np.float32)  # 31.7 s
    stream = ((wave[i : i + block],) for i in range(0, len(wave), block))
    found = [pieces[rate] for pieces in cut_pieces(stream, [rate], size)]
    assert [piece.first for piece in found] == list(range(0, 7, size))
    assert found[-1].end_seconds == pytest.approx(31.7)
    windows = np.concatenate([piece.windows(0.0) for piece in found])
    assert windows.shape == (7, 50)
    assert np.array_equal(windows.ravel()[:317], wave)
    assert not windows.ravel()[317:].any()
    shifted = np.concatenate([piece.windows(2.0) for piece in found])
    assert np.array_equal(shifted.ravel()[:297], wave[20:])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_the_last_window_is_repeated_where_the_network_was_trained_so(size: int, shift: float) -> None:
    rate, wave = 10, np.arange(1, 318, dtype=np.float32)  # 31.7 s: the last window has 1.7 s
    found = [pieces[rate] for pieces in cut_pieces([(wave,)], [rate], size)]
    padded = np.concatenate([piece.windows(shift, "pad") for piece in found])
    repeated = np.concatenate([piece.windows(shift, "repeat") for piece in found])
    rest = wave[300 + round(shift * rate) :]
    assert np.array_equal(repeated[:5], padded[:5])
    if shift < 1.7:
        assert np.array_equal(repeated[6], np.resize(rest, 50))
    else:
        assert not repeated[6].any(), "a window wholly after the end"


def test_a_short_recording_is_repeated() -> None:
    wave = np.array([1, 2, 3, 4, 5, 6, 7], np.float32)
    (pieces,) = cut_pieces([(wave,)], [2], 12)
    assert pieces[2].windows(0.0, "repeat").tolist() == [[1, 2, 3, 4, 5, 6, 7, 1, 2, 3]]
    assert pieces[2].windows(0.0, "pad").tolist() == [[1, 2, 3, 4, 5, 6, 7, 0, 0, 0]]


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("lengths", [(55, 110), (54, 109), (50, 101), (55, 109)])
def test_sample_rates_have_the_same_windows_though_rounding_differs(
    size: int, lengths: tuple[int, int]
) -> None:
    blocks = [tuple(np.ones(length, np.float32) for length in lengths)]
    found = list(cut_pieces(blocks, [10, 20], size))
    numbers = [[piece.number for piece in pieces.values()] for pieces in found]
    assert all(one == two for one, two in numbers)
    assert sum(one for one, _ in numbers) == (2 if lengths == (55, 110) else 1)
    assert all(pieces[20].windows(0.0).shape == (pieces[10].number, 100) for pieces in found)


def test_shifts_are_averaged_by_overlap() -> None:
    plain, shifted = np.array([[0.0], [1.0], [0.0]]), np.array([[0.5], [1.0], [0.0]])
    merged = merge_shifts({0.0: plain, 2.5: shifted})
    # window 1 is covered half by shifted window 0 (0.5) and half by shifted window 1 (1.0)
    np.testing.assert_allclose(merged[:, 0], [(0 + 0.5) / 2, (1 + 0.75) / 2, (0 + 0.5) / 2])


def test_smoothing_keeps_a_constant_and_spreads_a_peak() -> None:
    assert np.array_equal(mix_neighbours(np.ones((4, 2)), 0.2), np.ones((4, 2)))
    np.testing.assert_allclose(mix_neighbours(np.array([[0.0], [1.0], [0.0]]), 0.25)[:, 0], [0.25, 0.5, 0.25])
