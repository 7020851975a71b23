"""Train birdclef2021: accelerate launch experiments/birdclef2021/run.py [--data.fold=None ...]."""

from core.command_line import parse_config
from experiments.birdclef2021.config import CONFIG

config = parse_config(CONFIG) if __name__ == "__main__" else CONFIG  # a typo is told before torch loads

from core.models.gem import GemNet
from core.trainer import Trainer


class Birdclef2021(Trainer):
    """GeM over the parts of 30 s clips, mixup up to twice."""

    model_class = GemNet


if __name__ == "__main__":
    Birdclef2021.main(config)
