"""Call density from the verdicts on a survey's sample: in all, a site, a day, a day at a site.

What sites and days have in common is assumed (`Alike` of `core.scoring.survey`): by default whatever fits the
verdicts better, as the mean log loss of what is expected of them says; whether sites lie farther from that
than by chance is told. Where each site was sampled by itself, its density, and that of all, assume nothing.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.drawing.figure_files import Drawing, save_drawings
from analysis.drawing.table_files import markdown, slug, write_rows
from analysis.survey.config import DensityConfig
from analysis.survey.design import Design, read_designs
from analysis.survey.windows import NO_VISIT, ScoredWindows, read_scores
from core.config import require
from core.scoring.intervals import Interval
from core.scoring.pictures import BLUE, GREY, Series, draw_forest, draw_intervals
from core.scoring.survey import Alike, Counts, Survey, fit_of_verdicts
from core.wording import counted

UNTOLD = "(unknown)"
"""The site of windows whose site nobody told."""
DIFFERENT = 0.05
ASSUMED: dict[Alike, str] = {
    "shares": "In a stratum, sites and days are taken to hold the same share of positives",
    "calls": "Calls are taken to score alike at all sites and days, but to be more common at some",
}
"""What is printed of an assumption."""
MAX_PANELS, PANELS_A_ROW, MAX_TICKS = 12, 3, 4
ROOM_BELOW = 0.06
"""Below 0, of what is above, so that the axis cuts no point in half."""


@dataclass(frozen=True)
class Heard:
    """How many windows of a species there are, and what was heard of them.

    Attributes
    ----------
    design
        Of the sample.
    sites
        (site,) names, sorted.
    days
        (visit,) first day of each.
    counts
        Of (site, visit, stratum); the first visit is that of windows without a date.
    site, visit, stratum, is_there
        (verdict,) where each is in those, and what was heard.
    num_clips, num_others
        Of the sample; and verdicts on other windows, which are left out.
    """

    design: Design
    sites: tuple[str, ...]
    days: np.ndarray
    counts: Counts
    site: np.ndarray
    visit: np.ndarray
    stratum: np.ndarray
    is_there: np.ndarray
    num_clips: int
    num_others: int

    @property
    def visits(self) -> Counts:
        """Each visit of all sites by cell, those without a date first."""
        return self.counts.each(self._by_cell)

    def _by_cell(self, array: np.ndarray) -> np.ndarray:
        """Return (visit, cell) of (site, visit, stratum)."""
        if not self.design.sites:
            return np.asarray(array.sum(axis=0))
        return array.transpose(1, 0, 2).reshape(array.shape[1], -1)

    def survey(self, seed: int) -> Survey:
        """Return what the verdicts say of all cells."""
        return self.visits.together(seed)

    def fit(self, alike: Alike, seed: int) -> tuple[float, float]:
        """Return log loss and p of the verdicts under what sites, or days of a site, have in common."""
        if len(self.sites) > 1 and not self.design.sites:
            parts = self.counts.each(lambda one: one.sum(axis=1))
            expected = self.survey(seed).expected(parts, alike)[self.site, self.stratum]
            return fit_of_verdicts(self.site, expected, self.is_there, seed=seed)
        visits = [known.expected(both, alike) for _, known, _, both in self.by_site(seed)]
        expected = np.stack(visits)[self.site, self.visit, self.stratum]
        group = self.site * (len(self.days) + 1) + self.visit
        return fit_of_verdicts(group, expected, self.is_there, seed=seed)

    def by_site(self, seed: int) -> Iterator[tuple[str, Survey, Counts, Counts]]:
        """Yield each site, what is known of its shares, its counts, and those of visits, undated first."""
        survey = self.survey(seed)
        for place, name in enumerate(self.sites):
            visits = self.counts.each(itemgetter(place))
            here = visits.together(seed)
            yield name or UNTOLD, here if self.design.sites else survey, here.whole, visits


def estimate_density(config: DensityConfig) -> None:
    """Print density and strata of each species; write tables and figures where wanted.

    Raises
    ------
    ValueError
        If a file cannot be read, there are no verdicts, or the windows are others than were sampled.
    """
    designs, clips = read_designs(Path(config.survey))
    rows: list[dict[str, Any]] = []
    strata: list[dict[str, Any]] = []
    drawings: list[Drawing] = []
    for design in designs:
        windows = read_scores(config.predictions, design.species)
        heard = match_verdicts(windows, design, clips[clips["species"].eq(design.species)], config)
        if heard is None:
            print(f"{design.species}: no verdict on a clip of its sample\n")
            continue
        alike, assumed = choose_alike(heard, config)
        found = density_rows(heard, alike, config)
        by_stratum = stratum_rows(heard, config)
        print("\n".join([*_described(heard, found, by_stratum, config), assumed, ""]), flush=True)
        rows += found
        strata += by_stratum
        drawings += density_drawings(design.species, found, config)
    message = f"verdicts: none is about a clip in {config.survey}; name what its page downloaded"
    require(len(rows) > 0, message)
    if config.out is None:
        return
    folder = Path(config.out)
    print(write_rows(rows, folder / "density.csv"))
    print(write_rows(strata, folder / "strata.csv"))
    save_drawings(drawings, folder, config.format)


def match_verdicts(
    windows: ScoredWindows, design: Design, clips: pd.DataFrame, config: DensityConfig
) -> Heard | None:
    """Return the verdicts on the clips of a species' sample, None where there is none.

    Others are no random sample, and left out.

    Parameters
    ----------
    windows, design, clips
        Of the species.
    config
        Names the verdicts, and says how long a visit is.
    """
    message = (
        f"predictions={config.predictions}: the windows of {design.species} are others than those that were "
        "sampled; name the same table, or draw a new sample"
    )
    cell = design.cells(windows)
    require(bool(np.array_equal(np.bincount(cell, minlength=design.number), design.windows)), message)
    verdicts = windows.verdicts(config.verdicts)
    keys = ["file_id", "begin"]
    sampled = clips[keys].merge(verdicts, "inner", keys)
    if len(sampled) == 0:
        return None
    rows, is_there = windows.find(sampled), sampled["positive"].to_numpy(bool)
    require(bool((rows >= 0).all()), message)
    visit, days = windows.visits(config)
    order = np.argsort(windows.sites.astype(str))
    site, stratum = np.argsort(order)[windows.site], cell % design.strata
    shape = (len(order), len(days) + 1, design.strata)
    place = np.ravel_multi_index((site, visit - NO_VISIT, stratum), shape)

    def count(places: np.ndarray) -> np.ndarray:
        return np.bincount(places, minlength=math.prod(shape)).reshape(shape)

    counts = Counts(count(place), count(place[rows]), count(place[rows[is_there]]))
    return Heard(
        design, tuple(windows.sites[order].tolist()), days, counts, site[rows], visit[rows] - NO_VISIT,
        stratum[rows], is_there, len(clips), len(verdicts) - len(sampled),
    )  # fmt: skip


def density_rows(heard: Heard, alike: Alike, config: DensityConfig) -> list[dict[str, Any]]:
    """Return a row for all windows, each site, each visit, and each visit of a site that has windows.

    Parameters
    ----------
    heard
        What is known.
    alike
        What parts have in common that have no sample of their own.
    config
        Confidence and seed.
    """

    def rows(
        survey: Survey, parts: Counts, alike: Alike, site: str, days: Sequence[str]
    ) -> list[dict[str, Any]]:
        some = parts.windows.any(axis=1)
        parts = parts.each(itemgetter(some))
        return [
            {
                "species": heard.design.species, "site": site, "day": day, "windows": int(windows.sum()),
                "verdicts": int(verdicts.sum()), "density": interval, "note": interval.note,
            }
            for day, windows, verdicts, interval in zip(
                np.array(days)[some].tolist(), parts.windows, parts.verdicts,
                survey.densities(parts, config.confidence, alike), strict=True,
            )
        ]  # fmt: skip

    survey, days = heard.survey(config.seed), ["", *(str(day) for day in heard.days)]
    of_sites: Alike = "shares" if heard.design.sites else alike  # which then have samples of their own
    sites = list(heard.by_site(config.seed))
    found = rows(survey, survey.whole, "shares", "", [""])
    for name, known, whole, _ in sites:
        found += rows(known, whole, of_sites, name, [""])
    by_day = rows(survey, heard.visits, of_sites, "", days)
    for name, known, _, visits in sites:
        by_day += rows(known, visits, alike, name, days)
    return [*found, *(row for row in by_day if row["day"])]


def stratum_rows(heard: Heard, config: DensityConfig) -> list[dict[str, Any]]:
    """Return a row a stratum: its share of positives, and what a threshold at its edge would be worth."""
    survey, design, rows = heard.survey(config.seed), heard.design, []
    stratum = np.arange(design.number) % design.strata
    edges = (0.0, *design.edges)
    for place, edge in enumerate(edges):
        here, above = survey.whole.of_cells(stratum == place), survey.whole.of_cells(stratum >= place)
        rows.append(
            {
                "species": design.species, "stratum": place + 1, "probability from": float(f"{edge:.4g}"),
                "windows": int(here.windows.sum()), "verdicts": int(here.verdicts.sum()),
                "present": int(here.positives.sum()),
                "share present": survey.densities(here, config.confidence)[0],
                "precision from here": survey.densities(above, config.confidence)[0],
                "recall from here": survey.recall(stratum >= place, config.confidence),
            }
        )  # fmt: skip
    return rows


def _described(
    heard: Heard,
    rows: Sequence[dict[str, Any]],
    strata: Sequence[dict[str, Any]],
    config: DensityConfig,
) -> list[str]:
    """Return what is printed of a species."""
    species, unheard = heard.design.species, heard.num_clips - len(heard.is_there)
    remarks = [
        f"{species}: {heard.counts.windows.sum():,} windows, "
        f"{len(heard.is_there)} of {counted(heard.num_clips, 'clips')} heard",
        f"{unheard} without a verdict are taken to be like others of their stratum" if unheard else "",
        f"{counted(heard.num_others, 'verdicts')} on other windows left out" if heard.num_others else "",
    ]
    by_stratum = [
        {
            name: f"{value:g}" if name == "probability from" else value
            for name, value in row.items() if name != "species"
        }
        for row in strata
    ]  # fmt: skip
    wide = [row for row in rows if not row["day"]]
    by_site = [
        {"site": row["site"] or "all", **{name: row[name] for name in ("windows", "verdicts", "density")}}
        for row in wide
    ]
    days = sum(bool(row["site"] and row["day"]) for row in rows)
    untold = int(heard.counts.windows[:, 0].sum())
    return [
        "; ".join(filter(None, remarks)), "",
        *markdown(by_stratum),
        f"Call density: share of windows with {species}, {config.confidence:.0%} intervals", "",
        *markdown(by_site),
        *sorted({row["note"] for row in wide if row["note"]}),
        f"{counted(days, 'visits')} of sites{'' if config.out else '; --out=FOLDER writes them'}",
        *([f"{untold:,} windows have no date: they count for their site, for no visit"] if untold else []),
    ]  # fmt: skip


def choose_alike(heard: Heard, config: DensityConfig) -> tuple[Alike, str]:
    """Return what sites and days are taken to have in common, and a sentence on it and on its fit."""
    fits: dict[Alike, tuple[float, float]] = {name: heard.fit(name, config.seed) for name in ASSUMED}
    alike = min(fits, key=lambda name: fits[name][0]) if config.alike == "best" else config.alike
    losses = ", ".join(f"{name} {loss:.3f}" for name, (loss, _) in fits.items())
    p = fits[alike][1]
    told = f"{ASSUMED[alike]} (--alike={alike}; log loss of the verdicts: {losses}). "
    if heard.design.sites:
        told = f"Each site is told by its own verdicts; of its days: {told}"
    if p >= DIFFERENT:
        return alike, f"{told}The verdicts agree with that (p {p:.2f})."
    remedy = "" if heard.design.sites else ": sample with --by_site"
    return alike, f"{told}The verdicts do not agree with that (p {p:.3f}){remedy}."


def density_drawings(species: str, rows: Sequence[dict[str, Any]], config: DensityConfig) -> list[Drawing]:
    """Return the figures of a species: density by site, and by visit at each site."""
    name, percent = slug(species), f"{config.confidence:.0%}"
    whole = rows[0]["density"]
    sites = [row for row in rows if not row["day"] and row["site"]]
    places = [(row["site"] or "all", row["density"]) for row in rows if not row["day"]]
    forest = draw_forest(
        [place for place, _ in places], [Series(species, [one for _, one in places])],
        "call density (share of windows)", whole.value,
    )  # fmt: skip
    caption = (
        f"Share of the windows of 5 s that hold {species}, with {percent} intervals from verdicts on a "
        "random sample stratified by score. Dotted: all sites."
    )
    drawings = [Drawing(f"sites_{name}", forest, caption)]
    shown = sorted(sites, key=lambda row: -row["windows"])[:MAX_PANELS]
    panels = {
        row["site"]: [one for one in rows if one["site"] == row["site"] and one["day"]] for row in shown
    }
    panels = {site: visits for site, visits in sorted(panels.items()) if visits}
    if panels:
        left = len(sites) - len(panels)
        more = f" {left} further sites are in density.csv." if left else ""
        text = f"{caption[: -len(' Dotted: all sites.')]} Dotted: all sites and days.{more}"
        drawings.append(Drawing(f"days_{name}", draw_visits(panels, whole), text))
    return drawings


def draw_visits(panels: dict[str, list[dict[str, Any]]], whole: Interval) -> Figure:
    """Return a figure of density over visits, a panel a site.

    Parameters
    ----------
    panels
        Site -> rows of `density_rows`.
    whole
        Density of all windows, to mark.
    """
    across = min(len(panels), PANELS_A_ROW)
    down = -(-len(panels) // across)
    figure = Figure(figsize=(1.2 + 2.4 * across, 0.7 + 1.7 * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    every = np.unique(np.array([row["day"] for rows in panels.values() for row in rows], "datetime64[D]"))
    ticks = every[np.unique(np.linspace(0, len(every) - 1, MAX_TICKS).round().astype(int))]
    for one, (site, rows) in zip(axes.flat, panels.items(), strict=False):
        days = np.array([row["day"] for row in rows], dtype="datetime64[D]")
        draw_intervals(one, days, [row["density"] for row in rows], BLUE, is_upright=True)
        one.axhline(whole.value, color="black", linewidth=0.7, linestyle=":")
        one.set_title(site, fontsize=8)
        one.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)
        one.set_xticks(ticks, [str(day) for day in ticks], rotation=40, ha="right", fontsize=7)
    axes[0, 0].set_ylim(bottom=-ROOM_BELOW * axes[0, 0].get_ylim()[1])
    for one in axes.flat[len(panels) :]:
        one.set_visible(False)
    figure.supylabel("call density", fontsize=9)
    return figure
