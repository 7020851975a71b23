"""The program: python -m analysis.report outputs/timm_007 outputs/timm_008 --out report.html."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from analysis.drawing.figure_files import save_drawings
from analysis.plan import read_plan
from analysis.report.drawings import decision_drawings, forest_drawings, learning_curves
from analysis.report.page import page_content, render
from analysis.report.selection import Selection, select
from core.config import require
from core.config_checks import expand_home, require_finite, require_output
from core.files import write_atomically
from core.program import run_program
from core.scoring.evaluation import Evaluation, evaluate
from core.wording import counted

MEGABYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Write one self-contained page about finished runs, or its figures as single files."""

    runs: tyro.conf.Positional[tuple[str, ...]] = ("outputs",)
    """Runs, runs of all folds, or folders that hold such."""
    out: str = "report.html"
    """The page; with `--format` png, svg or pdf: the folder of the figures."""
    format: Literal["html", "png", "svg", "pdf"] = "html"
    """One page, or each figure as a file with its caption."""
    title: str = "Bird-sound classifiers"
    """Heading of the page."""
    plan: str | None = None
    """A yaml with metric, unit, margin and comparisons that was written before the runs: they come first."""
    soundscapes: str | None = None
    """Folder of soundscapes to listen to; needs `probabilities`."""
    probabilities: str | None = None
    """What `core.inference --probabilities` wrote about them."""
    submission: str | None = None
    """Decisions (`row_id,target`); None: the 0.85 quantile of all probabilities decides."""
    truth: str | None = None
    """What is known to sing (`row_id,target`)."""
    num_soundscapes: int = 12
    """Soundscapes in the page at most."""
    excerpt_seconds: float = 120.0
    """Longer soundscapes are shown in part, where most is heard."""
    media_megabytes: float = 11.0
    """Room for pictures and sound in the page; what does not fit is left out and counted."""

    def __post_init__(self) -> None:
        """Check what belongs together."""
        is_page = self.format == "html"
        require(self.plan is None or is_page, f"plan={self.plan}: shown on the page alone, --format=html")
        both = (self.soundscapes is None) == (self.probabilities is None)
        require(both, "soundscapes and probabilities: name both, or neither")
        alone = self.submission is None and self.truth is None
        require(
            alone or self.soundscapes is not None,
            "submission and truth need --soundscapes and --probabilities",
        )
        require(self.num_soundscapes >= 1, f"num_soundscapes={self.num_soundscapes}: at least 1")
        require(self.excerpt_seconds >= 5, f"excerpt_seconds={self.excerpt_seconds:g}: at least 5")
        require(self.media_megabytes > 0, f"media_megabytes={self.media_megabytes:g}: more than 0")
        require_finite(self)
        expand_home(self, "runs", "out", "plan", "soundscapes", "probabilities", "submission", "truth")
        require(
            is_page or Path(self.out).suffix == "" or Path(self.out).is_dir(),
            f"out={self.out}: --format={self.format} wants a folder",
        )
        require_output("out", self.out, (".html", ".htm") if is_page else (), is_folder=not is_page)


def write_report(config: ReportConfig) -> None:
    """Write the page or the figures.

    All metrics are computed anew from the predictions: runs of different days are judged by one method.

    Raises
    ------
    ValueError
        If no run is left to show, or a named file does not fit.
    """
    selection = select(config.runs)
    browser = _browser_of(config)
    evaluations = {
        run.name: evaluate(run.predictions, run.valid) for run in selection.runs if len(run.predictions)
    }
    if config.format != "html":
        _write_figures(selection, evaluations, config)
        return
    content = page_content(
        selection,
        learning_curves(selection, has_legend=False),
        evaluations,
        title=config.title,
        plan=None if config.plan is None else read_plan(Path(config.plan)),
        browser=browser,
    )
    html = render(content)
    write_atomically(Path(config.out), html)
    number, refused = len(selection.runs), "; ".join(selection.refused)
    print(
        f"{config.out}: {counted(number, 'runs')}, {len(html.encode()) / MEGABYTE:.1f} MB"
        + (f"; not shown: {refused}" if refused else "")
    )


def _browser_of(config: ReportConfig) -> dict[str, Any] | None:
    """Return the content of the soundscape browser; None where none is wanted."""
    if config.soundscapes is None or config.probabilities is None or config.format != "html":
        return None
    from analysis.report import soundscapes  # torch takes seconds to import

    submission, truth = (None if file is None else Path(file) for file in (config.submission, config.truth))
    decided = soundscapes.read_decided(Path(config.probabilities), submission, truth)
    shown, notes = soundscapes.choose_excerpts(
        Path(config.soundscapes),
        decided,
        number=config.num_soundscapes,
        longest=config.excerpt_seconds,
        num_bytes=int(config.media_megabytes * MEGABYTE),
    )
    return soundscapes.browser_content(decided, shown, notes)


def _write_figures(selection: Selection, evaluations: Mapping[str, Evaluation], config: ReportConfig) -> None:
    """Write each figure as a file with its caption: the tables as forests, then the charts."""
    drawings = [*forest_drawings(selection, evaluations), *learning_curves(selection, has_legend=True)]
    for number, run in enumerate(selection.runs):
        if run.name in evaluations:
            drawings += decision_drawings(run, number, evaluations[run.name].threshold)
    assert config.format != "html"
    save_drawings(drawings, Path(config.out), config.format)


if __name__ == "__main__":
    run_program(ReportConfig, write_report)
