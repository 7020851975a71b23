"""Train timm_014: accelerate launch experiments/timm_014/run.py --data.root=FOLDER."""

from core.command_line import parse_config
from experiments.timm_014.config import CONFIG

config = parse_config(CONFIG) if __name__ == "__main__" else CONFIG  # a typo is told before torch loads

from core.models.sed import TimmSED
from core.trainer import Trainer


class Timm014(Trainer):
    """Selective mixup over clips of one part."""

    model_class = TimmSED


if __name__ == "__main__":
    Timm014.main(config)
