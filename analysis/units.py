"""What is drawn or exchanged as a whole: recordings, or what one author recorded.

Clips of a recording are never independent; the recordings of one author, who comes back to the same place
with the same microphone, may not be either. Drawing authors is the stricter choice. A bootstrap within
species draws the recordings of one author of one species together; a sign-flip test, which needs no species,
exchanges all of an author's. A recording whose author is unknown stands for itself.
"""

from typing import Literal

import numpy as np

from analysis.runs import Aligned
from core.data.competition import UNKNOWN_AUTHOR

Unit = Literal["recording", "author"]
UNITS: dict[Unit, str] = {"recording": "recordings", "author": "authors by species"}
"""How they are counted in a text."""


def drawn_units(aligned: Aligned, by: Unit) -> np.ndarray:
    """Return what each row (row,) is drawn with."""
    if by == "recording":
        return aligned.recording
    return np.array(
        [f"{a} | {s}" for a, s in zip(exchanged_units(aligned, by), aligned.primary, strict=True)]
    )


def exchanged_units(aligned: Aligned, by: Unit) -> np.ndarray:
    """Return what each row (row,) is exchanged with."""
    if by == "recording":
        return aligned.recording
    known = ~np.isin(aligned.author, [UNKNOWN_AUTHOR, "", "nan", "None"])
    return np.where(known, aligned.author, aligned.recording)
