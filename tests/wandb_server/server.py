"""The HTTP side of the W&B server: GraphQL, the file stream and uploads, on the loopback."""

import gzip
import json
import re
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.wandb_server.operations import OPERATIONS
from tests.wandb_server.store import RunRecord, Store

_OPERATION = re.compile(r"\b(?:query|mutation)\s+(\w+)")
_FILE_STREAM = re.compile(r"/files/[^/]+/[^/]+/(?P<run>[^/]+)/file_stream")

Answer = tuple[HTTPStatus, dict[str, Any]]


class WandbServer(ThreadingHTTPServer):
    """A W&B server on 127.0.0.1 and a free port, used as a context manager.

    Attributes
    ----------
    refuse
        While true, every request is answered with 503 (service unavailable).
    errors
        What went wrong in answering an operation that this server knows.
    unknown_operations
        The GraphQL operations and paths that were asked for and that this server does not know.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.store = Store(self.url)
        self.refuse = False
        self.errors: list[str] = []
        self.unknown_operations: list[str] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Start to listen."""
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *args: object) -> None:
        """Stop to listen, and refuse what still comes over open connections."""
        self.refuse = True
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report what went wrong, unless it is a client that closed its connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def runs(self) -> dict[str, RunRecord]:
        """The runs by their id, in the order of their creation."""
        return dict(self.store.runs)

    def stop_run(self, run_id: str) -> None:
        """Ask for the end of a run: its sweep agent sends it SIGTERM at the next heartbeat."""
        self.store.runs[run_id].is_stop_requested = True

    def wait_until(self, condition: Callable[[], bool], timeout_seconds: float = 60.0) -> None:
        """Wait for a condition on what was received."""
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            if time.monotonic() > deadline:
                states = {run.id: run.state for run in self.runs.values()}
                raise TimeoutError(f"not true after {timeout_seconds} s; runs: {states}")
            time.sleep(0.05)

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Answer one HTTP request with a status and what is sent as JSON."""
        with self._lock:
            if self.refuse:
                return HTTPStatus.SERVICE_UNAVAILABLE, {}
            if method == "PUT" and path in self.store.uploads:
                files, name = self.store.uploads[path]
                files[name] = body
                return HTTPStatus.OK, {}
            request = json.loads(body) if body else {}
            operation = _OPERATION.search(request.get("query", ""))
            if path == "/graphql" and operation:
                return HTTPStatus.OK, self._answer_graphql(operation[1], request.get("variables") or {})
            stream = _FILE_STREAM.fullmatch(path)
            if stream and stream["run"] in self.store.runs:
                receive(self.store.runs[stream["run"]], request)
                return HTTPStatus.OK, {"exitcode": None, "limits": {}}
            self.unknown_operations.append(f"{method} {path}")
            return HTTPStatus.NOT_FOUND, {}

    def _answer_graphql(self, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        if name not in OPERATIONS:
            self.unknown_operations.append(name)
            return {"data": None, "errors": [{"message": f"the test server does not know {name}"}]}
        try:
            return {"data": OPERATIONS[name](self.store, variables)}
        except (AssertionError, KeyError) as error:
            self.errors.append(f"{name}: {error!r}")
            return {"data": None, "errors": [{"message": str(error)}]}


class _Handler(BaseHTTPRequestHandler):
    """One connection: read a request, let the server answer it, write the answer."""

    protocol_version = "HTTP/1.1"  # keeps connections open between requests, as the service does
    server: WandbServer

    def answer(self) -> None:
        """Answer a request of any method."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        status, answer = self.server.answer(self.command, self.path, body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = answer  # noqa: N815

    def log_message(self, *args: Any) -> None:
        """Keep the tests' output free of one line a request."""


def receive(run: RunRecord, message: dict[str, Any]) -> None:
    """Enter one message of the file stream into a run.

    `files` maps a file's name to lines and the `offset` of the first; the last message has `complete` and
    `exitcode`. Lines sent again replace themselves, so a retry does no harm.
    """
    for name, part in (message.get("files") or {}).items():
        offset, lines = part.get("offset", 0), part.get("content", [])
        if name == "wandb-history.jsonl":
            run.history[offset : offset + len(lines)] = map(json.loads, lines)
        elif name == "wandb-summary.json" and lines:
            run.summary = json.loads(lines[-1])
    if message.get("complete"):
        run.exit_code = message.get("exitcode") or 0
        run.state = "failed" if run.exit_code else "finished"
