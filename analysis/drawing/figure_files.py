"""Figures on disk: one look, three formats, a caption that says what is shown.

A caption lies below the figure, so that a picture that is passed on still says what it is. It is also the
alternative text of the figure in a page, and stored in the file's own metadata.
"""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure

from core.config_checks import require_output
from core.files import replacing
from core.scoring.pictures import NOTE_COLOUR

Format = Literal["png", "svg", "pdf"]
CAPTION_KEYS = {".png": "Description", ".svg": "Description", ".pdf": "Subject"}
"""Ending -> where the file's metadata hold the caption."""
DPI = 150
CAPTION_FONT = 8.0
CAPTION_CHARACTER_INCHES = CAPTION_FONT / 72 * 0.5


@dataclass(frozen=True)
class Drawing:
    """A figure with the name of its file, unique among those it is shown with, and its caption."""

    key: str
    figure: Figure = field(repr=False)
    caption: str


def save_drawings(drawings: Iterable[Drawing], folder: Path, kind: Format) -> list[Path]:
    """Write figures with their captions, each named by its key; print and return their files.

    Parameters
    ----------
    drawings
        With unique keys.
    folder
        Made where it is missing.
    kind
        Ending of the files.
    """
    files = [save_figure(one.figure, folder / f"{one.key}.{kind}", one.caption) for one in drawings]
    print("\n".join(map(str, files)), flush=True)
    return files


def save_figure(figure: Figure, file: Path, caption: str) -> Path:
    """Write a figure with its caption below; the ending of `file` is the format; return `file`.

    Parameters
    ----------
    figure
        Of any size; it grows by the caption's lines.
    file
        Ends in .png, .svg or .pdf; appears whole.
    caption
        What is shown, of what data, and what error bars mean.

    Raises
    ------
    ValueError
        If the ending is none of the three.
    """
    require_output("figure", file, tuple(CAPTION_KEYS))
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(caption, max(int((width - 0.2) / CAPTION_CHARACTER_INCHES), 20))
    figure.text(
        0.1 / width, -0.1 / height, "\n".join(lines), ha="left", va="top", fontsize=CAPTION_FONT,
        color=NOTE_COLOUR,
    )  # fmt: skip
    metadata = {CAPTION_KEYS[file.suffix]: caption}
    with replacing(file) as new:
        figure.savefig(
            new, dpi=DPI, bbox_inches="tight", pad_inches=0.1, format=file.suffix[1:], metadata=metadata
        )
    return file
