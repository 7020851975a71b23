"""What teachers say of windows, and which of them are learnt from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from core.data.window_items import WindowItems
from core.inference.config import WindowConfig
from core.inference.engines.backends import with_backend
from core.inference.ensemble import load_ensemble
from core.inference.predictor import Predictor
from experiments.student_017.config import PseudoLabelConfig


def predict_unlabelled(
    items: WindowItems,
    unlabelled: Mapping[str, Path],
    teachers: Sequence[Path],
    species: Sequence[str],
    device: torch.device,
) -> np.ndarray:
    """Return the teachers' mean probabilities (window, species) float32; 0 where a window is no one's.

    Parameters
    ----------
    items
        Windows, those of unlabelled soundscapes among them.
    unlabelled
        Id -> file of these.
    teachers
        Checkpoints.
    species
        Codes of the columns.
    device
        Where the networks run.

    Raises
    ------
    ValueError
        If a teacher does not know a species.
    """
    ensemble = with_backend(load_ensemble(teachers, species=species), "torch", device, 1)
    results = Predictor(ensemble, WindowConfig(), device).predict_files(list(unlabelled.values()))
    found = np.zeros((len(items.windows), len(species)), dtype=np.float32)
    names = list(unlabelled)
    for position, result in results:
        name = names[position]
        rows = np.flatnonzero(items.windows.soundscape == name)[: result.probability.shape[1]]
        found[rows] = result.probability[0, : len(rows)]
    return found


def choose_windows(probability: np.ndarray, site: np.ndarray, config: PseudoLabelConfig) -> np.ndarray:
    """Return positions of the windows that are learnt from, the most confident first within both caps.

    A window's confidence is the probability of its most probable species.

    Parameters
    ----------
    probability
        (window, species).
    site
        (window,) text.
    config
        Caps.

    Examples
    --------
    >>> said = np.array([[0.9, 0.1], [0.8, 0.0], [0.2, 0.7], [0.6, 0.1]])
    >>> choose_windows(said, np.array(["a", "a", "a", "b"]), PseudoLabelConfig(species_cap=2, site_cap=2))
    array([0, 1])
    >>> choose_windows(said, np.array(["a", "a", "a", "b"]), PseudoLabelConfig(species_cap=1))
    array([0, 2])
    """
    of_species: Counter[int] = Counter()
    of_site: Counter[str] = Counter()
    chosen = []
    for row in np.argsort(-probability.max(axis=1), kind="stable").tolist():
        first, place = int(probability[row].argmax()), str(site[row])
        if of_species[first] < config.species_cap and of_site[place] < config.site_cap:
            of_species[first] += 1
            of_site[place] += 1
            chosen.append(row)
    return np.sort(np.array(chosen, dtype=np.int64))
