"""A matplotlib figure inside the page: its SVG in the page's colours, and the numbers behind its lines.

The page forbids styles beside its own sheet, so that every style becomes attributes. Colours of the palette
become variables of the sheet, which knows them in light and dark; black becomes the colour of text.
"""

import io
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.scoring.pictures import COLOURS, GREY, NOTE_COLOUR

SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
POINTS_PER_INCH = 72
VARIABLES = {colour.lower(): f"var(--c{place})" for place, colour in enumerate(COLOURS)} | {
    GREY.lower(): "var(--soft)",
    NOTE_COLOUR: "var(--soft)",
    "#000000": "var(--ink)",
    "#ffffff": "var(--page)",
}
DECIMALS = re.compile(r"(\.\d\d)\d+")
"""Digits of a path beyond the second after the point, which no pixel shows."""
ElementTree.register_namespace("", SVG[1:-1])


def inlined(figure: Figure, key: str) -> tuple[str, dict[str, Any]]:
    """Return a figure of one panel as SVG, and what a pointer reads in it: its lines that have a `gid`.

    `key` is unique in the page, and begins every id within.

    Returns
    -------
    svg
        Of any width.
    readout
        `label` of the horizontal axis, `width` in the units of `pixels`, and of every line `name`, number of
        its `colour`, and its points: `pixels` from the left, `x`, `y` (None where undefined).
    """
    (axes,) = figure.axes
    figure.set_dpi(POINTS_PER_INCH)
    if layout := figure.get_layout_engine():  # once; saving would draw everything twice for it
        layout.execute(figure)
        figure.set_layout_engine("none")
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", dpi=POINTS_PER_INCH, transparent=True, metadata=nothing)
    root = ElementTree.fromstring(buffer.getvalue())
    root.remove(root[0])  # the sheet of styles, which would be that of the whole page
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": axes.get_title(),
        "aria-describedby": f"{key}-caption",
    }
    for element in root.iter():
        element.attrib = _attributes_in_page(element.attrib, key)
    top, bottom = (f"{figure.bbox.height - edge:.1f}" for edge in (axes.bbox.y1, axes.bbox.y0))
    ElementTree.SubElement(root, SVG + "line", {"class": "pointer", "y1": top, "y2": bottom})
    return ElementTree.tostring(root, encoding="unicode"), _readout_of(axes, figure.bbox.width)


def _attributes_in_page(attributes: dict[str, str], key: str) -> dict[str, str]:
    """Return the attributes of an SVG element without style and other fonts, its ids begun with `key`."""
    found = {"href" if name == LINK else name: value for name, value in attributes.items()}
    style = found.pop("style", "")
    found |= dict(declaration.split(": ", 1) for declaration in filter(None, style.split("; ")))
    found.pop("font-family", None)
    for name in ("fill", "stroke"):
        if name in found:
            found[name] = VARIABLES.get(found[name], found[name])
    for name in ("id", "href", "clip-path"):
        if name in found:
            found[name] = re.sub(r"^(url\(#|#|)", rf"\g<1>{key}-", found[name])
    if "d" in found:
        found["d"] = re.sub(r"\s+", " ", DECIMALS.sub(r"\1", found["d"])).strip()
    if found.get("transform", "").startswith("rotate(-0 "):
        del found["transform"]
    return found


def _readout_of(axes: Axes, width: float) -> dict[str, Any]:
    """Return the numbers under a pointer, see `inlined`."""
    lines = []
    for line in axes.get_lines():
        if line.get_gid() is not None:
            x, y = (np.asarray(values, dtype=float) for values in line.get_data())
            pixels = axes.transData.transform(np.column_stack([x, y]))[:, 0]
            lines.append(
                {
                    "name": line.get_gid(),
                    "colour": COLOURS.index(line.get_color()),
                    "pixels": pixels.round(1).tolist(),
                    "x": [float(f"{value:.4g}") for value in x],
                    "y": [float(f"{value:.4g}") if np.isfinite(value) else None for value in y],
                }
            )
    return {"label": axes.get_xlabel(), "width": width, "lines": lines}
