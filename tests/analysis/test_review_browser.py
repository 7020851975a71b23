"""The review in a real browser: keys answer, the browser keeps it, the file reads back as labels."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from analysis.review.__main__ import ReviewConfig, write_review
from core.data.annotations.windows import label_windows
from core.data.soundscapes import find_soundscapes
from core.data.taxonomy import read_taxonomy
from tests.analysis.browsers import LOADED, OVERFLOW, Opened, needs_chromium, wait_for_time
from tests.analysis.test_review import content_of, write_field
from tests.programs import run_program

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a page of six clips, the soundscapes and the names."""
    root = tmp_path_factory.mktemp("review")
    write_review(ReviewConfig(**write_field(root), number=6, out=str(root / "round 1.html")))
    return root


@pytest.fixture(params=[400, 1400])
def opened(browser: Browser, folder: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    found = Opened(browser, folder / "round 1.html", viewport={"width": request.param, "height": 800})
    yield found
    found.context.close()


def test_keys_label_and_the_file_reads_back_as_windows(opened: Opened, folder: Path, tmp_path: Path) -> None:
    page, clips = opened.page, content_of(folder / "round 1.html")["clips"]
    other = {"akiapo": "22961", "22961": "akiapo"}[clips[0]["code"]]
    page.keyboard.press("a")
    page.keyboard.type({"akiapo": "akia", "22961": "toad"}[other])
    page.keyboard.press("Enter")
    for key in ("y", "N", "u", "ArrowRight", "y", "ArrowLeft", "ArrowLeft", "n"):
        page.keyboard.press(key)
    assert page.locator("#counts").inner_text() == "5 of 6: 2 present, 2 absent, 1 unsure"
    assert page.locator("#progress").evaluate("bar => bar.value") == 5
    with page.expect_download() as download:
        page.keyboard.press("d")
    assert download.value.suggested_filename == "round 1.csv"
    file = tmp_path / "verdicts.csv"
    download.value.save_as(file)
    names, sounds = read_taxonomy(folder / "taxonomy.csv"), find_soundscapes((str(folder / "field"),))
    windows, notes = label_windows([file], sounds, names)
    assert notes == ()
    found = {
        (name, begin, names.codes[column]): bool(windows.positive[row, column])
        for row, (name, begin) in enumerate(zip(windows.soundscape, windows.begin, strict=True))
        for column in np.flatnonzero(windows.known[row])
    }
    places = [(clip["file"].removesuffix(".wav"), clip["begin"]) for clip in clips]
    verdicts = {0: True, 1: False, 3: False, 4: True}
    expected = {(*places[i], clips[i]["code"]): is_there for i, is_there in verdicts.items()}
    assert found == expected | {(*places[0], other): True}


def test_the_browser_keeps_verdicts_until_the_page_is_opened_again(opened: Opened) -> None:
    page = opened.page
    for key in ("y", "u", "n"):
        page.keyboard.press(key)
    page.reload()
    assert page.locator("#counts").inner_text() == "3 of 6: 1 present, 1 absent, 1 unsure"
    assert page.locator("#strip [aria-current=true]").inner_text() == "4"
    page.keyboard.press("ArrowLeft")
    assert page.locator("[aria-pressed=true]").get_attribute("data-verdict") == "n"


def test_a_clip_plays_by_key_and_from_where_its_picture_is_clicked(opened: Opened) -> None:
    page, audio = opened.page, opened.page.locator("#audio")
    page.keyboard.press("Space")
    wait_for_time(page, 0.1, 3.0)
    page.keyboard.press("Space")
    assert audio.evaluate("audio => audio.paused")
    picture = page.locator(".picture")
    size = picture.bounding_box()
    assert size is not None
    picture.click(position={"x": size["width"] * 0.7, "y": 40})
    length = audio.evaluate("audio => audio.duration")
    wait_for_time(page, 0.7 * length, length)


def test_letters_typed_in_the_search_are_no_verdicts_and_a_species_is_removed(opened: Opened) -> None:
    page = opened.page
    page.keyboard.press("a")
    page.keyboard.type("nuy")
    assert page.locator("#counts").inner_text().startswith("0 of 6")
    assert page.locator("#matches button").count() == 0
    page.keyboard.press("Escape")
    page.locator("#matches button").first.click()
    chosen = page.locator("#others button")
    assert chosen.count() == 1
    chosen.click()
    assert chosen.count() == 0


def test_a_key_that_is_held_down_answers_once(opened: Opened) -> None:
    for _ in range(3):
        opened.page.keyboard.down("y")
    assert opened.page.locator("#counts").inner_text().startswith("1 of 6")


def test_the_page_says_nothing_asks_for_nothing_and_never_scrolls_sideways(
    opened: Opened, folder: Path
) -> None:
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith("data:")] == [
        (folder / "round 1.html").as_uri()
    ]
    assert opened.page.locator("#image").evaluate_all(LOADED) == [True]
    assert opened.page.evaluate(OVERFLOW) == 0


def test_a_page_of_a_random_sample_does_not_tell_the_score(browser: Browser, tmp_path: Path) -> None:
    given, out = write_field(tmp_path), tmp_path / "survey"
    words = ("--species", "akiapo", "--clips=6", "--strata=2", f"--out={out}")
    run_program(
        "analysis.survey", "sample", given["probabilities"], *words, "--soundscapes", *given["soundscapes"]
    )
    opened = Opened(browser, out / "review.html", viewport={"width": 1400, "height": 800})
    assert opened.page.locator("#species").inner_text() == "Akiapolaau?"
    facts = opened.page.locator("#facts").inner_text()
    assert "drawn at random" in facts
    assert "probability" not in facts
    assert opened.said == []
    opened.context.close()
