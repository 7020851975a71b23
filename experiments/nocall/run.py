"""Train nocall: accelerate launch experiments/nocall/run.py [--data.root=FOLDER ...]."""

from core.command_line import parse_config
from experiments.nocall.config import CONFIG

config = parse_config(CONFIG) if __name__ == "__main__" else CONFIG  # a typo is told before torch loads

from core.data.competition import Competition
from core.trainer import Trainer
from experiments.nocall.data import read_binary
from experiments.nocall.model import NocallNet


class Nocall(Trainer):
    """Birds against their absence, on whole crops."""

    model_class = NocallNet

    def read_recordings(self) -> Competition:
        """Return recordings with and without birds."""
        return read_binary(self.config.data)


if __name__ == "__main__":
    Nocall.main(config)
