"""Figures on disk: one look, three formats, a caption that says what is shown.

A caption lies below the figure, so that a picture that is passed on still says what it is. It is also the
alternative text of the figure in a page, and stored in the file's own metadata.
"""

import textwrap
from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure

from core.files import replacing
from core.scoring.pictures import NOTE_COLOUR

Format = Literal["png", "svg", "pdf"]
DPI = 150
CAPTION_FONT = 8.0
CAPTION_CHARACTER_INCHES = CAPTION_FONT / 72 * 0.5


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
    if file.suffix not in {".png", ".svg", ".pdf"}:
        message = f"{file}: a figure ends in .png, .svg or .pdf"
        raise ValueError(message)
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(caption, max(int((width - 0.2) / CAPTION_CHARACTER_INCHES), 20))
    figure.text(
        0.1 / width,
        -0.1 / height,
        "\n".join(lines),
        ha="left",
        va="top",
        fontsize=CAPTION_FONT,
        color=NOTE_COLOUR,
    )
    title = {".png": "Description", ".svg": "Description", ".pdf": "Subject"}[file.suffix]
    with replacing(file) as new:
        figure.savefig(
            new,
            dpi=DPI,
            bbox_inches="tight",
            pad_inches=0.1,
            format=file.suffix[1:],
            metadata={title: caption},
        )
    return file
