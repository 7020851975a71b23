"""Links of documents: python -m tests.links FILE_OR_FOLDER ... prints those that lead nowhere, with status 1.

Addresses on the internet are not asked for.
"""

import html
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

MARKDOWN = re.compile(r"\]\(([^)\s]+)\)")
HTML = re.compile(r"""(?:href|src)=["']([^"']+)["']""")
ANCHOR = re.compile(r"""id=["']([^"']+)["']""")


def broken_links(documents: Iterable[Path]) -> list[str]:
    """Return the links of documents that lead to no file, or to no heading of one, a sentence each."""
    return [f"{document}: {target}" for document in documents for target in _broken(document)]


def _broken(document: Path) -> Iterator[str]:
    text = document.read_text()
    pattern = MARKDOWN if document.suffix == ".md" else HTML
    for target in dict.fromkeys(pattern.findall(text)):
        if re.match(r"[a-z]+:", target) or target.startswith("${"):
            continue
        path, _, anchor = html.unescape(unquote(target)).partition("#")
        file = document.parent / path if path else document
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            yield target


@cache
def _anchors(file: Path) -> set[str]:
    """Return what a link into a file can name."""
    text = file.read_text()
    if file.suffix != ".md":
        return set(map(html.unescape, ANCHOR.findall(text)))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def main() -> None:
    """Check the files and folders that are named."""
    given = [Path(word) for word in sys.argv[1:]]
    files = [file for one in given for file in (sorted(one.rglob("*.html")) if one.is_dir() else [one])]
    broken = broken_links(files)
    print("\n".join(broken) or f"{len(files)} files, every link leads somewhere")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
