"""Answer the GraphQL operations of `wandb sweep` and `wandb agent`.

An agent reports every five seconds which runs it has alive, and is answered with commands: `run`
starts a trial, `stop` sends SIGTERM to one, `exit` kills what is left and ends the agent. It holds
one trial at a time.
"""

import json
from typing import Any

from tests.wandb_server.graphql import GraphQLError, Operation, Variables, describe_project
from tests.wandb_server.store import DEFAULT_PROJECT, ENTITY, AgentRecord, RunRecord, Store, SweepRecord
from tests.wandb_server.sweep_yaml import parse_sweep_yaml

Command = dict[str, Any]


def upsert_sweep(store: Store, variables: Variables) -> dict[str, Any]:
    """Create a sweep, or change the state of one that exists."""
    source = variables.get("config")
    if variables.get("id"):
        sweep = _find(store, variables["id"])
        if source and source != sweep.source:
            raise GraphQLError("this server cannot change the configuration of a sweep")
    else:
        if not source:
            raise GraphQLError("a new sweep needs a configuration")
        entity = variables.get("entityName") or ENTITY
        name = variables.get("projectName") or DEFAULT_PROJECT
        sweep = store.add_sweep(source, parse_sweep_yaml(source), entity, name)
    sweep.requested_state = variables.get("state") or sweep.requested_state
    project = describe_project(sweep.entity, sweep.project)
    answer = {"name": sweep.id, "state": sweep.state, "project": project}
    return {"upsertSweep": {"sweep": answer, "configValidationWarnings": []}}


def _find(store: Store, sweep_id: str) -> SweepRecord:
    for sweep in store.sweeps.values():
        if sweep_id in (sweep.id, sweep.node_id):
            return sweep
    raise GraphQLError(f"sweep {sweep_id!r} not found")


def sweep_with_runs(store: Store, variables: Variables) -> dict[str, Any]:
    """Tell everything about a sweep; no sweep if it is not known."""
    sweep = store.sweeps.get(variables["sweep"])
    if sweep is None:
        return {"project": {"sweep": None}}
    answer = {
        "id": sweep.node_id,
        "name": sweep.id,
        "method": sweep.config["method"],
        "state": sweep.state,
        "description": sweep.config.get("description"),
        "config": sweep.source,
        "earlyStopJobRunning": False,
        "bestLoss": None,
        "controller": None,
        "scheduler": None,
        "runs": {"edges": [{"node": _run_node(run)} for run in sweep.runs]},
    }
    return {"project": {"sweep": answer}}


def _run_node(run: RunRecord) -> dict[str, Any]:
    return {
        "name": run.id,
        "state": run.state,
        "config": run.config_json,
        "exitcode": run.exit_code,
        "shouldStop": run.is_stop_requested,
        "failed": run.state == "failed",
        "stopped": run.is_stop_requested and not run.is_unfinished,
        "running": run.state == "running",
        "summaryMetrics": json.dumps(run.summary),
        "sampledHistory": [[]],
    }


def create_agent(store: Store, variables: Variables) -> dict[str, Any]:
    """Enter an agent of a sweep."""
    agent = AgentRecord(id=f"agent-{len(store.agents)}", sweep=_find(store, variables["sweep"]))
    store.agents[agent.id] = agent
    return {"createAgent": {"agent": {"id": agent.id}}}


def heartbeat(store: Store, variables: Variables) -> dict[str, Any]:
    """Take note of the runs an agent has alive and tell it what to do."""
    agent = store.agents[variables["id"]]
    alive = json.loads(variables.get("runState") or "{}")
    for run in [run for run in agent.runs if run.id not in alive]:
        agent.runs.remove(run)
        if run.is_unfinished:
            run.state = "crashed"
    commands = _commands(store, agent)
    return {"agentHeartbeat": {"agent": {"id": agent.id}, "commands": json.dumps(commands)}}


def _commands(store: Store, agent: AgentRecord) -> list[Command]:
    sweep = agent.sweep
    is_canceled = sweep.requested_state == "CANCELED"
    if agent.runs:
        doomed = [run for run in agent.runs if run.is_stop_requested or is_canceled]
        return [{"type": "stop", "run_id": run.id} for run in doomed]
    if sweep.requested_state == "PAUSED":
        return []
    trial = sweep.take_trial() if sweep.requested_state == "RUNNING" else None
    if trial is None:
        return [{"type": "exit"}]
    run = RunRecord(
        id=store.draw_id(store.runs),
        name=f"trial-{len(sweep.runs) + 1}",
        sweep=sweep.id,
        entity=sweep.entity,
        project=sweep.project,
    )
    agent.runs.append(store.add_run(run))
    arguments = {name: {"value": value} for name, value in trial.items()}
    program = sweep.config.get("program")
    return [{"type": "run", "run_id": run.id, "args": arguments, "program": program}]


SWEEP_OPERATIONS: dict[str, Operation] = {
    "UpsertSweep": upsert_sweep,
    "SweepWithRuns": sweep_with_runs,
    "CreateAgent": create_agent,
    "Heartbeat": heartbeat,
}
