"""Stratified folds over primary labels; `python -m analysis.folds ROOT` prints an audit of them.

As in the published solution only recordings whose primary label is scored are ever validated; every other
recording has fold -1 and always trains. So does the only recording of a scored species.

One greedy rule serves plain and author-grouped folds: groups of recordings, the largest first, go to the
fold that has the fewest of their species, but never to one that would then hold a species whole. That
last promise is why this is not scikit-learn's StratifiedKFold, which breaks it when every species is rare,
nor its StratifiedGroupKFold, which knows no such promise.

Labelled soundscapes are divided by the same rule: by site, or by file where fewer sites are known than there
are folds. The promise is kept for classes that no recording and several groups hold: a class of a single
group is trained by all folds but the one that validates it.
"""

from collections.abc import Collection
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array

from core.config import DataConfig
from core.data.competition import Competition
from core.data.labelled_windows import LabelledWindows

ALWAYS_TRAINS = -1
MIN_RECORDINGS = 2  # of a species that validates: one to train, one to validate


def assign_folds(
    recordings: pd.DataFrame,
    valid_species: tuple[str, ...],
    *,
    num_folds: int = 5,
    seed: int = 71,
    group_by_author: bool = False,
) -> np.ndarray:
    """Return the fold that validates each recording, (recording,) int64, -1 where none does.

    For every fold, every species of `valid_species` with at least two recordings is in training.

    Parameters
    ----------
    recordings
        Table of `Competition`.
    valid_species
        Species whose recordings validate.
    num_folds
        Number of folds.
    seed
        Seed of the assignment.
    group_by_author
        Keep all validating recordings of an author in one fold. Where an author alone recorded a
        species, all of that author's recordings train.

    Raises
    ------
    ValueError
        If fewer recordings can validate than there are folds.
    """
    own = recordings[~recordings["is_extra"].astype(bool) & recordings["species"].isin(valid_species)]
    own = own[own.groupby("species")["species"].transform("size") >= MIN_RECORDINGS]
    folds = np.full(len(recordings), ALWAYS_TRAINS, dtype=np.int64)
    if len(own) < num_folds:
        message = (
            f"data.num_folds={num_folds}: only {len(own)} recordings can validate (scored species with at "
            "least two); use fewer folds, or data.fold=None"
        )
        raise ValueError(message)
    positions = recordings.index.get_indexer(own.index)
    codes, _ = pd.factorize(own["species"], sort=True)
    groups = pd.factorize(own["author"], sort=True)[0] if group_by_author else np.arange(len(own))
    members = coo_array((np.ones(len(own)), (groups, codes))).tocsr()  # recordings of each group and species
    promised = np.ones(members.shape[1], dtype=bool)
    folds[positions] = _assign_groups(members, promised, num_folds, np.random.default_rng(seed))[groups]
    return folds


class SoundscapeFolds(NamedTuple):
    """How labelled windows are divided."""

    fold: np.ndarray
    """(window,) int64, the fold that validates it; -1 where none does."""
    group: np.ndarray
    """(window,) text, what is never divided."""
    by: Literal["site", "file"]
    """What groups are; a soundscape whose site is unknown is its own."""


def soundscape_folds(
    windows: LabelledWindows, recorded: Collection[str], config: DataConfig
) -> SoundscapeFolds:
    """Divide labelled soundscapes into folds.

    Parameters
    ----------
    windows
        Of the soundscapes.
    recorded
        Species that recordings train, whatever happens to soundscapes.
    config
        Number of folds and their seed.
    """
    site, file = windows.site.astype(str), windows.soundscape.astype(str)
    by: Literal["site", "file"] = "site"
    if len(set(site) - {""}) < config.num_folds:
        by = "file"
    group = np.where((site == "") | (by == "file"), file, site)
    if len(windows) == 0:
        return SoundscapeFolds(np.zeros(0, dtype=np.int64), group, by)
    _, number = np.unique(group, return_inverse=True)
    members = np.zeros((number.max() + 1, len(windows.species) + 1))
    heard = np.concatenate([windows.positive, np.ones((len(windows), 1))], axis=1)  # and all windows
    np.add.at(members, number, heard)
    promised = ((members > 0).sum(axis=0) > 1) & ~np.isin([*windows.species, ""], ["", *recorded])
    there = members.any(axis=0)
    generator = np.random.default_rng(config.fold_seed)
    found = _assign_groups(csr_array(members[:, there]), promised[there], config.num_folds, generator)
    return SoundscapeFolds(found[number], group, by)


def _assign_groups(
    members: csr_array, promised: np.ndarray, num_folds: int, generator: np.random.Generator
) -> np.ndarray:
    """Return the fold of each group, -1 where each fold would hold a promised species whole.

    Parameters
    ----------
    members
        (group, species) how often each group holds each species.
    promised
        (species,) bool: no fold may hold all of it.
    num_folds
        At least 2.
    generator
        Shuffles groups of a size.
    """
    totals, sizes = members.sum(axis=0).tolist(), members.sum(axis=1)
    counts = [[0.0] * len(totals) for _ in range(num_folds)]
    filled = [0.0] * num_folds
    fold_of_group = np.full(members.shape[0], ALWAYS_TRAINS)
    shuffled = generator.permutation(members.shape[0])
    starts, columns, numbers = members.indptr.tolist(), members.indices.tolist(), members.data.tolist()
    keeps, terms = promised.tolist(), np.zeros(len(totals))
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")].tolist():
        held = range(starts[group], starts[group + 1])
        costs = []  # by promise, then by species, then by size
        for fold, count in enumerate(counts):
            is_whole, term = False, 0.0
            for place in held:
                column, number = columns[place], numbers[place]
                before, total = count[column], totals[column]
                is_whole = is_whole or (keeps[column] and before + number == total)
                terms[column] = term = ((before + number) ** 2 - before**2) / total
            # summed over all species, in numpy's order: where it rounds otherwise, a tie breaks otherwise
            crowding = term if len(held) == 1 else float(terms.sum())
            costs.append((is_whole, crowding, filled[fold], fold))
        terms[columns[held.start : held.stop]] = 0.0
        is_whole, _, _, best = min(costs)
        if is_whole:
            continue
        for place in held:
            counts[best][columns[place]] += numbers[place]
            filled[best] += numbers[place]
        fold_of_group[group] = best
    return fold_of_group


def split(folds: np.ndarray, fold: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions that train and those that validate.

    Parameters
    ----------
    folds
        (recording,) int64 of `assign_folds`.
    fold
        The one that validates; None: all recordings train.
    """
    if fold is None:
        return np.arange(len(folds)), np.zeros(0, dtype=np.int64)
    return np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


def folds_of(competition: Competition, config: DataConfig) -> np.ndarray:
    """Return the fold of every recording, (recording,) int64, as `assign_folds` does.

    Parameters
    ----------
    competition
        Recordings and scored species.
    config
        Number of folds, their seed, whose recordings validate, whether authors stay together.
    """
    everything = tuple(sorted(set(competition.recordings["species"])))
    species = competition.scored if config.valid_species == "scored" else everything
    return assign_folds(
        competition.recordings,
        species,
        num_folds=config.num_folds,
        seed=config.fold_seed,
        group_by_author=config.group_by_author,
    )
