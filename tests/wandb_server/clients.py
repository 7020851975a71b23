"""Run the real clients against the server, and leave none of their processes behind.

A client starts further processes (the uploading service, an agent its trials), some of which
outlive it when it is killed. All carry the server's address in their environment, by which Linux
lets them be found. Elsewhere than on Linux none is found, and none is stopped.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from sweeps.trial_process import processes_with
from tests.wandb_server.server import WandbServer


def start_client(
    server: WandbServer,
    command: Sequence[str],
    directory: Path,
    output: IO[str] | None = None,
    **variables: str,
) -> subprocess.Popen[str]:
    """Start a command that logs to a server, and do not wait for it.

    A bare `python`, `wandb` or `accelerate` is the one of this environment; `directory` is where it runs, and
    also takes all that the wandb library writes. The test's own variables of W&B are not passed on.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    return subprocess.Popen(
        command,
        env=inherited | _environment(server.url, directory) | variables,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _environment(url: str, directory: Path) -> dict[str, str]:
    """Return what leads a client to a server; it sends data each second instead of each 15 s."""
    folders = {
        f"WANDB_{name}_DIR": f"{directory}/wandb-client/{name}" for name in ("CONFIG", "CACHE", "DATA")
    }
    return folders | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "NO_PROXY": "127.0.0.1",
        "WANDB_BASE_URL": url,
        "WANDB_API_KEY": "0123456789" * 4,
        "WANDB_MODE": "online",
        "WANDB_DIR": str(directory),
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL": "1",
    }


def run_client(
    server: WandbServer,
    command: Sequence[str],
    directory: Path,
    *,
    timeout_seconds: float = 60.0,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """Run a command that logs to a server to its end, and return its code and whole output.

    When the time is over, it and all that it started are killed; the error has its output so far.
    """
    # A file and not a pipe: what the command leaves running would hold a pipe open.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        client = start_client(server, command, directory, output, **variables)
        try:
            code = client.wait(timeout_seconds)
        except subprocess.TimeoutExpired as error:
            stop_clients(server.url)
            client.wait()
            output.seek(0)
            error.add_note(output.read())
            raise
        output.seek(0)
        return subprocess.CompletedProcess(list(command), code, output.read())


def stop_clients(url: str, grace_seconds: float = 0.0) -> list[int]:
    """Kill the processes that log to a server and do not end by themselves in time; return which."""
    deadline = time.monotonic() + grace_seconds
    while (clients := processes_with("WANDB_BASE_URL", url)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for client in clients:
        with contextlib.suppress(ProcessLookupError):
            os.kill(client, signal.SIGKILL)
    return clients


@contextlib.contextmanager
def clean_server(grace_seconds: float = 20.0) -> Iterator[WandbServer]:
    """Yield a server; afterwards no client of it may be left, and every question was one it knew."""
    with WandbServer() as server:
        yield server
        strays = stop_clients(server.url, grace_seconds)
    assert not strays
    assert not server.errors
    assert not server.unknown_operations
