"""A page in a real browser: Debian's Chromium, which `.ci/run` installs where it can."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
OVERLAPS = """() => {
  const boxes = [];
  const clipped = (box, element) => {
    let { left, right, top, bottom } = box;
    for (let one = element; one && one !== document.documentElement; one = one.parentElement) {
      if (one.nodeName !== "svg" && getComputedStyle(one).overflowX === "visible") continue;
      if (one instanceof SVGElement) continue;
      const room = one.getBoundingClientRect();
      left = Math.max(left, room.left); right = Math.min(right, room.right);
    }
    return { left, right, top, bottom };
  };
  const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
    if (!text || element.closest("script, style, title, option, .unseen, metadata")) continue;
    if (!element.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    for (const rect of range.getClientRects()) {
      const box = clipped(rect, element);
      if (box.right - box.left > 2) boxes.push({ ...box, text });
    }
  }
  boxes.sort((a, b) => a.top - b.top);
  const found = [];
  boxes.forEach((a, i) => {
    for (let j = i + 1; j < boxes.length && boxes[j].top < a.bottom - 3; j += 1) {
      const b = boxes[j];
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      if (wide > 1.5 && Math.min(a.bottom, b.bottom) - b.top > 3) found.push(`${a.text} | ${b.text}`);
    }
  });
  return found;
}"""
"""Pairs of texts of which one is printed over the other, as far as both can be seen."""
LOADED = "images => images.map(image => image.complete && image.naturalWidth > 0)"

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on PATH: no page is opened (apt-get install chromium)"
)


class Opened:
    """A page with everything that it said and asked for."""

    def __init__(self, browser: Browser, file: Path, **settings: Any) -> None:
        self.context = browser.new_context(**settings)
        self.page: Page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri(), wait_until="load")

    def column(self, table: str, number: int) -> list[str]:
        """Return the values of a column, from above, of rows that are shown."""
        rows = self.page.locator(f"{table} tbody tr:visible")
        return rows.evaluate_all(f"rows => rows.map(row => row.cells[{number}].dataset.value)")


def wait_for_time(part: Page | Locator, low: float, high: float) -> None:
    """Wait until a sound plays between two times; the page's policy forbids Playwright's own waiting."""
    deadline = time.monotonic() + 8
    while not low < part.locator("audio").evaluate("audio => audio.currentTime") < high:
        assert time.monotonic() < deadline, "the sound does not play on"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
