"""How a survey was drawn, as its folder tells it: the strata of each species, and the clips of each."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.survey.windows import ScoredWindows
from core.config import require
from core.data.tables import numbers, read_table
from core.files import read_json
from core.scoring.survey import stratum_of

_KEYS = ("species", "edges", "sites", "windows")


@dataclass(frozen=True)
class Design:
    """The strata of a species' windows.

    Attributes
    ----------
    species
        Its code.
    edges
        (stratum - 1,) scores at which all strata but the lowest begin.
    sites
        (site,) names, where each was sampled by itself; else none.
    windows
        (cell,) of each stratum, or of each site's strata, one site after another.
    """

    species: str
    edges: tuple[float, ...]
    sites: tuple[str, ...]
    windows: np.ndarray = field(repr=False)

    @property
    def strata(self) -> int:
        """How many there are."""
        return len(self.edges) + 1

    @property
    def number(self) -> int:
        """Of cells."""
        return self.strata * max(len(self.sites), 1)

    def cells(self, windows: ScoredWindows) -> np.ndarray:
        """Return the cell of each window, (window,) int.

        Raises
        ------
        ValueError
            If a site is none of those that were sampled.
        """
        stratum = stratum_of(windows.score, np.array(self.edges))
        if not self.sites:
            return stratum
        place = {name: i for i, name in enumerate(self.sites)}
        lacking = [name for name in windows.sites if name not in place]
        require(
            not lacking, f"{self.species}: site {', '.join(lacking[:3])} was not sampled; draw a new sample"
        )
        return stratum + self.strata * np.array([place[name] for name in windows.sites])[windows.site]

    def as_dict(self) -> dict[str, Any]:
        """Return what `read_designs` reads."""
        values = (self.species, list(self.edges), list(self.sites), self.windows.tolist())
        return dict(zip(_KEYS, values, strict=True))


def read_designs(folder: Path) -> tuple[list[Design], pd.DataFrame]:
    """Return the designs of a survey's folder, and its clips: `species`, `file_id`, `begin`, `stratum`.

    Raises
    ------
    ValueError
        If it is no such folder.
    """
    file = folder / "survey.json"
    require(file.is_file(), f"survey={folder}: no survey.json; name the folder that `sample` wrote")
    content = read_json(file)
    found = content.get("designs", [])
    is_whole = bool(found) and all(set(_KEYS) <= set(one) for one in found)
    require(is_whole, f"{file}: a design needs {', '.join(_KEYS)}; draw the sample again")
    designs = [
        Design(one["species"], tuple(one["edges"]), tuple(one["sites"]), np.array(one["windows"], dtype=int))
        for one in found
    ]
    clips = read_table("survey", folder / "sample.csv", ("species", "file_id", "begin", "stratum"))
    return designs, clips.assign(begin=numbers(clips, "begin", folder / "sample.csv"))
