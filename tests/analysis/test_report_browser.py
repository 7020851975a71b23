"""The report in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from analysis.report.__main__ import ReportConfig, write_report
from core.config import MixupConfig
from tests.analysis.browsers import LOADED, OVERFLOW, OVERLAPS, Opened, needs_chromium, wait_for_time
from tests.analysis.conftest import invent_predictions, run_maker
from tests.analysis.test_report import FEW, write_soundscapes

LIMIT_BYTES = 15e6
WIDTH = 360
pytestmark = needs_chromium


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of five comparable runs, one apart and one unfinished, with two soundscapes."""
    root = tmp_path_factory.mktemp("report")
    make = run_maker(root)
    for i in range(5):
        table = invent_predictions((0,), skill=0.7 * i, seed=i)
        if i == 4:
            table["truth:apapan"] = False
        make(f"run_{i}", predictions=table, valid=FEW, mixup=MixupConfig(alpha=0.2 + 0.1 * i))
    apart = make("another_with_a_long_name_that_has_no_end", predictions=invent_predictions((1,)), valid=FEW)
    names = "species,common_name,scientific_name\n"
    names += "akiapo,Akiapolaau,Hemignathus wilsoni\naniani,Anianiau,Magumma parva\n"
    (apart / "species.csv").write_text(names)
    make("unfinished", finished=False)
    given: Any = {name: str(path) for name, path in write_soundscapes(root / "scapes").items()}
    write_report(ReportConfig(runs=(str(root / "outputs"),), out=str(root / "report.html"), **given))
    return root / "report.html"


@pytest.fixture(scope="module")
def desktop(browser: Browser, file: Path) -> Iterator[Opened]:
    opened = Opened(browser, file, viewport={"width": 1280, "height": 900}, color_scheme="light")
    yield opened
    opened.context.close()


def test_the_page_is_small_silent_and_asks_for_nothing_but_itself(desktop: Opened, file: Path) -> None:
    assert file.stat().st_size < LIMIT_BYTES
    assert desktop.said == []
    assert [url for url in desktop.asked if not url.startswith("data:")] == [file.as_uri()]


def test_every_image_has_loaded(desktop: Opened) -> None:
    loaded = desktop.page.locator("img").evaluate_all(LOADED)
    assert loaded == [True, True]


def test_a_click_sorts_a_table_and_says_so(desktop: Opened) -> None:
    board = "table.board >> nth=0"
    desktop.page.locator(board).scroll_into_view_if_needed()
    head = desktop.page.locator(board).locator("th[aria-sort]").nth(2)  # macro ROC-AUC
    before = desktop.column("#leaderboard .scroll:first-of-type table.board", 2)
    assert len(before) == 4  # the fifth run has other labels
    head.locator("button").click()
    after = desktop.column("#leaderboard .scroll:first-of-type table.board", 2)
    assert head.get_attribute("aria-sort") == "descending"
    assert after == sorted(before, key=float, reverse=True)
    assert desktop.page.locator(board).locator("th[aria-sort=none]").count() == 6
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert desktop.column("#leaderboard .scroll:first-of-type table.board", 2) == after[::-1]


def test_a_keyboard_sorts_and_what_is_undefined_stays_last(desktop: Opened) -> None:
    desktop.page.locator("#run-choice").select_option(label="run_4, fold 0")
    table = ".panel:not([hidden]) table.species"
    button = desktop.page.locator(f"{table} th[aria-sort] button").nth(1)
    button.focus()
    orders = []
    for key in ("Enter", "Space"):
        desktop.page.keyboard.press(key)
        orders.append(desktop.column(table, 1))
    state = desktop.page.locator(f"{table} th[aria-sort]").nth(1).get_attribute("aria-sort")
    assert state == "ascending"
    assert [order[-1] for order in orders] == ["", ""]
    known = [float(value) for value in orders[1][:-1]]
    assert known == sorted(known)
    assert [float(value) for value in orders[0][:-1]] == known[::-1]


def test_typing_filters_species_of_the_chosen_run(desktop: Opened) -> None:
    desktop.page.locator("#run-choice").select_option(label="run_2, fold 0")
    assert desktop.page.locator(".panel:visible").count() == 1
    table = ".panel:not([hidden]) table.species"
    desktop.page.locator("#species-filter").fill("AKI")
    assert desktop.column(table, 0) == ["akiapo"]
    assert desktop.page.locator("#species-count").inner_text() == "1 of 3 species"
    desktop.page.locator("#species-filter").fill("")
    assert sorted(desktop.column(table, 0)) == ["akiapo", "aniani", "apapan"]


def test_a_pointer_and_a_keyboard_read_a_chart(desktop: Opened) -> None:
    plot = desktop.page.locator(".plot >> nth=0")
    plot.hover()
    box = plot.locator(".readout")
    assert "epoch 1" in box.inner_text()
    assert "run_3, fold 0" in box.inner_text()
    desktop.page.mouse.move(0, 0)
    assert box.is_hidden()
    threshold = desktop.page.locator(".panel:not([hidden]) .plot >> nth=0")
    threshold.focus()
    texts = []
    for _ in range(2):
        desktop.page.keyboard.press("ArrowRight")
        texts.append(threshold.locator(".readout").inner_text())
    assert all(text.startswith("threshold (probability)") for text in texts)
    assert texts[0] != texts[1]


def test_no_script_but_the_pages_own_may_run(browser: Browser, file: Path) -> None:
    opened = Opened(browser, file)
    opened.page.evaluate(
        "() => { const added = document.createElement('script'); added.textContent = 'document.title = 1';"
        " document.body.append(added); const image = new Image(); image.src = 'https://example.org/a.png';"
        " document.body.append(image); }"
    )
    opened.page.wait_for_timeout(100)
    assert opened.page.title() == "Bird-sound classifiers"
    assert all("Content Security Policy" in text for text in opened.said)
    assert len(opened.said) >= 2
    opened.context.close()


def test_a_soundscape_plays_from_where_it_is_clicked(desktop: Opened) -> None:
    page = desktop.page
    page.locator("#scape-choice").select_option(label="tone_1")
    scape = page.locator(".scape:visible")
    assert scape.count() == 1
    track = scape.locator(".picture")
    track.scroll_into_view_if_needed()
    size = track.bounding_box()
    assert size is not None
    track.click(position={"x": size["width"] * 0.5, "y": 20})
    wait_for_time(scape, 5.2, 10.0)
    head, stage = scape.locator(".playhead").bounding_box(), track.bounding_box()
    assert head is not None
    assert stage is not None
    assert 0.45 < (head["x"] - stage["x"]) / stage["width"] < 0.75
    scape.locator("[data-at]").first.click()
    wait_for_time(scape, 0.05, 4.0)
    page.locator("#scape-before").click()
    assert page.locator(".scape:visible h3").inner_text() == "tone_0"
    assert page.locator("audio").evaluate_all("all => all.every(audio => audio.paused)")


def test_the_button_changes_light_to_dark(desktop: Opened) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    button = desktop.page.locator("#theme")
    before = desktop.page.evaluate(colour)
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert desktop.page.evaluate(colour) != before
    button.click()
    assert desktop.page.evaluate(colour) == before


def test_the_first_stop_of_a_keyboard_is_the_way_to_the_content(browser: Browser, file: Path) -> None:
    opened = Opened(browser, file, viewport={"width": 800, "height": 600}, color_scheme="dark")
    assert opened.page.locator("#theme").get_attribute("aria-pressed") == "true"
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("document.activeElement.className") == "skip"
    assert opened.page.locator(".skip").bounding_box()["x"] >= 0  # type: ignore[index]
    opened.page.keyboard.press("Enter")
    assert opened.page.evaluate("document.activeElement.id") == "content"
    opened.context.close()


def test_a_phone_never_scrolls_sideways(browser: Browser, file: Path) -> None:
    opened = Opened(browser, file, viewport={"width": WIDTH, "height": 740}, has_touch=True, is_mobile=True)
    assert opened.page.evaluate(OVERFLOW) == 0
    assert opened.page.evaluate("document.documentElement.clientWidth") == WIDTH
    opened.context.close()
    assert opened.said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_is_printed_over_anything_else(browser: Browser, file: Path, width: int, scheme: Any) -> None:
    opened = Opened(browser, file, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = opened.page
    assert page.evaluate(OVERFLOW) == 0
    for number in range(page.locator("#run-choice option").count()):
        page.locator("#run-choice").select_option(index=number)
        assert page.evaluate(OVERLAPS) == []
    for table in page.locator(".scroll").all():  # what lies to the right, too
        table.evaluate("box => { box.scrollLeft = 0.5 * box.scrollWidth; }")
    page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
    assert page.evaluate(OVERFLOW) == 0
    page.evaluate("document.querySelector('h1').style.marginBottom = '-2rem'")
    assert len(page.evaluate(OVERLAPS)) > 0  # what is printed over something is found
    assert opened.said == []
    opened.context.close()


def test_each_word_of_the_glossary_has_its_line_where_it_stands(desktop: Opened) -> None:
    words = desktop.page.locator("#words dt").all_inner_texts()
    lines = desktop.page.locator("#words dd").all_inner_texts()
    assert {"2022 score", "can find", "stratified", "calibration error", "Log-mel"} <= set(words)
    told = desktop.page.locator("abbr").evaluate_all("all => all.map(one => [one.textContent, one.title])")
    assert set(zip(words, lines, strict=True)) == {(word, line) for word, line in told}


def test_species_have_their_names_and_are_found_by_them(desktop: Opened) -> None:
    page = desktop.page
    page.locator("#run-choice").select_option(label="another_with_a_long_name_that_has_no_end, fold 0")
    page.locator("#species-filter").fill("magumma")
    row = page.locator(".panel:not([hidden]) table.species tbody tr:visible")
    assert row.locator("th").inner_text().startswith("aniani\nAnianiau, Magumma parva")
    page.locator("#species-filter").fill("")
    assert "Akiapolaau, Hemignathus wilsoni" in page.locator(".scape:visible figcaption").inner_text()


def test_figures_of_the_report_print_nothing_over_anything_else(
    browser: Browser, file: Path, tmp_path: Path
) -> None:
    runs = tuple(str(file.parent / "outputs" / name) for name in ("run_0", "run_1", "run_4"))
    write_report(ReportConfig(runs=runs, out=str(tmp_path), format="svg"))
    figures = sorted(tmp_path.glob("*.svg"))
    assert {"leaderboard.svg", "species-1.svg", "threshold-1.svg", "differences.svg"} <= {
        figure.name for figure in figures
    }
    opened = Opened(browser, figures[0], viewport={"width": 1400, "height": 900})
    for figure in figures:
        opened.page.goto(figure.as_uri())
        assert (figure.name, opened.page.evaluate(OVERLAPS)) == (figure.name, [])
    assert opened.said == []
    opened.context.close()


def test_what_tries_to_be_a_script_is_text(browser: Browser, tmp_path: Path) -> None:
    hostile = "<script>document.title='taken'</script>"
    table = invent_predictions((0,), species=(hostile, "<img src=x onerror=\"document.title='taken'\">", "c"))
    path = run_maker(tmp_path)("<svg onload=alert(1)>", predictions=table)
    write_report(ReportConfig(runs=(str(path),), out=str(tmp_path / "report.html")))
    opened = Opened(browser, tmp_path / "report.html")
    assert opened.page.title() == "Bird-sound classifiers"
    names = opened.page.locator("table.species tbody th").all_inner_texts()
    assert names[0].startswith(hostile)
    assert opened.said == []
    opened.context.close()
