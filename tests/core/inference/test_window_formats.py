"""Each network gets the audio at its own sample rate, in windows filled as in its training."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit

from core import checkpoint
from core.config import TimmConfig
from core.data.audio import read_mono
from core.inference.config import ExportConfig, InferenceConfig, WindowConfig
from core.inference.engines.export import export
from core.inference.ensemble import find_checkpoints, load_ensemble
from core.inference.predictor import Predictor
from core.inference.run import predict
from core.models.sed import TimmSED
from core.scoring.decisions import DecisionConfig
from tests.core.inference.conftest import RATE, Trained
from tests.runs import FEATURES, tiny_config

CPU = torch.device("cpu")
FILES = ("s1.wav", "s3.wav", "stereo.flac")


def save_network(folder: Path, species: tuple[str, ...], sample_rate: int) -> str:
    """Save a network with random weights that was trained at another sample rate."""
    config = tiny_config(folder, folder)
    config = replace(config, features=replace(FEATURES, sample_rate=sample_rate, f_max_hz=sample_rate / 3))
    assert isinstance(config.model, TimmConfig)
    torch.manual_seed(1)
    model = TimmSED(config.model, config.features, len(species)).eval()
    card = checkpoint.Card.of_run(
        config, model, run_id="r", species=species, scored=species, train_counts={}, metrics={}
    )
    checkpoint.write(folder, card, model.state_dict())
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize("windows", [WindowConfig(), WindowConfig(shifts=(0.0, 2.5), context=3, batch=4)])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_a_gate_of_another_rate_is_given_what_it_is_given_alone(
    trained: Trained, soundscapes: Path, tmp_path: Path, windows: WindowConfig, rate: int
) -> None:
    gate = load_ensemble([save_network(tmp_path / "gate", ("bird",), rate)])
    ensemble = load_ensemble(trained.runs)
    gated, plain = (Predictor(ensemble, windows, CPU, nocall) for nocall in (gate, None))
    alone = Predictor(gate, replace(windows, context=1), CPU)
    for name in FILES:
        found = gated.predict_file(soundscapes / name)
        np.testing.assert_allclose(
            found.probability, plain.predict_file(soundscapes / name).probability, atol=1e-6
        )
        expected = alone.predict_file(soundscapes / name).probability[0, :, 0]
        np.testing.assert_allclose(found.bird, expected, atol=1e-6)
        whole = plain.predict_file(soundscapes / name)
        assert found.facts.seconds == pytest.approx(whole.facts.seconds, abs=1e-4)


def test_a_gate_of_another_rate_in_the_main_command(
    trained: Trained, soundscapes: Path, tmp_path: Path
) -> None:
    gate = save_network(tmp_path / "gate", ("bird",), 16000)
    config = InferenceConfig(
        checkpoints=trained.runs, nocall=gate, soundscapes=(str(soundscapes),), out=str(tmp_path / "s.csv"),
        post=DecisionConfig(gate="hard", gate_threshold=1.0),
    )  # fmt: skip
    predict(config)
    with pytest.raises(ValueError, match=r"post\.gate=hard needs --nocall"):
        replace(config, nocall=None)


@pytest.mark.slow
def test_networks_of_different_rates_are_one_ensemble(
    trained: Trained, soundscapes: Path, tmp_path: Path
) -> None:
    species = tuple(load_ensemble(trained.runs[:1], species="all").species)
    other = save_network(tmp_path / "other", species, 22050)
    scored = load_ensemble(trained.runs[:1]).species
    paths = [trained.runs[0], other]
    together, *alone = (
        Predictor(load_ensemble(names, species=scored), WindowConfig(), CPU)
        for names in (paths, paths[:1], paths[1:])
    )
    for name in FILES:
        each = [predictor.predict_file(soundscapes / name).probability for predictor in alone]
        found = together.predict_file(soundscapes / name).probability
        np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-6)
    config = ExportConfig(
        checkpoints=tuple(paths), soundscapes=(str(soundscapes),), out=str(tmp_path / "exported"),
        backends=("onnxruntime",),
    )  # fmt: skip
    manifest = json.loads((export(config) / "ensemble.json").read_text())
    assert manifest["parity"][0]["difference"] < 1e-5


@pytest.mark.parametrize("context", [1, 3])
def test_windows_are_filled_as_the_network_was_trained(
    trained: Trained, soundscapes: Path, tmp_path: Path, context: int
) -> None:
    padding = find_checkpoints(trained.runs[0])[0]
    repeating = shutil.copytree(padding, tmp_path / "repeating")
    card = json.loads((repeating / "checkpoint.json").read_text())
    assert card["config"]["data"]["short_clips"] == "pad"
    card["config"]["data"]["short_clips"] = "repeat"
    (repeating / "checkpoint.json").write_text(json.dumps(card))
    ensemble = load_ensemble([repeating])
    (member,) = ensemble.members
    predictor = Predictor(ensemble, WindowConfig(context=context), CPU)
    file = soundscapes / "s3.wav"  # 4.2 s
    found = predictor.predict_file(file).probability[0]
    wave = np.resize(read_mono(file, RATE), 5 * RATE)
    with torch.inference_mode():
        logit = member.model(torch.from_numpy(wave)[None]).clip_logit[0].numpy()
    np.testing.assert_allclose(found, expit(logit[member.columns])[None], atol=1e-5)
    both = Predictor(load_ensemble([padding, repeating]), WindowConfig(context=context), CPU)
    plain = Predictor(load_ensemble([padding]), WindowConfig(context=context), CPU)
    one, two = plain.predict_file(file).probability[0], both.predict_file(file).probability[0]
    np.testing.assert_allclose(two, (one + found) / 2, atol=1e-5)
    assert np.abs(one - found).max() > 1e-4
