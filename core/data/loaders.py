"""From a configuration to the data of a run: recordings, labels, folds, decoded audio, loaders."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from core.config import Config, DataConfig
from core.data.clip_loader import ClipLoader
from core.data.clips import Pool, TrainBatches, TrainClips, ValidClips, ValidWindows
from core.data.competition import Competition, read_competition
from core.data.folds import folds_of, split
from core.data.labels import Labels, build_labels
from core.data.noise import NoiseSets, find_noise
from core.data.pcm import ClipStore, PcmStore
from core.data.ratings import known_ratings
from core.data.window_items import WindowItems, divide_windows, labelled_windows
from core.machine import usable_cores

MAX_GATHERERS = 4
SHOWN_REASONS = 5


@dataclass(frozen=True)
class RunData:
    """What a run trains and validates on.

    Attributes
    ----------
    competition
        Recordings and the order of species.
    store
        Their samples.
    labels
        Their labels.
    folds
        (recording,) the fold that validates each recording, -1 for none.
    train, valid
        Positions of usable recordings that train and validate.
    soundscapes
        Labelled windows; as items they follow the recordings.
    noise
        Samples of each set of background noise.
    bad
        File -> reason, for audio that cannot be used.
    listed
        Table of these and of files that are damaged or odd: `file`, `status`, `used_seconds`, `reason`.
    """

    competition: Competition
    store: ClipStore
    labels: Labels
    folds: np.ndarray
    train: np.ndarray
    valid: np.ndarray
    soundscapes: WindowItems
    noise: Sequence[PcmStore]
    bad: dict[str, str]
    listed: pd.DataFrame

    @property
    def train_counts(self) -> dict[str, int]:
        """Items that train, by species: recordings by primary label, windows by every species they hold."""
        heard = self.soundscapes.windows.positive[self.soundscapes.train].sum(axis=0)
        counts = Counter(self.competition.recordings["species"].iloc[self.train].tolist())
        counts.update(dict(zip(self.soundscapes.windows.species, heard.tolist(), strict=True)))
        return {str(species): int(count) for species, count in sorted(counts.items()) if count}

    @property
    def item_names(self) -> list[str]:
        """Name of each item: recordings, then labelled windows."""
        return [*self.competition.recordings["recording"], *self.soundscapes.names]

    @property
    def item_species(self) -> np.ndarray:
        """(item,) text: the primary label; of a window its rarest species in training, "" of a silent one."""
        windows, counts = self.soundscapes.windows, self.train_counts
        number = np.array([counts.get(code, 0) for code in windows.species], dtype=float)
        of_window = [
            min(((number[i], windows.species[i]) for i in np.flatnonzero(row)), default=(0, ""))[1]
            for row in windows.positive
        ]
        return np.array([*self.competition.recordings["species"], *of_window], dtype=object)


@dataclass(frozen=True)
class Loaders:
    """Batches of an epoch and of the validation clips, for one process.

    Attributes
    ----------
    train
        Over `batches`.
    valid
        Over `valid_clips`, in their order.
    soundscapes
        Over the windows of soundscapes that this process validates.
    batches
        The draws of each training batch; chooses the epoch.
    valid_clips
        Clips of the recordings that this process validates.
    """

    train: ClipLoader
    valid: ClipLoader
    soundscapes: ClipLoader
    batches: TrainBatches
    valid_clips: ValidClips


def read_recordings(data: DataConfig) -> Competition:
    """Read the folders that `data` names.

    Raises
    ------
    ValueError
        If no recordings are found in a folder.
    """
    assert data.root is not None, "core.command_line settles data.root"
    return read_competition(data.root, data.extra_roots, data.columns, data.cache)


def open_data(config: Config, competition: Competition, *, quiet: bool = False) -> RunData:
    """Assign folds, and decode what is not in the cache yet.

    Parameters
    ----------
    config
        Of the run.
    competition
        Its recordings, from `read_recordings` or from an experiment's own reader.
    quiet
        No progress bar.

    Raises
    ------
    ValueError
        If more than `data.max_bad_share` of the recordings cannot be used.
    """
    data = config.data
    assert data.root is not None, "core.command_line settles data.root"
    assert data.fold != "all", "one run trains one fold"
    opened = partial(open_store, sample_rate=config.features.sample_rate, config=data, quiet=quiet)
    recordings = competition.recordings
    store = opened(recordings["path"].tolist())
    refuse_if_too_many_bad(store, data)
    sets = find_noise(Path(data.root), data.noise) if any(data.noise.probabilities) else []
    noise = [opened(files) for files in sets]
    windows = labelled_windows(competition, data)
    scapes = opened(list(windows.paths.values()))
    folds = folds_of(competition, data)
    train, valid = split(folds, data.fold)
    usable = store.lengths > 0
    stores = [store, scapes, *noise]
    too_low = known_ratings(recordings, data) < data.min_rating
    return RunData(
        competition=competition,
        store=store,
        labels=build_labels(competition, data),
        folds=folds,
        train=train[usable[train] & ~too_low[train]],
        valid=valid[usable[valid]],
        soundscapes=divide_windows(windows, scapes, set(recordings["species"]), data),
        noise=noise,
        bad={str(part.paths[i]): reason for part in stores for i, reason in part.bad.items()},
        listed=list_files(stores),
    )


def add_unlabelled(data: RunData, config: DataConfig, *, quiet: bool = False) -> RunData:
    """Return the data of a run with the windows of soundscapes that nobody labelled behind the labelled ones.

    Parameters
    ----------
    data
        From `open_data`.
    config
        Cache, `strict`.
    quiet
        No progress bar.
    """
    items, unlabelled, rate = data.soundscapes, data.competition.unlabelled, round(data.store.sample_rate)
    paths = [*items.windows.paths.values(), *unlabelled.values()]
    store = open_store(paths, rate, config, quiet=quiet)
    return replace(data, soundscapes=items.with_unlabelled(unlabelled, store))


def open_store(
    paths: Sequence[Path], sample_rate: int, config: DataConfig, *, quiet: bool = False
) -> PcmStore:
    """Return the samples of recordings, decoded into the configured cache where they are not there yet."""
    cache = Path(config.cache) if config.cache is not None else None
    return PcmStore(
        paths, sample_rate, cache, quiet=quiet, strict=config.strict, cache_format=config.cache_format
    )


def list_files(stores: Sequence[PcmStore]) -> pd.DataFrame:
    """Return `file`, `status`, `used_seconds` and `reason` of files that are unusable, damaged or odd."""
    rows = []
    for store in stores:
        rows += [(str(store.paths[i]), "unusable", 0.0, reason) for i, reason in store.bad.items()]
        for i, found in store.findings.items():
            seconds = round(int(store.lengths[i]) / store.sample_rate, 3)
            reason = "; ".join(filter(None, [found.damage, *found.notes]))
            rows.append((str(store.paths[i]), "damaged" if found.damage else "odd", seconds, reason))
    return pd.DataFrame(sorted(rows), columns=["file", "status", "used_seconds", "reason"])


def refuse_if_too_many_bad(store: PcmStore, data: DataConfig) -> None:
    """Refuse recordings of which too many are bad.

    Parameters
    ----------
    store
        Of the recordings, decoded.
    data
        `max_bad_share`; `root` for the message.

    Raises
    ------
    ValueError
        With the first reasons, if a larger share than `max_bad_share` is bad.
    """
    share = len(store.bad) / len(store)
    if share <= data.max_bad_share:
        return
    shown = [f"  {store.paths[i]}: {store.bad[i]}" for i in sorted(store.bad)[:SHOWN_REASONS]]
    message = (
        f"{len(store.bad)} of {len(store)} recordings in {data.root} cannot be used ({share:.0%}, more than "
        f"data.max_bad_share={data.max_bad_share:g}):\n" + "\n".join(shown) + "\n"
        "Complete the audio, or raise --data.max_bad_share to train on the rest."
    )
    raise ValueError(message)


def build_loaders(data: RunData, config: Config, *, rank: int, world: int, on_cpu: bool) -> Loaders:
    """Return the loaders of one process.

    Parameters
    ----------
    data
        Of the run.
    config
        Batch sizes, workers, augmentation of waves, seed.
    rank, world
        This process and the number of processes; each trains on its slice of every batch, and validates every
        `world`-th recording.
    on_cpu
        Whether the network runs on the CPU: no threads that gather ahead by default, no pinned memory.

    Raises
    ------
    ValueError
        If nothing is left to train on, or the batch does not divide among the processes.
    """
    if len(data.train) == 0:
        message = f"{config.data.root}: no recording is left to train on"
        raise ValueError(message)
    workers = config.data.num_workers
    if workers is None:
        workers = 0 if on_cpu else min(MAX_GATHERERS, len(usable_cores()) // world)
    noise = NoiseSets(data.noise, config.data.noise) if data.noise else None
    batches = TrainBatches(
        *build_pools(data, config),
        config.data,
        config.mixup,
        seed=config.seed,
        micro_batches=config.optim.accumulation,
        rank=rank,
        world=world,
    )
    clips = TrainClips(data.store, data.labels, config.data, noise, config.seed, data.soundscapes)
    valid_clips = ValidClips(data.store, data.labels, config.data, data.valid[rank::world])
    windows = ValidWindows(data.soundscapes, config.data, data.soundscapes.valid[rank::world])
    train = ClipLoader(clips, batches, workers, pinned=not on_cpu)
    valid, soundscapes = (
        ClipLoader(one, _in_order(len(one), config.data.valid_batch_size), min(workers, 2), pinned=not on_cpu)
        for one in (valid_clips, windows)
    )
    return Loaders(train, valid, soundscapes, batches, valid_clips)


def _in_order(number: int, size: int) -> list[range]:
    """Return batches of all places, one after another."""
    return [range(start, min(start + size, number)) for start in range(0, number, size)]


def build_pools(data: RunData, config: Config) -> tuple[Pool, Pool]:
    """Return the pool of all items that train and that of those with a scored bird.

    Parameters
    ----------
    data
        Of the run.
    config
        Repetition and weights. The scored pool holds recordings with a scored species among primary or
        secondary labels, and windows with one; it is empty where selective mixup is off.
    """
    species, scored = data.item_species, data.competition.scored_columns
    windows = data.soundscapes.train
    items = np.concatenate([data.train, len(data.store.lengths) + windows])
    is_primary = np.isin(species[data.train], data.competition.scored)
    times = np.where(is_primary, config.data.scored_repetition, 1)
    times = np.concatenate([times, np.full(len(windows), config.data.soundscape_repetition)])
    repeated = np.repeat(items, times)
    weights = None
    if config.data.balance_power > 0:
        weights = inverse_counts(species[repeated], config.data.balance_power)
    in_recordings = data.labels.held[data.train][:, scored].sum(axis=1) > 0
    holds_scored = np.append(in_recordings, data.soundscapes.windows.positive[windows][:, scored].any(axis=1))
    if config.mixup.selective_probability == 0:
        holds_scored[:] = False
    selected = items[holds_scored]
    selected_weights = None
    if config.data.undersample_power > 0 and len(selected):
        selected_weights = inverse_counts(species[selected], config.data.undersample_power)
    return Pool(repeated, weights), Pool(selected, selected_weights)


def inverse_counts(species: np.ndarray, power: float) -> np.ndarray:
    """Return (recording,) float64 drawing weights: (recordings of its species) ** -power.

    Parameters
    ----------
    species
        (recording,) codes.
    power
        0 leaves recordings equally frequent, 1 makes species so.
    """
    _, inverse, counts = np.unique(species, return_inverse=True, return_counts=True)
    return counts[inverse].astype(np.float64) ** -power
