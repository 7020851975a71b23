"""Which clips a batch holds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from scipy.sparse import csr_array

from core.config import Config, DataConfig, MixupConfig
from core.config_data import NoiseConfig
from core.data.clips import Draw, Pool, TrainBatches, TrainClips, ValidClips, fill_clip
from core.data.labels import Labels
from core.data.loaders import build_loaders, open_data, read_recordings
from core.data.noise import NoiseOfSet, NoiseSets
from core.data.pcm import PcmStore
from core.training.augment import mix_noise, root_mean_square
from tests.runs import tiny_config, with_data

RATE = 32000
MIXED = MixupConfig(selective_probability=0.5)


def ramp_store(tmp_path: Path, seconds: float) -> PcmStore:
    """Return one recording whose samples count up, so that a clip tells where it starts."""
    count = np.arange(round(seconds * RATE)) % 32000
    soundfile.write(tmp_path / "ramp.wav", count.astype(np.int16), RATE)
    return PcmStore([tmp_path / "ramp.wav"], RATE, None, quiet=True)


def labels(number: int) -> Labels:
    """Return labels of which each recording holds the species of its number, of three."""
    target = csr_array(np.eye(number, 3, dtype=np.float32))
    return Labels(target > 0, target, csr_array(target.shape, dtype=bool), np.ones(number, np.float32))


def batches(mixup: MixupConfig = MIXED, size: int = 4, **options: int) -> TrainBatches:
    return TrainBatches(
        Pool(np.arange(22)), Pool(np.arange(5)), DataConfig(batch_size=size), mixup, seed=3, **options
    )


def test_crops_start_anywhere_and_stay_inside(tmp_path: Path) -> None:
    store = ramp_store(tmp_path, 0.9)
    config = DataConfig(clip_seconds=0.5, part_seconds=0.5)
    clips = TrainClips(store, labels(1), config, None, seed=0)
    starts = [int(clips[Draw(0, 0, cycle, 0)].wave[0]) for cycle in range(200)]
    assert min(starts) < 1000
    assert 11800 < max(starts) <= 12800
    assert len(set(starts)) > 150
    again = TrainClips(store, labels(1), config, None, seed=0)
    assert [int(again[Draw(0, 0, cycle, 0)].wave[0]) for cycle in range(200)] == starts


def test_whole_second_crops_as_in_the_original(tmp_path: Path) -> None:
    store = ramp_store(tmp_path, 0.98 * 4)
    config = DataConfig(clip_seconds=1.0, part_seconds=1.0, crop_grid="second")
    clips = TrainClips(store, labels(1), config, None, seed=0)
    firsts = {int(clips[Draw(0, 0, cycle, 0)].wave[0]) for cycle in range(50)}
    assert firsts == {0}  # the ramp starts anew every second


def test_short_recordings_are_padded_or_repeated() -> None:
    wave = np.array([1, 2, 3])
    assert fill_clip(wave, 7, "pad").tolist() == [1, 2, 3, 0, 0, 0, 0]
    assert fill_clip(wave, 7, "repeat").tolist() == [1, 2, 3, 1, 2, 3, 1]


def test_validation_clips_span_the_recording(tmp_path: Path) -> None:
    store = ramp_store(tmp_path, 0.9)
    config = DataConfig(clip_seconds=0.5, part_seconds=0.5, valid_clips=3)
    clips = ValidClips(store, labels(1), config, np.array([0]))
    assert [start for _, start in clips.clips] == [0, 6400, 12800]
    assert int(clips[1].wave[0]) == 6400
    longer = ValidClips(store, labels(1), replace(config, valid_clip_seconds=2.0), np.array([0]))
    assert len(longer) == 1
    assert longer[0].wave[28800:].abs().max() == 0


def test_an_epoch_draws_each_recording_once_and_another_order_next_time() -> None:
    sampler = batches(MixupConfig(selective_probability=0.0))
    epochs = []
    for epoch in (0, 1):
        sampler.start_at(epoch)
        epochs.append([draw.recording for batch in sampler for draw in batch])
    assert all(len(set(epoch)) == len(epoch) == 20 for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_processes_share_a_batch_between_them() -> None:
    whole = list(batches())
    parts = [list(batches(rank=rank, world=2)) for rank in (0, 1)]
    for step, batch in enumerate(whole):
        assert sorted(batch) == sorted(parts[0][step] + parts[1][step])
        assert len(parts[0][step]) == len(parts[1][step])


def test_a_resumed_epoch_yields_what_was_left() -> None:
    whole, rest = batches(), batches()
    rest.start_at(0, 3)
    assert list(rest) == list(whole)[3:]
    assert len(rest) == len(whole) - 3


def test_a_scored_half_comes_as_often_as_selective_mixup() -> None:
    sampler, lengths = batches(), []
    for epoch in range(80):
        sampler.start_at(epoch)
        for batch in sampler:
            lengths.append(len(batch))
            assert all(draw.recording < 5 for draw in batch[4:])
    assert set(lengths) == {4, 8}
    assert np.mean(np.array(lengths) == 8) == pytest.approx(0.5, abs=0.08)


def test_weights_draw_rare_species_more_often() -> None:
    pool = Pool(np.arange(3), np.array([1.0, 1.0, 8.0]))
    drawn = [draw.recording for draw in pool.draws(5000, seed=0, epoch=0, pool=0)]
    np.testing.assert_allclose(np.bincount(drawn) / 5000, [0.1, 0.1, 0.8], atol=0.02)


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.batch_size=4: 4 clips .* do not divide among 3 processes"):
        batches(world=3)


@pytest.mark.parametrize("workers", [1, 4])
def test_threads_that_gather_ahead_give_the_same_batches(
    tiny_demo: Path, tmp_path: Path, workers: int
) -> None:
    def read(config: Config) -> list[tuple[torch.Tensor, ...]]:
        data = open_data(config, read_recordings(config.data), quiet=True)
        loaders = build_loaders(data, config, rank=0, world=1, on_cpu=True)
        loaders.batches.start_at(1)
        return [batch[:-1] for batch in loaders.train]

    config = tiny_config(tiny_demo, tmp_path)
    plain, other = read(with_data(config, num_workers=0)), read(with_data(config, num_workers=workers))
    assert len(plain) == len(other) == 3
    for first, second in zip(plain, other, strict=True):
        for ours, theirs in zip(first, second, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_the_scored_pool_holds_only_recordings_with_a_scored_bird(tiny_demo: Path, tmp_path: Path) -> None:
    config = tiny_config(tiny_demo, tmp_path)
    data = open_data(config, read_recordings(config.data), quiet=True)
    loaders = build_loaders(data, config, rank=0, world=1, on_cpu=True)
    scored = set(data.competition.scored)
    for row in loaders.batches.scored_pool.positions:
        recording = data.competition.recordings.iloc[row]
        assert scored & {recording["species"], *recording["secondary"]}
    assert not set(data.valid) & set(loaders.batches.pool.positions)
    assert not set(data.valid) & set(loaders.batches.scored_pool.positions)


def test_too_many_bad_recordings_stop_the_run(tiny_demo: Path, tmp_path: Path) -> None:
    root = tmp_path / "birds"
    root.mkdir()
    for name in ("train_metadata.csv", "scored_birds.json"):
        (root / name).write_bytes((tiny_demo / name).read_bytes())
    config = with_data(tiny_config(tiny_demo, tmp_path), root=str(root))
    with pytest.raises(
        ValueError, match=r"(?s)20 of 20 recordings .* data\.max_bad_share=0\.2.*missing file"
    ):
        open_data(config, read_recordings(config.data), quiet=True)


def test_noise_is_mixed_at_the_asked_level_and_silence_stays() -> None:
    generator = torch.Generator().manual_seed(0)
    wave = 0.1 * torch.randn(3, RATE, generator=generator)
    wave[2] = 0
    noise = torch.randint(-9000, 9000, (3, RATE), generator=generator).to(torch.int16)
    noise[1] = 0
    one = NoiseOfSet(noise, torch.arange(3), torch.tensor([3.0, 1.0, 0.0]))
    mixed = mix_noise(wave, [one])
    added = mixed[0] - wave[0]
    ratio = root_mean_square(wave[0]) / root_mean_square(added)
    assert 20 * float(ratio.log10()) == pytest.approx(3.0, abs=0.01)
    assert torch.equal(mixed[1:], wave[1:])
    twice = mix_noise(wave, [one, NoiseOfSet(noise[:1], torch.tensor([0]), torch.tensor([0.0]))])
    ratio = root_mean_square(mixed[0]) / root_mean_square(twice[0] - mixed[0])
    assert 20 * float(ratio.log10()) == pytest.approx(0.0, abs=0.01), "of the clip as it is by then"


def test_noise_comes_as_often_as_asked_within_its_levels(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    soundfile.write(tmp_path / "noise.wav", 0.1 * generator.standard_normal(RATE), RATE)
    store = PcmStore([tmp_path / "noise.wav"], RATE, None, quiet=True)
    config = NoiseConfig(probabilities=[0.3, 0.0], min_snr_db=2.0, max_snr_db=5.0)
    sets, path = NoiseSets([store, store], config), ramp_store(tmp_path, 1.0)
    clips = TrainClips(path, labels(1), DataConfig(clip_seconds=1.0, part_seconds=1.0), sets, 0)
    batch = clips.batch([Draw(0, 0, cycle, 0) for cycle in range(300)])
    (noise,) = batch.noise
    assert len(noise.clip) / 300 == pytest.approx(0.3, abs=0.08)
    assert 1.99 < float(noise.snr_db.min()) < 2.3
    assert 4.7 < float(noise.snr_db.max()) < 5.01
    assert batch.wave.dtype == noise.wave.dtype == torch.int16
