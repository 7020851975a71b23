"""The distributions of W&B's sweep files."""

import math
import random
import statistics
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sweeps.parameters import Parameter, read_parameters

DRAWS = 4000


def read_parameter(entry: dict[str, Any]) -> Parameter:
    (parameter,) = read_parameters({"key": entry})
    return parameter


def draws(entry: dict[str, Any]) -> list[Any]:
    parameter = read_parameter(entry)
    generator = random.Random(0)
    return [parameter.draw(generator) for _ in range(DRAWS)]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"min": 0.5, "max": 2.0}, stats.uniform(0.5, 1.5)),
        ({"distribution": "log_uniform_values", "min": 1.0e-4, "max": 0.1}, stats.loguniform(1e-4, 0.1)),
        ({"distribution": "log_uniform", "min": -2, "max": 1}, stats.loguniform(math.exp(-2), math.exp(1))),
        (
            {"distribution": "inv_log_uniform", "min": -1, "max": 2},
            stats.loguniform(math.exp(-2), math.exp(1)),
        ),
        ({"distribution": "inv_log_uniform_values", "min": 2.0, "max": 50.0}, stats.loguniform(2.0, 50.0)),
        ({"distribution": "normal", "mu": 3.0, "sigma": 0.5}, stats.norm(3.0, 0.5)),
        ({"mu": 3.0, "sigma": 0.5}, stats.norm(3.0, 0.5)),
        ({"distribution": "beta", "a": 2.0, "b": 5.0}, stats.beta(2.0, 5.0)),
        ({"distribution": "normal"}, stats.norm(0.0, 1.0)),
        ({"distribution": "log_normal", "mu": 1.0, "sigma": 0.5}, stats.lognorm(0.5, scale=math.e)),
    ],
)
def test_continuous_draws_follow_their_distribution(entry: dict[str, Any], expected: Any) -> None:
    assert stats.kstest(draws(entry), expected.cdf).pvalue > 0.01


def test_whole_ends_make_whole_numbers_with_both_ends_equally_often() -> None:
    drawn = draws({"min": 2, "max": 5})
    counts = [drawn.count(value) for value in (2, 3, 4, 5)]
    assert sum(counts) == DRAWS
    assert all(isinstance(value, int) for value in drawn)
    assert stats.chisquare(counts).pvalue > 0.01


def test_quantised_draws_are_multiples_of_their_step() -> None:
    assert set(draws({"distribution": "q_uniform", "min": 16, "max": 64, "q": 16})) == {16, 32, 48, 64}
    tenths = draws({"distribution": "q_uniform", "min": 0.0, "max": 0.4, "q": 0.1})
    assert set(tenths) == {0.0, 0.1, 0.2, 0.3, 0.4}
    assert {type(value) for value in draws({"distribution": "q_uniform", "min": 0.0, "max": 9.0})} == {int}
    drawn = draws({"distribution": "q_normal", "mu": 10, "sigma": 3, "q": 2})
    assert {value % 2 for value in drawn} == {0}
    assert abs(statistics.mean(drawn) - 10) < 0.3
    logs = draws({"distribution": "q_log_uniform_values", "min": 1, "max": 1000, "q": 5})
    assert {value % 5 for value in logs} == {0}


def test_values_come_as_often_as_their_probabilities_say() -> None:
    drawn = draws({"values": ["bce", "focal", None], "probabilities": [0.7, 0.3, 0.0]})
    assert drawn.count(None) == 0
    assert abs(drawn.count("bce") / DRAWS - 0.7) < 0.03
    equal = draws({"values": [1, 2]})
    assert abs(equal.count(1) / DRAWS - 0.5) < 0.03
    assert set(draws({"value": [1, 2][0]})) == {1}


def test_both_ends_of_a_range_are_candidates() -> None:
    def candidates(**entry: Any) -> list[Any]:
        return read_parameter(entry).candidates

    assert candidates(min=0.5, max=2.0) == [0.5, 2.0]
    assert candidates(min=1, max=3) == [1, 3]
    assert candidates(distribution="log_uniform_values", min=0.1, max=2.0) == [0.1, 2.0]
    assert candidates(distribution="log_uniform", min=0, max=1) == pytest.approx([1, math.e])
    low, high = candidates(distribution="normal", mu=0.0, sigma=1.0)
    assert low == pytest.approx(-3.09, abs=0.01)
    assert high == pytest.approx(3.09, abs=0.01)


def test_a_grid_goes_through_whole_numbers_and_steps() -> None:
    assert read_parameter({"min": 1, "max": 3}).values == [1, 2, 3]
    stepped = {"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 0.25}
    assert read_parameter(stepped).values == np.arange(0.0, 1.0, 0.25).tolist()
    assert read_parameter({"min": 0.0, "max": 1.0}).values is None


def test_parameters_are_read_in_order_of_their_names_at_every_level() -> None:
    entries = {"b": {"value": 1}, "a": {"parameters": {"d": {"value": 2}, "c": {"value": 3}}}}
    assert [parameter.key for parameter in read_parameters(entries)] == ["a.c", "a.d", "b"]
