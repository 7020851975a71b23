"""Train conformer: accelerate launch experiments/conformer/run.py [--model.attention=relative ...]."""

from core.command_line import parse_config
from experiments.conformer.config import CONFIG

config = parse_config(CONFIG) if __name__ == "__main__" else CONFIG  # a typo is told before torch loads

from core.trainer import Trainer
from experiments.conformer.model import ConformerSED


class Conformer(Trainer):
    """Conformer blocks over the segments of each part."""

    model_class = ConformerSED


if __name__ == "__main__":
    Conformer.main(config)
