"""A run that an earlier version recorded: its folder and its checkpoint still say what they said."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from analysis.runs import find_runs
from core.checkpoint import find, load_model
from core.config import Config
from core.config_values import from_dict
from core.run_folder import RunFolder
from tests.conftest import FIXTURES


@pytest.fixture
def run(tmp_path: Path) -> Path:
    shutil.unpack_archive(FIXTURES / "former_run.zip", tmp_path)
    (folder,) = tmp_path.iterdir()
    return folder


def test_its_checkpoint_gives_the_logits_of_that_time(run: Path) -> None:
    model, card = load_model(find(run / "checkpoints" / "last"))
    wave = 0.3 * torch.sin(0.01 * torch.arange(160000) ** 1.2)
    with torch.inference_mode():
        logits = model(wave[None]).clip_logit[0]
    recorded = torch.tensor(json.loads((run / "logits.json").read_text()))
    torch.testing.assert_close(logits, recorded, rtol=0, atol=1e-3)
    assert len(card.species) == len(recorded) == 6
    assert card.fold == 0


def test_its_folder_is_read(run: Path) -> None:
    folder = RunFolder(run)
    assert folder.is_finished
    assert [row["global_step"] for row in folder.history()] == [3, 3]
    assert from_dict(Config(name="other"), folder.read_json("config")).name == "tiny"
    (found,) = find_runs([run])
    assert found.folder == run
