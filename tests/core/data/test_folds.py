"""Fold assignments of many random data sets, and their audit."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.data.audit import audit_folds, format_audit
from core.data.competition import Competition
from core.data.folds import assign_folds, split

SCORED = tuple("abcdef")


def table(seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    counts = {code: int(generator.integers(1, 40)) for code in "abcdefxyz"} | {"a": 1, "b": 2, "c": 3}
    species = np.repeat(list(counts), list(counts.values()))
    return pd.DataFrame(
        {
            "recording": [f"{code}/{i}.ogg" for i, code in enumerate(species)],
            "path": [Path(f"{code}/{i}.ogg") for i, code in enumerate(species)],
            "species": species,
            "author": generator.choice([f"author {i}" for i in range(12)], len(species)),
            "is_extra": False,
        }
    )


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("grouped", [False, True])
def test_the_promises_of_an_assignment(seed: int, grouped: bool) -> None:
    recordings = table(seed)
    folds = assign_folds(recordings, SCORED, seed=seed, group_by_author=grouped)
    np.testing.assert_array_equal(folds, assign_folds(recordings, SCORED, seed=seed, group_by_author=grouped))
    assert (folds[~recordings["species"].isin(SCORED)] == -1).all()
    assert (folds[recordings["species"] == "a"] == -1).all(), "a single file always trains"
    for fold in range(5):
        train, valid = split(folds, fold)
        assert set(recordings["species"].iloc[train]) >= set(SCORED)
        assert not set(train) & set(valid)
        assert len(train) + len(valid) == len(recordings)
    if grouped:
        validated = recordings.assign(fold=folds)[folds >= 0]
        assert validated.groupby("author")["fold"].nunique().max() == 1
    else:
        sizes = pd.crosstab(recordings["species"], folds).drop(columns=-1).loc[list("def")]
        assert (sizes.max(axis=1) - sizes.min(axis=1)).max() <= 1


def test_the_seed_changes_the_assignment() -> None:
    recordings = table(0)
    assert (assign_folds(recordings, SCORED, seed=1) != assign_folds(recordings, SCORED, seed=2)).any()


def test_extra_recordings_never_validate() -> None:
    recordings = table(0)
    recordings["is_extra"] = np.arange(len(recordings)) % 2 == 0
    folds = assign_folds(recordings, SCORED)
    assert (folds[recordings["is_extra"]] == -1).all()
    assert (folds >= 0).any()


def test_too_few_recordings_name_the_field() -> None:
    with pytest.raises(ValueError, match=r"data\.num_folds=5: only 2 recordings can validate"):
        assign_folds(table(0), ("a", "b"))


def audited(recordings: pd.DataFrame, folds: list[int]) -> Competition:
    assert len(recordings) == len(folds)
    return Competition(Path("x"), ("a", "b"), ("a", "b"), recordings)


def test_the_audit_counts_leaks_gaps_and_duplicates(tmp_path: Path) -> None:
    for name, content in (("1", b"same"), ("2", b"same"), ("3", b"else"), ("4", b"x"), ("5", b"y")):
        (tmp_path / f"{name}.ogg").write_bytes(content)
    recordings = pd.DataFrame(
        {
            "recording": ["a/1.ogg", "a/2.ogg", "a/3.ogg", "b/3.ogg", "b/5.ogg"],
            "path": [tmp_path / f"{i}.ogg" for i in range(1, 6)],
            "species": list("aaabb"),
            "author": ["ann", "ann", "ben", "unknown", "unknown"],
            "rating": [4.0, 0.0, 2.0, 0.0, 5.0],
            "is_extra": False,
        }
    )
    folds = [0, 1, 1, 0, 0]
    audit = audit_folds(audited(recordings, folds), np.array(folds))
    assert audit.sizes == [3, 2]
    assert audit.leaking == [1, 1]  # ann's two, one in each fold; unknown authors are no one
    assert audit.untrained == [("b", 0)]
    assert audit.same_name == [["a/3.ogg", "b/3.ogg"]]
    assert audit.same_bytes == [[str(tmp_path / "1.ogg"), str(tmp_path / "2.ogg")]]
    assert audit.sessions is None
    shown = format_audit(audit, grouped_leaking=[0, 0])
    assert "5 files, 2 species, 2 scored" in shown
    assert "2 of 5 recordings are unrated and weigh 0.80" in shown
    assert "NOT in training: b in fold 0" in shown
    assert "2 of 5 (40%); fold 0: 1 of 3, fold 1: 1 of 2" in shown
