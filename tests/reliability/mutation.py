"""Seeded damage of files and words: the same seed gives the same damage on every machine."""

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 44100, 1000, 3)
WORDS = (
    "", " ", "nan", "NA", "None", "null", "true", "inf", "-inf", "1e999", "-1", "0", "1e5", "001", "0x10",
    "99999999999999999999999", "3.5", ",", ";", "\t", '"', "'", "\n", "\r\n", "\0", "\ufeff", "é", "🐦",
    "\u202e", "../../x", "/etc/passwd", "C:\\x", "~", "[", "['a", "{", "}", "[]", "{}",
    "$(touch pwned)", "=1+1", "%s%n", "<script>", "a" * 300, "2023-02-30", "25:61:61", "*a", "&a",
    "!!python/object:os.system", "- x",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**63, 10**400, 0.5, -0.5, 1e308, float("nan"), float("inf"), "", "x", "nan",
    "../../x", "/etc/passwd", "\0", "é\ud800", [], {}, [None], [[]], ["x"], [1, 2], {"x": 1}, {"": None},
    [0.5] * 50,
)  # fmt: skip
SEPARATORS = b",;\t\n "


def mutate_bytes(content: bytes, random: np.random.Generator) -> bytes:
    """Return bytes with one to six faults: flipped, overwritten, cut, doubled, moved, or numbers changed."""
    data = bytearray(content)
    for _ in range(random.integers(1, 7)):
        size = len(data)
        near = int(random.integers(0, 3))  # headers are where faults matter most
        place = int(random.integers(0, max(min(size, 128) if near else size, 1)))
        length = int(random.integers(1, 1 + max(min(size - place, 64), 1)))
        fault = int(random.integers(0, 7))
        if fault == 0 and size:
            data[place] ^= 1 << int(random.integers(0, 8))
        elif fault == 1:
            data[place : place + length] = random.bytes(length)
        elif fault == 2:
            order = "<" if random.integers(0, 2) else ">"
            data[place : place + 4] = struct.pack(f"{order}I", NUMBERS[random.integers(0, len(NUMBERS))])
        elif fault == 3:
            del data[place : place + length]
        elif fault == 4:
            data[place:place] = data[place : place + length] * int(random.integers(1, 4))
        elif fault == 5:
            del data[int(random.integers(0, size + 1)) :]
        else:
            other = int(random.integers(0, size + 1))
            data[place : place + length] = data[other : other + length]
    return bytes(data)


def mutate_text(content: bytes, random: np.random.Generator) -> bytes:
    """Return a text with one to three faults: cells, lines or characters replaced; now and then bytes."""
    if random.integers(0, 5) == 0:
        return mutate_bytes(content, random)
    text = content.decode("utf-8")
    for _ in range(random.integers(1, 4)):
        lines = text.split("\n")
        row = int(random.integers(0, len(lines)))
        fault = int(random.integers(0, 6))
        if fault <= 2:
            lines[row] = _with_other_cell(lines[row], random)
        elif fault == 3:
            lines[row : row + 1] = [lines[row]] * int(random.integers(0, 3))
        elif fault == 4:
            other = int(random.integers(0, len(lines)))
            lines[row], lines[other] = lines[other], lines[row]
        else:
            place = int(random.integers(0, len(lines[row]) + 1))
            lines[row] = lines[row][:place] + _one(WORDS, random) + lines[row][place:]
        text = "\n".join(lines)
    encoding = "utf-8" if random.integers(0, 8) else _one(("utf-16", "latin-1", "cp1252"), random)
    return text.encode(encoding, "replace")


def _with_other_cell(line: str, random: np.random.Generator) -> str:
    """Return a line in which a cell, or a word, is another one."""
    separator = next((chr(byte) for byte in SEPARATORS if chr(byte) in line), ",")
    cells = line.split(separator)
    cells[random.integers(0, len(cells))] = _one(WORDS, random)
    return separator.join(cells)


def mutate_json(content: bytes, random: np.random.Generator) -> bytes:
    """Return JSON with one to three entries replaced, removed or added; now and then broken text."""
    if random.integers(0, 4) == 0:
        return mutate_text(content, random)
    tree = json.loads(content)
    for _ in range(random.integers(1, 4)):
        places = list(_places(tree))
        if not places:
            break
        parent, key = places[random.integers(0, len(places))]
        fault = int(random.integers(0, 4))
        if fault == 0:
            del parent[key]
        elif fault == 1 and isinstance(parent, dict):
            parent[_one(WORDS, random)] = _one(VALUES, random)
        else:
            parent[key] = _one(VALUES, random)
    return json.dumps(tree).encode()


def _places(tree: Any, depth: int = 0) -> Any:
    """Yield every entry below a JSON value: what holds it, and its key; those near the top more often."""
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, child in list(entries):
        yield from [(tree, key)] * max(8 >> depth, 1)
        yield from _places(child, depth + 1)


def mutate_words(words: Sequence[str], fields: Sequence[str], random: np.random.Generator) -> list[str]:
    """Return words of a command line with one or two further ones: fields with odd values, odd words."""
    found = list(words)
    for _ in range(random.integers(1, 3)):
        field = _one(fields, random)
        value = str(_one(VALUES if random.integers(0, 2) else WORDS, random)).replace("\0", "")
        odd = _one(WORDS, random).replace("\0", "")
        kinds = (f"--{field}={value}", f"--{field}={value}", f"--{field}", odd, f"--{field[:-1]}={value}")
        found.insert(int(random.integers(0, len(found) + 1)), _one(kinds, random))
    return [word.encode("utf-8", "replace").decode() for word in found]


def _one(values: Sequence[Any], random: np.random.Generator) -> Any:
    return values[int(random.integers(0, len(values)))]
