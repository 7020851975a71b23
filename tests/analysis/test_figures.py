from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from analysis.drawing.figure_files import save_figure


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_figure_is_written_whole_with_its_caption(tmp_path: Path, ending: str) -> None:
    figure = Figure(figsize=(4, 2))
    figure.subplots().plot([0, 1], [0, 1])
    file = save_figure(figure, tmp_path / "new" / f"line.{ending}", "A line, of no data, without error bars.")
    assert file.stat().st_size > 1000
    assert list(file.parent.iterdir()) == [file]
    if ending == "png":
        with Image.open(file) as image:
            assert image.info["Description"] == "A line, of no data, without error bars."
            assert image.height > 2 * 150  # the caption's lines lie below
    if ending == "svg":
        assert "without error bars" in file.read_text()


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"line\.gif: the name must end in \.png"):
        save_figure(Figure(), tmp_path / "line.gif", "")
