"""The settings of a survey's commands, importable without torch."""

from dataclasses import dataclass
from typing import Literal

import tyro

from analysis.drawing.figure_files import Format
from core.config import require, require_probability
from core.config_checks import expand_home, require_output, require_seed
from core.scoring.intervals import CONFIDENCE
from core.scoring.survey import Alike, Bins


@dataclass(frozen=True, kw_only=True)
class SurveyOptions:
    """What every command of a survey takes."""

    predictions: tyro.conf.Positional[str]
    """What `core.inference --probabilities` wrote; .parquet for many windows, of which a species is read."""

    def __post_init__(self) -> None:
        """Find the home folder."""
        expand_home(self, "predictions")


@dataclass(frozen=True, kw_only=True)
class SampleConfig(SurveyOptions):
    """Draw windows of a species at random, stratified by its score, onto a page to listen to."""

    species: tuple[str, ...]
    """Codes; each gets a sample of its own, and all are on one page."""
    soundscapes: tuple[str, ...]
    """Folder of the soundscapes."""
    out: str = "survey"
    """Folder for the page, review.html, and the sample; verdicts are downloaded from the page."""
    clips: int = 200
    """Of each species. The same seed and more clips: those of before are among them."""
    strata: int = 8
    """By score."""
    bins: Bins = "halving"
    """Strata: each with half the windows of the one below; equally many (quantile); equal widths (logit)."""
    power: float = 0.5
    """Clips of a stratum are in proportion to its windows to this power; 0: equally many."""
    by_site: bool = False
    """Sample each site by itself: its verdicts alone then tell its density. At least 5 clips a stratum."""
    verdicts: tuple[str, ...] = ()
    """Verdicts of earlier pages of this survey; what they answer is not asked again."""
    context_seconds: float = 2.0
    """Shown and played before and after the 5 s that are asked for."""
    taxonomy: str | None = None
    """Table of the species' names; None: those beside the soundscapes."""
    seed: int = 0
    """Of what is drawn."""

    def __post_init__(self) -> None:
        """Check ranges, and that the folder can be written."""
        super().__post_init__()
        require(len(self.species) > 0, "species: name one or more codes of the table's columns")
        require(len(self.soundscapes) > 0, "soundscapes: name the folder of the audio")
        require(self.clips >= 1, f"clips={self.clips}: at least 1")
        require(self.strata >= 2, f"strata={self.strata}: at least 2")
        require_probability("power", self.power)
        require(0 <= self.context_seconds <= 30, f"context_seconds={self.context_seconds:g}: from 0 to 30")
        require_seed("seed", self.seed)
        expand_home(self, "soundscapes", "out", "verdicts", "taxonomy")
        require_output("out", self.out, is_folder=True)


@dataclass(frozen=True, kw_only=True)
class VisitOptions(SurveyOptions):
    """Commands that tell of sites and visits."""

    visit_days: int = 1
    """Days of a visit; visits follow one another from the first day of all."""
    day_starts: float = 0.0
    """Hour at which a day begins; 12: a night is one day, named by its evening."""

    def __post_init__(self) -> None:
        """Check ranges."""
        super().__post_init__()
        require(self.visit_days >= 1, f"visit_days={self.visit_days}: at least 1")
        require(0 <= self.day_starts < 24, f"day_starts={self.day_starts:g}: from 0 to below 24")


@dataclass(frozen=True, kw_only=True)
class DensityConfig(VisitOptions):
    """Estimate call density, the share of windows with a species: in all, a site, a day, with intervals."""

    survey: str = "survey"
    """Folder that `sample` wrote."""
    verdicts: tuple[str, ...]
    """Files of verdicts that were downloaded from its page."""
    alike: Alike | Literal["best"] = "best"
    """What sites and days have in common: the share of positives in a stratum (shares), or how calls and
    other sounds score, though calls are more common at some (calls); best: what fits the verdicts better."""
    confidence: float = CONFIDENCE
    """Coverage of the intervals."""
    out: str | None = None
    """Folder for tables and figures."""
    format: Format = "png"
    """Of the figures."""
    seed: int = 0
    """Of the draws behind the intervals."""

    def __post_init__(self) -> None:
        """Check ranges, and that the folder can be written."""
        super().__post_init__()
        require(0 < self.confidence < 1, f"confidence={self.confidence}: between 0 and 1")
        require(len(self.verdicts) > 0, "verdicts: name the file that was downloaded from the page")
        require_seed("seed", self.seed)
        expand_home(self, "survey", "verdicts", "out")
        require_output("out", self.out, is_folder=True)


@dataclass(frozen=True, kw_only=True)
class HistoriesConfig(VisitOptions):
    """Write detection histories for occupancy models: sites by visits, 1, 0 or NA, and the effort."""

    species: tuple[str, ...]
    """Codes; each gets its tables."""
    threshold: float | None = None
    """A window at or above it is a detection, unless a verdict says otherwise; None: verdicts alone count."""
    verdicts: tuple[str, ...] = ()
    """Files of verdicts, or annotation tables of whole windows."""
    out: str = "histories"
    """Folder for the tables."""

    def __post_init__(self) -> None:
        """Check that something is to be counted, and that the folder can be written."""
        super().__post_init__()
        require(len(self.species) > 0, "species: name one or more codes of the table's columns")
        given = self.threshold is not None or len(self.verdicts) > 0
        require(given, "threshold or verdicts: name a threshold, verdicts, or both")
        limit = self.threshold
        require(limit is None or 0 < limit < 1, f"threshold={limit}: between 0 and 1")
        expand_home(self, "verdicts", "out")
        require_output("out", self.out, is_folder=True)
