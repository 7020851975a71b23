"""Train htsat: accelerate launch experiments/htsat/run.py [--model.drop_path=0.1 ...]."""

from core.command_line import parse_config
from experiments.htsat.config import CONFIG

config = parse_config(CONFIG) if __name__ == "__main__" else CONFIG  # a typo is told before torch loads

from core.trainer import Trainer
from experiments.htsat.model import HtsAt


class Htsat(Trainer):
    """A Swin transformer on each part."""

    model_class = HtsAt


if __name__ == "__main__":
    Htsat.main(config)
