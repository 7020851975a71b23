"""Intervals of call density hold it as often as they say, for rare species and bad scores too."""

import pytest

from benchmarks.survey import Soundscape, SurveyConfig, measure_parts, measure_survey, print_surveys
from core.scoring.survey import Bins


def test_a_rare_species_with_a_bad_score_is_held_and_a_prior_in_each_stratum_misses_it() -> None:
    found = measure_survey(Soundscape(density=0.01, separation=1.0), 150, 200)
    assert found["held"] > 0.93
    assert abs(found["bias"]) < 0.002
    assert found["Jeffreys"] < 0.85


def test_both_tables_of_surveys_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_surveys(SurveyConfig(surveys=5, clips=60, densities=(0.1,), separations=(1.0,)))
    shown = capsys.readouterr().out
    assert "| 0.100 | 1.000 | " in shown
    assert "| call | by site | shares | " in shown


@pytest.mark.slow
@pytest.mark.parametrize("density", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("separation", [0.0, 1.0, 2.5])
def test_95_percent_intervals_hold_the_density_in_93_of_100_surveys(
    density: float, separation: float
) -> None:
    """Where a species is rare, no survey of this size can lie below: then 97 to 99 % hold it."""
    found = measure_survey(Soundscape(density=density, separation=separation), 500, 200)
    assert 0.93 <= found["held"] <= (0.995 if density < 0.1 else 0.98)
    assert found["above"] <= 0.04


@pytest.mark.slow
@pytest.mark.parametrize("bins", ["quantile", "logit"])
@pytest.mark.parametrize("power", [0.0, 1.0])
def test_other_strata_and_allocations_hold_it_too(bins: Bins, power: float) -> None:
    found = measure_survey(Soundscape(density=0.05, separation=1.0), 300, 200, bins, power)
    assert 0.92 <= found["held"] <= 0.995


@pytest.mark.slow
def test_sites_are_held_where_what_is_assumed_of_them_is_true_and_by_their_own_verdicts_always() -> None:
    place = Soundscape(density=0.1, separation=1.5, sites="call")
    wrong = measure_parts(place, 8, 200, by_site=False, alike="shares")
    assert wrong["sites held"] < 0.6
    best = measure_parts(place, 8, 200, by_site=False, alike="best")
    own = measure_parts(place, 8, 600, by_site=True, alike="shares")
    assert min(best["sites held"], own["sites held"]) > 0.88
