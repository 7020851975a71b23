"""Windows of many files share a batch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.inference import batching
from core.inference.batching import BatchSize
from core.inference.config import WindowConfig
from core.inference.ensemble import Ensemble, Waves, load_ensemble
from core.inference.predictor import Predictor
from core.models.base import Output
from tests.core.inference.conftest import Trained, write_noise

CPU = torch.device("cpu")
SECONDS = (4.0, 11.0, 5.0, 26.0, 16.0, 5.0, 9.9)  # windows: 1, 3, 1, 6, 4, 1, 2


@pytest.fixture
def short_files(tmp_path: Path) -> list[Path]:
    return [write_noise(tmp_path / f"{i}.wav", seconds, seed=i) for i, seconds in enumerate(SECONDS)]


def count_batches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return a list that gets the windows of each batch, and the windows of its clips."""
    found: list[tuple[int, int]] = []
    outputs = Ensemble.outputs

    def counted(self: Ensemble, waves: Waves, num_parts: int) -> list[Output]:
        found.append((len(next(iter(waves.values()))), num_parts))
        return outputs(self, waves, num_parts)

    monkeypatch.setattr(Ensemble, "outputs", counted)
    return found


def test_batches_of_many_short_files_are_full(
    trained: Trained, short_files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(load_ensemble(trained.runs), WindowConfig(batch=4), CPU)
    batches = count_batches(monkeypatch)
    list(predictor.predict_files(short_files))
    assert batches == [(4, 1), (4, 1), (4, 1), (4, 1), (2, 1)]
    clips = Predictor(load_ensemble(trained.runs), WindowConfig(batch=4, context=2), CPU)
    del batches[:]
    list(clips.predict_files(short_files))
    assert sorted(batches) == [(2, 2), (4, 1), (4, 2), (4, 2), (4, 2)]


@pytest.mark.parametrize("context", [1, 2])
@pytest.mark.parametrize("decoders", [1, 3])
def test_files_that_share_batches_get_what_they_get_alone(
    trained: Trained, short_files: list[Path], tmp_path: Path, context: int, decoders: int
) -> None:
    (tmp_path / "bad.wav").write_text("no audio")
    files = [*short_files[:3], tmp_path / "bad.wav", *short_files[3:]]
    settings = WindowConfig(context=context, shifts=(0.0, 2.5), batch=5, decoders=decoders)
    predictor = Predictor(load_ensemble(trained.runs), settings, CPU, segments=True)
    found = dict(predictor.predict_files(files))
    assert sorted(found) == list(range(len(files)))
    alone = Predictor(load_ensemble(trained.runs), replace(settings, batch=None), CPU, segments=True)
    for position, path in enumerate(files):
        one = alone.predict_file(path)
        assert one.facts.reason == found[position].facts.reason
        np.testing.assert_allclose(found[position].probability, one.probability, atol=1e-6)
        np.testing.assert_allclose(found[position].segments, one.segments, atol=1e-6)
    assert "not readable" in found[3].facts.reason


def test_samples_of_16_bits_are_as_good_as_their_floats(trained: Trained, short_files: list[Path]) -> None:
    """What a GPU gets: a file of 16 bits at its own sample rate loses nothing."""
    predictor = Predictor(load_ensemble(trained.runs), WindowConfig(), CPU)
    plain = predictor.predict_file(short_files[3])
    predictor.as_int16 = True
    np.testing.assert_allclose(
        predictor.predict_file(short_files[3]).probability, plain.probability, atol=1e-6
    )


def sizes_for(seconds_of_a_window: dict[int, float]) -> list[int]:
    """Return the sizes of batches that take a known time."""
    size, found = BatchSize(CPU), []
    for _ in range(30):
        found.append(size.size)
        size.took(size.size, size.size * seconds_of_a_window[size.size])
    return [*dict.fromkeys(found), found[-1]]


def test_the_size_grows_while_that_is_faster_and_memory_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sizes_for({12: 1.0, 24: 0.9, 48: 0.89}) == [12, 24, 48, 24]
    assert sizes_for({12: 1.0, 24: 1.1}) == [12, 24, 12]
    assert sizes_for({12: 1.0, 24: 0.9, 48: 0.7}) == [12, 24, 48, 48]
    monkeypatch.setattr(batching, "_most_bytes", lambda device: 0)
    monkeypatch.setattr(batching, "_peak_bytes", lambda device: 1)
    size = BatchSize(CPU)
    size.bytes_before = 0
    for _ in range(5):
        size.took(12, 1.0)
    assert size.size == 12
