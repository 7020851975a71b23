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
    members = np.zeros((groups.max() + 1, codes.max() + 1))  # recordings of each group and species
    np.add.at(members, (groups, codes), 1)
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
    found = _assign_groups(members[:, there], promised[there], config.num_folds, generator)
    return SoundscapeFolds(found[number], group, by)


def _assign_groups(
    members: np.ndarray, promised: np.ndarray, num_folds: int, generator: np.random.Generator
) -> np.ndarray:
    """Return the fold of each group, -1 where each fold would hold a promised species whole.

    `members` is (group, species), how often each group holds each species; `promised` is (species,) bool.
    """
    totals = members.sum(axis=0)
    counts = np.zeros((num_folds, len(totals)))
    fold_of_group = np.full(len(members), ALWAYS_TRAINS)
    shuffled = generator.permutation(len(members))
    largest_first = shuffled[np.argsort(-members[shuffled].sum(axis=1), kind="stable")]
    for group in largest_first:
        after = counts + members[group]
        holds_species_whole = ((after == totals) & (members[group] > 0) & promised).any(axis=1)
        if holds_species_whole.all():
            continue
        crowding = (after**2 - counts**2) / totals
        cost = np.stack([holds_species_whole, crowding.sum(axis=1), after.sum(axis=1)])
        best = np.lexsort(cost[::-1])[0]  # by promise, then by species, then by size
        counts[best] = after[best]
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
