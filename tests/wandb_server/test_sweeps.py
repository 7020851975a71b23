"""The choice of trials, the commands agents get, and the reading of what `wandb sweep` sends."""

import itertools
import json
import math
import random
from typing import Any

import pytest

from tests.wandb_server.agents import create_agent, heartbeat
from tests.wandb_server.store import Store, SweepRecord
from tests.wandb_server.sweep_yaml import parse_sweep_yaml
from tests.wandb_server.sweeps import choose_trials

GRID = {"method": "grid", "parameters": {"a": {"values": [1, 2]}, "b": {"values": ["x", "y"]}}}
DRAWN = {
    "rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-1},
    "depth": {"min": 2, "max": 4},
    "dropout": {"min": 0.0, "max": 0.5},
    "width": {"distribution": "q_uniform", "min": 16, "max": 64, "q": 16},
    "loss": {"values": ["bce", "focal"], "probabilities": [0.0, 1.0]},
    "mixup": {"parameters": {"alpha": {"distribution": "normal", "mu": 3, "sigma": 0}}},
}


def choose(config: dict[str, Any], num_trials: int | None = None) -> list[dict[str, Any]]:
    """Return the first trials of a sweep."""
    return list(itertools.islice(choose_trials(config, random.Random(0)), num_trials))


def test_grid_varies_its_last_parameter_fastest() -> None:
    trials = [(trial["a"], trial["b"]) for trial in choose(GRID)]
    assert trials == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]


def test_grid_nests_parameters_and_counts_integers() -> None:
    parameters = {"mixup": {"parameters": {"alpha": {"min": 1, "max": 2}}}, "seed": {"value": 3}}
    trials = choose({"method": "grid", "parameters": parameters})
    assert trials == [{"mixup": {"alpha": 1}, "seed": 3}, {"mixup": {"alpha": 2}, "seed": 3}]


def test_run_cap_limits_the_trials() -> None:
    assert len(choose(GRID | {"run_cap": 3})) == 3
    assert len(choose({"method": "random", "parameters": DRAWN, "run_cap": 5})) == 5


def test_random_trials_stay_within_their_distributions() -> None:
    trials = choose({"method": "random", "parameters": DRAWN}, 200)
    assert all(1e-5 <= trial["rate"] <= 1e-1 for trial in trials)
    assert {trial["depth"] for trial in trials} == {2, 3, 4}
    assert all(isinstance(trial["dropout"], float) for trial in trials)
    assert {trial["width"] for trial in trials} == {16, 32, 48, 64}
    assert {trial["loss"] for trial in trials} == {"focal"}
    assert all(trial["mixup"] == {"alpha": 3} for trial in trials)
    below_middle = sum(math.log10(trial["rate"]) < -3 for trial in trials)
    assert 70 < below_middle < 130  # uniform in the logarithm: 100 expected, deviation 7


def test_seed_determines_random_trials() -> None:
    config = {"method": "random", "parameters": DRAWN}
    assert choose(config, 5) == choose(config, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "bayes"}, "method: found 'bayes'"),
        ({"parameters": {}}, "parameters: found none"),
        ({"parameters": {"a": 1}}, "parameters.a: found 1"),
        ({"parameters": {"a": {"vals": [1]}}}, "parameters.a: found"),
        ({"parameters": {"a": {"parameters": {"b": {"min": 0.0}}}}}, "parameters.a.b: found"),
        ({"parameters": {"a": {"min": 0.0, "max": 1.0}}}, "parameters.a: a grid needs values"),
        ({"parameters": {"a": {"distribution": "beta"}}}, "parameters.a: found"),
    ],
)
def test_wrong_configuration_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose(GRID | change)


@pytest.fixture
def store() -> Store:
    """Return a store without sweeps."""
    return Store()


def start_sweep(store: Store, num_agents: int, **change: Any) -> tuple[SweepRecord, list[str]]:
    """Create a sweep and agents of it."""
    sweep = store.add_sweep("", GRID | change, "tester", "birds")
    answers = [create_agent(store, {"sweep": sweep.id}) for _ in range(num_agents)]
    return sweep, [answer["createAgent"]["agent"]["id"] for answer in answers]


def beat(store: Store, agent: str, *alive: str) -> list[tuple[str, str | None]]:
    """Send the heartbeat of an agent; return the type and the run of each command."""
    report = {"id": agent, "runState": json.dumps(dict.fromkeys(alive, True))}
    commands = json.loads(heartbeat(store, report)["agentHeartbeat"]["commands"])
    return [(command["type"], command.get("run_id")) for command in commands]


def test_agents_share_a_sweep_and_leave_at_its_end(store: Store) -> None:
    sweep, (first, second) = start_sweep(store, 2, run_cap=2)
    assert beat(store, first) == [("run", sweep.runs[0].id)]
    assert beat(store, second) == [("run", sweep.runs[1].id)]
    assert beat(store, first, sweep.runs[0].id) == []
    for run, agent in zip(sweep.runs, (first, second), strict=True):
        assert sweep.state == "RUNNING"
        run.finish(0)
        assert beat(store, agent) == [("exit", None)]
    assert sweep.state == "FINISHED"


def test_lost_run_is_crashed_and_another_is_started(store: Store) -> None:
    sweep, (agent,) = start_sweep(store, 1)
    beat(store, agent)
    assert beat(store, agent) == [("run", sweep.runs[1].id)]
    assert [run.state for run in sweep.runs] == ["crashed", "pending"]


def test_paused_sweep_lets_its_agents_wait(store: Store) -> None:
    sweep, (agent,) = start_sweep(store, 1)
    sweep.requested_state = "PAUSED"
    assert beat(store, agent) == []
    sweep.requested_state = "RUNNING"
    assert beat(store, agent) == [("run", sweep.runs[0].id)]


def test_canceled_sweep_stops_its_runs_and_then_its_agents(store: Store) -> None:
    sweep, (agent,) = start_sweep(store, 1)
    beat(store, agent)
    sweep.requested_state = "CANCELED"
    assert beat(store, agent, sweep.runs[0].id) == [("stop", sweep.runs[0].id)]
    assert beat(store, agent) == [("exit", None)]
    assert sweep.state == "CANCELED"


@pytest.mark.parametrize(
    "value",
    [
        GRID | {"metric": {"name": "valid/score", "goal": "maximize"}, "run_cap": 3},
        {
            "numbers": [0, -1, 1.5, 1e-05, 1e20, 0.1, float("inf")],
            "none": None,
            "flag": [True, False],
        },
        {
            "strings": [
                "1e-3",
                "1.5e3",
                "1",
                "0x10",
                "on",
                "null",
                "",
                "-",
                "~",
                "1:30",
                "08",
                "2022-01-01",
            ]
        },
        {"command": ["${env}", "accelerate", "--key=[1, 2]", "${args}", "it's", 'a "b"', "# no"]},
        {"empty": {}, "none": [], "nested": [[1, 2], [{"a": 1, "b": [2]}], "x"]},
        {
            "text": "first line\nsecond\n\nthird: 'x'\n",
            "accents": "é 🐦 \t",
            "folded": "word " * 60,
        },
        {"a.b": 1, "a:b": 2, "a b": 3, "'": 4, "9": 5, "true": 6, "quoted: key": {"deep": [1]}},
        {
            "folded and quoted": "key: " + "value " * 40,
            "escaped": "é " * 80,
            "list": ["é " * 80, "word " * 60, "- " * 60],
        },
    ],
)
def test_yaml_of_pyyaml_is_read_as_it_was_written(value: Any) -> None:
    yaml = pytest.importorskip("yaml")
    assert parse_sweep_yaml(yaml.dump(value)) == value


@pytest.mark.parametrize("text", ["a: &b 1", "a: |\n  text", "a: [1, 2]", "a: 1\n  b: 2\nc", "a: !!int 1"])
def test_other_yaml_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="sweep YAML"):
        parse_sweep_yaml(text)
