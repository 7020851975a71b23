"""How long a newcomer takes from a clone to the first answers: each step of the first hour, timed.

    python -m benchmarks.newcomer [--out FOLDER] [--python python3.11]

Clones this repository into an empty folder, makes an environment, and gives the commands of the README in the
order of a first hour. A step that fails ends the program with what it printed. A newcomer's own time to
read, type and think is not in it.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config import require
from core.data.demo.build import demo_root
from core.machine import PROJECT, code_version
from core.program import run_program

STEPS = {
    "set up and first trained model": "make train",
    "first report": "{python} -m analysis.report outputs --out report.html",
    "own data: what is recognised": "{python} -m core.data.competition {own}",
    "own data: first model": "{python} experiments/timm_014/run.py --data.root={own} --epochs=4",
    "first sweep, two trials": (
        "{python} -m sweeps.local sweeps/mixup.yaml --count 2 --schedule=demo --epochs=4"
    ),
    "first submission": (
        "{python} -m core.inference --checkpoints {run} --soundscapes {demo}/test_soundscapes"
    ),
    "is it right?": "{python} -m core.inference check submission.csv --test {demo}/test.csv",
}


@dataclass(frozen=True, kw_only=True)
class NewcomerBenchmark:
    """Clone, set up, and time the first hour's steps."""

    out: str = "outputs/newcomer"
    """An empty folder, in which the clone is made; newcomer.json stays in it."""
    python: str = sys.executable
    """A Python 3.11 or 3.12."""


def time_steps(config: NewcomerBenchmark) -> None:
    """Do every step; print and write what each took."""
    out = Path(config.out).absolute()
    rows: list[dict[str, Any]] = []
    clone = out / "clone"
    require(not clone.exists(), f"out={out}: {clone} is there; remove it")
    out.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(clone)], check=True)
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    path = f"{clone}/.venv/bin:{os.environ['PATH']}"
    environment = kept | {"PYTHON": config.python, "WANDB_MODE": "offline", "PATH": path}
    for name, command in STEPS.items():
        own = clone / "birds"
        if "{own}" in command and not own.exists():  # a lab's folder: audio in folders named by species
            shutil.copytree(clone / demo_root() / "train_audio", own)
        runs = sorted((clone / "outputs" / "timm_008").glob("*"))
        facts = {
            "python": ".venv/bin/python",
            "own": "birds",
            "demo": demo_root(),
            "run": runs[-1] if runs else "",
        }
        started = time.perf_counter()
        words = shlex.split(command.format(**facts))
        done = subprocess.run(words, cwd=clone, env=environment, capture_output=True, text=True, check=False)
        require(done.returncode == 0, f"{command}: {(done.stderr or done.stdout)[-500:]}")
        rows.append({"step": name, "command": command, "seconds": time.perf_counter() - started})
        print(f"{rows[-1]['seconds']:7.0f} s  {name}", flush=True)
    total = sum(row["seconds"] for row in rows)
    print(f"{total:7.0f} s  in all")
    (out / "newcomer.json").write_text(json.dumps({"commit": code_version(), "rows": rows}, indent=2))
    shutil.rmtree(clone)


if __name__ == "__main__":
    run_program(NewcomerBenchmark, time_steps)
