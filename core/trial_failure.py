"""A trial of a W&B sweep that ends before its run is open: its mistake is shown in the sweep all the same."""

import os
import sys

INIT_SECONDS = 30.0
_opened: set[str] = set()


def note_opened(run_id: str) -> None:
    """Remember that the trial's run is open: what fails from now on is told by its own record."""
    _opened.add(run_id)


def tell_sweep(message: str) -> None:
    """Record a failed run with the `message`, if a W&B agent started this process and its run is not open."""
    run_id = os.environ.get("WANDB_RUN_ID")
    if run_id is None or run_id in _opened or not os.environ.get("WANDB_SWEEP_ID"):
        return
    try:
        import wandb

        run = wandb.init(settings=wandb.Settings(init_timeout=INIT_SECONDS, silent=True))
        run.summary["error"] = message
        run.finish(exit_code=2)
    except Exception as error:
        print(f"W&B: the sweep is not told ({type(error).__name__}: {error})", file=sys.stderr)
