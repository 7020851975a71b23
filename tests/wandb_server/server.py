"""The HTTP side of the W&B server: GraphQL, the file stream and uploads, on the loopback."""

import gzip
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.wandb_server import file_stream
from tests.wandb_server.agents import SWEEP_OPERATIONS
from tests.wandb_server.artifacts import ARTIFACT_OPERATIONS
from tests.wandb_server.graphql import RUN_OPERATIONS, GraphQLError
from tests.wandb_server.store import ArtifactRecord, RunRecord, Store, SweepRecord

OPERATIONS = RUN_OPERATIONS | ARTIFACT_OPERATIONS | SWEEP_OPERATIONS
API_KEY = "0123456789" * 4
_OPERATION = re.compile(r"\b(?:query|mutation)\s+(\w+)")
_FILE_STREAM = re.compile(r"/files/[^/]+/[^/]+/(?P<run>[^/]+)/file_stream")

Answer = tuple[HTTPStatus, bytes]


class _HttpServer(ThreadingHTTPServer):
    """The listening socket, which knows the server that answers."""

    def __init__(self, owner: "WandbServer") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.owner = owner

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report what went wrong, unless it is a client that closed its connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection: read a request, let the owner answer it, write the answer."""

    protocol_version = "HTTP/1.1"  # keeps connections open between requests, as the service does
    server: _HttpServer

    def answer(self) -> None:
        """Answer a request of any method."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        status, content = self.server.owner.answer(self.command, self.path, body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = answer  # noqa: N815

    def log_message(self, *args: Any) -> None:
        """Keep the tests' output free of one line a request."""


class WandbServer:
    """A W&B server on 127.0.0.1 and a free port, used as a context manager.

    Parameters
    ----------
    latency
        Seconds that each answer is held back; may be changed at any time.
    seed
        Seed of run and sweep identifiers and of the trials of random sweeps.

    Attributes
    ----------
    refuse
        While true, every request is answered with 503 (service unavailable).
    requests
        One entry a request, refused ones included: the GraphQL operation's name, else its method
        and path.
    errors
        What went wrong in answering an operation that this server knows.
    unknown_operations
        The GraphQL operations and paths that were asked for and that this server does not know.
    """

    def __init__(self, *, latency: float = 0.0, seed: int = 0) -> None:
        self.latency = latency
        self.refuse = False
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.unknown_operations: list[str] = []
        self._store = Store(seed)
        self._http = _HttpServer(self)
        self._store.url = self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        """Start to listen."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop to listen, and refuse what still comes over open connections."""
        self.refuse = True
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def runs(self) -> dict[str, RunRecord]:
        """The runs by their id, in the order of their creation."""
        with self._store.lock:
            return dict(self._store.runs)

    @property
    def sweeps(self) -> dict[str, SweepRecord]:
        """The sweeps by their id, in the order of their creation."""
        with self._store.lock:
            return dict(self._store.sweeps)

    @property
    def artifacts(self) -> dict[str, ArtifactRecord]:
        """The artifacts by their id, one entry a version, in the order of their creation."""
        with self._store.lock:
            return dict(self._store.artifacts)

    def environment(self, directory: Path | None = None, num_retries: int | None = None) -> dict[str, str]:
        """Return the variables that lead a client here, to be merged into `os.environ`.

        Data is sent each second instead of each 15 s, and `python`, `wandb` and `accelerate` are
        those beside the running interpreter.

        Parameters
        ----------
        directory
            Where clients are to keep all that they write: runs, settings, cache, staged files.
        num_retries
            How often clients are to repeat a request that was refused. Left out, they try for
            much longer than a test may last.
        """
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        variables = {
            "PATH": path,
            "NO_PROXY": "127.0.0.1",
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": API_KEY,
            "WANDB_MODE": "online",
            "WANDB_ERROR_REPORTING": "false",
            "WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL": "1",
        }
        if directory is not None:
            for name in ("CONFIG", "CACHE", "DATA"):
                variables[f"WANDB_{name}_DIR"] = str(directory / "wandb-client" / name.lower())
            variables["WANDB_DIR"] = str(directory)
        if num_retries is not None:
            for name in ("GRAPHQL", "FILE_STREAM", "FILE_TRANSFER"):
                variables[f"WANDB_X_{name}_RETRY_MAX"] = str(num_retries)
        return variables

    def stop_run(self, run_id: str) -> None:
        """Ask for the end of a run.

        Its sweep agent sends it SIGTERM at the next heartbeat, at most 5 s later. A run without an
        agent is interrupted by the wandb library, which looks each 15 s.
        """
        self._store.runs[run_id].is_stop_requested = True

    def wait_until(self, condition: Callable[[], bool], timeout_seconds: float = 60.0) -> None:
        """Wait for a condition on what was received.

        Raises
        ------
        TimeoutError
            If the condition does not become true in time.
        """
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            if time.monotonic() > deadline:
                states = {run.id: run.state for run in self.runs.values()}
                raise TimeoutError(f"not true after {timeout_seconds} s; runs: {states}")
            time.sleep(0.05)

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Answer one HTTP request with a status and a body."""
        time.sleep(self.latency)
        request = json.loads(body) if method == "POST" and body else {}
        operation = _OPERATION.search(request.get("query", "")) if path == "/graphql" else None
        name = operation[1] if operation else f"{method} {path}"
        with self._store.lock:
            self.requests.append(name)
            if self.refuse:
                return HTTPStatus.SERVICE_UNAVAILABLE, b"{}"
            if operation:
                return self._answer_graphql(name, request.get("variables") or {})
            stream = _FILE_STREAM.fullmatch(path)
            if stream and stream["run"] in self._store.runs:
                answer = file_stream.receive(self._store.runs[stream["run"]], request)
                return HTTPStatus.OK, json.dumps(answer).encode()
            if path in self._store.uploads:
                return self._answer_upload(method, path, body)
            self.unknown_operations.append(name)
            return HTTPStatus.NOT_FOUND, b"{}"

    def _answer_graphql(self, name: str, variables: dict[str, Any]) -> Answer:
        if name not in OPERATIONS:
            self.unknown_operations.append(name)
            return _graphql_error(f"the test server does not know the operation {name}")
        try:
            data = OPERATIONS[name](self._store, variables)
        except (GraphQLError, KeyError, ValueError) as error:
            self.errors.append(f"{name}: {error!r}")
            return _graphql_error(str(error))
        return HTTPStatus.OK, json.dumps({"data": data}).encode()

    def _answer_upload(self, method: str, path: str, body: bytes) -> Answer:
        files, name = self._store.uploads[path]
        if method == "GET":
            return HTTPStatus.OK, files[name]
        files[name] = body
        return HTTPStatus.OK, b"{}"


def _graphql_error(message: str) -> Answer:
    answer = {"data": None, "errors": [{"message": message}]}
    return HTTPStatus.OK, json.dumps(answer).encode()
