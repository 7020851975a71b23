"""Read the YAML in which the client sends a sweep's configuration.

`wandb sweep` loads the user's file, turns it into JSON and dumps that again with PyYAML, so what
arrives is PyYAML's block style: mappings, sequences and scalars, quoted where they need it, folded
at 80 columns, with no comments, anchors, tags or block scalars. Only this is read; whatever else
is met raises instead of being guessed.
"""

import re
from typing import Any

_KEY = re.compile(r"(?P<key>'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\"|[^'\"].*?):(?:\s+(?P<value>.*))?", re.DOTALL)
_INTEGER = re.compile(r"[-+]?(0|[1-9]\d*)")
_FLOAT = re.compile(r"[-+]?\d+\.\d*(e[-+]\d+)?")
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)")
_ESCAPED = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "t": "\t",
    "n": "\n",
    "v": "\v",
    "f": "\f",
    "r": "\r",
    "e": "\x1b",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}
_CONSTANTS: dict[str, Any] = {
    "null": None,
    "true": True,
    "false": False,
    "{}": {},
    "[]": [],
    ".inf": float("inf"),
    "-.inf": float("-inf"),
    ".nan": float("nan"),
}

Token = tuple[int, str]


def parse_sweep_yaml(text: str) -> Any:
    """Return the mappings, lists and scalars of a YAML text written by PyYAML's `dump`.

    Raises
    ------
    ValueError
        If the text holds something that `dump` does not write for JSON data.
    """
    tokens = _split(text)
    value, end = _parse_block(tokens, 0)
    if end != len(tokens):
        raise ValueError(f"sweep YAML: cannot place {tokens[end][1]!r}")
    return value


def _split(text: str) -> list[Token]:
    """Return one (column, text) for each entry, a `-` being an entry of its own."""
    tokens: list[Token] = []
    for line in text.splitlines():
        content = line.lstrip(" ")
        column = len(line) - len(content)
        if tokens and _continues(tokens[-1], column, content):
            tokens[-1] = (tokens[-1][0], f"{tokens[-1][1]}\n{content}")
            continue
        while content.startswith("- "):
            tokens.append((column, "-"))
            content = content[2:].lstrip(" ")
            column = len(line) - len(content)
        tokens.append((column, content))
    return tokens


def _continues(token: Token, column: int, content: str) -> bool:
    """Whether a line belongs to the scalar of the entry before it."""
    match = _KEY.fullmatch(token[1])
    scalar = (match["value"] or "") if match else token[1]
    if scalar.startswith(("'", '"')):
        return not _is_closed(scalar)
    first_column = token[0] + 1 if match else token[0]  # deeper than a key, level with an item
    return bool(scalar) and (not content or column >= first_column)


def _is_closed(scalar: str) -> bool:
    pattern = r"'(?:[^']|'')*'" if scalar.startswith("'") else r'"(?:[^"\\]|\\.)*"'
    return re.fullmatch(pattern, scalar, re.DOTALL) is not None


def _parse_block(tokens: list[Token], start: int) -> tuple[Any, int]:
    """Return the value that begins at `start`, and the position after it."""
    column, content = tokens[start]
    if content == "-":
        return _parse_sequence(tokens, start, column)
    if _KEY.fullmatch(content):
        return _parse_mapping(tokens, start, column)
    return _parse_scalar(content), start + 1


def _parse_sequence(tokens: list[Token], start: int, column: int) -> tuple[list[Any], int]:
    items = []
    while start < len(tokens) and tokens[start] == (column, "-"):
        item, start = _parse_block(tokens, start + 1)
        items.append(item)
    return items, start


def _parse_mapping(tokens: list[Token], start: int, column: int) -> tuple[dict[Any, Any], int]:
    mapping = {}
    while start < len(tokens) and tokens[start][0] == column and tokens[start][1] != "-":
        match = _KEY.fullmatch(tokens[start][1])
        if match is None:
            raise ValueError(f"sweep YAML: expected a key, found {tokens[start][1]!r}")
        start += 1
        key = _parse_scalar(match["key"])
        if match["value"]:
            mapping[key] = _parse_scalar(match["value"])
        else:
            mapping[key], start = _parse_block(tokens, start)
    return mapping, start


def _parse_scalar(text: str) -> Any:
    if text.startswith("'"):
        return _fold(text[1:-1]).replace("''", "'")
    if text.startswith('"'):
        return _ESCAPE.sub(_unescape, _fold(text[1:-1].replace("\\\n", "")))
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if text.startswith(("&", "*", "!", "|", ">", "{", "[", "? ", "%", "@", "`", "#")):
        raise ValueError(f"sweep YAML: expected a block-style scalar, found {text!r}")
    return _fold(text)


def _fold(text: str) -> str:
    """Join the lines of a scalar: one line break is a space, each further one a line break."""
    return re.sub(r"\n+", lambda breaks: "\n" * (len(breaks[0]) - 1) or " ", text)


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code[1:], 16)) if len(code) > 1 else _ESCAPED.get(code, code)
