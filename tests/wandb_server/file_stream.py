"""Enter what a run streams: history, summary, system events, console output and its end."""

import json
from typing import Any

from tests.wandb_server.store import RunRecord

HISTORY = "wandb-history.jsonl"
EVENTS = "wandb-events.jsonl"
SUMMARY = "wandb-summary.json"
OUTPUT = "output.log"


def receive(run: RunRecord, message: dict[str, Any]) -> dict[str, Any]:
    """Enter one message of the file stream into a run and return the answer to it.

    Parameters
    ----------
    run
        The run whose stream it is.
    message
        `files` maps a file's name to lines and the `offset` of the first; the last message has
        `complete` and `exitcode`. Lines sent again replace themselves, so a retry does no harm.

    Returns
    -------
    dict
        `stopped` asks a program that no agent supervises to stop itself.
    """
    for name, part in (message.get("files") or {}).items():
        offset, lines = part.get("offset", 0), part.get("content", [])
        if name == HISTORY:
            run.history[offset : offset + len(lines)] = map(json.loads, lines)
        elif name == EVENTS:
            run.events[offset : offset + len(lines)] = map(json.loads, lines)
        elif name == OUTPUT:
            run.output[offset : offset + len(lines)] = lines
        elif name == SUMMARY and lines:
            run.summary = json.loads(lines[-1])
    if message.get("complete"):
        run.finish(message.get("exitcode") or 0)
    return {"exitcode": None, "limits": {}, "stopped": run.is_stop_requested and run.sweep is None}
