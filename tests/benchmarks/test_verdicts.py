"""Verdicts keep their error rates on invented data."""

from dataclasses import replace

import pytest

from benchmarks.coverage import World
from benchmarks.verdicts import (
    VerdictConfig,
    coverage_over_seeds,
    equal_shares,
    false_alarms,
    measure_verdicts,
)


@pytest.mark.slow
def test_equal_is_seldom_said_of_runs_that_differ_by_the_margin() -> None:
    world = replace(World(), gain=0.3)
    true, found = equal_shares(world, "auc", (0.8, 1.0, 4.0), 150, 300)
    assert true > 0.005
    assert found[0.8] <= found[1.0] <= 0.05 + 0.036, "5 %, and what 150 data sets leave open"
    assert found[4.0] > 0.5


@pytest.mark.slow
def test_the_best_of_equal_runs_is_seldom_told_from_the_others() -> None:
    _, corrected = false_alarms("macro_auc", VerdictConfig(datasets=100, resamples=200))
    assert corrected <= 0.05 + 0.045, "5 %, and what 100 sets leave open"


@pytest.mark.slow
def test_intervals_over_seeds_hold_the_truth() -> None:
    held, _ = coverage_over_seeds(3, 0.3, 0.7, VerdictConfig(datasets=100, resamples=200))
    assert held >= 0.95 - 0.045, "95 %, and what 100 sets leave open"


def test_the_table_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.coverage.LARGE", 2)
    measure_verdicts(
        VerdictConfig(datasets=2, resamples=100, shares=(1.0,), runs=3, seeds=(2,), trials=(12,))
    )
    assert "| score | " in capsys.readouterr().out
