"""Detection histories for occupancy models: sites as rows, visits as columns, and the effort of each.

A cell is 1 where the species was detected, 0 where it was not, NA where nothing was recorded or, by verdicts
alone, nothing was listened to. Effort is the number of windows that could have been a detection: all of
them, or those with a verdict. Both files have the same rows and columns, as `unmarked` and others take them.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.drawing.table_files import slug
from analysis.survey.config import HistoriesConfig
from analysis.survey.windows import NO_VISIT, ScoredWindows, read_scores
from core.config import require
from core.files import write_table
from core.wording import counted

ABSENT_MARK = "NA"


def write_histories(config: HistoriesConfig) -> None:
    """Write the tables of each species, and print what they hold.

    Raises
    ------
    ValueError
        If a file cannot be read, or no window has a site and a date.
    """
    folder = Path(config.out)
    for species in config.species:
        windows = read_scores(config.predictions, species)
        history, effort = detection_history(windows, config)
        for name, table in (("history", history), ("effort", effort)):
            text = table.astype("Int64").astype(object).where(table.notna(), ABSENT_MARK)
            write_table(text.rename_axis("site").reset_index(), folder / f"{name}_{slug(species)}.csv")
        known, found = history.notna(), history.eq(1)
        sites = int(found.any(axis=1).sum())
        print(
            f"{species}: detected at {sites} of {int(known.any(axis=1).sum())} sites, in "
            f"{int(found.sum().sum())} of {int(known.sum().sum())} visits; "
            f"{folder / f'history_{slug(species)}.csv'}"
        )


def detection_history(windows: ScoredWindows, config: HistoriesConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return detections and effort, (site, visit) each; NaN where nothing was recorded, or listened to.

    Parameters
    ----------
    windows
        Of a species.
    config
        What is a detection, and how long a visit is.
    """
    visit, days = windows.visits(config)
    usable = (visit != NO_VISIT) & (windows.sites != "")[windows.site]
    message = f"{config.predictions}: no window has both a site and a date; predict with --pattern"
    require(bool(usable.any()), message)
    if not usable.all():
        print(f"{windows.species}: {counted((~usable).sum(), 'windows')} without a site or a date left out")
    is_found = np.zeros(len(windows), dtype=bool)
    is_counted = usable.copy()
    if config.threshold is not None:
        is_found = windows.score >= config.threshold
    if config.verdicts:
        verdicts = windows.verdicts(config.verdicts)
        rows = windows.find(verdicts)
        is_found[rows[rows >= 0]] = verdicts["positive"].to_numpy(bool)[rows >= 0]
        if config.threshold is None:
            is_heard = np.zeros(len(windows), dtype=bool)
            is_heard[rows[rows >= 0]] = True
            is_counted &= is_heard
    shape = (len(windows.sites), len(days))
    place = windows.site.astype(np.int64) * len(days) + visit
    recorded, effort, found = (
        np.bincount(place[chosen], minlength=shape[0] * shape[1]).reshape(shape)
        for chosen in (usable, is_counted, is_counted & is_found)
    )
    history = np.where(effort > 0, found > 0, np.nan)
    named = {"index": windows.sites, "columns": [str(day) for day in days]}
    order = np.argsort(windows.sites)
    order = order[recorded[order].any(axis=1)]
    columns = recorded.any(axis=0)
    tables = (pd.DataFrame(array, **named) for array in (history, np.where(recorded > 0, effort, np.nan)))
    first, second = (table.iloc[order].loc[:, columns] for table in tables)
    return first, second
