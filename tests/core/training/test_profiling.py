"""Where a step's time goes is told of a real run, and the run is the same."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from core.training.profiling import PARTS_OF_STEP
from tests.runs import open_trainer, tiny_config, with_data


@pytest.mark.slow
def test_a_profiled_run_has_a_table_and_a_trace_and_the_same_weights(
    tiny_demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = with_data(tiny_config(tiny_demo, tmp_path), min_epoch_steps=18)
    weights = []
    for name, profile in (("plain", False), ("profiled", True)):
        trainer = open_trainer(replace(config, profile=profile), name)
        trainer.fit()
        weights.append(trainer.model.state_dict())
    for key, value in weights[0].items():
        assert torch.equal(value, weights[1][key]), key
    folder = next(tmp_path.rglob("profile.csv")).parent
    table = pd.read_csv(folder / "profile.csv").set_index("part")
    assert list(table.index) == [*PARTS_OF_STEP, "rest"]
    assert table["share"].sum() == pytest.approx(1.0)
    for part in ("waiting", "log-mel", "augment", "forward", "backward", "optimiser"):
        assert table["milliseconds"][part] > 0, part
    names = {
        event.get("name") for event in json.loads((folder / "profile_trace.json").read_text())["traceEvents"]
    }
    assert {"backward", "log-mel"} <= names
    assert "Milliseconds a step, mean over 10" in capsys.readouterr().out
