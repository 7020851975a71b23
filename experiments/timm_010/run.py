"""Train timm_010: accelerate launch experiments/timm_010/run.py [--mixup.alpha=0.4 ...]."""

from core.command_line import parse_config
from experiments.timm_010.config import CONFIG

config = parse_config(CONFIG) if __name__ == "__main__" else CONFIG  # a typo is told before torch loads

from core.models.sed import TimmSED
from core.trainer import Trainer


class Timm010(Trainer):
    """Selective mixup over 30 s clips cut into six parts."""

    model_class = TimmSED


if __name__ == "__main__":
    Timm010.main(config)
