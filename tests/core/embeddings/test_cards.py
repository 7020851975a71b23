from pathlib import Path

import pytest

from core.embeddings.cards import read_embedding_card
from core.embeddings.front_end import Embedder
from tests.bird_model import write_bird_model


def test_a_card_of_the_project_says_whose_the_network_is() -> None:
    card = read_embedding_card("birdnet_2.4")
    assert (card.sample_rate, card.window_samples, card.hop_samples) == (48000, 144000, 48000)
    assert "BY-NC-SA" in card.licence
    assert {read_embedding_card(name).kind for name in ("perch_2", "birdnet_3")} == {"onnx"}


def test_classes_are_scientific_and_common_names(tmp_path: Path) -> None:
    card = read_embedding_card(str(write_bird_model(tmp_path)))
    assert card.class_names()[1] == ("Turdus merula", "Eurasian Blackbird")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_rate": None}, "sample_rate"),
        ({"sample_rate": "8k"}, "sample_rate='8k' must be a positive number"),
        ({"kind": "pickle"}, "kind='pickle' is none of onnx, litert"),
        ({"colour": "red"}, "unknown fields colour"),
        ({"sha256": "0" * 64}, "not the file that card tiny is about"),
        ({"file": "other.onnx"}, "other.onnx is not on this machine"),
        ({"file": "classes.txt"}, "not readable as ONNX"),
        ({"embedding": "middle"}, "has no output middle; the last are embedding, logits"),
        ({"kind": "torchaudio", "file": "BIRD2VEC"}, "torchaudio.pipelines has no BIRD2VEC"),
        ({"kind": "timm", "file": "no_net"}, "timm .* has no such model"),
    ],
)
def test_a_wrong_card_is_one_line_that_names_what_is_wrong(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    file = write_bird_model(tmp_path, **changes)
    with pytest.raises(ValueError, match=message) as error:
        _ = Embedder(read_embedding_card(str(file))).size
    assert "\n" not in str(error.value)


def test_a_card_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"model.card=owlnet: no such card; there are birdnet_2\.4"):
        read_embedding_card("owlnet")


def test_a_network_without_a_file_says_how_to_name_it() -> None:
    with pytest.raises(ValueError, match="its file is not on this machine; name the ONNX file"):
        Embedder(read_embedding_card("perch_2"))


def test_a_torch_network_embeds_too(tmp_path: Path) -> None:
    embedder = Embedder(read_embedding_card("lite0"))
    assert embedder.size == 1280
