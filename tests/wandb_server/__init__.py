"""A W&B server for the tests: the real, unmodified clients log to it over the loopback.

`wandb.init`, `wandb sync`, `wandb sweep` and `wandb agent` of wandb 0.31.0 talk to two interfaces,
GraphQL and the file stream, and to a store of uploads. This package answers the part of them that
a training project uses, keeps what arrived in plain Python objects, and needs nothing beyond the
standard library. An operation it does not know is answered with an error and listed.

>>> with WandbServer() as server:  # doctest: +SKIP
...     run_client(server, ["python", "train.py"], folder)
...     (run,) = server.runs.values()
...     print(run.state, run.config, run.history)
"""

from tests.wandb_server.clients import clean_server, find_clients, run_client, start_client, stop_clients
from tests.wandb_server.server import WandbServer
from tests.wandb_server.store import ArtifactRecord, RunRecord, SweepRecord

__all__ = [
    "ArtifactRecord",
    "RunRecord",
    "SweepRecord",
    "WandbServer",
    "clean_server",
    "find_clients",
    "run_client",
    "start_client",
    "stop_clients",
]
