"""Train probe_015: accelerate launch experiments/probe_015/run.py --data.root=FOLDER."""

from core.command_line import parse_config
from experiments.probe_015.config import CONFIG

config = parse_config(CONFIG) if __name__ == "__main__" else CONFIG  # a typo is told before torch loads

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from core.data.clips import ValidClips
from core.data.competition import Competition
from core.data.loaders import RunData
from core.data.pcm import PcmStore
from core.embeddings.cards import classes_of
from core.embeddings.store import EmbeddingStore
from core.scoring.evaluation import evaluate, format_table
from core.scoring.predictions import Predictions
from core.trainer import Trainer
from core.training.validation import validated
from experiments.probe_015.network import Probe


class Probe015(Trainer):
    """A head on frozen embeddings, which are made once and read like samples."""

    model_class = Probe
    draws_examples = False  # an embedding is no picture to people
    model: Any

    def open_data(self, competition: Competition) -> RunData:
        """Return the run's data with embeddings in the place of samples."""
        data = super().open_data(competition)
        embedder, cache = self.model.front_end, self.config.data.cache
        quiet = not self.accelerator.is_main_process
        embedder.announce(quiet)
        self.classes = classes_of(embedder.config, competition.taxonomy)
        stores = []
        for audio in (data.store, data.soundscapes.store):
            assert isinstance(audio, PcmStore)
            folder = Path(cache) if cache is not None else None
            stores.append(EmbeddingStore(audio, embedder, folder, list(self.classes.values()), quiet=quiet))
        store = stores[0]
        usable = store.lengths > 0
        return replace(
            data,
            store=store,
            train=data.train[usable[data.train]],
            valid=data.valid[usable[data.valid]],
            soundscapes=data.soundscapes.with_store(stores[1]),
            bad=data.bad | {str(one.paths[i]): reason for one in stores for i, reason in one.bad.items()},
        )

    def zero_shot(self) -> Predictions:
        """Return what the pretrained network's own classes say of the validated clips, untrained.

        A clip's probability is that of its loudest window. Scored species that are no class are left out.
        """
        competition, store = self.data.competition, self.data.store
        clips = ValidClips(store, self.data.labels, self.config.data, self.data.valid)
        size = self.model.front_end.size
        columns = [competition.species.index(code) for code in self.classes]
        probability = np.zeros((len(clips), len(competition.species)))
        for row in range(len(clips)):
            probability[row, columns] = expit(clips[row].wave.numpy()[:, size:].max(axis=0, initial=-np.inf))
        every = validated(self.data, clips, probability)
        kept = [i for i, code in enumerate(every.species) if code in self.classes]
        return every.columns(kept, name=f"{self.model.front_end.config.name} as it is")

    def finish(self) -> None:
        """Score the head as any network; beside it print what the pretrained network says untrained."""
        super().finish()
        if not self.accelerator.is_main_process or not len(self.data.valid):
            return
        found, scored = self.zero_shot(), self.data.competition.scored
        missing = [code for code in scored if code not in self.classes]
        if found.species:
            print("\n" + format_table(evaluate(found, self.config.valid), found.name, self.config.valid))
        if missing:
            print(f"{len(missing)} of {len(scored)} scored species are no class of it, such as {missing[0]}")


if __name__ == "__main__":
    Probe015.main(config)
