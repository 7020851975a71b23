"""Detections with edges inside windows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit

from core.data.annotations.events import AnnotationOptions
from core.data.annotations.readers import read_annotations
from core.data.audio import read_mono
from core.data.taxonomy import Taxonomy
from core.inference.config import InferenceConfig, WindowConfig
from core.inference.ensemble import SEGMENTS, load_ensemble
from core.inference.post_processing import PostProcessing, decide_segments
from core.inference.predictor import Predictor
from core.inference.run import predict
from core.inference.tables import Decisions, selections, writing_detections
from core.scoring.decisions import DecisionConfig
from tests.core.inference.conftest import RATE, Trained

CPU = torch.device("cpu")


def test_a_segment_is_what_the_network_hears_at_its_middle(trained: Trained, soundscapes: Path) -> None:
    ensemble = load_ensemble(trained.runs[:1])
    (member,) = ensemble.members
    file = soundscapes / "s0.wav"
    found = Predictor(ensemble, WindowConfig(batch=5), CPU, segments=True).predict_file(file).segments
    assert found.shape == (12, SEGMENTS, len(ensemble.species))
    window = torch.from_numpy(read_mono(file, RATE)[3 * 5 * RATE : 4 * 5 * RATE])
    with torch.inference_mode():
        output = member.model(window[None])
    ends = np.linspace(0, 5, output.segment_logit.shape[1] + 1)[1:]
    for segment in range(SEGMENTS):
        covering = int((ends <= (segment + 0.5) * 5 / SEGMENTS).sum())
        expected = expit(output.segment_logit[0, covering].numpy()[member.columns])
        np.testing.assert_allclose(found[3, segment], expected, atol=1e-5)


FILE = np.zeros(3)


def one_species(config: DecisionConfig) -> PostProcessing:
    return PostProcessing(config, np.array(["bird"]), np.ones(1, bool), np.zeros(1))


def test_segments_of_true_windows_only_and_at_least_the_loudest() -> None:
    segments = np.array([[[0.9], [0.2], [0.1]], [[0.3], [0.2], [0.1]], [[0.8], [0.9], [0.7]]])
    target = np.array([[True], [True], [False]])
    plain, gate = (one_species(config) for config in (DecisionConfig(), DecisionConfig(gate="hard")))
    heard = decide_segments(segments, target, plain, FILE, None, np.array([0.15]))
    assert heard[:, :, 0].tolist() == [[True, True, False], [True, True, False], [False] * 3]
    strict = decide_segments(segments, target, plain, FILE, None, np.array([0.5]))
    assert strict[:, :, 0].tolist() == [[True, False, False], [True, False, False], [False] * 3]
    gated = decide_segments(segments, target, gate, FILE, np.array([1.0, 0.1, 1.0]), np.array([0.15]))
    assert gated[:, :, 0].tolist() == [[True, True, False], [True, False, False], [False] * 3]


def test_selections_join_across_windows() -> None:
    segments = np.zeros((3, 10, 1), bool)
    segments[0, 8:, 0] = segments[1, :3, 0] = segments[2, 5, 0] = True
    probability = np.array([[0.6], [0.8], [0.4]])
    decision = Decisions(probability, probability > 0.3, Path("x.ogg"), segments)
    assert list(selections(decision, ["bird"])) == [(4.0, 6.5, "bird", 0.8), (12.5, 13.0, "bird", 0.4)]
    whole = replace(decision, segments=np.zeros((0, 10, 1), bool))
    assert list(selections(whole, ["bird"])) == [(0.0, 15.0, "bird", 0.8)]


def test_detections_come_back_as_annotations_of_each_tool(tmp_path: Path) -> None:
    probability = np.array([[0.61, 0.1], [0.8, 0.1], [0.4, 0.1], [0.9, 0.2]])
    decision = Decisions(probability, probability > 0.5, Path("far/site A/x.ogg"), np.zeros((0, 10, 2), bool))
    silent = Decisions(probability, probability > 1, Path("far/site B/x.ogg"), np.zeros((0, 10, 2), bool))
    decisions = {"site A/x": decision, "site B/x": silent}
    with writing_detections(
        tmp_path, Taxonomy.of(["001", "nan"]), ("raven", "birdnet", "audacity", "hoplite")
    ) as add:
        for name, one in decisions.items():
            add({name: one})
    for name in ("site A/x.selections.txt", "site A/x.labels.txt", "detections.csv"):
        events = read_annotations([tmp_path / name], AnnotationOptions()).events
        assert events[["begin", "end", "label"]].to_numpy().tolist() == [[0, 10, "001"], [15, 20, "001"]]
        assert events["low_hz"].isna().all() == (name == "detections.csv")
        if not name.endswith(".labels.txt"):
            assert events["confidence"].tolist() == [0.8, 0.9]
            assert set(events["soundscape"]) == {"far/site A/x.ogg"}
    hoplite = read_annotations([tmp_path / "hoplite.csv"], AnnotationOptions()).events
    assert hoplite["begin"].tolist() == [0, 5, 15]
    assert set(hoplite["kind"]) == {"positive"}, "what was not found is not known to be absent"
    assert (tmp_path / "site B/x.selections.txt").read_text().count("\n") == 1


@pytest.mark.parametrize("context", [1, 3])
def test_the_tables(trained: Trained, soundscapes: Path, tmp_path: Path, context: int) -> None:
    config = InferenceConfig(
        checkpoints=trained.runs, soundscapes=(str(soundscapes),), windows=WindowConfig(context=context),
        out=str(tmp_path / "s.csv"), detections=str(tmp_path / "found"), detections_by="segment",
    )  # fmt: skip
    predict(config)
    table = pd.read_csv(tmp_path / "found" / "detections.csv")
    assert ((table["Start (s)"] * 2) % 1 == 0).all()
    assert (table["End (s)"] > table["Start (s)"]).all()
    assert ((table["End (s)"] - table["Start (s)"]) < 5).any()
    submission = pd.read_csv(tmp_path / "s.csv")
    taxonomy = load_ensemble(trained.runs).taxonomy
    names = dict(zip(taxonomy.codes, taxonomy.common, strict=True))
    positive = submission[submission["target"]]["row_id"].str.rsplit("_", n=2)
    for name, code, end in positive:
        own = table[
            table["File"].str.endswith((f"/{name}.wav", f"/{name}.flac"))
            & (table["Common name"] == names[code])
        ]
        overlaps = (own["Start (s)"] < int(end)) & (own["End (s)"] > int(end) - 5)
        assert overlaps.any(), "a True window without a detection in it"


def test_segments_need_a_folder_to_go_to(trained: Trained) -> None:
    with pytest.raises(ValueError, match="detections_by=segment needs --detections"):
        InferenceConfig(checkpoints=trained.runs, soundscapes=("x",), detections_by="segment")
