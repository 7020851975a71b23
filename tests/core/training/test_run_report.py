from pathlib import Path

import numpy as np
from PIL import Image

from core.config import Config
from core.data.taxonomy import Taxonomy
from core.scoring.evaluation import evaluate
from core.scoring.predictions import Predictions
from core.training.run_report import score_pictures
from tests.analysis.conftest import invent_predictions


def test_scores_are_drawn_also_where_a_species_is_never_heard(tmp_path: Path) -> None:
    table = invent_predictions((0,))
    table["truth:apapan"] = False
    config = Config(name="one")
    rows = Predictions.from_table(table)
    pictures = score_pictures(config, rows, evaluate(rows, config.valid), Taxonomy())
    assert sorted(pictures) == ["confusion", "reliability", "score_by_threshold", "species"]
    for name, draw in pictures.items():
        file = tmp_path / f"{name}.png"
        draw(file)
        with Image.open(file) as image:
            assert min(image.size) > 200
            assert np.asarray(image.convert("L")).std() > 10
