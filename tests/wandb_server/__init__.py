"""A W&B server for the tests: the real, unmodified clients log to it over the loopback.

`wandb.init`, `wandb sync`, `wandb sweep` and `wandb agent` of wandb 0.31.0 talk to two interfaces,
GraphQL and the file stream, and to a store of uploads. This package answers the part of them that
this project's tests use, and keeps what arrived in plain Python objects. An operation it does not
know is answered with an error and listed.

>>> with clean_server() as server:  # doctest: +SKIP
...     run_client(server, ["python", "train.py"], folder)
...     (run,) = server.store.runs.values()
...     print(run.state, run.config, run.history)
"""
