"""The connection to a Ray cluster: no wait without end, and a line for what is wrong instead of Ray's own."""

import importlib
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core.config import require
from core.program import describe_error

HEARD_SECONDS = 5.0
"""In which a server that is there answers."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "error",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
ASKS_FOR_TOKEN = "InvalidAuthToken"
PATIENCE = {"RAY_NUM_REDIS_GET_RETRIES": "8"}
"""Seconds in which a cluster that listens must let this process in."""
HTTP2_SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HTTP2_SETTINGS
STDERR = 2


@contextmanager
def connected(given: str | None) -> Iterator[Any]:
    """Yield the package, connected to the cluster given, or that RAY_ADDRESS names, or to this machine alone.

    Parameters
    ----------
    given
        host:port of the cluster's head.

    Raises
    ------
    ValueError
        If Ray is not installed, or no cluster answers.
    """
    name, address = ("ray.address", given) if given else ("RAY_ADDRESS", os.environ.get("RAY_ADDRESS"))
    os.environ.update(QUIET | (PATIENCE if address else {}))
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise ValueError("engine=ray takes Ray: pip install -r requirements-ray.txt") from error
    if address:
        _require_cluster(name, address)
    local = {} if address else {"include_dashboard": False}
    try:
        with _without_stderr():  # where Ray tells of every try
            ray.init(address or "local", log_to_driver=False, logging_level=logging.CRITICAL, **local)
    except Exception as error:
        why = describe_error(error)
        if ASKS_FOR_TOKEN in str(error.__cause__):
            why = "asks for a token: export RAY_AUTH_MODE=token, with the head's ~/.ray/auth_token"
        message = f"{name}={address or 'none'}: {why}"
        raise ValueError(message) from error
    ray._private.worker.print_to_stdstream = lambda *_, **__: None  # a dead machine's log, without a switch
    try:
        yield ray
    finally:
        ray.shutdown()


def _require_cluster(name: str, address: str) -> None:
    """Raise `ValueError` unless a server of Ray's protocol answers, for which Ray itself waits minutes."""
    host, _, port = address.rpartition(":")
    is_address = bool(host) and "/" not in host and port.isdigit()
    require(is_address, f"{name}={address}: host:port of the cluster's head, such as 10.0.0.1:6379")
    why = "something else does"
    try:
        with socket.create_connection((host.strip("[]"), int(port)), HEARD_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0") != "0":
                return
            connection.sendall(HTTP2_GREETING)
            frame = connection.makefile("rb").read(len(HTTP2_SETTINGS))
    except (OSError, OverflowError) as error:
        frame, why = b"", describe_error(error)
    require(
        frame[3:4] == HTTP2_SETTINGS[3:4],
        f"{name}={address}: no Ray cluster answers there ({why}); start one with `ray start --head "
        "--port=6379`, or leave the address out to use this machine alone",
    )


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Drop what this process writes to its error stream, from C++, too."""
    sys.stderr.flush()
    kept, nowhere = os.dup(STDERR), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STDERR)
    try:
        yield
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)
        os.close(nowhere)
