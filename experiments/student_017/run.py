"""Train student_017: accelerate launch experiments/student_017/run.py --teachers="['RUN', ...]"."""

from core.command_line import parse_config
from experiments.student_017.config import CONFIG, NoisyStudentConfig

config = parse_config(CONFIG) if __name__ == "__main__" else CONFIG  # a typo is told before torch loads

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from core.config import Config
from core.data.clips import Pool
from core.data.competition import Competition
from core.data.loaders import Loaders, RunData, add_unlabelled
from core.inference.held_out import held_out_checkpoints, require_held_out
from core.models.sed import TimmSED
from core.trainer import Trainer, launch, train_folds
from core.training.augment import Augmentation, Joining
from experiments.student_017.pseudo_labels import choose_windows, predict_unlabelled
from experiments.student_017.rounds import Judged, compare_round, format_round, gains, round_record


class Student017(Trainer):
    """The part model on labelled clips, each mixed with a window that teachers labelled."""

    model_class = TimmSED
    config: NoisyStudentConfig

    @classmethod
    def main(cls, config: Config) -> None:
        """Train rounds until one gains nothing; a resumed run goes on with its round."""
        launch(config, cls.train_rounds)

    @classmethod
    def train_rounds(cls, config: NoisyStudentConfig, accelerator: Accelerator) -> None:
        """Train round after round."""
        while True:
            run = train_folds(cls, config, accelerator)
            found = compare_round(config, config.teachers, run)
            is_last = config.round == config.rounds or not cls.goes_on(found)
            if accelerator.is_main_process:
                run.write_json("round", round_record(config, found, is_last=is_last))
            accelerator.print(format_round(config.round, found), flush=True)
            if is_last:
                return
            config = replace(config, round=config.round + 1, teachers=[str(run.path)], resume=None)

    @classmethod
    def goes_on(cls, found: Judged) -> bool:
        """Return whether another round follows one with these comparisons."""
        return gains(found)

    @property
    def learns_from_teachers(self) -> bool:
        """Whether any clip is mixed with a pseudo-labelled window."""
        return self.config.mixup.selective_probability > 0

    @cached_property
    def teachers(self) -> list[Path]:
        """Checkpoints that never saw what this fold validates on."""
        return held_out_checkpoints("teachers", self.config.teachers, self.config.data)

    def open_data(self, competition: Competition) -> RunData:
        """Return the run's data with the windows that nobody labelled; refuse teachers that saw too much."""
        data = super().open_data(competition)
        if not self.learns_from_teachers:
            return data
        if not competition.unlabelled:
            message = f"data.root={self.config.data.root}: holds no soundscape that nobody labelled"
            raise ValueError(message)
        windows = data.soundscapes.windows.soundscape[data.soundscapes.valid]
        for teacher in self.teachers:
            recordings = competition.recordings["recording"].to_numpy(str)[data.valid]
            require_held_out("teachers", teacher, "recordings", set(recordings.tolist()))
            require_held_out("teachers", teacher, "soundscapes", set(windows.tolist()))
        return add_unlabelled(data, self.config.data, quiet=not self.accelerator.is_main_process)

    def build_loaders(self) -> Loaders:
        """Return the loaders, whose second half of a batch are pseudo-labelled windows."""
        if not self.learns_from_teachers:
            return super().build_loaders()
        guessed = self.pseudo_labels() if self.accelerator.is_main_process else None
        guessed = broadcast_object_list([guessed])[0]
        items = replace(self.data.soundscapes, guessed=guessed)
        self.data = replace(self.data, soundscapes=items)
        usable = np.flatnonzero(items.is_unlabelled & (guessed.max(axis=1) > 0))
        windows, site = items.windows, items.windows.site[usable]
        site = np.where(site == "", windows.soundscape[usable], site)
        usable = usable[choose_windows(guessed[usable], site, self.config.pseudo_labels)]
        loaders = super().build_loaders()
        weights = guessed[usable].max(axis=1).astype(np.float64)
        loaders.batches.scored_pool = Pool(len(self.data.store.lengths) + usable, weights)
        self.accelerator.print(
            f"Round {self.config.round}: {len(usable):,} windows of {len(windows.rows(usable).paths):,} "
            f"soundscapes nobody labelled, by {len(self.teachers)} teachers, power {self.config.power:g}"
        )
        return loaders

    def pseudo_labels(self) -> np.ndarray:
        """Return what each window is taught where nobody labelled it, (window, species) float32."""
        unlabelled, device = self.data.competition.unlabelled, self.accelerator.device
        said = predict_unlabelled(self.data.soundscapes, unlabelled, self.teachers, self.species, device)
        return np.asarray(said**self.config.power)

    def augment(
        self, num_main: int, num_scored: int, gates: Sequence[float], generator: torch.Generator
    ) -> Augmentation:
        """Draw a step's augmentation; the second half of the batch is joined to the first."""
        drawn = super().augment(num_main, num_scored, gates, generator)
        if drawn.selective is None or not self.learns_from_teachers:
            return drawn
        return replace(drawn, selective=Joining.of(drawn.selective.partner))


if __name__ == "__main__":
    Student017.main(config)
