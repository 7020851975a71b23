"""Whether a survey's intervals hold the density, on invented soundscapes whose calls are known.

    python -m benchmarks.survey [--surveys 1000]

Windows of 12 sites and 10 days hold a species or not; a score tells more or less of it. Of each world many
samples are drawn, listened to without fault, and estimated. Beside the interval that `analysis.survey` prints
stand those of a Beta prior in each stratum: Jeffreys' (0.5) and a smaller one (0.1).
"""

import itertools
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.special import expit, logit
from tqdm import tqdm

from analysis.drawing.table_files import markdown
from core.config import require
from core.program import run_program
from core.scoring.survey import (
    Alike,
    Bins,
    Counts,
    Survey,
    allocate_clips,
    draw_clips,
    fit_of_verdicts,
    stratum_edges,
    stratum_of,
)

NUM_SITES, NUM_DAYS = 12, 10
Sites = Literal["alike", "score", "call"]
HOW_SITES: tuple[Sites, ...] = get_args(Sites)
BOTH: tuple[Alike, ...] = get_args(Alike)


@dataclass(frozen=True, kw_only=True)
class Soundscape:
    """Windows with a score, some of which hold the species.

    Attributes
    ----------
    density
        Share of the windows that hold it.
    separation
        Of scores with and without it, in standard deviations; 0: the score says nothing.
    sites
        alike: the species is as common everywhere; score: sites differ, and a score means the same
        everywhere; call: sites differ, and a call scores the same everywhere.
    windows
        How many.
    seed
        Of all that is invented.
    """

    density: float
    separation: float
    sites: Sites = "alike"
    windows: int = 24_000
    seed: int = 0

    def invent(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return score, whether the species is there, and the part (a day at a site), (window,) each."""
        generator = np.random.default_rng(self.seed)
        part = generator.integers(NUM_SITES * NUM_DAYS, size=self.windows)
        shift = 0.0 if self.sites == "alike" else 1.0
        odds = logit(self.density) + shift * generator.normal(size=NUM_SITES)[part // NUM_DAYS]
        score = generator.normal(size=self.windows)
        if self.sites == "score":
            score = score + odds - odds.mean()
            is_there = generator.random(self.windows) < expit(
                logit(self.density) + self.separation * (score - score.mean())
            )
        else:
            is_there = generator.random(self.windows) < expit(odds)
            score = score + self.separation * is_there
        return expit(score), is_there, part


def draw_survey(
    world: tuple[np.ndarray, np.ndarray, np.ndarray],
    edges: np.ndarray,
    clips: int,
    seed: int,
    *,
    power: float = 0.5,
    by_site: bool = False,
) -> tuple[Survey, Counts]:
    """Return a survey of a world, and the counts of the days at the sites.

    Parameters
    ----------
    world
        Of `Soundscape.invent`.
    edges, clips, seed, power
        Strata, and how they are sampled.
    by_site
        Whether each site is sampled by itself.
    """
    score, is_there, part = world
    number = len(edges) + 1
    cell = stratum_of(score, edges) + (number * (part // NUM_DAYS) if by_site else 0)
    cells = number * (NUM_SITES if by_site else 1)
    windows = np.bincount(cell, minlength=cells)
    drawn = draw_clips(cell, allocate_clips(windows, clips, power), np.random.default_rng(seed))
    heard, positive = np.zeros(len(cell)), np.zeros(len(cell))
    heard[drawn], positive[drawn] = 1, is_there[drawn]
    place = part * cells + cell
    parts = Counts(
        *(
            np.bincount(place, weights, NUM_SITES * NUM_DAYS * cells).astype(int).reshape(-1, cells)
            for weights in (np.ones(len(cell)), heard, positive)
        )
    )
    return parts.together(seed), parts


def grouped(parts: Counts, groups: int) -> Counts:
    """Return the parts joined in groups of equally many that follow one another."""
    shape = (groups, -1, parts.windows.shape[1])
    return parts.each(lambda one: one.reshape(shape).sum(axis=1))


def beta_interval(survey: Survey, prior: float) -> tuple[float, float]:
    """Return the 95 % interval of the density by a Beta prior in each stratum."""
    generator = np.random.default_rng(survey.seed)
    size = (2000, len(survey.windows))
    a, b = survey.positives + prior, survey.verdicts - survey.positives + prior
    low, high = np.quantile(generator.beta(a, b, size) @ survey.windows, [0.025, 0.975])
    return low / survey.windows.sum(), high / survey.windows.sum()


def measure_survey(
    place: Soundscape, surveys: int, clips: int, bins: Bins = "halving", power: float = 0.5, strata: int = 8
) -> dict[str, float]:
    """Return in which share of surveys the interval of the density holds it, or lies above or below."""
    world = place.invent()
    score, is_there, _ = world
    edges, true = stratum_edges(score, strata, bins), float(is_there.mean())
    rows = []
    for seed in range(surveys):
        survey, _ = draw_survey(world, edges, clips, seed, power=power)
        one = survey.density()
        others = [beta_interval(survey, prior) for prior in (0.5, 0.1)]
        rows.append(
            (
                one.low <= true <= one.high, one.low > true, one.high < true, one.high - one.low,
                one.value - true, *(low <= true <= high for low, high in others),
            )
        )  # fmt: skip
    names = ("held", "above", "below", "width", "bias", "Jeffreys", "Beta 0.1")
    return dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))


def best_alike(survey: Survey, sites: Counts) -> Alike:
    """Return the assumption that fits the verdicts at the sites better."""
    places = np.indices(sites.windows.shape)
    heard = sites.verdicts.ravel()
    order = np.arange(heard.sum()) - np.repeat(np.cumsum(heard) - heard, heard)
    is_there = order < np.repeat(sites.positives.ravel(), heard)
    site, stratum = (np.repeat(one.ravel(), heard) for one in places)
    losses = {
        alike: fit_of_verdicts(site, survey.expected(sites, alike)[site, stratum], is_there, draws=1)[0]
        for alike in BOTH
    }
    return min(BOTH, key=losses.__getitem__)


def measure_parts(
    place: Soundscape, surveys: int, clips: int, *, by_site: bool, alike: Alike | Literal["best"]
) -> dict[str, float]:
    """Return in which share the intervals of sites, and of days at sites, hold their densities."""
    world = place.invent()
    score, is_there, part = world
    edges = stratum_edges(score, 4 if by_site else 8)
    true = np.bincount(part, is_there, NUM_SITES * NUM_DAYS)
    number = np.bincount(part, minlength=NUM_SITES * NUM_DAYS)
    sites = true.reshape(NUM_SITES, -1).sum(1) / number.reshape(NUM_SITES, -1).sum(1)
    rows = []
    for seed in range(surveys):
        survey, parts = draw_survey(world, edges, clips, seed, by_site=by_site)
        of_sites, found = grouped(parts, NUM_SITES), []
        chosen = best_alike(survey, of_sites) if alike == "best" else alike
        for counts, truth in ((of_sites, sites), (parts, true / number)):
            ones = survey.densities(counts, alike=chosen)
            found += [
                np.mean([one.low <= share <= one.high for one, share in zip(ones, truth, strict=True)]),
                np.mean([one.high - one.low for one in ones]),
            ]
        rows.append(found)
    names = ("sites held", "width", "days held", "width of days")
    return dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))


@dataclass(frozen=True, kw_only=True)
class SurveyConfig:
    """Measure on invented soundscapes whether the intervals of call density hold it."""

    surveys: int = 1000
    """Of each row of the first table; a twentieth of them of the second, which has 12 sites of 10 days."""
    clips: int = 200
    """Of a survey; three times as many where each site is sampled by itself."""
    densities: tuple[float, ...] = (0.01, 0.05, 0.3)
    """Shares of windows with the species."""
    separations: tuple[float, ...] = (0.0, 1.0, 2.5)
    """Of scores with and without it, in standard deviations; 0: the score says nothing."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(self.surveys >= 5, f"surveys={self.surveys}: at least 5")
        require(all(0 < one < 1 for one in self.densities), f"densities={self.densities}: between 0 and 1")


def print_surveys(config: SurveyConfig) -> None:
    """Print both tables in Markdown."""
    rows: list[dict[str, float | str]] = []
    worlds = [(density, separation) for density in config.densities for separation in config.separations]
    for density, separation in tqdm(worlds, desc="densities", disable=None):
        place = Soundscape(density=density, separation=separation)
        found = measure_survey(place, config.surveys, config.clips)
        rows.append({"density": density, "separation": separation, **found})
    print("\n".join(markdown(rows)))
    rows = []
    ways: tuple[tuple[bool, Alike | Literal["best"]], ...] = (
        (False, "shares"), (False, "calls"), (False, "best"), (True, "shares"),
    )  # fmt: skip
    for sites, (by_site, alike) in tqdm(list(itertools.product(HOW_SITES, ways)), desc="sites", disable=None):
        place = Soundscape(density=0.1, separation=1.5, sites=sites)
        clips, number = config.clips * (3 if by_site else 1), max(config.surveys // 20, 1)
        found = measure_parts(place, number, clips, by_site=by_site, alike=alike)
        sampled = "by site" if by_site else "together"
        rows.append({"sites": sites, "sampled": sampled, "taken alike": alike, **found})
    print("\n".join(markdown(rows)))


if __name__ == "__main__":
    run_program(SurveyConfig, print_surveys)
