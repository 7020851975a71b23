"""The windows that may be asked for: predictions, audio, names, what is known of them, how they sound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.runs import Run
from analysis.soundscapes import read_soundscapes
from core.config import require
from core.config_data import DataConfig
from core.config_values import from_dict
from core.data.annotations.windows import label_windows
from core.data.layouts import find_taxonomies
from core.data.loaders import read_recordings
from core.data.pcm import PcmStore
from core.data.soundscapes import WINDOW_SECONDS, find_soundscapes
from core.data.taxonomy import Taxonomy, read_taxonomy
from core.embeddings.cards import read_embedding_card
from core.embeddings.front_end import Embedder
from core.embeddings.store import EmbeddingStore
from core.scoring.decisions import clipped_logit
from core.scoring.predictions import Predictions
from core.wording import counted


@dataclass(frozen=True)
class Listenable:
    """Predictions whose audio is there.

    Attributes
    ----------
    predictions, seconds
        Of windows, or of longer clips of recordings; and their length.
    files
        Recording or soundscape -> its file.
    taxonomy
        Every species that may be heard; those of the predictions come first, in their order.
    notes
        What was left out, a sentence each.
    """

    predictions: Predictions
    seconds: float
    files: Mapping[str, Path]
    taxonomy: Taxonomy
    notes: tuple[str, ...]

    @classmethod
    def of_soundscapes(
        cls, probabilities: str | Predictions, soundscapes: Sequence[str], names: str | None
    ) -> "Listenable":
        """Return the windows of `core.inference`, or some; `names`: a taxonomy, or None: that beside them."""
        files = find_soundscapes(soundscapes)
        beside = find_taxonomies(Path(soundscapes[0]).expanduser().absolute().parent)
        tables = [read_taxonomy(table) for table in ([Path(names)] if names is not None else beside)]
        if isinstance(probabilities, str):
            probabilities = read_soundscapes(Path(probabilities))
        return cls._of(probabilities, float(WINDOW_SECONDS), files, tables)

    @classmethod
    def of_run(cls, run: Run, names: str | None) -> "Listenable":
        """Return the clips that a run validated; `names`: a taxonomy, or None: that of its recordings."""
        data = from_dict(DataConfig(), run.config["data"])
        require(len(run.predictions) > 0, f"{run.folder}: validated nothing (data.fold=None)")
        competition = read_recordings(data)
        table = competition.recordings
        files = {str(name): Path(path) for name, path in zip(table["recording"], table["path"], strict=True)}
        tables = [competition.taxonomy if names is None else read_taxonomy(Path(names))]
        return cls._of(run.predictions, data.valid_seconds, files, tables)

    @classmethod
    def _of(
        cls, found: Predictions, seconds: float, files: Mapping[str, Path], names: Sequence[Taxonomy]
    ) -> "Listenable":
        """Return the rows whose files are there."""
        there = np.isin(found.recording, list(files))
        absent = np.unique(found.recording[~there])
        note = [
            f"{counted(len(absent), 'files')} of the predictions missing, such as {one}" for one in absent[:1]
        ]
        require(bool(there.any()), f"soundscapes: none is of the predictions; {''.join(note)}")
        codes = dict.fromkeys((*found.species, *(code for one in names for code in one.codes)))
        return cls(found.rows(there), seconds, files, Taxonomy().with_codes(list(codes), *names), tuple(note))


def known_answers(found: Listenable, tables: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return (window, species) bool, what annotation tables answer; and their notes."""
    clips = found.predictions
    known = np.zeros(clips.probability.shape, dtype=bool)
    if not tables:
        return known, ()
    windows, notes = label_windows(tables, found.files, found.taxonomy)
    grid = WINDOW_SECONDS * (clips.start_seconds // WINDOW_SECONDS)
    rows_of = pd.Series(grid).groupby(clips.recording).indices
    answers = windows.with_species(clips.species).known
    for name, begin, answer in zip(windows.soundscape, windows.begin, answers, strict=True):
        rows = rows_of.get(name, np.zeros(0, dtype=int))
        inside = (grid[rows] <= begin) & (begin < clips.start_seconds[rows] + found.seconds)
        known[rows[inside]] |= answer
    return known, notes


def vectors_of(found: Listenable, config: Mapping[str, Any] | None) -> tuple[np.ndarray, str]:
    """Return (window, number) float, in which windows that sound alike are near; and what they are.

    They are the mean embeddings (NaN where there is none) of the pretrained network in a run's `config`;
    where that has none, the logits.
    """
    clips = found.predictions
    if config is None or "card" not in config["model"]:
        return clipped_logit(clips.probability), "logits"
    model, folder = config["model"], config["data"]["cache"]
    card = read_embedding_card(model["card"], model["file"], model["hop_seconds"])
    cache, names = Path(folder) if folder is not None else None, list(dict.fromkeys(clips.recording.tolist()))
    audio, embedder = PcmStore([found.files[name] for name in names], card.sample_rate, cache), Embedder(card)
    embedder.announce()
    store = EmbeddingStore(audio, embedder, cache)
    entry, length = {name: i for i, name in enumerate(names)}, store.clip_length(found.seconds)
    vectors = np.full((len(clips), store.width), np.nan)
    for row, (name, start) in enumerate(zip(clips.recording, clips.start_seconds, strict=True)):
        last = int(store.lengths[entry[name]]) - 1
        if last >= 0:
            first = min(round(start * store.sample_rate), last)
            vectors[row] = store.read(entry[name], first, length).mean(axis=0)
    return vectors, f"embeddings of {card.name}"
