"""Train distil_016: accelerate launch experiments/distil_016/run.py --data.root=FOLDER."""

from core.command_line import parse_config
from experiments.distil_016.config import CONFIG, DistilConfig

config = parse_config(CONFIG) if __name__ == "__main__" else CONFIG  # a typo is told before torch loads

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.config import require
from core.data.clips import Batch, Pool
from core.data.competition import Competition
from core.data.loaders import Loaders, RunData, add_unlabelled
from core.data.pcm import PcmStore
from core.embeddings.cards import read_embedding_card
from core.embeddings.front_end import Embedder
from core.embeddings.store import EmbeddingStore
from core.models.base import Output
from core.trainer import Trainer
from core.training.augment import Labelled
from experiments.distil_016.network import Distilled


class Distil016(Trainer):
    """Embeddings first, labels later; a target is the labels, then the teacher's embedding."""

    model_class = Distilled
    model: Any
    config: DistilConfig
    teacher: EmbeddingStore
    entry: np.ndarray

    def open_data(self, competition: Competition) -> RunData:
        """Return the run's data; embed recordings and soundscapes with the teacher."""
        teacher, cache = self.config.teacher, self.config.data.cache
        embedder = Embedder(read_embedding_card(teacher.card, teacher.file, teacher.hop_seconds))
        quiet = not self.accelerator.is_main_process
        embedder.announce(quiet)
        require(
            self.config.model.embedding_size == embedder.size,
            f"model.embedding_size={self.config.model.embedding_size}: {teacher.card} gives {embedder.size}",
        )
        data = super().open_data(competition)
        if teacher.unlabelled and competition.unlabelled:
            data = add_unlabelled(data, self.config.data, quiet=quiet)
            windows = (
                f"{data.soundscapes.is_unlabelled.sum():,} windows of {len(competition.unlabelled):,} files"
            )
            self.accelerator.print(f"Soundscapes nobody labelled: {windows} teach embeddings")
        number, soundscapes = len(competition.recordings), data.soundscapes
        paths = [Path(path) for path in competition.recordings["path"]]
        paths += soundscapes.windows.paths.values()
        audio = PcmStore(paths, embedder.config.sample_rate, None, quiet=quiet)
        self.teacher = EmbeddingStore(audio, embedder, Path(cache) if cache else None, quiet=quiet)
        embedder.close()
        self.entry = np.append(np.arange(number), number + soundscapes.entry)  # of each item
        usable = self.teacher.lengths[self.entry] > 0
        train = soundscapes.train[usable[number + soundscapes.train]]
        data = replace(
            data,
            train=data.train[usable[data.train]],
            soundscapes=replace(soundscapes, train=train),
            bad=data.bad | {str(paths[i]): reason for i, reason in self.teacher.bad.items()},
        )
        self.unlabelled = number + np.flatnonzero(usable[number:] & soundscapes.is_unlabelled)
        self.mean, self.deviation = self.moments(
            np.unique(self.entry[np.append(data.train, self.unlabelled)])
        )
        return data

    def moments(self, entries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of the teacher's embeddings of some files, (number,) each."""
        frames = np.concatenate(
            [self.teacher.read(entry, 0, int(self.teacher.lengths[entry])) for entry in entries.tolist()]
        )
        return frames.mean(axis=0), frames.std(axis=0) + 1e-3

    def build_loaders(self) -> Loaders:
        """Return the loaders; which items an epoch draws from goes by what it teaches."""
        loaders = super().build_loaders()
        self.labelled = loaders.batches.pool
        self.everything = Pool(np.append(self.labelled.positions, self.unlabelled))
        return loaders

    def train_epoch(self, epoch: int) -> None:
        """Train an epoch that teaches embeddings, or labels too."""
        teaches_labels = epoch >= self.config.embedding_epochs
        self.model.labels_teach_all = teaches_labels
        self.loaders.batches.pool = self.labelled if teaches_labels else self.everything
        super().train_epoch(epoch)

    def label(self, batch: Batch) -> Labelled:
        """Return the labels with the teacher's embedding of each clip behind them; unknown ones weigh 1."""
        labels = super().label(batch)
        weight = torch.where(labels.mask.any(dim=1), labels.weight, 1.0)
        embedding = torch.from_numpy(self.embeddings(batch.recording.cpu(), batch.start.cpu()))
        target = torch.cat([labels.target, embedding.to(labels.target)], dim=1)
        return replace(labels, target=target, weight=weight)

    def embeddings(self, recording: Tensor, start: Tensor) -> np.ndarray:
        """Return the teacher's embeddings of clips, standardised, (clip, number) float32 of length 1.

        Parameters
        ----------
        recording, start
            (clip,) position of the recording or window, and the clip's first sample at the run's rate.
        """
        store, rate = self.teacher, self.config.features.sample_rate
        length = store.clip_length(self.config.data.clip_seconds)
        first = np.rint(start.numpy() / rate * store.sample_rate).astype(int)
        entry = self.entry[recording.numpy()]
        first = np.minimum(first, store.lengths[entry] - 1)
        rows = [
            store.read(one, begin, length).mean(axis=0)
            for one, begin in zip(entry.tolist(), first.tolist(), strict=True)
        ]
        found = (np.stack(rows) - self.mean) / self.deviation
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)

    def compute_loss(self, output: Output, labels: Labelled) -> Tensor:
        """Return each clip's loss of the labels and distance of embeddings, 1 - cosine."""
        assert output.embedding is not None
        number = len(self.species)
        distance = 1.0 - functional.cosine_similarity(output.embedding.float(), labels.target[:, number:])
        labelled = replace(labels, target=labels.target[:, :number])
        return super().compute_loss(output, labelled) + self.config.embedding_weight * distance


if __name__ == "__main__":
    Distil016.main(config)
