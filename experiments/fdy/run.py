"""Train fdy: accelerate launch experiments/fdy/run.py [--model.end_temperature=1 ...]."""

from core.command_line import parse_config
from experiments.fdy.config import CONFIG, FdyConfig

config = parse_config(CONFIG) if __name__ == "__main__" else CONFIG  # a typo is told before torch loads

from core.trainer import Trainer
from experiments.fdy.model import FdyCrnn


class Fdy(Trainer):
    """Frequency dynamic convolutions, with a temperature that may fall from epoch to epoch."""

    model_class = FdyCrnn

    def train_epoch(self, epoch: int) -> None:
        """Set the epoch's temperature, then train it."""
        assert isinstance(self.config.model, FdyConfig)
        temperature = self.config.model.temperature_at(epoch / max(self.config.epochs - 1, 1))
        for model in (self.model, self.scored_model):
            assert isinstance(model, FdyCrnn)
            model.set_temperature(temperature)
        super().train_epoch(epoch)


if __name__ == "__main__":
    Fdy.main(config)
