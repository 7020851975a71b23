"""The program: python -m analysis.report outputs/timm_007 outputs/timm_008 --out report.html."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from analysis.command import run_command
from analysis.drawing.figures import save
from analysis.report.charts import Chart
from analysis.report.page import Detail, content_of, details_of, render
from analysis.report.panels import learning_curves
from analysis.report.selection import Selection, select
from analysis.report.single_figures import single_figures
from core.config import require
from core.files import write_atomically

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


def main() -> None:
    """Write the report that the command line asks for."""
    run_command(ReportConfig, report)


def report(config: ReportConfig) -> None:
    """Write the page or the figures.

    Raises
    ------
    ValueError
        If no run is left to show, or a named file does not fit.
    """
    out = Path(config.out)
    if config.format == "html":
        require(out.suffix.lower() in {".html", ".htm"}, f"out={out}: a page ends in .html")
    else:
        require(out.suffix == "" or out.is_dir(), f"out={out}: --format={config.format} wants a folder")
    selection = select(config.runs)
    browser = browse_soundscapes(config)
    curves = learning_curves(selection)
    details = details_of(selection)
    if config.format != "html":
        write_figures(selection, curves, details, config)
        return
    html = render(content_of(selection, curves, details, title=config.title, browser=browser))
    write_atomically(out, html)
    told = "; ".join(selection.refused)
    number = len(selection.runs)
    print(
        f"{config.out}: {number} run{'s' if number > 1 else ''}, {len(html.encode()) / MEGABYTE:.1f} MB"
        + (f"; not shown: {told}" if told else "")
    )


def browse_soundscapes(config: ReportConfig) -> dict[str, Any] | None:
    """Return the content of the soundscape browser; None where none is wanted."""
    if config.soundscapes is None or config.probabilities is None or config.format != "html":
        return None
    from analysis.report.soundscapes import open_browser  # torch takes seconds to import

    return open_browser(
        Path(config.soundscapes),
        Path(config.probabilities),
        submission=None if config.submission is None else Path(config.submission),
        truth=None if config.truth is None else Path(config.truth),
        number=config.num_soundscapes,
        longest=config.excerpt_seconds,
        num_bytes=int(config.media_megabytes * MEGABYTE),
    )


def write_figures(
    selection: Selection, curves: Sequence[Chart], details: Sequence[Detail], config: ReportConfig
) -> None:
    """Write each figure as a file with its caption."""
    folder = Path(config.out)
    figures = single_figures(selection, curves, details)
    for one in figures:
        save(one.figure, folder / f"{one.key}.{config.format}", one.caption)
    print(f"{folder}: {len(figures)} figures")


if __name__ == "__main__":
    main()
