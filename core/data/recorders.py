"""Where and when a soundscape was recorded: from its name, its folder or its header.

Names as AudioMoth, Song Meter, SWIFT, BAR-LT and the competitions give them; headers as GUANO (guano-md.org),
Wildlife Acoustics (wamd), AudioMoth (a comment in LIST/INFO) and EBU Tech 3285 (bext) lay down.
"""

import re
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from core.config import require
from core.data.contents import riff_chunks

GROUPS = ("site", "date", "time")
MAX_CHUNK_BYTES = 1 << 16
DATE = r"(?P<date>(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01]))"
TIME = r"(?P<time>(?:[01]\d|2[0-3])[-:_.]?[0-5]\d(?:[-:_.]?[0-5]\d)?)"
ZONE = r"(?P<zone>_?Z(?![A-Za-z])|[+-](?:0\d|1[0-4]):?(?:00|15|30|45))"
MOMENT = re.compile(rf"(?<!\d){DATE}(?:[T_ /-]*{TIME}(?:{ZONE})?)?(?!\d)")
COMPETITION_SITES = (
    re.compile(r"^\d+_(?P<site>[A-Za-z]+)_\d{8}$"),
    re.compile(r"^BC\d{4}_[A-Za-z]+_\d+_(?P<site>[^_]+)_\d{8}_\d{6}$"),
)
SERIAL_NUMBER = re.compile(r"^(?:S4A|S4U|SM\w|2M\w|SWIFT)[-_]?\d+$")
"""A recorder's name for itself, which says less than the folder that somebody gave a name."""
PLAIN_FOLDER = re.compile(
    r"^(?:data|wavs?|audio|recordings?|dcim|(?:test|train|unlabeled)_soundscapes)$", re.I
)
COMMENT = re.compile(
    r"Recorded at (\d\d:\d\d:\d\d)(?:\.\d+)? (\d\d)/(\d\d)/(\d{4}) \(UTC(?:([+-])(\d\d?)(?::(\d\d))?)?\)"
)
WAMD_PREFIX, WAMD_TIME = 4, 5


class Origin(NamedTuple):
    """Where and when; each "" where unknown."""

    site: str = ""
    start_time: str = ""
    """ISO 8601, local, with the offset from UTC where it is known; the date alone where nothing tells the
    time."""


UNKNOWN = Origin()


def compile_pattern(text: str) -> re.Pattern[str]:
    """Return the pattern that a person gives for names of soundscapes.

    Raises
    ------
    ValueError
        If it is no regular expression, or has none of the groups `site`, `date` and `time`.
    """
    try:
        pattern = re.compile(text)
    except re.error as error:
        message = f"pattern={text}: no regular expression: {error}"
        raise ValueError(message) from error
    require(
        bool(set(GROUPS) & set(pattern.groupindex)),
        f"pattern={text}: needs at least one of the groups (?P<site>...), (?P<date>...), (?P<time>...)",
    )
    return pattern


def describe_origin(path: Path, soundscape: str, pattern: re.Pattern[str] | None = None) -> Origin:
    """Return where and when a soundscape was recorded.

    Parameters
    ----------
    path
        The file, whose header is read; one that cannot be read tells nothing.
    soundscape
        Its id: the path relative to the folder that was given, without suffix.
    pattern
        Searched in the id, before all else; from `compile_pattern`.

    Examples
    --------
    >>> describe_origin(Path("absent.WAV"), "site A/20230420_074000")
    Origin(site='site A', start_time='2023-04-20T07:40:00')
    >>> describe_origin(Path("absent.wav"), "SWIFT01_20230420_074000_Z")
    Origin(site='SWIFT01', start_time='2023-04-20T07:40:00Z')
    """
    return tell_origin(read_header(path), soundscape, pattern)


def tell_origin(header: Origin, soundscape: str, pattern: re.Pattern[str] | None = None) -> Origin:
    """Return where and when a soundscape was recorded, from `read_header`, its id and a pattern for it."""
    given = pattern.search(soundscape) if pattern is not None else None
    groups = {name: value or "" for name, value in given.groupdict().items()} if given else {}
    named = PurePosixPath(soundscape)
    moment = MOMENT.search(named.name) or MOMENT.search(soundscape)
    found = moment.groupdict("") if moment else {}
    start = _iso(groups.get("date", ""), groups.get("time", ""), groups.get("zone", ""))
    start = start or _iso(found.get("date", ""), found.get("time", ""), found.get("zone", ""))
    prefix = named.name[: moment.start()].strip("_-. ") if moment and moment.string == named.name else ""
    folders = [one for one in named.parts[:-1] if not PLAIN_FOLDER.match(one) and not MOMENT.fullmatch(one)]
    folder = folders[-1] if folders else ""
    label = "" if SERIAL_NUMBER.match(prefix) else prefix
    sites = (groups.get("site", ""), _competition_site(named.name), label, folder, prefix, header.site)
    if header.start_time.startswith(start):  # which agrees, and knows time and zone
        start = header.start_time
    return Origin(next(filter(None, sites), ""), start)


def _competition_site(name: str) -> str:
    """Return the site in a name of the competitions."""
    found = next(filter(None, (pattern.search(name) for pattern in COMPETITION_SITES)), None)
    return found["site"] if found else ""


def _iso(date: str, time: str, zone: str) -> str:
    """Return ISO 8601 from digits with any separators; "" where they are no date."""
    days, clock = re.sub(r"\D", "", date), re.sub(r"\D", "", time)
    try:
        if len(days) != 8 or len(clock) not in {4, 6}:
            return datetime.strptime(days, "%Y%m%d").date().isoformat()
        moment = datetime.strptime(days + clock.ljust(6, "0"), "%Y%m%d%H%M%S")
    except ValueError:
        return ""
    digits = zone.strip("_").replace(":", "")
    offset = f"{digits[:3]}:{digits[3:]}" if len(digits) == 5 else digits
    return moment.isoformat() + offset


def read_header(path: Path) -> Origin:
    """Return where and when a file was recorded by the chunks of its header, as WAV files have them."""
    site = start = ""
    try:
        with path.open("rb") as file:
            if file.read(4) not in {b"RIFF", b"RF64", b"BW64"}:
                return UNKNOWN
            for name, begin, length in riff_chunks(file, path.stat().st_size):
                if name in READERS and length <= MAX_CHUNK_BYTES:
                    file.seek(begin)
                    told = READERS[name](file.read(length))
                    site, start = site or told.site, start or told.start_time
    except OSError:  # told where the file is decoded
        return UNKNOWN
    return Origin(site, start)


def _guano(content: bytes) -> Origin:
    """Read lines of `key: value`."""
    lines = (line.partition(":") for line in content.decode("utf-8", "replace").splitlines())
    fields = {key.strip(): value.strip(" \0") for key, _, value in lines}
    return Origin(fields.get("WA|Song Meter|Prefix", ""), _parsed(fields.get("Timestamp", "")))


def _comment(content: bytes) -> Origin:
    """Read AudioMoth's sentence."""
    found = COMMENT.search(content.decode("latin-1"))
    if not found:
        return UNKNOWN
    clock, day, month, year, sign, hours, minutes = found.groups()
    zone = f"{sign}{int(hours):02d}:{minutes or '00'}" if sign else "Z"
    return Origin("", _parsed(f"{year}-{month}-{day}T{clock}{zone}"))


def _broadcast(content: bytes) -> Origin:
    """Read date and time of a bext chunk."""
    text = content[320:338].decode("latin-1")
    return Origin("", _iso(text[:10], text[10:], "") if len(re.sub(r"\D", "", text)) == 14 else "")


def _wildlife_acoustics(content: bytes) -> Origin:
    """Read the entries of a wamd chunk: number, length, content."""
    entries: dict[int, str] = {}
    position = 0
    while position + 6 <= len(content):
        length = int.from_bytes(content[position + 2 : position + 6], "little")
        entry = content[position + 6 : position + 6 + length].decode("utf-8", "replace").strip(" \0")
        entries[int.from_bytes(content[position : position + 2], "little")] = entry
        position += 6 + length
    return Origin(entries.get(WAMD_PREFIX, ""), _parsed(entries.get(WAMD_TIME, "")))


def _parsed(text: str) -> str:
    """Return a time as ISO 8601 to the second; "" where it is none."""
    try:
        return datetime.fromisoformat(text).isoformat(timespec="seconds").replace("+00:00", "Z")
    except ValueError:
        return ""


READERS = {b"guan": _guano, b"LIST": _comment, b"bext": _broadcast, b"wamd": _wildlife_acoustics}
"""Chunk -> what reads it."""
