"""How many windows hold a species, from verdicts on a random sample that is stratified by score.

The windows are cut into strata by the score of a species, and some of each are drawn at random and listened
to. The share of positives in a stratum, weighted by its windows, gives the call density: the share of windows
that hold the species (direct estimation without a threshold, Navine et al. 2024). Whatever the score is
worth, the estimate is unbiased; a good score makes it precise.

An interval comes from draws of the number of positives among the windows that nobody listened to: binomial,
with a share of the stratum from a Beta distribution whose mean is the observed share and whose variance is
that of an unbiased estimate. A Beta prior in each stratum, Jeffreys' or a smaller one, adds positives to
each, which lift a rare species' interval above its density. Here a single half of a positive (for the upper
bound) or of a negative (for the lower) is added, in the stratum where a clip stands for the most windows,
after Fay and Feuer's (1997) interval of weighted rates. `benchmarks.survey` measures how often this holds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Literal

import numpy as np
from scipy.special import expit

from core.scoring.decisions import clipped_logit
from core.scoring.intervals import CONFIDENCE, Interval

Bins = Literal["halving", "quantile", "logit"]
Alike = Literal["shares", "calls"]
"""What parts have in common: the share of positives in a stratum, or how calls and other sounds score."""
LEAST_CLIPS = 5
"""Of a stratum: two are lost to the variance."""
LEAST_EXPECTED = 1e-3
"""That a verdict is expected to be positive, or negative, whatever a few others of its stratum were."""
OUTER_SHARE = 1e-3
"""Share of windows in each outermost stratum of equal widths beyond which scores do not widen the others."""
_DRAWS, _FEWER, _BLOCK, _STEPS = 2000, 500, 1_000_000, 16
_HALF = 0.5


def stratum_edges(score: np.ndarray, number: int, bins: Bins = "halving") -> np.ndarray:
    """Return the scores at which strata begin, (stratum - 1,), but the lowest; fewer where many are equal.

    Parameters
    ----------
    score
        (window,) probabilities.
    number
        Of strata.
    bins
        halving: each stratum has half the windows of the one below, so that the few high scores are told
        apart; quantile: equally many windows; logit: equal widths of the logit.

    Examples
    --------
    >>> score = np.linspace(0, 1, 9)
    >>> print(stratum_edges(score, 3), stratum_edges(score, 4, "quantile"))
    [0.5  0.75] [0.25 0.5  0.75]
    """
    steps = np.arange(1, number)
    if bins == "logit":
        low, high = clipped_logit(np.quantile(score, [OUTER_SHARE, 1 - OUTER_SHARE]))
        edges = expit(low + (high - low) * steps / number)
    else:
        shares = 1 - 0.5**steps if bins == "halving" else steps / number
        edges = np.quantile(score, shares)
    edges = np.unique(edges)
    return np.asarray(edges[(edges > score.min()) & (edges <= score.max())], dtype=np.float64)


def stratum_of(score: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the stratum of each score, from 0; one that lies at an edge belongs to the stratum above."""
    return np.searchsorted(edges, score, side="right")


def allocate_clips(windows: np.ndarray, clips: int, power: float = 0.5) -> np.ndarray:
    """Return how many clips are drawn of each cell, (cell,): in proportion to a power of its windows.

    A cell has at least `LEAST_CLIPS`, or all its windows. More clips in all never mean fewer of a cell.

    Parameters
    ----------
    windows
        (cell,) windows of each.
    clips
        In all, but for rounding and the least.
    power
        0: equally many of each; 1: as its windows (Bankier 1988 on what lies between).

    Examples
    --------
    >>> print(allocate_clips(np.array([6400, 1600, 400, 3]), 70))
    [39 20 10  3]
    """
    size = np.asarray(windows, dtype=float) ** power

    def of(scale: float) -> np.ndarray:
        return np.asarray(np.minimum(np.maximum(scale * size, LEAST_CLIPS), windows))

    low, high = 0.0, float(np.max(windows)) + LEAST_CLIPS
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if of(middle).sum() <= clips else (low, middle)
    return np.asarray(np.ceil(of(low) - 1e-6), dtype=int)


def draw_clips(cell: np.ndarray, clips: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the positions of windows drawn at random from each cell, without replacement, in random order.

    With the same generator, those of fewer clips are among those of more.

    Parameters
    ----------
    cell
        (window,) int.
    clips
        (cell,) how many of each, at most its windows.
    generator
        Of what is random.

    Examples
    --------
    >>> cell = np.repeat([0, 1], [1000, 10])
    >>> drawn = draw_clips(cell, np.array([3, 2]), np.random.default_rng(0))
    >>> print(np.bincount(cell[drawn]))
    [3 2]
    """
    order = np.lexsort((generator.random(len(cell)), cell))
    windows = np.bincount(cell, minlength=len(clips))
    first = np.cumsum(windows) - windows
    drawn = np.concatenate([order[start : start + n] for start, n in zip(first, clips, strict=True)])
    return np.asarray(generator.permutation(drawn))


@dataclass(frozen=True)
class Counts:
    """Windows of cells (strata, or strata at sites), and what was heard of them, for one or more parts.

    Attributes
    ----------
    windows
        (part, cell) int.
    verdicts
        (part, cell) int, windows that somebody listened to.
    positives
        (part, cell) int, verdicts that the species is there.
    """

    windows: np.ndarray
    verdicts: np.ndarray
    positives: np.ndarray

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Windows, verdicts and positives."""
        return self.windows, self.verdicts, self.positives

    def each(self, action: Callable[[np.ndarray], np.ndarray]) -> "Counts":
        """Return what an action makes of windows, of verdicts and of positives."""
        return Counts(*map(action, self.arrays))

    def together(self, seed: int = 0) -> "Survey":
        """Return what the verdicts of all parts say."""
        return Survey(*self.each(lambda one: one.sum(axis=0)).arrays, seed)

    def of_cells(self, chosen: np.ndarray) -> "Counts":
        """Return the same parts with the windows of some cells (cell,) bool alone; the others have none."""
        return self.each(lambda one: one * chosen)


@dataclass(frozen=True)
class Survey:
    """What the verdicts say of the share of positives in each cell.

    Attributes
    ----------
    windows, verdicts, positives
        (cell,) as those of `Counts`, of all parts together.
    seed
        Of the draws.

    Examples
    --------
    Of 9,000 windows with low scores 50 were heard, of 1,000 with high scores 30:

    >>> survey = Survey(np.array([9000, 1000]), np.array([50, 30]), np.array([1, 24]))
    >>> print(survey.density())
    0.098 [0.072, 0.168]

    A day on which a third of 300 windows has a high score: do the same shares hold there, or are there more
    calls, which score as anywhere?

    >>> nothing = np.zeros((1, 2), dtype=int)
    >>> day = Counts(np.array([[200, 100]]), nothing, nothing)
    >>> print(*survey.densities(day), *survey.densities(day, alike="calls"))
    0.280 [0.217, 0.353] 0.392 [0.316, 0.661]
    """

    windows: np.ndarray
    verdicts: np.ndarray
    positives: np.ndarray
    seed: int = 0

    @property
    def whole(self) -> Counts:
        """All windows, as one part."""
        return Counts(self.windows[None], self.verdicts[None], self.positives[None])

    @property
    def shares(self) -> np.ndarray:
        """(cell,) share of positives among the verdicts; a half where there is none."""
        return np.where(self.verdicts > 0, self.positives / np.maximum(self.verdicts, 1), 0.5)

    def density(self, confidence: float = CONFIDENCE) -> Interval:
        """Return the share of all windows that hold the species."""
        return self.densities(self.whole, confidence)[0]

    def densities(
        self, parts: Counts, confidence: float = CONFIDENCE, alike: Alike = "shares"
    ) -> list[Interval]:
        """Return the share of the windows of each part, such as a day at a site, that hold the species.

        A part without windows has none. Where no verdict is in a cell, its share is taken to be anything
        from 0 to 1, with a note.

        Parameters
        ----------
        parts
            (part, cell) of each.
        confidence
            Of the intervals.
        alike
            shares: the share of positives in a cell is taken to be the same in every part. calls: calls are
            taken to score alike everywhere, and so other sounds, but to be more common in some parts; the
            scores of a part are then a mixture of both, and its density is the likeliest one.
        """
        if alike == "calls":
            return self._mixtures(parts, confidence)
        found: list[Interval] = []
        step = max(_BLOCK // (_FEWER * len(self.windows)), 1)
        draws = _DRAWS if len(parts.windows) == 1 else _FEWER
        for first in range(0, len(parts.windows), step):
            block = parts.each(itemgetter(slice(first, first + step)))
            low, high = (self._draw_positives(block, sign, draws) for sign in (-1, 1))
            found += self._intervals(block, low, high, confidence)
        return found

    def expected(self, parts: Counts, alike: Alike) -> np.ndarray:
        """Return the share of positives in the cells of each part, (part, cell); see `densities`."""
        if alike == "shares":
            return np.broadcast_to(self.shares, parts.windows.shape)
        return self._mixed_shares(self.shares[None], parts.windows)

    def _mixtures(self, parts: Counts, confidence: float) -> list[Interval]:
        """Return the densities of parts whose calls score alike; their counts are drawn beside the shares."""
        draws = [self._draw_shares(self.windows * self._clip_weights, sign, _FEWER) for sign in (-1, 1)]
        generator, found = np.random.default_rng([self.seed, 2]), []
        tails = (1 - confidence) / 2, (1 + confidence) / 2
        left, heard = parts.windows - parts.verdicts, parts.positives.sum(axis=1)
        values = heard + (left * self._mixed_shares(self.shares[None], parts.windows)).sum(axis=1)
        for windows, others, known, value in zip(parts.windows, left, heard, values, strict=True):
            number = windows.sum()
            drawn = generator.multinomial(number, windows / max(number, 1), _FEWER)
            positives = [known + self._mixed_shares(shares, drawn) @ others for shares in draws]
            low, high = np.quantile(positives, tails, axis=1) / max(number, 1)
            middle = float(value / max(number, 1))
            bounds = (min(low.min(), middle), max(high.max(), middle))
            found.append(Interval(middle, *bounds) if number else Interval(np.nan, np.nan, np.nan))
        return found

    def _mixed_shares(self, shares: np.ndarray, windows: np.ndarray) -> np.ndarray:
        """Return shares (part, cell) where calls are as common as is likeliest by the part's counts.

        Parameters
        ----------
        shares
            (part, cell) or (1, cell), in all windows.
        windows
            (part, cell) of the parts.
        """
        positive, negative = self.windows * shares, self.windows * (1 - shares)
        first, second = (
            one / np.maximum(one.sum(axis=1, keepdims=True), 1e-12) for one in (positive, negative)
        )
        density, step = np.full((len(windows), 1), 0.5), 0.25
        for _ in range(_STEPS):  # the likelihood has one peak
            slope = windows * (first - second) / np.maximum(second + density * (first - second), 1e-12)
            density, step = density + np.where(slope.sum(axis=1, keepdims=True) > 0, step, -step), step / 2
        density = np.where(positive.any(axis=1, keepdims=True), density, 0.0)
        mixed = density * first
        return np.asarray(mixed / np.maximum(mixed + (1 - density) * second, 1e-12))

    def recall(self, chosen: np.ndarray, confidence: float = CONFIDENCE) -> Interval:
        """Return which share of the windows that hold the species lie in some cells, (cell,) bool."""
        inside, outside = self.whole.of_cells(chosen), self.whole.of_cells(~chosen)
        within, beyond = (float((self.shares * one.windows[0]).sum()) for one in (inside, outside))
        if within + beyond == 0:
            return Interval(np.nan, np.nan, np.nan)
        bounds = []
        for sign, tail in ((-1, (1 - confidence) / 2), (1, (1 + confidence) / 2)):
            found, missed = (
                self._draw_positives(one, side)[0] for one, side in ((inside, sign), (outside, -sign))
            )
            share = np.divide(found, found + missed, out=np.zeros(_DRAWS), where=found + missed > 0)
            bounds.append(float(np.quantile(share, tail)))
        value = within / (within + beyond)
        return Interval(value, min(bounds[0], value), max(bounds[1], value))

    @cached_property
    def _gammas(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(draw, cell) of positives and of negatives, and (draw,) of half of one: shares are their ratios."""
        generator = np.random.default_rng([self.seed, 0])
        few = self.verdicts < LEAST_CLIPS - 2
        kept = np.where(few, 1.0, np.maximum(self.verdicts - 2, 1) / np.maximum(self.verdicts, 1))
        added = np.where(self.verdicts == 0, 1.0, np.where(few, _HALF, 0.0))
        shape = (_DRAWS, len(self.windows))
        positives, negatives = (
            np.where(number > 0, generator.standard_gamma(np.maximum(number, 1e-9), shape), 0.0)
            for number in (self.positives * kept + added, (self.verdicts - self.positives) * kept + added)
        )
        return positives, negatives, generator.standard_gamma(_HALF, _DRAWS)

    def _draw_positives(self, parts: Counts, sign: int, draws: int = _DRAWS) -> np.ndarray:
        """Return (part, draw) windows with the species, with half a positive more (sign 1), or negative."""
        left = parts.windows - parts.verdicts
        share = self._draw_shares(np.where(left > 0, parts.windows * self._clip_weights, 0.0), sign, draws)
        generator = np.random.default_rng([self.seed, 1])
        heard = parts.positives.sum(axis=1)[:, None]
        return np.asarray(heard + generator.binomial(left[:, None, :], share).sum(axis=2))

    def _draw_shares(self, weight: np.ndarray, sign: int, draws: int) -> np.ndarray:
        """Return (..., draw, cell) shares; the half is added where the weight of (..., cell) is largest."""
        positives, negatives, half = (one[:draws] for one in self._gammas)
        extra = np.zeros(weight.shape)
        np.put_along_axis(extra, weight.argmax(axis=-1)[..., None], 1.0, axis=-1)
        extra = extra[..., None, :] * half[:, None]
        total = positives + negatives + extra
        above = positives + (extra if sign > 0 else 0.0)
        return np.divide(above, total, out=np.zeros_like(total), where=total > 0)

    @cached_property
    def _clip_weights(self) -> np.ndarray:
        """(cell,) how much a verdict weighs for a window of the cell: one over their number."""
        return 1 / np.maximum(self.verdicts, _HALF)

    def _intervals(
        self, parts: Counts, low: np.ndarray, high: np.ndarray, confidence: float
    ) -> list[Interval]:
        """Return the densities of parts from (part, draw) windows with the species."""
        number = parts.windows.sum(axis=1)
        left = parts.windows - parts.verdicts
        values = (parts.positives + left * self.shares).sum(axis=1)
        lows = np.quantile(low, (1 - confidence) / 2, axis=1)
        highs = np.quantile(high, (1 + confidence) / 2, axis=1)
        unheard = (parts.windows * (self.verdicts == 0)).sum(axis=1)
        found = []
        for n, value, least, most, unknown in zip(number, values, lows, highs, unheard, strict=True):
            note = f"{unknown} windows in strata without a verdict" if unknown else ""
            if n == 0:
                found.append(Interval(np.nan, np.nan, np.nan))
            else:
                found.append(Interval(value / n, min(least, value) / n, max(most, value) / n, note=note))
        return found


def fit_of_verdicts(
    group: np.ndarray, expected: np.ndarray, positive: np.ndarray, *, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Return how well verdicts agree with the shares that are expected of them: mean log loss, and p.

    p tells how often groups would lie so far from what is expected of them by chance alone.

    Parameters
    ----------
    group
        (verdict,) int: the site.
    expected
        (verdict,) probability that it is positive.
    positive
        (verdict,) bool.
    draws
        Of verdicts by chance.
    seed
        Of them.

    Examples
    --------
    >>> site, half = np.repeat([0, 1], 20), np.full(40, 0.5)
    >>> loss, p = fit_of_verdicts(site, half, site == 0)
    >>> print(round(loss, 3), p < 0.01, fit_of_verdicts(site, half, np.arange(40) % 2 == 0)[1] > 0.5)
    0.693 True True
    """
    likely = np.clip(expected, LEAST_EXPECTED, 1 - LEAST_EXPECTED)
    loss = -float(np.log(np.where(positive, likely, 1 - likely)).mean())
    member = (group[:, None] == np.unique(group)).astype(float)
    variance = np.maximum((likely * (1 - likely)) @ member, LEAST_EXPECTED)
    drawn = np.random.default_rng(seed).random((draws, len(likely))) < likely
    off = (np.square((np.vstack([positive, drawn]) - likely) @ member) / variance).sum(axis=1)
    return loss, float((1 + (off[1:] >= off[0] - 1e-9).sum()) / (draws + 1))
