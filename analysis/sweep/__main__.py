"""What a sweep showed: python -m analysis.sweep outputs/sweeps/ID, or ENTITY/PROJECT/SWEEP of W&B.

Trials with intervals, whether the best is better than the second, marginal effects, importance, and score
against throughput; printed, as tables, and as figures.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from analysis.command import require_bootstrap
from analysis.drawing.figure_files import Format
from analysis.sweep.files import write_all
from analysis.sweep.findings import SweepFindings
from analysis.sweep.report import sweep_text
from analysis.sweep.trial_results import SweepResults, read_results
from analysis.sweep.wandb_runs import read_wandb_sweep
from core.config import require
from core.config_checks import expand_home, require_output
from core.program import run_program
from core.scoring.resampling import RESAMPLES


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """Analyse a sweep: trials, verdict on the best, effects and importance of parameters, cost."""

    sweep: tyro.conf.Positional[str]
    """Its folder (outputs/sweeps/ID), or entity/project/sweep or project/sweep of W&B."""
    out: str | None = None
    """Folder for tables and figures; by default `analysis` in the sweep's, or outputs/sweeps/ID/analysis."""
    format: Format = "png"
    """Of the figures."""
    runs: str = "outputs"
    """Where the runs of a W&B sweep lie, if they do: trials are compared in pairs by their predictions."""
    resamples: int = RESAMPLES
    """Bootstrap resamples of each interval."""
    flips: int = 10_000
    """Random exchanges of each test."""
    confidence: float = 0.95
    """Of intervals and verdicts."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require_bootstrap(self.resamples, self.confidence)
        require(self.flips >= 100, f"flips={self.flips}: at least 100")
        expand_home(self, "sweep", "out", "runs")
        require_output("out", self.out, is_folder=True)


def _open_sweep(config: SweepConfig) -> SweepResults:
    """Return the sweep that is named: a folder, else one of W&B."""
    path = Path(config.sweep)
    parts = config.sweep.split("/")
    # "outputs/sweeps/x" looks like one of W&B as well: a name whose beginning lies here is a folder
    if path.exists() or path.is_absolute() or len(parts) not in (2, 3) or Path(parts[0]).exists():
        return read_results(path)
    return read_wandb_sweep(config.sweep, Path(config.runs))


def _analyse_sweep(config: SweepConfig) -> None:
    """Print what a sweep shows; write tables and figures."""
    sweep = _open_sweep(config)
    found = SweepFindings(sweep, config.resamples, config.flips, config.confidence)
    print(sweep_text(found), flush=True)
    source = Path(sweep.source)
    home = source if source.is_dir() else Path("outputs/sweeps") / source.name
    folder = home / "analysis" if config.out is None else Path(config.out)
    files = write_all(found, folder, config.format)
    print(f"\nWritten to {folder}: {', '.join(file.name for file in files)}")


if __name__ == "__main__":
    run_program(SweepConfig, _analyse_sweep)
