"""Tables of every trained species, and of recordings, beside a submission of the scored ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.checkpoint import CheckpointError
from core.inference.config import InferenceConfig
from core.inference.ensemble import load_ensemble
from core.inference.run import predict
from core.scoring.decisions import DecisionConfig
from tests.core.inference.conftest import Trained
from tests.core.inference.test_window_formats import save_network


def config_of(trained: Trained, soundscapes: Path, folder: Path, name: str) -> InferenceConfig:
    return InferenceConfig(
        checkpoints=trained.runs, soundscapes=(str(soundscapes),), out=str(folder / f"{name}.csv"),
        probabilities=str(folder / f"{name}.parquet"), detections=str(folder / name), detections_by="segment",
        by_recording=str(folder / f"{name}_recordings.csv"),
        post=DecisionConfig(penalty=0.1, rare_boost=0.25, quantile=0.7),
    )  # fmt: skip


@pytest.mark.parametrize("combine", ["mean", "rank"])
def test_further_species_change_no_decision_about_the_scored_ones(
    trained: Trained, soundscapes: Path, tmp_path: Path, combine: str
) -> None:
    scored = replace(config_of(trained, soundscapes, tmp_path, "scored"), combine=combine)  # type: ignore[arg-type]
    everyone = replace(config_of(trained, soundscapes, tmp_path, "all"), combine=combine, species="all")  # type: ignore[arg-type]
    predict(scored)
    predict(everyone)
    assert (tmp_path / "scored.csv").read_bytes() == (tmp_path / "all.csv").read_bytes()
    few, many = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("scored", "all"))
    taxonomy = load_ensemble(trained.runs, species="all").taxonomy
    trained_on = taxonomy.codes
    assert many.columns.tolist() == ["file_id", "end_time", "site", "start_time", *trained_on]
    assert len(trained_on) > len(few.columns) - 4
    pd.testing.assert_frame_equal(few, many[few.columns])
    detected = [pd.read_csv(tmp_path / name / "detections.csv") for name in ("scored", "all")]
    common = {taxonomy.names(code)[1] for code in few.columns} & set(detected[1]["Common name"])
    pd.testing.assert_frame_equal(
        detected[0], detected[1][detected[1]["Common name"].isin(common)].reset_index(drop=True)
    )
    assert set(detected[1]["Common name"]) - common, "nothing detected of the others"


def test_recordings_are_summed_up(trained: Trained, soundscapes: Path, tmp_path: Path) -> None:
    predict(replace(config_of(trained, soundscapes, tmp_path, "all"), species="all"))
    probability = pd.read_parquet(tmp_path / "all.parquet")
    probability = probability.drop(columns=["site", "start_time"]).set_index(["file_id", "end_time"])
    table = pd.read_csv(tmp_path / "all_recordings.csv")
    assert len(table) == 5 * probability.shape[1]
    submission = pd.read_csv(tmp_path / "all.csv")
    decided = submission[submission["target"]]["row_id"].str.rsplit("_", n=1).str[0].value_counts()
    names = load_ensemble(trained.runs, species="all").taxonomy
    assert all(names.common)
    for name, rows in table.groupby("file_id"):
        own = probability.loc[name]
        assert rows["rank"].tolist() == list(range(1, len(rows) + 1))
        assert rows["common_name"].tolist() == [names.names(code)[1] for code in rows["species"]]
        assert rows["maximum"].is_monotonic_decreasing
        assert rows["species"].iloc[0] == own.max().idxmax()
        by_species = rows.set_index("species")
        np.testing.assert_allclose(by_species["mean"], own.mean()[by_species.index], atol=1e-6)
        np.testing.assert_allclose(by_species["maximum"], own.max()[by_species.index], atol=1e-6)
        assert (by_species["maximum_end_time"] == own.idxmax()[by_species.index]).all()
        for code in load_ensemble(trained.runs).species:
            assert by_species.loc[code, "windows"] == decided.get(f"{name}_{code}", 0)


def test_the_submission_has_further_species_where_its_rows_ask_for_them(
    trained: Trained, soundscapes: Path, tmp_path: Path
) -> None:
    ensemble = load_ensemble(trained.runs, species="all")
    further = np.array(ensemble.species)[~ensemble.scored][0]
    rows = [(f"s0_{further}_{end}", "s0", further, end) for end in (5, 10)]
    table = pd.DataFrame(rows, columns=["row_id", "file_id", "bird", "end_time"])
    table.to_csv(tmp_path / "test.csv", index=False)
    config = replace(
        config_of(trained, soundscapes, tmp_path, "s"), post=DecisionConfig(threshold="fixed", fixed=0.0)
    )
    with pytest.raises(ValueError, match=f"{further}, which are no scored species: add --species=all"):
        predict(config)
    predict(replace(config, species="all"))
    assert pd.read_csv(tmp_path / "s.csv")["target"].tolist() == [True, True]


def test_what_cannot_be_had_of_all_species_is_said_before_anything_is_predicted(
    trained: Trained, soundscapes: Path, tmp_path: Path
) -> None:
    config = replace(config_of(trained, soundscapes, tmp_path, "s"), species="all")
    few = dict.fromkeys(load_ensemble(trained.runs).species, 0.3)
    with pytest.raises(ValueError, match=r"post\.class_wise: no threshold for"):
        predict(replace(config, post=DecisionConfig(threshold="class_wise", class_wise=few)))
    other = save_network(tmp_path / "other", ("x", "y"), 32000)
    with pytest.raises(CheckpointError, match="was trained on other species"):
        predict(replace(config, checkpoints=(trained.runs[0], other)))
    assert not (tmp_path / "s.csv.journal").exists()
    with pytest.raises(ValueError, match=r"by_recording=x.xls: the name must end in \.parquet or \.csv"):
        replace(config, by_recording="x.xls")
