"""Answer the GraphQL operations by which a client uploads an artifact.

An upload goes: create the artifact, create its manifest, ask where to put the files, put them,
update the manifest with its digest and put it, commit.
"""

from typing import Any

from tests.wandb_server.graphql import Operation, Variables, describe_project
from tests.wandb_server.store import ArtifactRecord, Store

MANIFEST = "manifest.json"


def _find(store: Store, name: str) -> ArtifactRecord | None:
    """Return the newest committed artifact that `name` or `name:alias` stands for."""
    collection, _, alias = name.partition(":")
    for artifact in reversed(store.artifacts.values()):
        is_alias = alias in ("", "latest", *artifact.aliases)
        if artifact.name == collection and is_alias and artifact.state == "COMMITTED":
            return artifact
    return None


def artifact_type(store: Store, variables: Variables) -> dict[str, Any]:
    """Tell the type of an artifact; none if it is new."""
    artifact = _find(store, variables["name"])
    answer = artifact and {"artifactType": {"name": artifact.type}}
    return {"project": {"artifact": answer}}


def create_artifact(store: Store, variables: Variables) -> dict[str, Any]:
    """Open a version of an artifact, or return the one with the same contents."""
    request = variables["input"]
    name, digest = request["artifactCollectionName"], request["digest"]
    latest = _find(store, name)
    if latest is not None and latest.digest == digest:
        artifact = latest
    else:
        artifact = ArtifactRecord(
            id=f"artifact-{len(store.artifacts)}",
            name=name,
            type=request["artifactTypeName"],
            digest=digest,
            version=sum(one.name == name for one in store.artifacts.values()),
            run_id=request.get("runName"),
            aliases=[item["alias"] for item in request.get("aliases") or []],
        )
        store.artifacts[artifact.id] = artifact
    sequence = {"id": f"sequence-{name}", "latestArtifact": latest and {"id": latest.id}}
    answer = {"id": artifact.id, "state": artifact.state, "artifactSequence": sequence}
    return {"createArtifact": {"artifact": answer}}


def _manifest(store: Store, artifact: ArtifactRecord) -> dict[str, Any]:
    url = store.add_upload(artifact.files, MANIFEST)
    file = {"id": f"file-{artifact.id}", "uploadUrl": url, "uploadHeaders": []}
    return {"artifactManifest": {"id": f"manifest-{artifact.id}", "file": file}}


def artifact_by_id(store: Store, variables: Variables) -> dict[str, Any]:
    """Describe an artifact to a client that waited for it."""
    artifact = store.artifacts[variables["id"]]
    run = store.runs.get(artifact.run_id or "")
    collection = {
        "__typename": "ArtifactSequence",
        "name": artifact.name,
        "project": describe_project(run.entity, run.project) if run else None,
    }
    aliases = [
        {"id": f"alias-{alias}", "alias": alias, "artifactCollection": collection}
        for alias in [f"v{artifact.version}", *artifact.aliases]
    ]
    contents = [data for name, data in artifact.files.items() if name != MANIFEST]
    answer = {
        "id": artifact.id,
        "artifactSequence": collection,
        "versionIndex": artifact.version,
        "artifactType": {"name": artifact.type},
        "description": None,
        "metadata": None,
        "ttlDurationSeconds": -1,
        "ttlIsInherited": False,
        "tags": [],
        "historyStep": None,
        "state": artifact.state,
        "size": sum(map(len, contents)),
        "digest": artifact.digest,
        "digestAlgorithm": "MANIFEST_MD5",
        "commitHash": artifact.digest,
        "fileCount": len(contents),
        "createdAt": "2000-01-01T00:00:00Z",
        "updatedAt": None,
        "aliases": aliases,
    }
    return {"artifact": answer}


def create_manifest(store: Store, variables: Variables) -> dict[str, Any]:
    """Open the manifest of an artifact."""
    artifact = store.artifacts[variables["artifactID"]]
    return {"createArtifactManifest": _manifest(store, artifact)}


def update_manifest(store: Store, variables: Variables) -> dict[str, Any]:
    """Tell where to put the finished manifest of an artifact."""
    artifact = store.artifacts[variables["artifactManifestID"].removeprefix("manifest-")]
    return {"updateArtifactManifest": _manifest(store, artifact)}


def create_files(store: Store, variables: Variables) -> dict[str, Any]:
    """Tell where to put the contents of an artifact."""
    edges = []
    for file in variables["input"]["artifactFiles"]:
        artifact = store.artifacts[file["artifactID"]]
        node: dict[str, Any] = {
            "storagePath": f"{artifact.id}/{file['name']}",
            "uploadUrl": store.add_upload(artifact.files, file["name"]),
            "uploadHeaders": [],
            "uploadMultipartUrls": None,
            "artifact": {"id": artifact.id},
        }
        edges.append({"node": node})
    return {"createArtifactFiles": {"files": {"edges": edges}}}


def commit_artifact(store: Store, variables: Variables) -> dict[str, Any]:
    """Close an artifact: from now on it can be found by its name."""
    artifact = store.artifacts[variables["artifactID"]]
    artifact.state = "COMMITTED"
    return {"commitArtifact": {"artifact": {"id": artifact.id, "digest": artifact.digest}}}


ARTIFACT_OPERATIONS: dict[str, Operation] = {
    "ArtifactType": artifact_type,
    "ArtifactByID": artifact_by_id,
    "CreateArtifact": create_artifact,
    "CreateArtifactManifest": create_manifest,
    "UpdateArtifactManifest": update_manifest,
    "CreateArtifactFiles": create_files,
    "CommitArtifact": commit_artifact,
}
