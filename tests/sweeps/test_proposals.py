"""What trials try."""

from pathlib import Path
from typing import Any

import pytest

from sweeps.proposals import num_trials, propose
from sweeps.sweep_folder import Trial
from tests.sweeps.sweep_texts import make_sweep

DRAWN = {
    "optim.lr": {"distribution": "log_uniform_values", "min": 1.0e-4, "max": 1.0e-2},
    "loss.kind": {"values": ["focal", "bce"]},
    "epochs": {"value": 3},
}


def test_a_grid_is_the_whole_product_and_its_last_name_varies_fastest(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, parameters={"seed": {"values": [1, 2]}, "epochs": {"values": [5, 4]}})
    assert num_trials(sweep, None) == 4
    trials = [propose(sweep, 0, number).parameters for number in range(4)]
    assert [(trial["epochs"], trial["seed"]) for trial in trials] == [(5, 1), (5, 2), (4, 1), (4, 2)]


@pytest.mark.parametrize(
    ("count", "cap", "expected"), [(None, None, None), (8, None, 8), (8, 5, 5), (None, 5, 5)]
)
def test_count_and_run_cap_limit_the_trials(
    tmp_path: Path, count: int | None, cap: int | None, expected: int | None
) -> None:
    change: dict[str, Any] = {} if cap is None else {"run_cap": cap}
    assert num_trials(make_sweep(tmp_path, method="random", parameters=DRAWN, **change), count) == expected


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_file_seed_and_number_decide_what_a_trial_tries(tmp_path: Path, method: str) -> None:
    sweep = make_sweep(tmp_path, method=method, parameters=DRAWN)
    first = propose(sweep, 7, 2)
    assert propose(sweep, 7, 2).parameters == first.parameters
    assert propose(sweep, 8, 2).parameters != first.parameters
    assert propose(sweep, 7, 3).parameters != first.parameters
    assert list(first.parameters) == ["epochs", "loss.kind", "optim.lr"]
    assert 1e-4 <= first.parameters["optim.lr"] <= 1e-2


def test_bayes_learns_from_results(tmp_path: Path) -> None:
    """On a hill around lr = 1e-3, more than chance would put there lies in the best fifth of the range."""
    sweep = make_sweep(tmp_path, method="bayes", parameters=DRAWN)
    near, by_chance = 0, 3 * 20 / 5
    for seed in range(3):
        known: list[tuple[Trial, list[float]]] = []
        for number in range(30):
            trial = propose(sweep, seed, number, known)
            distance = abs(trial.positions["optim.lr"] - 0.5)
            near += number >= 10 and distance < 0.1
            trial.state = "finished"
            known.append((trial, [-distance]))
    assert near > 2 * by_chance


def test_bayes_takes_running_stopped_and_valueless_trials(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, method="bayes", parameters=DRAWN)
    states = [("finished", [0.5]), ("running", [0.2]), ("stopped", [0.1, 0.2]), ("finished", [])] * 4
    known = []
    for number, (state, values) in enumerate(states):
        trial = propose(sweep, 1, number)
        trial.state = state
        known.append((trial, values))
    assert propose(sweep, 1, 16, known).parameters["epochs"] == 3
    assert propose(sweep, 1, 16, known).parameters != propose(sweep, 1, 16).parameters
