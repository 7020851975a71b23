"""Answer the GraphQL operations of runs, artifacts, sweeps and agents.

An operation is a function of the store and the request's variables that returns `data`. Queries are not
parsed: the installed client asks fixed questions, so each answer holds what it reads.
"""

import json
from collections.abc import Callable
from typing import Any

from tests.wandb_server.store import ENTITY, AgentRecord, RunRecord, Store

Variables = dict[str, Any]
Operation = Callable[[Store, Variables], dict[str, Any]]


def server_features(store: Store, variables: Variables) -> dict[str, Any]:
    """Offer no optional feature, so that clients use what every server has."""
    return {"serverInfo": {"features": []}}


def viewer(store: Store, variables: Variables) -> dict[str, Any]:
    """Name the one user of this server."""
    user = {"id": "user", "entity": ENTITY, "username": ENTITY, "email": "", "flags": "{}"}
    return {"viewer": user | {"teams": {"edges": []}}}


def organization(store: Store, variables: Variables) -> dict[str, Any]:
    """Answer that the user belongs to no organization."""
    return {"entity": {"organization": None}}


def upsert_run(store: Store, variables: Variables) -> dict[str, Any]:
    """Open a run, or change one that exists."""
    run = store.runs.get(variables["name"])
    is_inserted = run is None or run.state == "pending"
    if run is None:
        project = variables.get("project") or RunRecord.project
        run = store.add_run(RunRecord(id=variables["name"], project=project, sweep=variables.get("sweep")))
    run.state, run.exit_code = "running", None
    run.name = variables.get("displayName") or run.name or run.id
    run.group = variables.get("groupName") or run.group
    run.notes = variables.get("notes") or run.notes
    run.config_json = variables.get("config") or run.config_json
    return {"upsertBucket": {"bucket": _bucket(run), "inserted": is_inserted}}


def _project(name: str) -> dict[str, Any]:
    return {"id": name, "internalId": name, "name": name, "entity": {"id": ENTITY, "name": ENTITY}}


def _bucket(run: RunRecord) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.id,
        "displayName": run.name,
        "description": None,
        "config": run.config_json,
        "sweepName": run.sweep,
        "project": _project(run.project),
        "historyLineCount": len(run.history),
    }


def resume_status(store: Store, variables: Variables) -> dict[str, Any]:
    """Tell a client that wants to resume a run what is known of it; no bucket if nothing is."""
    run = store.runs.get(variables["name"])
    if run is None or run.state == "pending":
        return {"model": {"bucket": None}}
    bucket = _bucket(run) | {
        "summaryMetrics": json.dumps(run.summary),
        "logLineCount": 0,
        "eventsLineCount": 0,
        "historyTail": json.dumps([json.dumps(row) for row in run.history[-1:]]),
        "eventsTail": "[]",
        "tags": [],
        "notes": None,
        "wandbConfig": json.dumps({"t": 1}),
    }
    return {"model": _project(run.project) | {"bucket": bucket}}


def run_state(store: Store, variables: Variables) -> dict[str, Any]:
    """Tell the state of a run."""
    run = store.runs.get(variables["run"])
    return {"project": {"run": run and {"id": run.id, "state": run.state}}}


def _upload(store: Store, files: dict[str, bytes], name: str) -> dict[str, Any]:
    """Return the place to which the contents of `files[name]` are to be put."""
    path = f"/uploads/{len(store.uploads)}"
    store.uploads[path] = (files, name)
    place = {"id": path, "name": name, "uploadUrl": store.url + path}
    return place | {"uploadHeaders": [], "uploadMultipartUrls": None}


def create_run_files(store: Store, variables: Variables) -> dict[str, Any]:
    """Tell where to put the files of a run."""
    run = store.runs[variables["run"]]
    files = [_upload(store, run.files, name) for name in variables["files"]]
    return {"createRunFiles": {"runID": run.id, "uploadHeaders": [], "files": files}}


def mark_run_files_uploaded(store: Store, variables: Variables) -> dict[str, Any]:
    """Acknowledge that the files of a run have arrived."""
    return {"markRunFilesUploaded": {"success": True}}


def artifact_type(store: Store, variables: Variables) -> dict[str, Any]:
    """Answer that an artifact is new."""
    return {"project": {"artifact": None}}


def create_artifact(store: Store, variables: Variables) -> dict[str, Any]:
    """Open an artifact; a logged table is one."""
    name = variables["input"]["artifactCollectionName"]
    store.artifacts[name] = {}
    sequence = {"id": name, "latestArtifact": None}
    return {"createArtifact": {"artifact": {"id": name, "state": "PENDING", "artifactSequence": sequence}}}


def create_manifest(store: Store, variables: Variables) -> dict[str, Any]:
    """Open the manifest of an artifact."""
    manifest = {"id": variables["artifactID"], "file": _upload(store, {}, "manifest.json")}
    return {"createArtifactManifest": {"artifactManifest": manifest}}


def update_manifest(store: Store, variables: Variables) -> dict[str, Any]:
    """Tell where to put the finished manifest of an artifact."""
    manifest = {"id": variables["artifactManifestID"], "file": _upload(store, {}, "manifest.json")}
    return {"updateArtifactManifest": {"artifactManifest": manifest}}


def create_artifact_files(store: Store, variables: Variables) -> dict[str, Any]:
    """Tell where to put the contents of an artifact."""
    edges = [
        {
            "node": _upload(store, store.artifacts[file["artifactID"]], file["name"])
            | {"storagePath": file["name"], "artifact": {"id": file["artifactID"]}}
        }
        for file in variables["input"]["artifactFiles"]
    ]
    return {"createArtifactFiles": {"files": {"edges": edges}}}


def commit_artifact(store: Store, variables: Variables) -> dict[str, Any]:
    """Close an artifact."""
    return {"commitArtifact": {"artifact": {"id": variables["artifactID"], "digest": ""}}}


def create_sweep(store: Store, variables: Variables) -> dict[str, Any]:
    """Create a sweep."""
    sweep = store.add_sweep(variables["config"], variables["projectName"])
    answer = {"name": sweep.id, "state": sweep.state, "project": _project(sweep.project)}
    return {"upsertSweep": {"sweep": answer, "configValidationWarnings": []}}


def sweep_with_runs(store: Store, variables: Variables) -> dict[str, Any]:
    """Tell an agent about its sweep."""
    sweep = store.sweeps[variables["sweep"]]
    facts = {"id": sweep.id, "name": sweep.id, "method": sweep.config["method"], "state": sweep.state}
    unused = ("description", "bestLoss", "controller", "scheduler", "earlyStopJobRunning")
    runs = {"config": sweep.source, "runs": {"edges": []}}
    return {"project": {"sweep": facts | dict.fromkeys(unused) | runs}}


def create_agent(store: Store, variables: Variables) -> dict[str, Any]:
    """Enter an agent of a sweep."""
    name = f"agent-{len(store.agents)}"
    store.agents[name] = AgentRecord(sweep=store.sweeps[variables["sweep"]])
    return {"createAgent": {"agent": {"id": name}}}


def heartbeat(store: Store, variables: Variables) -> dict[str, Any]:
    """Take note of the run that an agent, each five seconds, reports alive, and tell it what to do.

    `run` starts a trial, `stop` sends SIGTERM to one, `exit` ends the agent.
    """
    agent = store.agents[variables["id"]]
    run = agent.run
    if run and run.id not in json.loads(variables.get("runState") or "{}"):
        run.state = "crashed" if run.is_unfinished else run.state
        agent.run = run = None
    if run is None:
        commands = [_next_trial(store, agent)]
    else:
        commands = [{"type": "stop", "run_id": run.id}] if run.is_stop_requested else []
    return {"agentHeartbeat": {"agent": {"id": variables["id"]}, "commands": json.dumps(commands)}}


def _next_trial(store: Store, agent: AgentRecord) -> dict[str, Any]:
    sweep = agent.sweep
    trial = next(sweep.trials, None)
    if trial is None:
        sweep.state = "FINISHED"
        return {"type": "exit"}
    agent.run = store.add_run(
        RunRecord(id=f"{sweep.id}-trial{len(sweep.runs)}", project=sweep.project, sweep=sweep.id)
    )
    arguments = {name: {"value": value} for name, value in trial.items()}
    return {"type": "run", "run_id": agent.run.id, "args": arguments, "program": sweep.config["program"]}


OPERATIONS: dict[str, Operation] = {
    "ServerFeaturesQuery": server_features,
    "Viewer": viewer,
    "OrganizationCoreWeaveOrganizationID": organization,
    "UpsertBucket": upsert_run,
    "RunResumeStatus": resume_status,
    "RunState": run_state,
    "CreateRunFiles": create_run_files,
    "MarkRunFilesUploaded": mark_run_files_uploaded,
    "ArtifactType": artifact_type,
    "CreateArtifact": create_artifact,
    "CreateArtifactManifest": create_manifest,
    "UpdateArtifactManifest": update_manifest,
    "CreateArtifactFiles": create_artifact_files,
    "CommitArtifact": commit_artifact,
    "UpsertSweep": create_sweep,
    "SweepWithRuns": sweep_with_runs,
    "CreateAgent": create_agent,
    "Heartbeat": heartbeat,
}
