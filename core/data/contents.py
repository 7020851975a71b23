"""What an audio file holds, read from its bytes.

A decoder believes the length in a header. Power cuts leave a wrong one, copying cuts files off, `cat` joins
them, and writers into pipes know none. Here the parts of a file that are decoded are found, headers are
corrected on the way to the decoder, and what a header claims is kept, to be compared with what came out.

RIFF and RF64: EBU Tech 3306; Ogg: RFC 3533; FLAC: RFC 9639; the length of MP3: the Xing tag of LAME.
"""

import io
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HEAD_BYTES = 1 << 16
MAX_CHUNKS = 1000
UNKNOWN_SIZE = b"\xff\xff\xff\xff"
LEAST_UNKNOWN = 0x7FFF0000
"""Data sizes from here on are what writers into pipes put where they do not know it."""
FIRST_PAGE, LAST_PAGE = 2, 4  # bits of an Ogg page's type
PAGE_HEADER_BYTES = 27  # then one size a segment, then the segments; the last byte counts them
XING_SLACK_SHARE, XING_SLACK_BYTES = 0.01, 1 << 11  # tags at the end of a MP3 file

MAGICS = (
    (0, b"OggS", "ogg"), (0, b"fLaC", "flac"), (0, b"RIFF", "riff"), (0, b"RF64", "riff"),
    (0, b"BW64", "riff"), (0, b"RIFX", "riff"), (0, b"FORM", "aiff"), (0, b"ID3", "mp3"),
    (4, b"ftyp", "mp4"), (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (0, b"\x1a\x45\xdf\xa3", "matroska"), (0, b"#!AMR", "amr"),
    (0, b"ADIF", "aac"), (0, b"wvpk", "wavpack"), (0, b"MAC ", "ape"),
)  # fmt: skip
"""Offset, bytes that are there, kind."""


@dataclass(frozen=True)
class Content:
    """How a file is decoded, and what its structure says of it.

    Attributes
    ----------
    kind
        Short name of the format; "" where its first bytes tell of none.
    parts
        Begin and end, in bytes, of what is decoded one after the other.
    patches
        Offset -> bytes that the decoder gets instead of the file's.
    is_piped
        Whether the decoder must not know how long the file is.
    frames
        What the header claims; None where it claims nothing.
    damage
        How much of the recording is missing, and why; "" if nothing is known to be.
    notes
        Other things to know, a sentence each.
    """

    kind: str
    parts: tuple[tuple[int, int], ...]
    patches: Mapping[int, bytes] = field(default_factory=dict)
    is_piped: bool = False
    frames: int | None = None
    damage: str = ""
    notes: tuple[str, ...] = ()


class FileView(io.RawIOBase):
    """A stretch of a file, read only, with some bytes replaced.

    Parameters
    ----------
    path
        The file.
    begin, end
        The stretch, in bytes.
    patches
        Offset in the file -> bytes that stand there instead.

    Attributes
    ----------
    error
        Why a read failed, which a decoder takes for the end of the file; None if none did.
    """

    def __init__(self, path: Path, begin: int, end: int, patches: Mapping[int, bytes]) -> None:
        super().__init__()
        self.error: OSError | None = None
        self._begin, self._end, self._at, self._patches = begin, end, begin, patches
        self._file = path.open("rb", buffering=0)

    @property
    def is_whole(self) -> bool:
        """Whether this is the file as it is."""
        return self._begin == 0 and self._end == os.fstat(self._file.fileno()).st_size and not self._patches

    def read_through(self) -> None:
        """Read all of it, to find out whether a read fails."""
        self.seek(0)
        while self.read(HEAD_BYTES):
            pass

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to an offset from the begin, the present place or the end of the stretch."""
        start = {os.SEEK_SET: self._begin, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        self._at = max(start + offset, self._begin)
        return self._at - self._begin

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        """Fill a buffer as far as the stretch goes; return the number of bytes."""
        wanted = max(min(len(buffer), self._end - self._at), 0)
        try:
            found = os.pread(self._file.fileno(), wanted, self._at)
        except OSError as error:
            self.error = error
            return 0
        buffer[: len(found)] = found
        for offset, new in self._patches.items():
            for i in range(max(offset, self._at), min(offset + len(new), self._at + len(found))):
                buffer[i - self._at : i - self._at + 1] = new[i - offset : i - offset + 1]
        self._at += len(found)
        return len(found)

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()


def inspect_content(path: Path) -> Content:
    """Return how a file is decoded.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        size = os.fstat(file.fileno()).st_size
        kind = next((name for at, magic, name in MAGICS if head[at:].startswith(magic)), "")
        if not kind and len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
            kind = "aac" if head[1] & 0xF6 == 0xF0 else "mp3"  # layer 0 is AAC's
        if kind == "riff":
            return _riff(file, size)
        if kind == "ogg":
            return _ogg(file, size)
        if kind == "flac":
            return _flac(head, size)
        if kind == "mp3":
            return _mp3(file, head, size)
    return Content(kind, ((0, size),))


def riff_chunks(file: io.BufferedReader, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of each chunk of a RIFF file, where its content begins and how long it claims to be.

    Parameters
    ----------
    file
        A RIFF, RIFX, RF64 or BW64 file, open.
    size
        Of the file, in bytes.
    """
    file.seek(0)
    order, position, long_size = ">" if file.read(4) == b"RIFX" else "<", 12, 0
    for _ in range(MAX_CHUNKS):
        if position + 8 > size:
            return
        file.seek(position)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        if not all(32 <= byte < 127 for byte in name):
            return
        if name == b"ds64":
            long_size = struct.unpack("<Q", file.read(16)[8:].ljust(8, b"\0"))[0]
        if name == b"data" and length == 0xFFFFFFFF and long_size:
            length = long_size
        yield name, position + 8, length
        position += 8 + length + length % 2


def _riff(file: io.BufferedReader, size: int) -> Content:
    """Compare the size of a WAV file's data with what is there."""
    patches = {}
    file.seek(0)
    magic = file.read(4)
    if magic == b"RIFX":  # old and rare
        return Content("riff", ((0, size),))
    if magic == b"BW64":
        patches[0] = b"RF64"  # the same, but for a name that libsndfile does not know
    chunks: dict[bytes, tuple[int, int]] = {}
    for name, start, length in riff_chunks(file, size):
        chunks.setdefault(name, (start, length))
    if not {b"fmt ", b"data"} <= chunks.keys():
        return Content("riff", ((0, size),), patches)
    file.seek(chunks[b"fmt "][0] + 8)
    bytes_per_second = int.from_bytes(file.read(4), "little") or 1
    start, length = chunks[b"data"]
    there = size - start
    is_longer = length + bytes_per_second // 10 < there
    goes_on = is_longer and not _is_chunk(file, start + length + length % 2, size)
    if goes_on:
        patches[start - 4] = UNKNOWN_SIZE
    damage = ""
    if there and (length == 0 or length >= LEAST_UNKNOWN) and (goes_on or length > there):
        damage = "not closed: its header states no length"
    elif length > there or goes_on:
        what = "not closed" if goes_on else "cut off"
        damage = f"{what}: its header says {length / bytes_per_second:.1f} s"
    return Content("riff", ((0, size),), patches, damage=damage)


def _is_chunk(file: io.BufferedReader, position: int, size: int) -> bool:
    """Return whether a chunk, or nothing worth a word, stands at a position."""
    if position + 8 > size:
        return True
    file.seek(position)
    name, length = struct.unpack("<4sI", file.read(8))
    return all(32 <= byte < 127 for byte in name) and position + 8 + length <= size + 1


def _ogg(file: io.BufferedReader, size: int) -> Content:
    """Find the streams that are joined in an Ogg file, and whether the last one ends."""
    starts: list[int] = []
    position, flags, was_first, broken = 0, 0, False, False
    while position < size and not broken:
        file.seek(position)
        header = file.read(PAGE_HEADER_BYTES)
        broken = len(header) < PAGE_HEADER_BYTES or not header.startswith(b"OggS")
        if broken:
            break
        flags = header[5]
        if flags & FIRST_PAGE and not was_first:
            starts.append(position)
        was_first = bool(flags & FIRST_PAGE)
        sizes = file.read(header[-1])
        position += PAGE_HEADER_BYTES + header[-1] + sum(sizes)
        broken = len(sizes) < header[-1] or position > size
    damage = ""
    if position >= size and (broken or not flags & LAST_PAGE):
        damage = "cut off: its last Ogg page is not the end of the stream"
    elif broken:
        damage = f"damaged: no Ogg page at byte {position}"
    starts = [0, *starts[1:]]  # a first page that does not say so is one, too
    ends = [*starts[1:], size]
    notes = (f"{len(starts)} streams joined in one file",) if len(starts) > 1 else ()
    return Content("ogg", tuple(zip(starts, ends, strict=True)), damage=damage, notes=notes)


def _flac(head: bytes, size: int) -> Content:
    """Take the number of samples out of a FLAC header, so that the decoder goes to the end."""
    fields = int.from_bytes(head[18:26], "big")
    frames = fields & ((1 << 36) - 1)
    patches = {18: ((fields >> 36) << 36).to_bytes(8, "big")}
    notes = () if frames else ("its header states no length",)
    return Content("flac", ((0, size),), patches, frames=frames or None, notes=notes)


def _mp3(file: io.BufferedReader, head: bytes, size: int) -> Content:
    """Believe the length of a MP3 file only if a Xing tag states it and it agrees with the file's size."""
    start = 0
    if head.startswith(b"ID3"):
        start = 10 + sum((byte & 127) << 7 * (3 - i) for i, byte in enumerate(head[6:10]))
    file.seek(start)
    frame = file.read(HEAD_BYTES)[:512]
    tag = max(frame.find(b"Xing"), frame.find(b"Info"))
    if tag < 0 or len(frame) < tag + 16 or frame[tag + 7] & 3 != 3:
        return Content("mp3", ((0, size),), is_piped=True)
    stated = struct.unpack(">I", frame[tag + 12 : tag + 16])[0]
    if size - start <= stated * (1 + XING_SLACK_SHARE) + XING_SLACK_BYTES:
        return Content("mp3", ((0, size),))
    note = f"its header tells of {stated} bytes, {size - start} are there"
    return Content("mp3", ((0, size),), {start + tag: b"\0" * 8}, is_piped=True, notes=(note,))
