"""The generated data set: whole or absent, the same every time, and fit to judge an experiment."""

import json
import multiprocessing
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from core.config import DataConfig
from core.data.competition import Competition, read_competition
from core.data.demo.build import DemoPlan, ensure_demo, tiny_plan, unlabelled_truth
from core.data.folds import folds_of

SMALL = DemoPlan(
    recordings={"embups": 2, "tindou": 1},
    scored=("embups",),
    recording_seconds=(3.0, 3.5),
    num_backgrounds=1,
    background_seconds=(3.0, 3.5),
    num_soundscapes=1,
    soundscape_seconds=10,
    labelled_sites=0,
    unlabelled_sites=0,
)


def contents(root: Path) -> dict[str, bytes]:
    """Return every file below a folder; an Ogg stream's serial number is drawn anew by each encoder."""
    files = (file for file in sorted(root.rglob("*")) if file.is_file() and file.suffix != ".ogg")
    return {str(file.relative_to(root)): file.read_bytes() for file in files}


def make_small(root: Path) -> None:
    ensure_demo(root, plan=SMALL)


def test_a_fold_validates_sixty_recordings_of_all_scored_species() -> None:
    plan = DemoPlan()
    species = [code for code, count in plan.recordings.items() for _ in range(count)]
    recordings = pd.DataFrame({"species": species, "is_extra": False, "author": "ann"})
    competition = Competition(
        Path("x"), tuple(sorted(plan.recordings)), tuple(sorted(plan.scored)), recordings
    )
    folds = folds_of(competition, DataConfig())
    for fold in range(5):
        validated = Counter(recordings["species"][folds == fold])
        assert validated.total() >= 60
        assert set(validated) == set(plan.scored)
        assert min(validated.values()) >= 5


def test_the_layout_is_the_competition_s(tiny_demo: Path) -> None:
    competition = read_competition(tiny_demo)
    plan = tiny_plan()
    assert competition.scored == tuple(sorted(plan.scored))
    assert Counter(competition.recordings["species"]) == plan.recordings
    assert all(path.is_file() for path in competition.recordings["path"])
    test, solution = (pd.read_csv(tiny_demo / f"{name}.csv") for name in ("test", "solution"))
    assert test["row_id"].tolist() == solution["row_id"].tolist()
    assert len(test) == len(plan.scored) * plan.soundscape_seconds // 5
    assert 0 < solution["target"].mean() < 1


def test_some_sites_are_labelled_and_one_is_not(tiny_demo: Path) -> None:
    plan = tiny_plan()
    files = sorted((tiny_demo / "train_soundscapes").iterdir())
    labels = pd.read_csv(tiny_demo / "train_soundscapes_labels.csv", keep_default_na=False)
    names = [re.fullmatch(r"DEMO_(S\d\d)_202204\d\d_\d\d3000\.ogg", file.name) for file in files]
    sites = Counter(name[1] for name in names if name)
    labelled = {name.split("_")[1] for name in labels["filename"]}
    assert set(sites.values()) == {plan.files_per_site}
    assert len(sites) - plan.unlabelled_sites == len(labelled) == plan.labelled_sites
    assert set(labels["filename"]) < {file.name for file in files}
    seconds = [pd.to_timedelta(labels[name]).dt.total_seconds() for name in ("start", "end")]
    assert (seconds[1] - seconds[0] == 5).all()
    assert seconds[1].max() == plan.site_seconds
    heard = {code for text in labels["primary_label"] for code in text.split(";")}
    assert "nocall" in heard
    assert len(heard) > 1
    taxonomy = pd.read_csv(tiny_demo / "taxonomy.csv")
    assert heard - {"nocall"} <= set(taxonomy["primary_label"]) == set(plan.recordings)
    assert set(taxonomy["class_name"]) == {"Aves"}


def test_it_is_the_same_every_time_and_another_for_another_seed(tmp_path: Path) -> None:
    first, again, other = (tmp_path / name for name in ("first", "again", "other"))
    make_small(first)
    make_small(again)
    ensure_demo(other, seed=7, plan=SMALL)
    assert contents(first) == contents(again)
    table, others = (pd.read_csv(root / "train_metadata.csv") for root in (first, other))
    assert not set(table["filename"]) & set(others["filename"])


@pytest.mark.slow
def test_processes_that_start_at_once_make_it_once(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    started = [spawn.Process(target=make_small, args=(tmp_path / "demo",)) for _ in range(3)]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
    assert [process.exitcode for process in started] == [0, 0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".demo.part" / "train_audio").mkdir(parents=True)
    make_small(tmp_path / "demo")
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ValueError, match=r"no demo\.json"):
        make_small(tmp_path)
    (tmp_path / "demo.json").write_text(json.dumps({"version": 1}))
    with pytest.raises(ValueError, match="another seed, plan or version"):
        make_small(tmp_path)


def test_the_truth_of_sites_nobody_labelled_is_what_labels_would_say(tmp_path: Path) -> None:
    labelled = replace(SMALL, num_soundscapes=0, labelled_sites=2, files_per_site=4, site_seconds=10)
    table = pd.read_csv(ensure_demo(tmp_path / "demo", plan=labelled) / "train_soundscapes_labels.csv")
    truth = unlabelled_truth(plan=replace(labelled, labelled_sites=0, unlabelled_sites=2))
    assert len(truth) == 8
    for file, rows in table.groupby("filename"):
        heard = [";".join(row.index[row]) or "nocall" for _, row in truth[str(file)].iterrows()]
        assert rows["primary_label"].tolist() == heard
    assert set(table["primary_label"]) - {"nocall"}
