"""The card of a pretrained network: what its file takes and gives, where it comes from, its licence.

Cards are json files. Some lie here, in `cards/`; any other is named by its path. A path in a card is
relative to the card, or `package:<installed package>/<path>`.
"""

import hashlib
import importlib.util
import json
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from core.config import require
from core.data.taxonomy import Taxonomy

FOLDER = Path(__file__).parent / "cards"
PACKAGE = "package:"
Kind = Literal["onnx", "litert", "timm", "torchaudio"]


@dataclass(frozen=True)
class EmbeddingCard:
    """What is to be known of a pretrained network.

    Attributes
    ----------
    name
        Of the network.
    kind
        What runs it: ONNX Runtime, LiteRT, timm or torchaudio.
    file
        The model's file; for timm and torchaudio the model's name there.
    sha256
        Of the file; empty: not checked.
    sample_rate
        Samples per second of its input, (window, sample) float32 in [-1, 1].
    window_seconds, hop_seconds
        Length of an input window, and the step from one to the next.
    embedding, logits
        Names of the outputs; empty where there is none, or for timm and torchaudio.
    classes
        Text file with a class a line in the order of `logits`, "Scientific name_Common name" or one of them.
    licence, source, install
        For people.
    """

    name: str
    kind: Kind
    file: str
    sample_rate: int
    window_seconds: float
    hop_seconds: float
    embedding: str = ""
    logits: str = ""
    classes: str = ""
    sha256: str = ""
    licence: str = ""
    source: str = ""
    install: str = ""

    def __post_init__(self) -> None:
        """Check ranges."""
        kinds = get_args(Kind)
        require(self.kind in kinds, f"card {self.name}: kind={self.kind!r} is none of {', '.join(kinds)}")
        for name in ("sample_rate", "window_seconds", "hop_seconds"):
            value = getattr(self, name)
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            require(is_number and value > 0, f"card {self.name}: {name}={value!r} must be a positive number")

    @property
    def window_samples(self) -> int:
        """Samples of a window."""
        return round(self.window_seconds * self.sample_rate)

    @property
    def hop_samples(self) -> int:
        """Samples from the start of a window to that of the next."""
        return round(self.hop_seconds * self.sample_rate)

    @property
    def is_file(self) -> bool:
        """Whether `file` is a file, and not a name."""
        return self.kind in ("onnx", "litert")

    def class_names(self) -> list[tuple[str, str]]:
        """Return the scientific and the common name of each class, both alike where the file has one.

        Raises
        ------
        ValueError
            If the file of classes is missing.
        """
        if not self.classes:
            return []
        lines = self._installed(self.classes).read_text(encoding="utf-8").splitlines()
        pairs = [line.partition("_") for line in lines if line.strip()]
        return [(first.strip(), (second or first).strip()) for first, _, second in pairs]

    def checked_file(self) -> Path:
        """Return the model's file.

        Raises
        ------
        ValueError
            If it is missing, or another one than the card is about.
        """
        file = self._installed(self.file)
        found = _digest(file, file.stat().st_mtime_ns) if self.sha256 else ""
        require(
            found == self.sha256,
            f"{file}: not the file that card {self.name} is about (SHA-256 {found[:12]}... instead of "
            f"{self.sha256[:12]}...); {self.install or 'fetch it anew'}",
        )
        return file

    def _installed(self, name: str) -> Path:
        """Return the file that a card names."""
        file = Path(name)
        if name.startswith(PACKAGE):
            package, _, inside = name.removeprefix(PACKAGE).partition("/")
            spec = importlib.util.find_spec(package)
            where = spec.submodule_search_locations if spec is not None else None
            file = Path(where[0]) / inside if where else Path(package) / inside
        require(
            bool(name) and file.is_file(),
            f"card {self.name}: {name or 'its file'} is not on this machine; {self.install or self.source}",
        )
        return file


def read_embedding_card(
    name: str, file: str | None = None, hop_seconds: float | None = None
) -> EmbeddingCard:
    """Return a card.

    Parameters
    ----------
    name
        Of one that lies here, or the path of a json file.
    file
        The model's file, where it is another than the card says; it is then not checked.
    hop_seconds
        Step of the windows, where it is another.

    Raises
    ------
    ValueError
        If there is no such card, or a field is missing, unknown or out of range.
    """
    path = Path(name).expanduser() if name.endswith(".json") else FOLDER / f"{name}.json"
    known = ", ".join(sorted(card.stem for card in FOLDER.glob("*.json")))
    require(path.is_file(), f"model.card={name}: no such card; there are {known}, or name a .json file")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"model.card={name}: {path} is not readable as json ({error})"
        raise ValueError(message) from error
    card = _card_of(content, path)
    if card.is_file and card.file and not card.file.startswith(PACKAGE):
        card = replace(card, file=str(path.parent / card.file))
    if card.classes and not card.classes.startswith(PACKAGE):
        card = replace(card, classes=str(path.parent / card.classes))
    if file is not None:
        card = replace(card, file=str(Path(file).expanduser()), sha256="")
    return card if hop_seconds is None else replace(card, hop_seconds=hop_seconds)


def classes_of(card: EmbeddingCard, taxonomy: Taxonomy) -> dict[str, int]:
    """Return the species that are classes of a network: code -> position of the class.

    Parameters
    ----------
    card
        Of the network.
    taxonomy
        Names of the species; a class is matched by its scientific name, then by its common one.
    """
    found: dict[str, int] = {}
    for position, names in enumerate(card.class_names()):
        code = next(filter(None, map(taxonomy.match, names)), None)
        if code is not None:
            found.setdefault(code, position)
    return found


def _card_of(content: Any, path: Path) -> EmbeddingCard:
    """Return the card of a json file's content."""
    names = [one.name for one in fields(EmbeddingCard)]
    require(isinstance(content, dict), f"{path}: a card is an object with the fields {', '.join(names)}")
    unknown = sorted(set(content) - set(names))
    require(not unknown, f"{path}: unknown fields {', '.join(unknown)}; a card has {', '.join(names)}")
    try:
        return EmbeddingCard(**content)
    except TypeError as error:  # a field is missing
        message = f"{path}: {str(error).partition('() ')[2]}; a card has {', '.join(names)}"
        raise ValueError(message) from error


@cache
def _digest(file: Path, _modified: int) -> str:
    """Return the SHA-256 of a file; one of the same time of change is read once a process."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
