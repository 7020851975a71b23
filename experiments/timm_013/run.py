"""Train timm_013: accelerate launch experiments/timm_013/run.py --teachers=['RUN', ...]."""

from core.command_line import parse_config
from experiments.timm_013.config import CONFIG, StudentConfig

config = parse_config(CONFIG) if __name__ == "__main__" else CONFIG  # a typo is told before torch loads

from dataclasses import replace
from functools import cached_property

from core.data.clips import Batch
from core.models.sed import TimmSED
from core.trainer import Trainer
from core.training.augment import Labelled
from experiments.timm_013.teachers import Teachers


class Timm013(Trainer):
    """The part model on what teachers say of each clip, before it is mixed."""

    model_class = TimmSED
    config: StudentConfig

    @cached_property
    def teachers(self) -> Teachers:
        """The trained networks."""
        return Teachers(self.config, self.species, self.accelerator.device)

    def label(self, batch: Batch) -> Labelled:
        """Return labels of which a share is the teachers'."""
        labels, share = super().label(batch), self.config.teacher_share
        if share == 0:
            return labels
        taught = self.teachers(batch.wave, self.config.data.num_parts)
        return replace(labels, target=(1 - share) * labels.target + share * taught)


if __name__ == "__main__":
    Timm013.main(config)
