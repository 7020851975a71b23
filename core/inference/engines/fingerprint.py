"""What an engine says of one invented sound: a new version or processor that changes numbers is seen.

An export records the logits of each engine it measured. Whoever predicts with one of them later computes the
same logits first, and is told in a line if they are others.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from core.data.soundscapes import WINDOW_SECONDS
from core.inference.config import Backend
from core.inference.ensemble import Ensemble
from core.machine import package_version

NUM_CLIPS, LOUDNESS = 2, 0.1
TOLERANCE = 1e-3
"""Of a logit; a probability moves by at most a quarter of it."""


def fingerprint(ensemble: Ensemble, context: int, species: Sequence[str] | None = None) -> list[float]:
    """Return the members' logits of invented noise, one after the other.

    Parameters
    ----------
    ensemble
        Its networks in an engine.
    context
        Windows that a model sees at once.
    species
        Whose logits; None: all of the ensemble's.
    """
    generator = np.random.default_rng(0)
    waves = {
        form: torch.from_numpy(
            LOUDNESS
            * generator.standard_normal(
                (NUM_CLIPS * context, WINDOW_SECONDS * form.sample_rate), dtype=np.float32
            )
        )
        for form in ensemble.window_formats
    }
    logits = ensemble.window_logits(ensemble.outputs(waves, context), context).cpu().numpy()
    chosen = [ensemble.species.index(code) for code in species or ensemble.species]
    found: list[float] = logits[:, :, chosen].astype(float).round(6).ravel().tolist()
    return found


def describe_change(ensemble: Ensemble, backend: Backend, manifest: Mapping[str, Any]) -> str:
    """Return how an engine's logits differ from those that the export recorded; empty if they do not.

    Parameters
    ----------
    ensemble
        Its networks in the engine.
    backend
        Which.
    manifest
        Of the export; without logits of this engine nothing is computed.
    """
    rows = [row for row in manifest.get("parity", []) if row["backend"] == backend]
    recorded = rows[0].get("fingerprint") if rows else None
    if not recorded:
        return ""
    found = fingerprint(ensemble, manifest["context"], manifest["species"])
    largest = float(np.abs(np.subtract(recorded, found)).max())
    if largest <= TOLERANCE:
        return ""
    package = backend.split("_")[0]
    before, now = manifest["machine"]["packages"].get(package, "unknown"), package_version(package)
    what = f"{package} {before} then, {now} now" if before != now else f"{package} {now}, another processor?"
    return (
        f"backend={backend} computes otherwise than when the export was made: logits of the same sound "
        f"differ by up to {largest:.2g} ({what}). Export again to have it judged here."
    )
