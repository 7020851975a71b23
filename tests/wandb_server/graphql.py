"""Answer the GraphQL operations of a run: who am I, open, resume, announce files, artifacts.

An operation is a function of the store and the request's variables that returns `data`. Queries
are not parsed: the installed client asks fixed questions, so each answer holds what it reads.
"""

import json
from collections.abc import Callable
from typing import Any

from tests.wandb_server.store import DEFAULT_PROJECT, ENTITY, RunRecord, Store

Variables = dict[str, Any]
Operation = Callable[[Store, Variables], dict[str, Any]]


class GraphQLError(Exception):
    """A request that is answered with an error instead of data."""


def server_features(store: Store, variables: Variables) -> dict[str, Any]:
    """Offer no optional feature, so that clients use what every server has."""
    return {"serverInfo": {"features": []}}


def viewer(store: Store, variables: Variables) -> dict[str, Any]:
    """Name the one user of this server."""
    return {
        "viewer": {
            "id": "user-0",
            "entity": ENTITY,
            "username": ENTITY,
            "email": "tester@localhost",
            "flags": "{}",
            "teams": {"edges": []},
        }
    }


def organization(store: Store, variables: Variables) -> dict[str, Any]:
    """Answer that the user belongs to no organization."""
    return {"entity": {"organization": None}}


def upsert_run(store: Store, variables: Variables) -> dict[str, Any]:
    """Open a run, or change one that exists."""
    run_id = variables.get("name") or store.draw_id(store.runs)
    run = store.runs.get(run_id)
    is_inserted = run is None or run.state == "pending"
    if run is None:
        run = store.add_run(
            RunRecord(
                id=run_id,
                name=run_id,
                entity=variables.get("entity") or ENTITY,
                project=variables.get("project") or DEFAULT_PROJECT,
                sweep=variables.get("sweep"),
            )
        )
    run.state = variables.get("state") or "running"
    run.exit_code = None
    _update_run(run, variables)
    return {"upsertBucket": {"bucket": _bucket(run), "inserted": is_inserted}}


def _update_run(run: RunRecord, variables: Variables) -> None:
    run.name = variables.get("displayName") or run.name
    run.group = variables.get("groupName") or run.group
    run.job_type = variables.get("jobType") or run.job_type
    run.notes = variables.get("notes") or run.notes
    run.tags = variables.get("tags") or run.tags
    if variables.get("config"):
        run.config_json = variables["config"]
        items = json.loads(run.config_json).items()
        run.config = {name: item["value"] for name, item in items if name != "_wandb"}
    if variables.get("summaryMetrics"):
        run.summary = json.loads(variables["summaryMetrics"])


def describe_project(entity: str, project: str) -> dict[str, Any]:
    """Return the node of a project."""
    return {
        "id": f"project-{project}",
        "internalId": f"project-{project}",
        "name": project,
        "entity": {"id": f"entity-{entity}", "name": entity},
    }


def _bucket(run: RunRecord) -> dict[str, Any]:
    return {
        "id": run.node_id,
        "name": run.id,
        "displayName": run.name,
        "description": None,
        "config": run.config_json,
        "sweepName": run.sweep,
        "project": describe_project(run.entity, run.project),
        "historyLineCount": len(run.history),
    }


def resume_status(store: Store, variables: Variables) -> dict[str, Any]:
    """Tell a client that wants to resume a run what is known of it; no bucket if nothing is."""
    run = store.runs.get(variables["name"])
    entity = variables.get("entity") or ENTITY
    model = describe_project(entity, variables.get("project") or DEFAULT_PROJECT)
    if run is None or run.state == "pending":
        return {"model": model | {"bucket": None}}
    bucket = _bucket(run) | {
        "summaryMetrics": json.dumps(run.summary),
        "logLineCount": len(run.output),
        "eventsLineCount": len(run.events),
        "historyTail": json.dumps([json.dumps(row) for row in run.history[-1:]]),
        "eventsTail": json.dumps([json.dumps(row) for row in run.events[-1:]]),
        "tags": run.tags,
        "notes": run.notes,
        "wandbConfig": json.dumps({"t": 1}),
    }
    return {"model": model | {"bucket": bucket}}


def run_state(store: Store, variables: Variables) -> dict[str, Any]:
    """Tell the state of a run."""
    run = store.runs.get(variables["run"])
    return {"project": {"run": run and {"id": run.node_id, "state": run.state}}}


def create_run_files(store: Store, variables: Variables) -> dict[str, Any]:
    """Tell where to put the files of a run."""
    run = store.runs[variables["run"]]
    files = [{"name": name, "uploadUrl": store.add_upload(run.files, name)} for name in variables["files"]]
    return {"createRunFiles": {"runID": run.node_id, "uploadHeaders": [], "files": files}}


def mark_run_files_uploaded(store: Store, variables: Variables) -> dict[str, Any]:
    """Acknowledge that the files of a run have arrived."""
    return {"markRunFilesUploaded": {"success": True}}


RUN_OPERATIONS: dict[str, Operation] = {
    "ServerFeaturesQuery": server_features,
    "Viewer": viewer,
    "OrganizationCoreWeaveOrganizationID": organization,
    "UpsertBucket": upsert_run,
    "RunResumeStatus": resume_status,
    "RunState": run_state,
    "CreateRunFiles": create_run_files,
    "MarkRunFilesUploaded": mark_run_files_uploaded,
}
