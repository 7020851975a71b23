"""Find the audio below a folder, and what else is there."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from core.data.audio import AUDIO_SUFFIXES


@dataclass
class AudioFiles:
    """What a search met.

    Attributes
    ----------
    files
        Audio by its ending, sorted; links that lead nowhere among them.
    unread
        Path -> why, of folders and links that could not be followed.
    others
        Ending in lower case -> number of files that are no audio by it.
    num_hidden
        Files and folders whose name begins with a dot, as those of macOS's twins and bins do.
    """

    files: list[Path] = field(default_factory=list)
    unread: dict[Path, str] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    num_hidden: int = 0


def search_audio(folder: Path) -> AudioFiles:
    """Return the audio below a folder; linked folders are searched too, and each folder once."""
    found, seen = AudioFiles(), set()
    waiting: list[Path] = [folder]
    linked: list[Path] = []
    while waiting or linked:  # real folders first: a link to one of them does not take its files
        here = waiting.pop() if waiting else linked.pop(0)
        try:
            status = here.stat()
            inside = sorted(here.iterdir()) if (status.st_dev, status.st_ino) not in seen else []
        except OSError as error:
            found.unread[here] = f"not readable: {error.strerror}"
            continue
        seen.add((status.st_dev, status.st_ino))
        for path in inside:
            if path.name.startswith("."):
                found.num_hidden += 1
            elif path.is_dir():
                (linked if path.is_symlink() else waiting).append(path)
            else:
                _sort_in(path, found)
    found.files.sort()
    return found


def _sort_in(path: Path, found: AudioFiles) -> None:
    """Put what is no folder where it belongs."""
    if path.suffix.lower() in AUDIO_SUFFIXES:
        found.files.append(path)
    elif path.is_symlink() and not path.exists():
        found.unread[path] = f"a broken link to {path.readlink()}"
    else:
        found.others[path.suffix.lower()] += 1


def as_text(path: object) -> str:
    """Return a path with a sign for each byte of its name that is no text, so that tables can hold it."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
