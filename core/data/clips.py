"""Clips of recordings as batches: which, from where, with what target, the same in any worker.

Every random decision about an item is a function of (seed, epoch, draw): not of the worker, the process,
or the batches before it. Where selective mixup is on, a batch is twice as long: clips of all recordings,
then as many from the scored pool, drawn about ten times as often as in an ordinary epoch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from core.config import DataConfig, MixupConfig
from core.data.labels import Labels
from core.data.noise import NoiseMixer

SHUFFLE, CROP, GATE = range(3)  # streams of random numbers, apart from one another


class ClipStore(Protocol):
    """What clips are cut from: samples of recordings (`core.data.pcm`), or frames in their place.

    Attributes
    ----------
    sample_rate
        Samples, or frames, per second.
    lengths
        (recording,) int64 samples of each, 0 where it is bad.
    """

    @property
    def sample_rate(self) -> float: ...  # noqa: D102

    @property
    def lengths(self) -> np.ndarray: ...  # noqa: D102

    def clip_length(self, seconds: float) -> int:
        """Return the samples of a clip of `seconds`."""

    def read(self, recording: int, start: int, length: int) -> np.ndarray:
        """Return up to `length` samples (sample, ...) of a recording from `start` on."""


class Batch(NamedTuple):
    """Clips with their labels; a plain tuple of tensors, so that loaders and devices take it."""

    wave: Tensor
    """(clip, sample) int16, or float32 where noise was mixed in."""
    target: Tensor
    """(clip, species) float32: 1 for the primary label, secondary labels as configured."""
    mask: Tensor
    """(clip, species) float32: 0 where a label is left out of the loss."""
    weight: Tensor
    """(clip,) float32 loss weight from the rating."""
    recording: Tensor
    """(clip,) int64 position of the recording in the competition's table."""
    start: Tensor
    """(clip,) int64 sample of the recording with which the clip begins."""


class Draw(NamedTuple):
    """One item of an epoch: `cycle` counts how often the recording was drawn before in this epoch."""

    epoch: int
    recording: int
    cycle: int
    pool: int


class TrainClips(Dataset[Batch]):
    """Random crops of recordings, with background noise.

    Parameters
    ----------
    store
        Samples of all recordings, by position.
    labels
        Targets of all recordings, by position.
    config
        Clip length, filling, crop grid.
    noise
        Background mixer; None: none.
    seed
        The run's seed.
    """

    def __init__(
        self, store: ClipStore, labels: Labels, config: DataConfig, noise: NoiseMixer | None, seed: int
    ) -> None:
        self.store, self.labels, self.noise = store, labels, noise
        self.config, self.seed = config, seed
        self.length = store.clip_length(config.clip_seconds)

    def __getitem__(self, draw: Draw) -> Batch:
        """Return one clip with its labels, without a batch axis."""
        generator = np.random.default_rng(
            [self.seed, CROP, draw.epoch, draw.recording, draw.cycle, draw.pool]
        )
        surplus = int(self.store.lengths[draw.recording]) - self.length
        start = self._start(surplus, generator)
        wave = fill_clip(
            self.store.read(draw.recording, start, self.length), self.length, self.config.short_clips
        )
        if self.noise is not None:
            wave = self.noise(wave.astype(np.float32) / 32768.0, generator)
        return labelled_clip(wave, self.labels, draw.recording, start)

    def _start(self, surplus: int, generator: np.random.Generator) -> int:
        """Draw the first sample of a crop."""
        if surplus <= 0:
            return 0
        if self.config.crop_grid == "sample":
            return int(generator.integers(surplus + 1))
        rate = round(self.store.sample_rate)
        return int(generator.integers(max(surplus // rate, 1))) * rate


class ValidClips(Dataset[Batch]):
    """Fixed clips of the validated recordings, evenly spaced from start to end.

    Parameters
    ----------
    store
        Samples of all recordings, by position.
    labels
        Of all recordings, by position.
    config
        Clip length, clips per recording, filling.
    recordings
        (recording,) positions of those that validate.
    """

    def __init__(self, store: ClipStore, labels: Labels, config: DataConfig, recordings: np.ndarray) -> None:
        self.store, self.labels, self.config = store, labels, config
        self.length = store.clip_length(config.valid_seconds)
        self.clips = [
            (int(recording), start) for recording in recordings for start in self._starts(int(recording))
        ]

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.clips)

    def __getitem__(self, clip: int) -> Batch:
        """Return one clip with its labels, without a batch axis."""
        recording, start = self.clips[clip]
        wave = fill_clip(self.store.read(recording, start, self.length), self.length, self.config.short_clips)
        return labelled_clip(wave, self.labels, recording, start)

    def _starts(self, recording: int) -> list[int]:
        surplus = max(int(self.store.lengths[recording]) - self.length, 0)
        starts = np.linspace(0, surplus, self.config.valid_clips).round().astype(int)
        return list(dict.fromkeys(starts.tolist()))


class TrainBatches(Sampler[list[Draw]]):
    """The batches of an epoch, each a list of draws.

    Parameters
    ----------
    pool
        Positions of the recordings that train, and their drawing weights.
    scored_pool
        Positions of those that hold a scored bird, and theirs.
    config, mixup
        Batch size; chance of a scored half.
    seed
        The run's seed.
    micro_batches
        Micro-batches per optimiser step.
    rank, world
        This process and the number of processes; each takes its slice of every batch.
    """

    def __init__(
        self,
        pool: "Pool",
        scored_pool: "Pool",
        config: DataConfig,
        mixup: MixupConfig,
        *,
        seed: int,
        micro_batches: int = 1,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.pool, self.scored_pool = pool, scored_pool
        self.mixup, self.seed = mixup, seed
        self.size = config.batch_size // micro_batches
        if self.size % world:
            message = (
                f"data.batch_size={config.batch_size}: {self.size} clips per micro-batch do not divide "
                f"among {world} processes"
            )
            raise ValueError(message)
        self.rank, self.world = rank, world
        self.num_steps = max(len(pool.positions) // config.batch_size, config.min_epoch_steps) * micro_batches
        self.epoch, self.first_step = 0, 0

    def __len__(self) -> int:
        """Return the steps that are left in the epoch."""
        return self.num_steps - self.first_step

    @property
    def local_size(self) -> int:
        """Clips that come out of a step of this process."""
        return self.size // self.world

    def start_at(self, epoch: int, step: int = 0) -> None:
        """Choose the epoch, from 0, and the step that a resumed run continues with."""
        self.epoch, self.first_step = epoch, step

    def has_scored_half(self, epoch: int, step: int) -> bool:
        """Return whether a step mixes with scored birds: its first gate, as augmentation draws it too."""
        return bool(draw_gates(self.seed, epoch, step)[0] < self.mixup.selective_probability)

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yield the draws of each batch of this process."""
        total = self.num_steps * self.size
        main = self.pool.draws(total, self.seed, self.epoch, pool=0)
        scored = self.scored_pool.draws(total, self.seed, self.epoch, pool=1)
        local = self.local_size
        for step in range(self.first_step, self.num_steps):
            start = step * self.size + self.rank * local
            batch = main[start : start + local]
            keep_half = self.mixup.norm_on_dropped_half and self.mixup.selective_probability > 0
            if scored and (keep_half or self.has_scored_half(self.epoch, step)):
                batch = batch + scored[start : start + local]
            yield batch


@dataclass(frozen=True)
class Pool:
    """Recordings to draw from: each once a cycle, or by weight.

    Attributes
    ----------
    positions
        (recording,) int64 positions in the competition's table; a repeated one is drawn as often.
    weights
        (recording,) relative frequency with replacement; None: shuffled cycles.
    """

    positions: np.ndarray
    weights: np.ndarray | None = None

    def draws(self, number: int, seed: int, epoch: int, pool: int) -> list[Draw]:
        """Return `number` draws of an epoch; none where the pool is empty.

        `pool` is 0 for all recordings and 1 for those with a scored bird: their orders and crops are drawn
        apart.
        """
        if len(self.positions) == 0:
            return []
        generator = np.random.default_rng([seed, SHUFFLE, epoch, pool])
        if self.weights is None:
            cycles = -(-number // len(self.positions))
            order = np.concatenate([generator.permutation(self.positions) for _ in range(cycles)])[:number]
        else:
            order = generator.choice(self.positions, number, p=self.weights / self.weights.sum())
        seen: dict[int, int] = {}
        draws = []
        for recording in order.tolist():
            cycle = seen.get(recording, 0)
            seen[recording] = cycle + 1
            draws.append(Draw(epoch, recording, cycle, pool))
        return draws


def draw_gates(seed: int, epoch: int, step: int) -> list[float]:
    """Return four uniform numbers of a step: for selective mixup, mixup, second mixup and SpecAugment.

    They depend on the run's `seed`, `epoch` and `step` alone: all processes draw the same.
    """
    return np.random.default_rng([seed, GATE, epoch, step]).random(4).tolist()


def fill_clip(wave: np.ndarray, length: int, how: str) -> np.ndarray:
    """Return a wave of exactly `length` samples.

    Parameters
    ----------
    wave
        (sample, ...), not longer than `length`.
    length
        In samples.
    how
        "pad": zeros at the end; "repeat": the wave again and again.
    """
    if len(wave) == length:
        return wave
    if how == "repeat":
        return np.resize(wave, (length, *wave.shape[1:]))
    return np.pad(wave, [(0, length - len(wave)), *[(0, 0)] * (wave.ndim - 1)])


def labelled_clip(wave: np.ndarray, labels: Labels, recording: int, start: int) -> Batch:
    """Return one clip with the labels of its recording, without a batch axis.

    Parameters
    ----------
    wave
        (sample, ...) int16 or float32.
    labels
        Of all recordings.
    recording, start
        Which recording, and the sample with which the clip begins.
    """
    return Batch(
        wave=torch.from_numpy(wave),
        target=torch.from_numpy(labels.target[recording]),
        mask=torch.from_numpy(labels.mask[recording]),
        weight=torch.as_tensor(labels.weight[recording]),
        recording=torch.as_tensor(recording),
        start=torch.as_tensor(start),
    )
