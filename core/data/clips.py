"""Clips of recordings as batches: which, from where, with what target, the same in any worker.

Every random decision about an item is a function of (seed, epoch, draw): not of the worker, the process,
or the batches before it. Where selective mixup is on, a batch is twice as long: clips of all recordings,
then as many from the scored pool, drawn about ten times as often as in an ordinary epoch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from core.config import DataConfig, MixupConfig
from core.data.labels import Labels, Taught
from core.data.noise import DrawnNoise, NoiseOfSet, NoiseSets
from core.data.pcm import ClipStore, fill_rest, new_samples
from core.data.soundscapes import WINDOW_SECONDS
from core.data.window_items import WindowItems

SHUFFLE, CROP, GATE = range(3)  # streams of random numbers, apart from one another


class Batch(NamedTuple):
    """Clips with their labels; a plain tuple of tensors, so that loaders and devices take it."""

    wave: Tensor
    """(clip, sample) int16, or (clip, frame, number) float32 of a store of embeddings."""
    target: Tensor
    """(clip, species) float32: 1 for the primary label, secondary labels as configured."""
    mask: Tensor
    """(clip, species) float32: 0 where a label is left out of the loss."""
    weight: Tensor
    """(clip,) float32 loss weight from the rating, or from the share of species that are known."""
    recording: Tensor
    """(clip,) int64 position of the recording in the competition's table; after them, of the window."""
    start: Tensor
    """(clip,) int64 sample of the recording, or of the window's soundscape, with which the clip begins."""
    noise: Sequence[NoiseOfSet] = ()
    """What is still to be mixed in."""


class Draw(NamedTuple):
    """One item of an epoch: `cycle` counts how often it was drawn before in this epoch.

    Items from the number of recordings on are labelled windows.
    """

    epoch: int
    recording: int
    cycle: int
    pool: int


class Clip(NamedTuple):
    """Where one clip of an item lies, and what it is taught."""

    store: ClipStore
    entry: int
    """Position in the store."""
    start: int
    """The sample with which the clip begins."""
    taught: Taught
    """Its labels."""
    item: int
    """Which recording or window."""


class ClipSet:
    """Clips that are gathered as whole batches; a subclass has a `config` and the `length` of a clip.

    `config` says how clips are filled that a recording's end cuts off; `length` is in samples.
    """

    config: DataConfig
    length: int

    def clip(self, place: Any) -> Clip:
        """Return one clip; a subclass's own."""
        raise NotImplementedError

    def __getitem__(self, place: Any) -> Batch:
        """Return one clip with its labels, without a batch axis and without noise."""
        wave, target, mask, weight, recording, start, _ = self.gather([self.clip(place)])
        return Batch(wave[0], target[0], mask[0], weight[0], recording[0], start[0])

    def batch(self, places: Sequence[Any], *, pinned: bool = False) -> Batch:
        """Return a batch of clips with their labels.

        Parameters
        ----------
        places
            Of the clips, as `clip` takes them.
        pinned
            In memory from which a GPU can copy by itself.
        """
        return self.gather([self.clip(place) for place in places], pinned=pinned)

    def gather(self, clips: Sequence[Clip], *, pinned: bool = False) -> Batch:
        """Return clips as a batch, each read to its place."""
        store = clips[0].store
        shape = (len(clips), self.length, *store.sample_shape)
        wave = new_samples(shape, store.sample_type, pinned=pinned)
        for row, clip in zip(wave.numpy(), clips, strict=True):
            fill_rest(row, clip.store.read_into(clip.entry, clip.start, row), self.config.short_clips)
        target, mask, weight = (np.stack(part) for part in zip(*(clip.taught for clip in clips), strict=True))
        batch = Batch(
            wave,
            torch.from_numpy(target),
            torch.from_numpy(mask),
            torch.from_numpy(weight),
            torch.tensor([clip.item for clip in clips]),
            torch.tensor([clip.start for clip in clips]),
        )
        labels = Batch._fields[1:-1] if pinned else ()
        return batch._replace(**{name: getattr(batch, name).pin_memory() for name in labels})


class TrainClips(ClipSet):
    """Random crops of recordings and clips around labelled windows, with background noise.

    Parameters
    ----------
    store
        Samples of all recordings, by position.
    labels
        Targets of all recordings, by position.
    config
        Clip length, filling, crop grid.
    noise
        Sets of background noise; None: none.
    seed
        The run's seed.
    windows
        Labelled windows, the items after the recordings; None: none.
    """

    def __init__(
        self,
        store: ClipStore,
        labels: Labels,
        config: DataConfig,
        noise: NoiseSets | None,
        seed: int,
        windows: WindowItems | None = None,
    ) -> None:
        self.store, self.labels, self.noise, self.windows = store, labels, noise, windows
        self.config, self.seed = config, seed
        self.length = store.clip_length(config.clip_seconds)

    def batch(self, places: Sequence[Draw], *, pinned: bool = False) -> Batch:
        """Return a batch of clips with their labels, and the noise that is to be mixed into them."""
        clips, noise = zip(*map(self._draw, places), strict=True)
        batch = self.gather(clips, pinned=pinned)
        if self.noise is None:
            return batch
        return batch._replace(noise=self.noise.gather(noise, self.length, pinned=pinned))

    def clip(self, place: Draw) -> Clip:
        """Return the clip of a draw."""
        return self._draw(place)[0]

    def _draw(self, draw: Draw) -> tuple[Clip, list[DrawnNoise]]:
        """Return the clip of a draw, and its noise."""
        generator = np.random.default_rng(
            [self.seed, CROP, draw.epoch, draw.recording, draw.cycle, draw.pool]
        )
        window = draw.recording - len(self.store.lengths)
        if self.windows is not None and window >= 0:
            begin = self.windows.start_of_clip(window, self.config.clip_seconds, generator)
            taught = self.windows.taught(window, begin, self.config.clip_seconds)
            clip = Clip(*self.windows.place(window, begin), taught, draw.recording)
        else:
            start = self._start(int(self.store.lengths[draw.recording]) - self.length, generator)
            taught = self.labels.taught(draw.recording)
            clip = Clip(self.store, draw.recording, start, taught, draw.recording)
        return clip, [] if self.noise is None else list(self.noise.draw(self.length, generator))

    def _start(self, surplus: int, generator: np.random.Generator) -> int:
        """Draw the first sample of a crop."""
        if surplus <= 0:
            return 0
        if self.config.crop_grid == "sample":
            return int(generator.integers(surplus + 1))
        rate = round(self.store.sample_rate)
        return int(generator.integers(max(surplus // rate, 1))) * rate


class ValidClips(ClipSet):
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

    def clip(self, place: int) -> Clip:
        """Return one clip."""
        recording, start = self.clips[place]
        return Clip(self.store, recording, start, self.labels.taught(recording), recording)

    def _starts(self, recording: int) -> list[int]:
        surplus = max(int(self.store.lengths[recording]) - self.length, 0)
        starts = np.linspace(0, surplus, self.config.valid_clips).round().astype(int)
        return list(dict.fromkeys(starts.tolist()))


class ValidWindows(ClipSet):
    """Labelled windows as inference hears them: stretches of 5 s.

    Parameters
    ----------
    items
        All labelled windows.
    config
        Filling.
    chosen
        (window,) positions of those that validate.
    """

    def __init__(self, items: WindowItems, config: DataConfig, chosen: np.ndarray) -> None:
        self.items, self.config, self.chosen = items, config, chosen
        self.length = items.store.clip_length(WINDOW_SECONDS)

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.chosen)

    def clip(self, place: int) -> Clip:
        """Return one window; its item is its position."""
        window = int(self.chosen[place])
        begin = float(self.items.windows.begin[window])
        taught = self.items.taught(window, begin, WINDOW_SECONDS)
        return Clip(*self.items.place(window, begin), taught, window)


class TrainBatches:
    """The batches of an epoch, each a list of draws.

    Parameters
    ----------
    pool
        Positions of the items that train, and their drawing weights.
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
    """Items to draw from: each once a cycle, or by weight.

    Attributes
    ----------
    positions
        (item,) int64 positions, see `Draw`; a repeated one is drawn as often.
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
    clip = np.empty((length, *wave.shape[1:]), wave.dtype)
    clip[: len(wave)] = wave
    fill_rest(clip, len(wave), how)
    return clip
