"""What a chart shows, and its pixels in the page; `single_figures` draws the same into files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator

from analysis.drawing.figures import COLOURS

WIDTH, HEIGHT = 400, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 10, 40
SMALL = 0.01
"""Ticks below are written such as 2.5e-4."""
DASHES = ("", "7 3", "2 2.5", "9 3 2 3")
SOLID = 4
"""The first so many runs have solid lines, as many after them the next dashes: not told by colour alone."""


@dataclass(frozen=True)
class Line:
    """A series of a chart.

    Attributes
    ----------
    name
        In the legend; a name that occurs before is not repeated there.
    x, y
        (point,); nan breaks the line.
    colour
        Number of the run it belongs to.
    low, high
        (point,) bounds of a band, or of the bars of points.
    kind
        A line, a thin one in the background, or points.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    colour: int
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    kind: Literal["line", "thin", "points"] = "line"


@dataclass(frozen=True)
class Mark:
    """A vertical line at a place that has a name."""

    x: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Lines over a common axis.

    Attributes
    ----------
    key
        Unique in a report; name of its file.
    title, x_label, y_label, caption
        The caption says what is shown and what bands or bars mean.
    x_range, y_range
        Limits; None: of the data.
    chance
        Height of a dotted line that a guess reaches; None: no line.
    diagonal
        Whether to draw where x equals y.
    whole_x, log_x, log_y
        Whether an axis has whole numbers only, or is logarithmic.
    """

    key: str
    title: str
    x_label: str
    y_label: str
    caption: str
    lines: tuple[Line, ...]
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    whole_x: bool = False
    log_x: bool = False
    log_y: bool = False
    marks: tuple[Mark, ...] = ()
    chance: float | None = None
    diagonal: bool = False


@dataclass(frozen=True)
class Scale:
    """An axis: data -> pixels."""

    low: float
    high: float
    first: float
    last: float
    log: bool = False
    ticks: tuple[float, ...] = field(default=())

    def __call__(self, values: np.ndarray | float) -> np.ndarray:
        """Return pixels."""
        bounds = np.array([self.low, self.high], dtype=float)
        values = np.asarray(values, dtype=float)
        if self.log:
            bounds, values = np.log(bounds), np.log(np.maximum(values, 1e-300))
        return self.first + (values - bounds[0]) / (bounds[1] - bounds[0]) * (self.last - self.first)


def scale(
    values: Sequence[np.ndarray],
    given: tuple[float, float] | None,
    ends: tuple[float, float],
    *,
    log: bool,
    whole: bool = False,
) -> Scale:
    """Return the axis of some data, with round ticks inside it."""
    known = np.concatenate([np.ravel(v) for v in values] or [np.zeros(0)])
    known = known[np.isfinite(known) & ((known > 0) | (not log))]
    low, high = given or ((float(known.min()), float(known.max())) if len(known) else (0.0, 1.0))
    if low == high:
        low, high = (low / 1.5, high * 1.5) if log else (low - 0.5, high + 0.5)
    elif given is None and log:
        low, high = low / 1.15, high * 1.15
    elif given is None:
        low, high = low - 0.04 * (high - low), high + 0.04 * (high - low)
    ticks = log_ticks(low, high) if log else linear_ticks(low, high, whole=whole)
    slack = 1e-9 * abs(high - low)
    inside = tuple(float(t) for t in ticks if low - slack <= t <= high + slack)
    return Scale(low, high, *ends, log, inside)


def linear_ticks(low: float, high: float, *, whole: bool) -> np.ndarray:
    """Return about five round numbers, or about seven where they are whole."""
    steps = [1, 2, 5, 10] if whole else [1, 2, 2.5, 5, 10]
    return np.asarray(MaxNLocator(7 if whole else 5, steps=steps, integer=whole).tick_values(low, high))


def log_ticks(low: float, high: float) -> np.ndarray:
    """Return powers of ten; between them too where fewer than three of those are inside."""
    ticks = np.zeros(0)
    for subs in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)):
        ticks = np.asarray(LogLocator(subs=subs).tick_values(low, high))
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        if len(ticks) >= 3:
            break
    return ticks[:: int(np.ceil(len(ticks) / 6))] if len(ticks) else ticks


def axes_of(chart: Chart) -> tuple[Scale, Scale]:
    """Return both axes of a chart in the page."""
    columns = [line.x for line in chart.lines]
    heights = [v for line in chart.lines for v in (line.y, line.low, line.high) if v is not None]
    if chart.chance is not None:
        heights.append(np.array([chart.chance]))
    x = scale(columns, chart.x_range, (LEFT, WIDTH - RIGHT), log=chart.log_x, whole=chart.whole_x)
    return x, scale(heights, chart.y_range, (HEIGHT - BOTTOM, TOP), log=chart.log_y)


def label(value: float) -> str:
    """Return a tick's text."""
    if 0 < abs(value) < SMALL:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:.6g}"


def polyline(x: np.ndarray, y: np.ndarray) -> str:
    """Return an SVG path through pixels; nan lifts the pen."""
    words, down = [], False
    for a, b in zip(x, y, strict=True):
        if not np.isfinite(a) or not np.isfinite(b):
            down = False
            continue
        words.append(f"{'L' if down else 'M'}{a:.1f} {b:.1f}")
        down = True
    return "".join(words)


def band(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> str:
    """Return a closed SVG path between two bounds."""
    known = np.isfinite(x) & np.isfinite(low) & np.isfinite(high)
    if known.sum() < 2:
        return ""
    around = np.concatenate([x[known], x[known][::-1]]), np.concatenate([high[known], low[known][::-1]])
    return polyline(*around) + "Z"


def drawn(chart: Chart) -> dict[str, Any]:
    """Return what the page's template needs: pixels, paths and texts, no numpy."""
    x, y = axes_of(chart)
    lines = [_drawn_line(line, x, y) for line in chart.lines]
    return {
        "key": chart.key,
        "title": chart.title,
        "caption": chart.caption,
        "x_label": chart.x_label,
        "y_label": chart.y_label,
        "x_ticks": [(round(float(x(t)), 1), label(t)) for t in x.ticks],
        "y_ticks": [(round(float(y(t)), 1), label(t)) for t in y.ticks],
        "lines": lines,
        "marks": [(round(float(x(mark.x)), 1), mark.label) for mark in chart.marks],
        "chance": None if chart.chance is None else round(float(y(chart.chance)), 1),
        "diagonal": _diagonal(x, y) if chart.diagonal else "",
        "frame": {"left": LEFT, "right": WIDTH - RIGHT, "top": TOP, "bottom": HEIGHT - BOTTOM},
        "readout": readout(chart, x),
    }


def readout(chart: Chart, x: Scale) -> dict[str, Any]:
    """Return the numbers under a pointer: each line's points, and where they lie."""
    return {
        "label": chart.x_label,
        "lines": [
            {
                "name": line.name,
                "colour": line.colour % len(COLOURS),
                "pixels": [round(float(p), 1) for p in x(line.x)],
                "x": [round(float(v), 4) for v in line.x],
                "y": [None if not np.isfinite(v) else float(f"{v:.4g}") for v in line.y],
            }
            for line in chart.lines
            if line.kind != "thin"
        ],
    }


def _drawn_line(line: Line, x: Scale, y: Scale) -> dict[str, Any]:
    """Return one line in pixels."""
    across, up = x(line.x), y(line.y)
    bounds = None if line.low is None or line.high is None else (y(line.low), y(line.high))
    known = np.isfinite(across) & np.isfinite(up)
    points = line.kind == "points" or (known.sum() == 1 and line.kind == "line")
    return {
        "name": line.name,
        "colour": line.colour % len(COLOURS),
        "dash": dash(line.colour),
        "kind": line.kind,
        "path": "" if line.kind == "points" else polyline(across, up),
        "band": band(across, *bounds) if bounds and line.kind != "points" else "",
        "bars": _bars(across[known], bounds[0][known], bounds[1][known])
        if bounds and line.kind == "points"
        else "",
        "points": list(zip(across[known].round(1).tolist(), up[known].round(1).tolist(), strict=True))
        if points
        else [],
    }  # fmt: skip


def _bars(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> str:
    """Return vertical bars as one SVG path."""
    return "".join(
        f"M{a:.1f} {b:.1f}V{c:.1f}" for a, b, c in zip(x, low, high, strict=True) if np.isfinite(b + c)
    )


def _diagonal(x: Scale, y: Scale) -> str:
    """Return the line on which both axes agree, as far as both reach."""
    ends = np.array([max(x.low, y.low), min(x.high, y.high)])
    return polyline(x(ends), y(ends))


def dash(number: int) -> str:
    """Return the dashes of a run's lines, as SVG writes them."""
    return DASHES[(number // SOLID) % len(DASHES)]
