"""Ways are timed in turns, and their ratios are of the same round."""

import time
from collections.abc import Callable
from functools import partial

import pytest

from benchmarks.all import draw_ratios
from benchmarks.input import InputBenchmark, measure_input
from benchmarks.timing import Timings, time_in_turns


def test_ratios_are_medians_over_rounds_and_count_units() -> None:
    found = Timings("q", "clips", {"a": [2.0, 4.0, 6.0], "b": [1.0, 1.0, 1.0]}, {"a": 10, "b": 5})
    assert found.ratio("a") == 1
    assert found.ratio("b") == 2, "four times as fast, half the units"
    assert found.rate("a") == 2.5
    assert "| b | 5 | 2.00 | |" in str(found).replace("  ", " ")


def test_ways_take_turns() -> None:
    order: list[str] = []
    ways: dict[str, Callable[[], object]] = {name: partial(order.append, name) for name in ("a", "b")}
    ways["c"] = partial(time.sleep, 0.01)
    found = time_in_turns("q", "calls", ways, 1, rounds=3)
    assert order == ["a", "b"] * 4, "once unmeasured"
    assert found.ratio("c") < 1


def test_a_panel_a_table_with_its_ratios() -> None:
    table = Timings("q", "clips", {"a": [2.0], "b": [1.0]}, {"a": 1, "b": 1}).as_dict()
    figure = draw_ratios([table, table])
    assert len(figure.axes) == 2
    assert [text.get_text() for text in figure.axes[0].texts] == ["1.0x, 0.5/s", "2.0x, 1/s"]


@pytest.mark.slow
def test_the_input_path_is_faster_than_the_original_one(capsys: pytest.CaptureFixture[str]) -> None:
    measure_input(InputBenchmark(recordings=12, clip_seconds=5.0, rounds=2))
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| ours |"))
    assert float(row.split("|")[3]) > 3
