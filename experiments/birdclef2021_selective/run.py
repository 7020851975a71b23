"""Train birdclef2021_selective: accelerate launch experiments/birdclef2021_selective/run.py [...]."""

from core.command_line import parse_config
from experiments.birdclef2021_selective.config import CONFIG

config = parse_config(CONFIG) if __name__ == "__main__" else CONFIG  # a typo is told before torch loads

from core.models.gem import GemNet
from core.trainer import Trainer


class Birdclef2021Selective(Trainer):
    """GeM over the parts of 30 s clips, selective mixup."""

    model_class = GemNet


if __name__ == "__main__":
    Birdclef2021Selective.main(config)
