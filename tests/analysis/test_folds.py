"""The pictures of the fold audit show the numbers of the audit."""

from pathlib import Path

import numpy as np
import pytest

from analysis.folds import FoldsConfig, draw_audit, draw_leakage, draw_species_by_fold
from tests.programs import refusal, run_program


def test_the_pictures_show_the_audit(tiny_demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audit, grouped = draw_audit(FoldsConfig(root=str(tiny_demo), num_folds=3))
    shown = capsys.readouterr().out
    assert shown.startswith("20 files, 6 species, 3 scored")
    assert "Author leakage" in shown
    axes = draw_species_by_fold(audit).axes[0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    counts = {
        (names[round(t.get_position()[1])], round(t.get_position()[0])): int(t.get_text()) for t in axes.texts
    }
    for row, code in enumerate(audit.files.index):
        for column in range(4):
            assert counts.get((code, column), 0) == audit.files.to_numpy()[row, column]
    leaks, coverage, others = draw_leakage(audit, grouped).axes
    heights = [[bar.get_height() for bar in container] for container in leaks.containers]
    assert heights[:2] == [audit.sizes, audit.leaking]
    validated = (audit.files.drop(columns="trains") > 0).sum(axis=0)
    np.testing.assert_array_equal([bar.get_height() for bar in coverage.patches], validated)  # type: ignore[attr-defined]
    words = [text.get_text() for text in others.texts]
    assert words[words.index("audio files missing") + 1] == "0"
    assert (leaks.get_xlabel(), leaks.get_title()) == ("fold", "Shared with training")


def test_the_program_writes_both_figures_and_names_a_mistake(tiny_demo: Path, tmp_path: Path) -> None:
    words = ["--num_folds", "3", "--group_by_author", "--out", tmp_path, "--format", "svg"]
    run_program("analysis.folds", tiny_demo, *words)
    for name in ("fold_species", "fold_leakage"):
        assert "3 folds, seed 71, grouped by author" in (tmp_path / f"{name}.svg").read_text()
    assert "train_metadata.csv: missing" in refusal("analysis.folds", tmp_path)
