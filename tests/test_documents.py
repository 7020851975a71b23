"""What the documents say of the code is there."""

import ast
import re
from pathlib import Path

import pytest

from tests.links import broken_links

ROOT = Path(__file__).resolve().parents[1]
WALKS = {
    "From an audio file to the loss": 10,
    "From a soundscape to a row of the submission": 10,
    "From predictions to an interval": 6,
}


@pytest.mark.parametrize("title", WALKS)
def test_a_walk_names_files_and_what_is_in_them(title: str) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    chapter = text.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    steps = re.findall(r"^\d+\. `([^`]+)` `([^`]+)`:", chapter, re.MULTILINE)
    assert 0 < len(steps) <= WALKS[title]
    assert len(steps) == len(re.findall(r"^\d+\. ", chapter, re.MULTILINE))
    for file, name in steps:
        tree = ast.parse((ROOT / file).read_text())
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert name in defined, f"{file} defines no {name}"


def test_links_of_the_documents_lead_somewhere() -> None:
    folders = (ROOT, ROOT / "docs", ROOT / "experiments", ROOT / "sweeps")
    assert broken_links([file for folder in folders for file in sorted(folder.glob("*.md"))]) == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def test_the_index_of_the_log_has_every_entry_in_order() -> None:
    text = (ROOT / "experiments" / "README.md").read_text()
    titles = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert re.findall(r"^- \[(.+)\]\(#.+\)$", text, re.MULTILINE) == titles
