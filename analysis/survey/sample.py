"""The sample of a survey: windows drawn at random within strata of the score, on a page to listen to.

The folder holds review.html, sample.csv (every clip with its stratum and how many windows it stands for) and
survey.json (how it was drawn). The page shows no score, and has its clips in random order: who listens does
not know what to expect.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.review.choice import Question
from analysis.review.page import read_clips, render_review
from analysis.review.windows import Listenable
from analysis.survey.config import SampleConfig
from analysis.survey.design import Design
from analysis.survey.windows import ScoredWindows, read_predictions_at, read_scores, read_verdicts
from core.config import require
from core.config_values import to_dict
from core.files import write_atomically, write_table
from core.scoring.survey import allocate_clips, draw_clips, stratum_edges, stratum_of


def write_sample(config: SampleConfig) -> None:
    """Draw the sample, and write the folder.

    Raises
    ------
    ValueError
        If a file cannot be read, or nothing is left to ask.
    """
    drawn = [draw_design(read_scores(config.predictions, code), config) for code in config.species]
    sample = pd.concat([table for _, table in drawn], ignore_index=True)
    asked = sample
    if config.verdicts:
        files = sample["file_id"].unique()
        keys = ["file_id", "begin", "species"]
        answered = read_verdicts(config.verdicts, files)[keys].assign(answered=True)
        is_left = sample.merge(answered, "left", keys)["answered"].isna()
        asked = sample[is_left.to_numpy()].reset_index(drop=True)
    html, clips, notes = _page_of(asked, config)
    folder = Path(config.out)
    write_atomically(folder / "review.html", html)
    write_table(sample.drop(columns="row"), folder / "sample.csv")
    content = {"settings": to_dict(config), "designs": [one.as_dict() for one, _ in drawn]}
    write_atomically(folder / "survey.json", json.dumps(content, indent=1) + "\n")
    for note in notes:
        print(note)
    for design, table in drawn:
        print(
            f"{design.species}: {len(table)} of {design.windows.sum():,} windows, {len(design.edges) + 1} "
            f"strata{f' at {len(design.sites)} sites' if design.sites else ''}; a clip stands for "
            f"{table['weight'].min():,.0f} to {table['weight'].max():,.0f} windows"
        )
    print(f"{folder / 'review.html'}: {clips} clips to listen to, {len(html) / 1e6:.1f} MB")
    print("Then: python -m analysis.survey density PREDICTIONS --verdicts the file that the page downloads")


def draw_design(windows: ScoredWindows, config: SampleConfig) -> tuple[Design, pd.DataFrame]:
    """Return how the windows of a species are sampled, and the clips: a row each, in the order of the page.

    Parameters
    ----------
    windows
        All of them.
    config
        Strata, clips and seed.
    """
    edges = stratum_edges(windows.score, config.strata, config.bins)
    sites = tuple(sorted(windows.sites.tolist())) if config.by_site else ()
    blank = Design(windows.species, tuple(edges.tolist()), sites, np.zeros(0, dtype=int))
    cell = blank.cells(windows)
    number = np.bincount(cell, minlength=blank.number)
    design = Design(blank.species, blank.edges, sites, number)
    clips = allocate_clips(number, config.clips, config.power)
    generator = np.random.default_rng([config.seed, zlib.crc32(windows.species.encode())])
    rows = draw_clips(cell, clips, generator)
    table = pd.DataFrame(
        {
            "species": windows.species, "file_id": windows.names["file_id"][windows.file[rows]],
            "begin": windows.begin[rows].astype(float), "site": windows.sites[windows.site[rows]],
            "stratum": stratum_of(windows.score[rows], edges) + 1, "score": windows.score[rows].astype(float),
            "weight": (number / np.maximum(clips, 1))[cell[rows]], "row": rows,
        }
    )  # fmt: skip
    return design, table


def _page_of(asked: pd.DataFrame, config: SampleConfig) -> tuple[str, int, list[str]]:
    """Return the page that asks for clips, their number, and what was noticed."""
    require(
        len(asked) > 0, "nothing to listen to: every clip of the sample has a verdict; ask for more clips"
    )
    predictions = read_predictions_at(config.predictions, asked["row"].to_numpy())
    found = Listenable.of_soundscapes(predictions, config.soundscapes, config.taxonomy)
    there = np.isin(predictions.recording, list(found.files))
    column = {code: i for i, code in enumerate(found.predictions.species)}
    questions = [
        Question(window, column[code], "drawn") for window, code in enumerate(asked["species"][there])
    ]
    clips, unplayed = read_clips(found, questions, config.context_seconds)
    require(len(clips) > 0, f"nothing to listen to: {''.join(unplayed[:1])}")
    return render_review(found, clips, "verdicts.csv"), len(clips), [*found.notes, *unplayed]
