"""What do the settings of `core.machine.tune_cpu` bring? Training steps per second with and without them.

    python -m benchmarks.training_step [--backbone NAME] [--batch 16] [--rounds 3]

Forward, backward and optimiser step of the part model's backbone on log-mel pictures of 5 s, each setting in
a process of its own, alternating; prints the best of all rounds and the ratio to plain torch.
"""

import argparse
import subprocess
import sys
import time

import torch

from benchmarks.side_by_side import describe_machine
from core.machine import tune_cpu
from core.models.backbones import create_backbone, feature_map

MELS, FRAMES = 128, 313
STEPS, WARM_UP = 6, 2
SETTINGS = ("plain", "channels_last", "tuned", "tuned+channels_last")


def measure(setting: str, backbone: str, batch: int) -> float:
    """Return parts per second of the fastest step."""
    torch.manual_seed(0)
    if "tuned" in setting:
        tune_cpu()
    layout = torch.channels_last if "channels_last" in setting else torch.contiguous_format
    model = create_backbone(backbone, pretrained=False).to(memory_format=layout)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    images = torch.randn(batch, 1, MELS, FRAMES).to(memory_format=layout)
    seconds = []
    for _ in range(WARM_UP + STEPS):
        started = time.perf_counter()
        feature_map(model, images).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - started)
    return batch / min(seconds[WARM_UP:])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--setting", choices=SETTINGS, help="measure one, print one number")
    given = parser.parse_args()
    if given.setting is not None:
        print(measure(given.setting, given.backbone, given.batch))
        return
    options = [f"--backbone={given.backbone}", f"--batch={given.batch}"]
    command = [sys.executable, "-m", "benchmarks.training_step", *options]
    best = dict.fromkeys(SETTINGS, 0.0)
    for _ in range(given.rounds):
        for setting in SETTINGS:
            shown = subprocess.run(
                [*command, f"--setting={setting}"], check=True, capture_output=True, text=True
            ).stdout
            best[setting] = max(best[setting], float(shown.split()[-1]))
    print(describe_machine(torch.device("cpu"), ("torch", "timm")))
    print(f"{given.backbone}, batch {given.batch} of {MELS} x {FRAMES}")
    print(f"{'setting':<22} {'parts/s':>8} {'ratio':>6}")
    for setting, rate in best.items():
        print(f"{setting:<22} {rate:8.1f} {rate / best['plain']:6.2f}")


if __name__ == "__main__":
    main()
