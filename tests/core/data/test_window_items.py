"""Labelled windows as training items, and how they are divided into folds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.sparse import csr_array

from core.config import Config, DataConfig, MixupConfig
from core.data.audit import audit_folds, format_audit
from core.data.clips import Batch, Draw, TrainClips
from core.data.competition import read_competition
from core.data.folds import assign_folds, soundscape_folds
from core.data.labelled_windows import LabelledWindows
from core.data.labels import Labels
from core.data.loaders import RunData, build_loaders, build_pools, open_data, read_recordings
from core.data.pcm import PcmStore
from core.data.window_items import WindowItems
from tests.folders import make_sites
from tests.runs import tiny_config, with_data

RATE = 32000
SPECIES = ("a", "b", "c")


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sites(tmp_path_factory.mktemp("sites") / "birds")


@pytest.fixture
def config(sites: Path, tmp_path: Path) -> Config:
    return with_data(tiny_config(sites, tmp_path), soundscapes="train_and_validate")


def opened(config: Config) -> RunData:
    return open_data(config, read_recordings(config.data), quiet=True)


def windows_of(positive: list[str], known: list[str], path: Path) -> LabelledWindows:
    """Return windows of 1 s of one soundscape from the letters of the species in each."""
    heard, told = (
        np.array([[code in row for code in SPECIES] for row in rows]) for rows in (positive, known)
    )
    return LabelledWindows.of_soundscape(path, "x", SPECIES, 1.0, positive=heard, known=told)


def items_of(windows: LabelledWindows, tmp_path: Path, seconds: float) -> WindowItems:
    """Return the items of a soundscape whose samples tell their second."""
    second = np.arange(round(seconds * RATE)) // RATE
    soundfile.write(tmp_path / "x.wav", second.astype(np.int16), RATE)
    store = PcmStore([tmp_path / "x.wav"], RATE, None, quiet=True)
    every = np.arange(len(windows))
    return WindowItems(windows, store, np.zeros(len(windows), int), every, every)


def clips_of(items: WindowItems, seconds: float) -> TrainClips:
    nothing = csr_array((0, 3), dtype=bool)
    labels = Labels(nothing, nothing, nothing, np.zeros(0, np.float32))
    config = DataConfig(clip_seconds=seconds, part_seconds=1.0)
    return TrainClips(PcmStore([], RATE, None), labels, config, None, 0, items)


def drawn(clips: TrainClips, window: int) -> dict[int, Batch]:
    """Return the clips of a window by the second they begin in."""
    batches = [clips[Draw(0, window, cycle, 0)] for cycle in range(40)]
    return {int(batch.wave[0]): batch for batch in batches}


def test_a_clip_lies_on_the_grid_around_its_window_and_learns_all_it_covers(tmp_path: Path) -> None:
    windows = windows_of(["a", "", "b", "", ""], ["abc"] * 5, tmp_path / "x.wav")
    found = drawn(clips_of(items_of(windows, tmp_path, 4.99), 3.0), 1)
    assert {start: clip.target.tolist() for start, clip in found.items()} == {0: [1, 1, 0], 1: [0, 1, 0]}
    for start, clip in found.items():
        assert set(clip.wave.tolist()) == {start, start + 1, start + 2}
        assert clip.mask.tolist() == [1, 1, 1]
        assert float(clip.weight) == 1.0
    last = drawn(clips_of(items_of(windows, tmp_path, 4.99), 3.0), 4)
    assert set(last) == {2}


def test_a_species_that_was_not_listened_for_is_masked_unless_it_was_heard(tmp_path: Path) -> None:
    windows = windows_of(["a", "", "c"], ["a", "abc", "bc"], tmp_path / "x.wav")
    (clip,) = drawn(clips_of(items_of(windows, tmp_path, 3.0), 3.0), 0).values()
    assert clip.target.tolist() == [1, 0, 1]
    assert clip.mask.tolist() == [1, 0, 1]
    assert float(clip.weight) == pytest.approx(2 / 3)


def test_what_nobody_labelled_masks_all_that_was_not_heard(tmp_path: Path) -> None:
    windows = windows_of(["a", "", "b"], ["abc"] * 3, tmp_path / "x.wav").rows(np.array([0, 2]))
    clips = clips_of(items_of(windows, tmp_path, 3.0), 2.0)
    (clip,) = drawn(clips, 0).values()
    assert (clip.target.tolist(), clip.mask.tolist()) == ([1, 0, 0], [1, 0, 0])
    (clip,) = drawn(clips_of(items_of(windows, tmp_path, 3.0), 1.0), 0).values()
    assert clip.mask.tolist() == [1, 1, 1]


def test_a_soundscape_that_is_shorter_than_a_clip_is_filled(tmp_path: Path) -> None:
    windows = windows_of(["a", "b"], ["abc", "abc"], tmp_path / "x.wav")
    (clip,) = drawn(clips_of(items_of(windows, tmp_path, 2.0), 5.0), 1).values()
    assert len(clip.wave) == 5 * RATE
    assert (clip.target.tolist(), clip.mask.tolist()) == ([1, 1, 0], [1, 1, 1])


def test_a_clip_within_a_long_window_lies_inside(tmp_path: Path) -> None:
    windows = replace(windows_of(["a"], ["abc"], tmp_path / "x.wav"), end=np.array([4.0]))
    found = drawn(clips_of(items_of(windows, tmp_path, 6.0), 1.0), 0)
    assert set(found) <= {0, 1, 2, 3}
    assert len(found) > 2


def test_windows_join_the_recordings_of_an_epoch_as_often_as_asked(config: Config) -> None:
    data = opened(with_data(config, soundscape_repetition=3))
    main, scored = build_pools(data, config)
    number = len(data.store.lengths)
    assert len(data.soundscapes.train) > 0
    assert sorted(set(main.positions)) == [*data.train, *(number + data.soundscapes.train)]
    main, scored = build_pools(data, with_data(config, soundscape_repetition=3))
    assert (main.positions >= number).sum() == 3 * len(data.soundscapes.train)
    assert (scored.positions >= number).sum() == 3 * len(data.soundscapes.train) // 4
    names = data.item_names
    assert names[number].startswith("BC2026_Train_")
    assert names[number].endswith(" at 0 s")


def test_a_class_without_recordings_counts_as_trained(config: Config) -> None:
    data = opened(config)
    files = len(data.soundscapes.windows.rows(data.soundscapes.train).paths)
    assert data.train_counts["mute"] == files
    assert data.train_counts["heard"] > files
    assert set(data.item_species[len(data.store.lengths) :]) == {"heard", "mute", "other", ""}
    ignored = opened(with_data(config, soundscapes="ignore"))
    assert "mute" not in ignored.train_counts
    assert len(ignored.item_names) == len(ignored.store.lengths)


def test_rare_classes_of_soundscapes_are_drawn_more_often(config: Config) -> None:
    config = with_data(config, balance_power=1.0)
    data = opened(config)
    pool, _ = build_pools(data, config)
    assert pool.weights is not None
    totals = {
        code: pool.weights[data.item_species[pool.positions] == code].sum() for code in ("heard", "mute", "")
    }
    assert totals == pytest.approx(dict.fromkeys(totals, 1.0))


def test_windows_only_validate_where_they_shall_not_train(config: Config) -> None:
    trained, judged = opened(config), opened(with_data(config, soundscapes="validate"))
    assert len(judged.soundscapes.train) == 0
    np.testing.assert_array_equal(judged.soundscapes.valid, trained.soundscapes.valid)
    everything = opened(with_data(config, fold=None)).soundscapes
    assert len(everything.train) == len(everything.windows) == 32
    assert len(everything.valid) == 0


def test_a_run_without_labelled_soundscapes_draws_what_it_always_drew(config: Config) -> None:
    config = replace(with_data(config, soundscapes="ignore"), mixup=MixupConfig(selective_probability=0.0))
    data = opened(config)
    main, _ = build_pools(data, config)
    np.testing.assert_array_equal(main.positions, data.train)
    loaders = build_loaders(data, config, rank=0, world=1, on_cpu=True)
    plain = TrainClips(data.store, data.labels, config.data, None, config.seed)
    for batch, draws in zip(loaders.train, list(loaders.batches), strict=True):
        for row, draw in enumerate(draws):
            np.testing.assert_array_equal(batch.wave[row], plain[draw].wave)


def test_folds_keep_a_site_together_and_each_class_in_training(sites: Path) -> None:
    found = read_competition(sites)
    windows, site = found.soundscapes, found.soundscapes.site
    folds = soundscape_folds(windows, {"heard", "other"}, DataConfig(num_folds=3))
    assert folds.by == "site"
    assert all(len(set(folds.fold[site == one])) == 1 for one in set(site))
    assert set(folds.fold) == {0, 1, 2}
    for fold in range(3):
        assert windows.positive[folds.fold != fold].any(axis=0).all()


def test_few_sites_are_divided_by_file_and_the_audit_says_so(sites: Path) -> None:
    found = read_competition(sites)
    recordings = assign_folds(found.recordings, found.scored, num_folds=5)
    folds = soundscape_folds(found.soundscapes, {"heard", "other"}, DataConfig(num_folds=5))
    assert folds.by == "file"
    assert len({*zip(found.soundscapes.soundscape, folds.fold, strict=True)}) == 8
    shown = format_audit(audit_folds(found, recordings, folds))
    assert "32 windows of 8 files, by file: 4 sites are fewer than 5 folds" in shown
    assert "fold 0: 2 files, 2 files, 8 windows, 3 classes heard" in shown
    assert "classes that no recording holds: mute" in shown


def test_a_class_of_two_sites_never_validates_whole(tmp_path: Path) -> None:
    heard = np.zeros((6, 3), bool)
    heard[[0, 1], 2] = True
    known = np.ones_like(heard)
    pieces = [
        LabelledWindows.of_soundscape(
            tmp_path, f"f{i}", SPECIES, 5.0, positive=heard[i : i + 1], known=known[i : i + 1]
        )
        for i in range(6)
    ]
    windows = replace(LabelledWindows.joined(pieces), site=np.array([f"s{i}" for i in range(6)]))
    for seed in range(10):
        folds = soundscape_folds(windows, {"a", "b"}, DataConfig(num_folds=2, fold_seed=seed)).fold
        assert folds[0] != folds[1]
        assert np.bincount(folds).tolist() == [3, 3]
