"""A program that takes a trial's words and leaves the folder of a run, in no time.

It logs `valid/score` = 1 - mixup.alpha once an epoch, fails where mixup.alpha exceeds STAND_IN_LIMIT, and
adds a line to STAND_IN_STARTS at each start and each epoch, so that a test sees what was done twice.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    words = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[2:])
    alpha, epochs = float(words["mixup.alpha"]), int(words.get("epochs", 3))
    folder = Path(words["output_dir"]) / "timm_007" / "20220101-000000-abcd-fold0"
    folder.mkdir(parents=True, exist_ok=True)
    assert (folder / "config.json").exists() == ("resume" in words)
    (folder / "config.json").write_text("{}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    note(f"start {alpha} {os.environ.get('CUDA_VISIBLE_DEVICES', '')}")
    if alpha > float(os.environ.get("STAND_IN_LIMIT", "inf")):
        sys.exit("too much mixup")
    metrics = folder / "metrics.jsonl"
    done = len(metrics.read_text().splitlines()) if metrics.exists() else 0
    for epoch in range(done, epochs):
        time.sleep(float(os.environ.get("STAND_IN_SECONDS", "0")))
        with metrics.open("a") as file:
            file.write(
                json.dumps({"valid/score": 1 - alpha, "epoch": epoch + 1, "global_step": epoch + 1}) + "\n"
            )
        note(f"epoch {alpha} {epoch}")
    (folder / "summary.json").write_text("{}")


def note(line: str) -> None:
    with Path(os.environ["STAND_IN_STARTS"]).open("a") as file:
        file.write(line + "\n")


if __name__ == "__main__":
    main()
