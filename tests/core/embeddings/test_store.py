from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from core.data.pcm import PcmStore
from core.embeddings.cards import read_embedding_card
from core.embeddings.front_end import Embedder
from core.embeddings.store import EmbeddingStore
from tests.bird_model import SAMPLE_RATE, SIZE, WINDOW, write_bird_model


@pytest.fixture
def embedder(tmp_path: Path) -> Embedder:
    return Embedder(read_embedding_card(str(write_bird_model(tmp_path / "model"))))


def write_tone(file: Path, hertz: float, seconds: float, level: float = 0.3) -> Path:
    moments = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(
        file, np.clip(level * np.sin(2 * np.pi * hertz * moments), -1, 1), SAMPLE_RATE, subtype="PCM_16"
    )
    return file


def open_store(
    paths: list[Path], embedder: Embedder, cache: Path, classes: tuple[int, ...] = ()
) -> EmbeddingStore:
    audio = PcmStore(paths, SAMPLE_RATE, cache / "audio", quiet=True)
    return EmbeddingStore(audio, embedder, cache, classes, quiet=True)


@pytest.mark.parametrize(("seconds", "frames"), [(0.1, 1), (0.5, 1), (0.6, 1), (0.7, 2), (1.0, 3), (3.0, 11)])
def test_frames_are_as_many_as_fit(embedder: Embedder, seconds: float, frames: int) -> None:
    assert embedder.num_frames(round(seconds * SAMPLE_RATE)) == frames


def test_frames_are_the_embeddings_of_the_windows(embedder: Embedder, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    samples = rng.integers(-9000, 9000, 3 * SAMPLE_RATE, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", samples, SAMPLE_RATE)
    store = open_store([tmp_path / "a.wav"], embedder, tmp_path / "cache", classes=(2, 0))
    assert store.lengths.tolist() == [11]
    assert store.width == SIZE + 2
    windows = [samples[i * 4000 : i * 4000 + WINDOW] / np.float32(32768) for i in range(11)]
    found = embedder.embed(np.stack(windows).astype(np.float32))
    frames = store.read(0, 3, 4)
    assert np.allclose(frames[:, :SIZE], found.embedding[3:7], atol=1e-5)
    assert np.allclose(frames[:, SIZE:], found.logit[3:7][:, [2, 0]], atol=1e-4)
    as_layer = embedder(torch.from_numpy(samples)[None])
    assert as_layer.shape == (1, 1, SIZE, 11)
    assert np.allclose(as_layer[0, 0].T.numpy(), found.embedding, atol=1e-5)


def test_a_short_recording_is_repeated(embedder: Embedder, tmp_path: Path) -> None:
    short = write_tone(tmp_path / "short.wav", 1000, 0.25)
    whole = write_tone(tmp_path / "whole.wav", 1000, 0.5)
    store = open_store([short, whole], embedder, tmp_path / "cache")
    assert store.lengths.tolist() == [1, 1]
    assert np.allclose(store.read(0, 0, 1), store.read(1, 0, 1), atol=1e-3)


def test_what_is_embedded_is_not_embedded_again(embedder: Embedder, tmp_path: Path) -> None:
    paths = [write_tone(tmp_path / f"{i}.wav", 500 + 200 * i, 2.0) for i in range(3)]
    first = open_store(paths[:2], embedder, tmp_path / "cache")
    fresh = Embedder(embedder.config)
    calls: list[int] = []
    engine = embedder.engine

    def counted(windows: np.ndarray) -> object:
        calls.append(len(windows))
        return engine(windows)

    fresh.__dict__["engine"] = counted
    second = open_store(paths, fresh, tmp_path / "cache")
    assert np.array_equal(first.read(1, 0, 99), second.read(1, 0, 99))
    assert sum(calls) == 7 + 1  # the third recording, and one window that tells the size
    assert not list((tmp_path / "cache").rglob("*.part*"))


def test_unusable_and_clipped_windows_are_listed(
    embedder: Embedder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, loud = write_tone(tmp_path / "good.wav", 700, 1.0), write_tone(tmp_path / "loud.wav", 700, 1.0, 5.0)
    odd = write_tone(tmp_path / "odd.wav", 6000, 1.0)
    (tmp_path / "text.wav").write_text("no audio")
    engine = embedder.engine

    def no_number_at_6000(windows: np.ndarray) -> object:
        found = engine(windows)
        found.embedding[found.embedding.argmax(axis=1) > 20] = np.nan
        return found

    embedder.__dict__["engine"] = no_number_at_6000
    store = open_store([good, loud, odd, tmp_path / "text.wav"], embedder, tmp_path / "cache")
    assert store.lengths.tolist() == [3, 3, 0, 0], store.bad
    assert store.bad[2] == "3 of 3 windows have no finite embedding, the first is 0"
    assert "not readable as audio" in store.bad[3]
    listed = (tmp_path / "cache" / "embeddings_tiny" / "windows.csv").read_text().splitlines()
    assert listed[1:] == [f"{loud},3 windows clipped", f'{odd},"{store.bad[2]}"']
    assert "2 recordings with clipped or unusable windows, listed in" in capsys.readouterr().out
