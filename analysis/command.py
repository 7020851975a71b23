"""Options that several programs of this package take."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import tyro

from analysis.drawing.figure_files import CAPTION_KEYS, Format
from core.config import ValidConfig, require
from core.config_checks import expand_home, require_output, require_seed
from core.scoring.intervals import Method
from core.scoring.predictions import Of, Unit


def require_bootstrap(resamples: int | None, confidence: float | None) -> None:
    """Raise `ValueError`, naming the option, unless the settings of a bootstrap lie in their ranges."""
    require(confidence is None or 0 < confidence < 1, f"confidence={confidence}: between 0 and 1")
    require(resamples is None or resamples >= 100, f"resamples={resamples}: at least 100")


@dataclass(frozen=True, kw_only=True)
class ScoringOptions:
    """How predictions are scored, by every program alike."""

    by: Unit = "recording"
    """What is drawn as a whole, and never divided between fitting and judging; author, day and site are
    stricter."""
    quantile: float | None = None
    """The 2022 score's threshold is this quantile of all scored probabilities; None: the first run's."""
    resamples: int | None = None
    """Bootstrap resamples behind an interval; None: as many as the first run was scored with."""
    confidence: float | None = None
    """Coverage that the intervals aim at; None: the first run's."""
    seed: int = 0
    """Of everything random."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(
            self.quantile is None or 0 <= self.quantile <= 1, f"quantile={self.quantile}: between 0 and 1"
        )
        require_bootstrap(self.resamples, self.confidence)
        require_seed("seed", self.seed)

    def settled(self, valid: ValidConfig) -> ValidConfig:
        """Return how a run was scored, with what is asked for here."""
        asked: dict[str, Any] = {
            "threshold_quantile": self.quantile,
            "num_resamples": self.resamples,
            "confidence": self.confidence,
        }
        return replace(valid, **{name: value for name, value in asked.items() if value is not None})


@dataclass(frozen=True, kw_only=True)
class FolderOptions(ScoringOptions):
    """Programs that judge runs, and write tables and figures into a folder."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Runs, runs of all folds, or folders that hold such."""
    out: str | None = None
    """Folder for tables and figures; of several runs one folder each inside where they are judged alone."""
    format: Format = "png"
    """Of the figures."""

    def __post_init__(self) -> None:
        """Check ranges, and that the folder can be written."""
        super().__post_init__()
        expand_home(self, "runs", "out")
        require_output("out", self.out, is_folder=True)


@dataclass(frozen=True, kw_only=True)
class IntervalOptions(ScoringOptions):
    """Programs that print intervals of runs, and write them as one table and one figure."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Runs, runs of all folds, or folders that hold such; others are compared with the first."""
    of: Of = "recordings"
    """What was validated: clips of recordings, or windows of labelled soundscapes."""
    threshold: Literal["repicked", "fixed"] = "repicked"
    """Whether each resample picks the quantile of its own probabilities, as a new test set would, or all
    share that of the run."""
    method: Method = "adjusted"
    """The interval that is printed and drawn."""
    out: str | None = None
    """Also write the table, .csv or .json."""
    figure: str | None = None
    """Also draw it, .png, .svg or .pdf."""

    def __post_init__(self) -> None:
        """Check ranges, and that what is to be written can be, before anything is computed."""
        super().__post_init__()
        expand_home(self, "runs", "out", "figure")
        require_output("out", self.out, (".csv", ".json"))
        require_output("figure", self.figure, tuple(CAPTION_KEYS))
