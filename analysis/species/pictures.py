"""Pictures of species: scores by the recordings that trained, and the most confident mistakes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.species.hardest import MistakeClip
from analysis.species.scores import SpeciesScores
from core.scoring.intervals import Interval
from core.scoring.pictures import BLUE, COLOURS, GREY, VERMILION, draw_intervals, set_log_ticks

RANGE_DB = 60.0
MISTAKES_A_ROW = 4


def draw_scores_by_count(found: Sequence[SpeciesScores]) -> Figure:
    """Return a figure of each species' ROC-AUC and score beside the recordings that trained it."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True)
    for axes, name, title in zip(panels, ("auc", "score"), ("ROC-AUC", "2022 score"), strict=True):
        axes.axhline(0.5, color=GREY, linewidth=0.8)
        for place, one in enumerate(found):
            shift = 1.06 ** (place - (len(found) - 1) / 2)
            draw_intervals(
                axes, one.trained * shift, getattr(one, name), COLOURS[place % len(COLOURS)], label=one.run,
                is_upright=True,
            )  # fmt: skip
        axes.set(xscale="log", xlabel="recordings that trained", ylabel=title, title=title)
        set_log_ticks(axes.xaxis)
        _label_species(axes, found[0], [getattr(one, name) for one in found])
    if len(found) > 1:
        panels[1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _label_species(axes: Axes, one: SpeciesScores, intervals: Sequence[Sequence[Interval]]) -> None:
    """Write each species' code above the intervals there, higher where another code is in the way."""
    ends = np.array([[i.value if np.isnan(i.high) else i.high for i in run] for run in intervals])
    tops = np.where(np.isnan(ends).all(axis=0), np.nan, np.nan_to_num(ends, nan=-np.inf).max(axis=0))
    known = [i for i in range(len(tops)) if not np.isnan(tops[i]) and one.trained[i] > 0]
    low, high = axes.get_ylim()
    if not known:
        return
    width = max(float(np.log(one.trained[known].max() / one.trained[known].min())), 0.7)
    placed: list[tuple[float, float]] = []
    for i in sorted(known, key=lambda i: tops[i]):
        x = float(np.log(one.trained[i]))
        beside = [tops[j] for j in known if abs(np.log(one.trained[j]) - x) < 0.05 * width]
        y = float(max(beside)) + 0.015 * (high - low)
        for other_x, other_y in sorted(placed, key=lambda place: place[1]):
            if abs(other_x - x) < 0.11 * width and abs(other_y - y) < 0.045 * (high - low):
                y = other_y + 0.045 * (high - low)
        placed.append((x, y))
        axes.text(np.exp(x), y, one.species[i], fontsize=7, ha="center", va="bottom")
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= 1]
    axes.set_ylim(low, max(high, max(y for _, y in placed) + 0.06 * (high - low)))
    axes.set_yticks(ticks)  # above 1 there are only names


def draw_mistakes(clips: Sequence[MistakeClip]) -> Figure:
    """Return a figure of clips with wrong decisions: log-mels over what the network detects."""
    columns = min(MISTAKES_A_ROW, len(clips))
    rows = -(-len(clips) // columns)
    figure = Figure(figsize=(3.3 * columns, 3.5 * rows), layout="constrained")
    cells = figure.subfigures(rows, columns, squeeze=False).flat
    for place, (cell, one) in enumerate(zip(cells, clips, strict=False)):
        panels = cell.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        _draw_mistake(panels, one, is_first=place % columns == 0)
    return figure


def _draw_mistake(panels: Sequence[Axes], one: MistakeClip, *, is_first: bool) -> None:
    """Draw one clip into two panels."""
    top, bottom = panels
    assert one.mel is not None
    loudest = float(np.quantile(one.mel, 0.999))
    top.imshow(
        one.mel, origin="lower", aspect="auto", cmap="magma", vmin=loudest - RANGE_DB, vmax=loudest,
        extent=(0, one.seconds, -0.5, len(one.mel) - 0.5),
    )  # fmt: skip
    mistake = one.mistake
    name = mistake.recording.rsplit("/", 1)[-1]
    top.set_title(f"{mistake.words} ({mistake.probability:.2f})\n{mistake.primary}, {name}", fontsize=8)
    bottom.set(ylim=(0, 1), xlabel="seconds", xlim=(0, one.seconds))
    if one.ticks:
        top.set_yticks(list(one.ticks.values()), list(one.ticks))
    if is_first:
        top.set_ylabel("kHz" if one.ticks else "band")
        bottom.set_ylabel("probability")
    if one.detections is None:
        bottom.text(
            0.5, 0.5, "no checkpoint", ha="center", va="center", transform=bottom.transAxes, color=GREY
        )
        return
    edges = np.linspace(0, one.seconds, len(one.detections) + 1)
    loudest_code = one.species[int(one.detections.max(axis=0).argmax())]
    tracks = {loudest_code: (GREY, "-"), mistake.primary: (BLUE, "--"), mistake.species: (VERMILION, "-")}
    for code, (colour, style) in reversed(tracks.items()):
        if code in one.species:
            track = one.detections[:, one.species.index(code)]
            bottom.stairs(track, edges, color=colour, linestyle=style, label=code, baseline=None)
    bottom.axhline(mistake.threshold, color="black", linestyle=":", linewidth=0.8)
    bottom.legend(frameon=False, fontsize=7, loc="lower left", bbox_to_anchor=(0, 0.97), ncols=3)
