import pytest

from core.scoring.power import detectable_difference, recordings_needed


def test_detectable_difference_is_the_textbooks() -> None:
    assert detectable_difference(0.01) == pytest.approx((1.959964 + 0.841621) * 0.01, rel=1e-5)
    assert detectable_difference(0.01, 0.99, 0.9) > detectable_difference(0.01)


def test_half_the_effect_takes_four_times_the_recordings() -> None:
    assert recordings_needed(0.028, 0.01, 100) == pytest.approx(101, abs=1)
    assert recordings_needed(0.014, 0.01, 100) == pytest.approx(401, abs=1)
    assert recordings_needed(-0.014, 0.01, 100) == recordings_needed(0.014, 0.01, 100)


def test_no_effect_is_never_found() -> None:
    assert recordings_needed(0.0, 0.01, 100) is None
