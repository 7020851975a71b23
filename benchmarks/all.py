"""All questions of speed, one after another: python -m benchmarks.all [--quick] [--out FOLDER].

Each benchmark is a program of its own. Their tables are joined in speed.json, and drawn in speed.png: how
many times as fast each way is as the first way of its table.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from analysis.drawing.figure_files import save_figure
from core.files import write_atomically
from core.program import run_program

PROGRAMS = ("input", "training", "inference")
FIRST_COLOUR, OTHER_COLOUR = "#9aa0a6", "#1f77b4"


@dataclass(frozen=True, kw_only=True)
class AllBenchmarks:
    """Run every benchmark of speed, and draw what was found."""

    quick: bool = False
    """Under ten minutes on two cores."""
    out: str = "outputs/speed"
    """Folder of speed.json, speed.png and the record of each program."""


def run_benchmark(name: str, config: AllBenchmarks) -> dict[str, Any]:
    """Run a benchmark in a process of its own; return its record."""
    file, started = Path(config.out) / f"{name}.json", time.perf_counter()
    command = [sys.executable, "-m", f"benchmarks.{name}", f"--out={file}", *(["--quick"] * config.quick)]
    subprocess.run(command, check=True)
    found: dict[str, Any] = json.loads(file.read_text())
    return found | {"name": name, "seconds": time.perf_counter() - started}


def draw_ratios(tables: Sequence[Mapping[str, Any]]) -> Figure:
    """Return a panel a table: the ratio of each way to the first, and its rate."""
    heights = [len(table["ways"]) for table in tables]
    figure = Figure(figsize=(8.0, 0.34 * sum(heights) + 0.75 * len(tables)), layout="constrained")
    panels = figure.subplots(len(tables), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for panel, table in zip(panels, tables, strict=True):
        names = list(table["ways"])
        ratios = [table["ways"][name]["ratio"] for name in names]
        colours = [FIRST_COLOUR] + [OTHER_COLOUR] * (len(names) - 1)
        bars = panel.barh(names, ratios, color=colours)
        rates = [table["ways"][name]["rate"] for name in names]
        texts = [f"{ratio:.1f}x, {_digits(rate)}/s" for ratio, rate in zip(ratios, rates, strict=True)]
        panel.bar_label(bars, texts, padding=3, fontsize=8)
        panel.invert_yaxis()
        panel.set_xlim(0, max(ratios) * 1.3)
        panel.set_title(f"{table['question']}: {table['unit']}/s", fontsize=9, loc="left")
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("times as fast as the first way, median over rounds", fontsize=8)
    return figure


def _digits(rate: float) -> str:
    """Return a rate in the digits that mean something, never as a power of ten."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def run_all(config: AllBenchmarks) -> None:
    """Run, join and draw."""
    folder = Path(config.out)
    folder.mkdir(parents=True, exist_ok=True)
    found = [run_benchmark(name, config) for name in PROGRAMS]
    write_atomically(folder / "speed.json", json.dumps(found, indent=1) + "\n")
    tables = [table for one in found for table in one["tables"]]
    caption = (
        f"Ways to do the same, timed in turns; the original's in a process of its own. {found[0]['machine']}."
    )
    print(save_figure(draw_ratios(tables), folder / "speed.png", caption))
    print(f"{sum(one['seconds'] for one in found) / 60:.1f} minutes")


if __name__ == "__main__":
    run_program(AllBenchmarks, run_all)
