"""Which clips are chosen to listen to, the page of them, and that answers to them teach."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.metrics import roc_auc_score

from analysis.review.__main__ import ReviewConfig, write_review
from analysis.review.choice import ChoiceOptions, Pick, Question, choose_questions
from analysis.review.windows import Listenable, vectors_of
from analysis.soundscapes import read_soundscapes
from core.data.annotations.windows import label_windows
from core.data.demo.build import DemoPlan, ensure_demo
from core.data.soundscapes import find_soundscapes
from core.data.taxonomy import Taxonomy
from core.inference.config import InferenceConfig
from core.inference.run import predict
from core.scoring.predictions import Predictions
from experiments.probe_015.config import CONFIG, ProbeConfig
from experiments.probe_015.run import Probe015
from tests.bird_model import SAMPLE_RATE, write_bird_model
from tests.core.inference.conftest import Trained
from tests.programs import refusal
from tests.runs import open_trainer, tiny_config

SPECIES = ("akiapo", "22961")
RATE = 16000


def write_field(folder: Path) -> dict[str, Any]:
    """Write soundscapes of 15 s at two sites, rising tones; options of a review of them."""
    rows = []
    for site in ("site A", "site B"):
        for number in range(3):
            file = folder / "field" / site / f"rec, {number}.wav"
            file.parent.mkdir(parents=True, exist_ok=True)
            time = np.arange(15 * RATE) / RATE
            wave = 0.3 * np.sin(2 * np.pi * (500 + 300 * number) * time * (1 + time / 15))
            soundfile.write(file, wave, RATE)
            for end in (5, 10, 15):
                share = (3 * number + end / 5) / 10
                rows.append((f"{site}/rec, {number}", end, site, "", share, 0.02 + share / 20))
    table = pd.DataFrame(rows, columns=["file_id", "end_time", "site", "start_time", *SPECIES])
    table.to_csv(folder / "p.csv", index=False)
    names = pd.DataFrame({"primary_label": SPECIES, "common_name": ["Akiapolaau", "Cane Toad"]})
    names.to_csv(folder / "taxonomy.csv", index=False)
    return {"probabilities": str(folder / "p.csv"), "soundscapes": (str(folder / "field"),)}


def content_of(page: Path) -> dict[str, Any]:
    """Return the data of a page."""
    found = re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found is not None
    content: dict[str, Any] = json.loads(found[1])
    return content


def review(tmp_path: Path, **options: Any) -> list[dict[str, Any]]:
    """Return the clips of a page."""
    write_review(ReviewConfig(out=str(tmp_path / "review.html"), **options))
    clips: list[dict[str, Any]] = content_of(tmp_path / "review.html")["clips"]
    return clips


def choose(probability: Any, *ways: Pick, **options: Any) -> list[Question]:
    """Return questions about windows of which nothing is known, told apart by their probabilities."""
    probability = np.asarray(probability, dtype=float)
    names = np.array([f"w{i}" for i in range(len(probability))])
    site = options.pop("site", np.full(len(names), ""))
    known = options.pop("known", np.zeros(probability.shape, dtype=bool))
    species = [f"s{i}" for i in range(probability.shape[1])]
    found = Predictions.of(species, probability, np.zeros(probability.shape), names, site=site)
    vectors = options.pop("vectors", probability)
    return choose_questions(found, vectors, known, ChoiceOptions(**{"number": 3, "ways": ways, **options}))


def test_the_uncertain_are_nearest_to_the_decision_in_the_logit() -> None:
    found = choose([[0.01], [0.4], [0.95], [0.55], [0.2]], "uncertain", threshold=0.5, per_species=9)
    assert [question.window for question in found] == [3, 1, 4]


def test_the_best_of_each_species_come_before_the_second_best() -> None:
    found = choose([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.0]], "top", per_species=9)
    assert [(question.window, question.species) for question in found] == [(0, 0), (2, 1), (1, 0)]


def test_the_diverse_are_far_from_all_that_is_chosen_or_known() -> None:
    vectors = np.array([[0.0], [0.1], [5.0], [10.0], [9.9]])
    known = np.zeros((5, 1), dtype=bool)
    known[0] = True
    found = choose(np.full((5, 1), 0.5), "diverse", vectors=vectors, known=known, per_species=9)
    assert [question.window for question in found[:2]] == [3, 2]
    assert 0 not in {question.window for question in found}


def test_quotas_of_species_and_sites_hold_and_a_window_is_asked_once() -> None:
    generator = np.random.default_rng(0)
    site = np.repeat(["A", "B", ""], 20)
    found = choose(
        generator.random((60, 3)) * [1, 0.5, 0.1], "uncertain", "diverse", "top", number=24, site=site,
        per_species=9, per_site=7,
    )  # fmt: skip
    assert len(found) == 24
    assert len({question.window for question in found}) == 24
    assert max(Counter(question.species for question in found).values()) <= 9
    at = Counter(site[question.window] for question in found)
    assert max(at["A"], at["B"]) <= 7
    assert at[""] >= 10
    assert Counter(question.way for question in found) == dict.fromkeys(("uncertain", "diverse", "top"), 8)


def test_a_page_is_the_same_for_a_seed_and_holds_windows_with_their_names(tmp_path: Path) -> None:
    given, pages = write_field(tmp_path), []
    for seed in (0, 0, 1):
        clips = review(tmp_path, **given, number=6, seed=seed)
        pages.append([clip | {"audio": ""} for clip in clips])  # an Ogg file has a random number
    assert pages[0] == pages[1] != pages[2]
    assert len(clips) == 6
    for clip in clips:
        assert re.fullmatch(r"site [AB]/rec, \d\.wav", clip["file"])
        assert clip["begin"] in (0, 5, 10)
        assert clip["first"] == max(clip["begin"] - 2, 0)
        assert clip["last"] == pytest.approx(min(clip["begin"] + 7, 15), abs=1e-3)
        assert clip["image"].startswith("data:image/png;base64,")
        assert clip["audio"].startswith("data:audio/ogg;base64,")
    assert content_of(tmp_path / "review.html")["species"]["22961"][0] == "Cane Toad"


def test_what_was_answered_is_not_asked_again(tmp_path: Path) -> None:
    given, labels = write_field(tmp_path), tmp_path / "verdicts.csv"
    first = review(tmp_path, **given, number=9, ways=("top",), per_species=9)
    rows = [(clip["file"], clip["begin"], clip["code"], "negative") for clip in first]
    columns = ["filename", "window_offset_s", "label", "label_type"]
    pd.DataFrame(rows, columns=columns).to_csv(labels, index=False)
    second = review(tmp_path, **given, number=9, ways=("top",), per_species=9, labelled=(str(labels),))
    asked = [{(clip["file"], clip["begin"], clip["code"]) for clip in clips} for clips in (first, second)]
    assert len(asked[1]) == 9
    assert not asked[0] & asked[1]


def test_the_clips_of_a_run_are_asked_for_on_the_grid_of_windows(trained: Trained, tmp_path: Path) -> None:
    clips = review(tmp_path, run=trained.runs[0], number=5)
    validated = set(pd.read_parquet(Path(trained.runs[0]) / "predictions.parquet")["recording"])
    assert {clip["file"] for clip in clips} <= validated
    assert all(clip["begin"] % 5 == 0 for clip in clips)


def test_windows_are_told_apart_by_the_embeddings_of_a_run_that_has_some(tmp_path: Path) -> None:
    given, card = write_field(tmp_path), write_bird_model(tmp_path / "model")
    found = Listenable.of_soundscapes(**given, names=None)
    model = {"card": str(card), "file": None, "hop_seconds": None}
    vectors, kind = vectors_of(found, {"model": model, "data": {"cache": str(tmp_path / "cache")}})
    assert kind == "embeddings of tiny"
    loudest = 250 * (1 + vectors.argmax(axis=1))
    names, start = found.predictions.recording, found.predictions.start_seconds
    pitch = np.array([500 + 300 * int(name[-1]) for name in names]) * (1 + 2 * (start + 2.5) / 15)
    assert (np.abs(loudest - pitch) <= 500).all()


def test_files_that_are_not_there_or_cannot_be_played_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = write_field(tmp_path)
    (tmp_path / "field" / "site A" / "rec, 0.wav").unlink()
    (tmp_path / "field" / "site B" / "rec, 2.wav").write_bytes(b"no audio")
    clips = review(tmp_path, **given, number=15)
    printed = capsys.readouterr().out
    assert "1 file of the predictions missing, such as site A/rec, 0" in printed
    assert printed.count("site B/rec, 2.wav cannot be played: ") == 3
    assert len(clips) == 12


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--probabilities", "p.csv", "--soundscapes", "absent"], "soundscapes: absent does not exist"),
        (["--probabilities", "absent.csv", "--soundscapes", "field"], "absent.csv: no such file"),
        (
            ["--probabilities", "p.csv", "--soundscapes", "other"],
            "none is of the predictions; 6 files of the predictions missing, such as site A/rec, 0",
        ),
        (["--labelled", "taxonomy.csv"], "taxonomy.csv: columns primary_label, common_name are of no known"),
        (["nowhere"], "nowhere: no such folder of runs"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    write_field(tmp_path)
    (tmp_path / "other").mkdir()
    soundfile.write(tmp_path / "other" / "x.wav", np.zeros(RATE), RATE)
    monkeypatch.chdir(tmp_path)
    usual = ["--probabilities", "p.csv", "--soundscapes", "field"] if words[0] == "--labelled" else []
    error = refusal("analysis.review", *usual, *words)
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "name a run, or --probabilities"),
        ({"soundscapes": ("x",)}, "name both, or neither"),
        ({"run": "x", "per_site": 0}, "per_site=0: at least 1"),
        ({"run": "x", "ways": ()}, "ways: one or more"),
        ({"run": "x", "threshold": 1.0}, r"threshold=1\.0: between 0 and 1"),
        ({"run": "x", "out": "review.csv"}, r"must end in \.html"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReviewConfig(**options)


LEARNT = ("embups", "tindou", "clolon")
LOOP = DemoPlan(
    recordings=dict.fromkeys(LEARNT, 2), scored=LEARNT, recording_seconds=(5.0, 6.0), num_backgrounds=2,
    background_seconds=(5.0, 6.0), num_soundscapes=1, soundscape_seconds=10, labelled_sites=6,
    files_per_site=7, unlabelled_sites=0,
)  # fmt: skip
AUDIBLE_SNR_DB = (6.0, 15.0)
"""Of birds at the sites: the tests' network hears nothing but the loudness of bands."""


def predicted(run: Path, sounds: Path, table: Path) -> Path:
    """Write what a run says of a folder of soundscapes; return the table."""
    words: dict[str, Any] = {"soundscapes": (str(sounds),), "checkpoints": (str(run),)}
    predict(InferenceConfig(**words, out=str(table.with_suffix(".csv")), probabilities=str(table)))
    return table


def answered(clips: list[dict[str, Any]], truth: pd.DataFrame) -> pd.DataFrame:
    """Return the verdicts of somebody who knows every bird that is heard."""
    seconds = truth["start"].str.split(":").map(lambda words: 60 * int(words[1]) + int(words[2]))
    heard = dict(zip(zip(truth["filename"], seconds, strict=True), truth["primary_label"], strict=True))
    rows = []
    for clip in clips:
        place = (clip["file"], int(clip["begin"]))
        codes = set(heard[place].split(";")) - {"nocall"}
        rows += [(*place, code, "positive") for code in sorted(codes)]
        rows += [(*place, clip["code"], "negative")] if clip["code"] not in codes else []
    return pd.DataFrame(rows, columns=["filename", "window_offset_s", "label", "label_type"])


def macro_auc(table: Path, sounds: Path, truth: Path) -> float:
    """Return the macro ROC-AUC of the windows of soundscapes that are labelled completely."""
    found = read_soundscapes(table)
    windows, _ = label_windows([truth], find_soundscapes((str(sounds),)), Taxonomy.of(found.species))
    order = np.lexsort((windows.begin, windows.soundscape.astype(str)))
    assert windows.known.all()
    assert (windows.soundscape[order] == found.recording).all()
    return float(roc_auc_score(windows.positive[order], found.probability, average="macro"))


def two_rounds(folder: Path, seed: int) -> list[float]:
    """Return the ROC-AUC of a probe on held-out windows, before and after 48 verdicts from the same sites."""
    root, card, held = (
        ensure_demo(folder / "demo", seed, LOOP),
        write_bird_model(folder / "model"),
        folder / "h",
    )
    sounds, labels, truth = (
        root / "train_soundscapes",
        root / "train_soundscapes_labels.csv",
        folder / "t.csv",
    )
    table, tiny = pd.read_csv(labels.rename(truth), keep_default_na=False), tiny_config(root, folder)
    held.mkdir()
    names = sorted(set(table["filename"]))
    for file in list(sounds.iterdir()):
        if file.name not in names:
            file.unlink()
        elif names.index(file.name) % 2:
            file.rename(held / file.name)
    data = replace(CONFIG.data, root=str(root), cache=str(folder / "cache"), num_folds=2, fold=None)
    config = replace(
        CONFIG, schedule="full", epochs=15, output_dir=tiny.output_dir, tracking=tiny.tracking, data=data,
        model=ProbeConfig(card=str(card)), optim=replace(CONFIG.optim, lr=1e-2),
        features=replace(CONFIG.features, sample_rate=SAMPLE_RATE, f_max_hz=None),
    )  # fmt: skip
    scores = []
    for stamp in ("first", "second"):
        trainer = open_trainer(config, stamp=stamp, kind=Probe015)
        trainer.fit()
        run = trainer.record.folder.path
        scores.append(macro_auc(predicted(run, held, folder / f"{stamp}.parquet"), held, truth))
        if stamp == "first":
            pool = predicted(run, sounds, folder / "pool.parquet")
            given: dict[str, Any] = {"probabilities": str(pool), "soundscapes": (str(sounds),)}
            answered(review(folder, run=str(run), **given, number=48), table).to_csv(labels, index=False)
    return scores


@pytest.mark.slow
def test_a_second_round_on_the_verdicts_improves_the_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.data.demo.build.SITE_SNR_DB", AUDIBLE_SNR_DB)
    scores = np.array([two_rounds(tmp_path / str(seed), seed) for seed in (1, 2, 3)])
    assert (scores[:, 1] - scores[:, 0]).mean() > 0.08
    assert (scores[:, 1] > scores[:, 0] - 0.02).all()
