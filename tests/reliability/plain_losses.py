"""A program of several processes: writes the loss of each step of a network without batch norm.

accelerate launch --multi_gpu --num_processes 2 plain_losses.py DATA OUT ACCUMULATION
"""

import json
import sys
from pathlib import Path

from core.trainer import build_accelerator
from tests.runs import PlainTrainer, losses_of_steps, open_trainer, plain_config, tiny_config

if __name__ == "__main__":
    data, out, accumulation = sys.argv[1:]
    config = plain_config(tiny_config(Path(data), Path(out).parent), int(accumulation))
    losses = losses_of_steps(open_trainer(config, f"{build_accelerator(config).num_processes}", PlainTrainer))
    Path(out).write_text(json.dumps(losses))
