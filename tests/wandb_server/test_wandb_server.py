"""What tests with the real clients take for granted of their server."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.wandb_server import WandbServer, clean_server, run_client

RESUMING = """
import os, wandb
run = wandb.init(project="birds", id="again", resume="allow")
for _ in range(2):
    run.log({"start": int(os.environ["START"])})
"""


def post(server: WandbServer, path: str, body: bytes) -> bytes:
    """Send a request to the server and return the answer."""
    with urllib.request.urlopen(urllib.request.Request(server.url + path, body)) as answer:
        return bytes(answer.read())


def test_what_the_server_does_not_know_is_answered_with_an_error_and_listed() -> None:
    with WandbServer() as server:
        answer = json.loads(post(server, "/graphql", b'{"query": "query Weather { sun }"}'))
        with pytest.raises(urllib.error.HTTPError, match="404"):
            post(server, "/weather", b"{}")
    assert "Weather" in answer["errors"][0]["message"]
    assert server.unknown_operations == ["Weather", "POST /weather"]


@pytest.mark.slow
def test_resumed_run_continues_its_history(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(RESUMING)
    with clean_server() as server:
        for start in ("1", "2"):
            done = run_client(server, ["python", "program.py"], tmp_path, START=start)
            assert done.returncode == 0, done.stdout
    (run,) = server.runs.values()
    assert [(row["_step"], row["start"]) for row in run.history] == [(0, 1), (1, 1), (2, 2), (3, 2)]
