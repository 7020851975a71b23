"""Embed once: the frames of recordings on disk, read through memory maps like their samples.

One file a recording, named by a hash of the recording's path, size and time of change and of the network,
its windows and the logits that are kept. It appears whole, so that an interrupted run goes on where it was.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from core.data.decoding import AudioError
from core.data.pcm import ClipStore, PcmStore
from core.embeddings.front_end import Embedder
from core.files import replacing, write_table
from core.wording import counted

INT16_MAX = 32767
CLIPPED_SHARE = 0.01  # of a window's samples at full scale
EMBEDDED_AT_ONCE = 64


class EmbeddingStore(ClipStore):
    """Random access to the frames of a list of recordings, in the place of a `PcmStore`.

    A frame is (size + class,): the embedding of a window, then the kept logits.

    Parameters
    ----------
    audio
        The recordings, at the network's sample rate.
    embedder
        The network.
    cache
        Folder of the frames; None: they are kept in memory.
    classes
        Positions of the network's classes whose logits are kept.
    quiet
        Show no progress.

    Attributes
    ----------
    bad
        Position of a recording -> reason, those of `audio` among them.
    clipped
        Recording -> its windows of which 1 % and more of the samples are at full scale.
    lengths
        (recording,) int64 frames, 0 where it is bad.
    sample_rate
        Frames per second.
    width
        Numbers in a frame.
    """

    def __init__(
        self,
        audio: PcmStore,
        embedder: Embedder,
        cache: Path | None,
        classes: Sequence[int] = (),
        *,
        quiet: bool = False,
    ) -> None:
        self.paths, self.audio, self.embedder = audio.paths, audio, embedder
        self.classes = list(classes)
        self.sample_rate = 1.0 / embedder.config.hop_seconds
        self.width = embedder.size + len(self.classes)
        self.sample_type, self.sample_shape = np.dtype(np.float32), (self.width,)
        self.bad, self.clipped = dict(audio.bad), dict[int, int]()
        self.lengths = np.zeros(len(audio), dtype=np.int64)
        self._frames: dict[int, np.ndarray] = {}
        if cache is not None:
            cache = cache / f"embeddings_{embedder.config.name}"
            cache.mkdir(parents=True, exist_ok=True)
        usable = np.flatnonzero(audio.lengths)
        for recording in tqdm(usable, "embedding", unit="file", disable=quiet or len(usable) < 2, delay=2.0):
            self._add(int(recording), cache)
        if cache is not None and (self.clipped or len(self.bad) > len(audio.bad)):
            self._list(cache / "windows.csv")

    def __len__(self) -> int:
        """Return the number of recordings."""
        return len(self.paths)

    def clip_length(self, seconds: float) -> int:
        """Return the frames of a clip of `seconds`."""
        return self.embedder.num_frames(round(seconds * self.embedder.config.sample_rate))

    def read_into(self, recording: int, start: int, out: np.ndarray) -> int:
        """Fill `out`, (frame, number) float32, with a recording from `start` on; return how many there were.

        Parameters
        ----------
        recording
            Position in `paths`.
        start
            In frames.
        out
            Contiguous.
        """
        frames = self._frames[recording][start : start + len(out)]
        out[: len(frames)] = frames
        return len(frames)

    def _add(self, recording: int, cache: Path | None) -> None:
        """Embed one recording, or map what is there of it."""
        file = None
        try:
            if cache is None:
                self._frames[recording] = self._embedded(recording)
            else:
                file = cache / f"{self._key(self.paths[recording])}.f32"
                if not file.is_file():
                    frames = self._embedded(recording)
                    with replacing(file) as new:
                        new.write_bytes(frames.tobytes())
                stored = np.memmap(file, dtype=np.float32, mode="r")
                self._frames[recording] = stored.reshape(-1, self.width)
        except (AudioError, OSError) as error:
            self.bad[recording] = str(error)
            return
        self.lengths[recording] = len(self._frames[recording])

    def _embedded(self, recording: int) -> np.ndarray:
        """Return the frames of a recording, (frame, number) float32."""
        wave = self.audio.read(recording, 0, int(self.audio.lengths[recording]))
        number = self.embedder.num_frames(len(wave))
        frames = np.zeros((number, self.width), np.float32)
        for first in range(0, number, EMBEDDED_AT_ONCE):
            windows = self.embedder.windows(wave, first, min(EMBEDDED_AT_ONCE, number - first))
            full = (np.abs(windows.astype(np.int32)) >= INT16_MAX).mean(axis=1) >= CLIPPED_SHARE
            self.clipped[recording] = self.clipped.get(recording, 0) + int(full.sum())
            found = self.embedder.embed(windows.astype(np.float32) / (INT16_MAX + 1))
            frames[first : first + len(windows)] = np.concatenate(
                [found.embedding, found.logit[:, self.classes]], axis=1
            )
        if not self.clipped[recording]:
            del self.clipped[recording]
        broken = np.flatnonzero(~np.isfinite(frames).all(axis=1))
        if len(broken):
            message = f"{len(broken)} of {number} windows have no finite embedding, the first is {broken[0]}"
            raise AudioError(message)
        return frames

    def _key(self, path: Path) -> str:
        status, card = path.stat(), self.embedder.config
        words = (
            path.resolve(), status.st_size, status.st_mtime_ns, card.sha256 or card.file, card.embedding,
            card.sample_rate, card.window_seconds, card.hop_seconds, self.classes,
        )  # fmt: skip
        return hashlib.sha256("|".join(map(str, words)).encode()).hexdigest()[:32]

    def _list(self, file: Path) -> None:
        """Write which recordings have windows that are clipped or have no embedding, and say so."""
        rows = [
            (str(self.paths[i]), f"{counted(number, 'windows')} clipped")
            for i, number in self.clipped.items()
        ]
        rows += [(str(self.paths[i]), why) for i, why in self.bad.items() if i not in self.audio.bad]
        table = pd.DataFrame(rows, columns=["path", "reason"])
        if file.is_file():  # of earlier runs, which embedded other recordings
            earlier = pd.read_csv(file, dtype=str, keep_default_na=False)
            table = pd.concat([earlier[~earlier["path"].isin(table["path"])], table])
        write_table(table, file)
        print(
            f"{counted(len(rows), 'recordings')} with clipped or unusable windows, listed in {file}",
            flush=True,
        )
