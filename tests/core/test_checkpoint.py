"""Checkpoints rebuild their network, know themselves, and are never trusted blindly."""

import hashlib
import json
import pickle
from collections.abc import Callable
from functools import partial
from io import BufferedReader
from pathlib import Path

import pytest
import torch

from core import checkpoint
from core.config import Config, DataConfig, FeatureConfig, TimmConfig
from core.models.sed import TimmSED

CONFIG = Config(
    name="trial",
    model=TimmConfig(backbone="test_efficientnet.r160_in1k", pretrained=False),
    features=FeatureConfig(n_fft=1024, hop_length=320, num_mels=64),
    data=DataConfig(fold=2),
)
SPECIES = ("akiapo", "aniani", "apapan")


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, TimmSED]:
    torch.manual_seed(0)
    assert isinstance(CONFIG.model, TimmConfig)
    model = TimmSED(CONFIG.model, CONFIG.features, len(SPECIES)).eval()
    write(tmp_path / "last", model)
    return tmp_path / "last", model


def write(folder: Path, model: TimmSED) -> None:
    card = checkpoint.Card.of_run(
        CONFIG,
        model,
        run_id="r",
        species=SPECIES,
        scored=SPECIES[:2],
        train_counts=dict.fromkeys(SPECIES, 3),
        metrics={"valid/score": 0.7},
    )
    training = {"optimizer/0/step": torch.tensor(3.0)}
    checkpoint.write(folder, card, model.state_dict(), (training, {"epoch": 1, "best": 0.5}))


def test_a_checkpoint_rebuilds_its_network_exactly(saved: tuple[Path, TimmSED]) -> None:
    folder, model = saved
    loaded, card = checkpoint.load_model(folder)
    wave = torch.randn(1, 32000)
    assert torch.equal(loaded(wave).clip_logit, model(wave).clip_logit)
    assert card.species == list(SPECIES)
    assert card.scored == ["akiapo", "aniani"]
    assert card.fold == 2
    assert card.config["features"]["num_mels"] == 64
    assert card.code_version
    assert checkpoint.load_training(folder)[1] == {"epoch": 1, "best": 0.5}


def test_a_card_from_before_years_and_names_is_of_2022(saved: tuple[Path, TimmSED]) -> None:
    file = saved[0] / "checkpoint.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({name: content[name] for name in content if name not in {"year", "taxonomy"}}))
    card = checkpoint.read_card(saved[0])
    assert (card.year, card.taxonomy) == (2022, {})
    file.write_text(json.dumps({name: content[name] for name in content if name != "scored"}))
    with pytest.raises(checkpoint.CheckpointError, match=r"fields \['scored'\] are missing or unknown"):
        checkpoint.read_card(saved[0])


def test_no_file_of_a_checkpoint_is_a_pickle(saved: tuple[Path, TimmSED]) -> None:
    assert {file.suffix for file in saved[0].iterdir()} == {".safetensors", ".json"}


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def edit(file: Path, **fields: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


@pytest.mark.parametrize(
    ("name", "harm", "reason"),
    [
        ("model.safetensors", cut, "damaged"),
        ("model.safetensors", Path.unlink, "missing or damaged"),
        ("checkpoint.json", cut, "not JSON"),
        ("checkpoint.json", Path.unlink, "no checkpoint.json"),
        ("checkpoint.json", partial(edit, model_class="os:system"), "only classes of core and experiments"),
        ("checkpoint.json", partial(edit, format=99), "format 99"),
        ("checkpoint.json", partial(edit, species=["only"]), "does not fit"),
    ],
)
def test_a_harmed_checkpoint_is_refused_with_its_reason(
    saved: tuple[Path, TimmSED], name: str, harm: Callable[[Path], None], reason: str
) -> None:
    harm(saved[0] / name)
    with pytest.raises(checkpoint.CheckpointError, match=reason) as error:
        checkpoint.load_model(saved[0])
    assert str(saved[0]) in str(error.value)


def test_a_pickle_is_never_executed(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "executed",))  # type: ignore[return-value]

    folder = tmp_path / "last"
    folder.mkdir()
    (folder / "checkpoint.json").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(checkpoint.CheckpointError):
        checkpoint.load_model(folder)
    assert not (tmp_path / "executed").exists()


def test_a_torn_checkpoint_gives_way_to_the_one_before(saved: tuple[Path, TimmSED]) -> None:
    folder, model = saved
    folder.rename(folder.with_name("last.old"))  # as if killed between the two renames
    write(folder.with_name("last.new"), model)
    cut(folder.with_name("last.new") / "model.safetensors")
    assert checkpoint.exists(folder)
    assert checkpoint.find(folder).name == "last.old"
    write(folder, model)
    assert checkpoint.find(folder) == folder
    assert not folder.with_name("last.old").exists()
    assert not folder.with_name("last.new").exists()


def test_a_checkpoint_without_training_state_says_so(tmp_path: Path, saved: tuple[Path, TimmSED]) -> None:
    card = checkpoint.read_card(saved[0])
    checkpoint.write(tmp_path / "best", card, saved[1].state_dict())
    with pytest.raises(checkpoint.CheckpointError, match="weights only"):
        checkpoint.load_training(tmp_path / "best")


def test_finding_and_loading_a_checkpoint_hashes_each_file_once(
    saved: tuple[Path, TimmSED], monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []

    def count(stream: BufferedReader, name: str) -> "hashlib._Hash":
        hashed.append(Path(stream.name).name)
        return digest(stream, name)

    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", count)
    checkpoint.load_model(checkpoint.find(saved[0]))
    assert sorted(hashed) == ["model.safetensors", "training.json", "training.safetensors"]
