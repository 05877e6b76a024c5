"""The page of `anas index` in a real Chromium: pictures, filter, cards, hostile entries, models to try."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from catalog_entries import HOSTILE, hostile_catalog
from javascript import need_packages
from playwright.sync_api import Browser, Page, expect

from anas_zoo.core.resources import resource_folder

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHELF = resource_folder("models")


def indexed(source: Path, out: Path, *options: str) -> Path:
    command = [sys.executable, "-m", "anas_zoo.cli", "index", str(source), "--out", str(out), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return indexed(SHELF, tmp_path_factory.mktemp("gallery") / "shelf")


@contextmanager
def opened(browser: Browser, url: str, width: int = 1280, scheme: Any = "light") -> Iterator[Page]:
    """The page at ``url``; in the end nothing may have gone wrong or been fetched from elsewhere."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    wrong: list[str] = []
    home = url.rpartition("/")[0]
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type != "log" else None)
    page.on("request", lambda request: None if request.url.startswith(home) else wrong.append(request.url))
    page.goto(url)
    yield page
    page.close()
    assert wrong == []


def file_url(folder: Path) -> str:
    return (folder / "index.html").as_uri()


def names(page: Page) -> list[str]:
    return page.locator(".card:visible .name").all_inner_texts()


def test_pictures_show_models_and_published_rivals(browser: Browser, shelf: Path) -> None:
    with opened(browser, file_url(shelf)) as page:
        plot = page.locator("#by-mflops")
        # a0-a6 twice but for a5, AlphaNet's two a5, and timm's seven
        expect(plot.locator(".point")).to_have_count(7 + 6 + 2 + 7)
        expect(plot.locator(".c-rival.point")).to_have_count(7)
        expect(plot.locator(".front")).to_have_count(2)
        expect(page.locator("#by-latency .c-rival.point")).to_have_count(7)
        expect(page.locator("#legend")).to_contain_text("timm's models, published")
        plot.get_by_role("img", name="efficientnet_b0").hover()
        expect(page.locator("#tip")).to_contain_text("top-1 77.69 %, published for ra_in1k, 224 px")
        page.get_by_role("button", name="Handwritten Digits").click()
        expect(plot.locator(".point")).to_have_count(3)
        expect(page.locator("#by-latency .point")).to_have_count(3)
        expect(page.locator("#on")).to_contain_text("1 thread")


def test_the_filter_leaves_what_was_asked_for(browser: Browser, shelf: Path) -> None:
    with opened(browser, file_url(shelf)) as page:
        assert len(names(page)) == 12
        page.get_by_label("Filter").fill("Alphanet a0")
        assert names(page) == ["attentive_nas_a0"]  # by the other name of its architecture
        expect(page.locator("#count")).to_have_text("1 of 12")
        expect(page.locator("#by-mflops .point.dim")).to_have_count(13)
        page.get_by_label("Filter").fill("")
        page.get_by_label("MFLOPs ≤").fill("250")
        page.get_by_label("with weights").check()
        assert names(page) == ["digits_l", "digits_m", "digits_s"]
        expect(page.locator("#choices [aria-pressed=true]")).to_contain_text("Digits")  # where they are
        page.get_by_label("top-1 ≥").fill("99")
        assert names(page) == ["digits_l"]
        page.get_by_label("Filter").fill("no such model")
        page.get_by_role("button", name="Clear the filter").click()
        assert len(names(page)) == 12


def test_a_card_opens_by_itself_and_from_its_point(browser: Browser, shelf: Path) -> None:
    with opened(browser, file_url(shelf)) as page:
        card = page.locator(".card", has_text="digits_m")
        card.locator("summary").click()
        expect(card).to_contain_text("255,816 at 10 × 10 pixels")
        expect(card).to_contain_text('anas_zoo.create_model("./models/digits_m", pretrained=True)')
        expect(card).to_contain_text("d2d5f01a0482edeca600e16bb33e3423915749b65bc32a652e5ed3c5d7836c06")
        a3 = page.locator(".card", has_text="attentive_nas_a3")
        expect(a3).not_to_have_attribute("open", "")
        point = page.locator("#by-mflops").get_by_role("button", name="attentive_nas_a3, top-1 79.10 %")
        point.focus()
        point.press("Enter")
        expect(a3).to_have_attribute("open", "")
        expect(a3).to_contain_text("alphanet_a3")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 380, 1280])
def test_nothing_is_wider_than_the_screen(width: int, scheme: str, browser: Browser, shelf: Path) -> None:
    with opened(browser, file_url(shelf), width, scheme) as page:
        for card in page.locator(".card summary").all()[:4]:
            card.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # Every mark lies within its frame.
        box = page.locator("#by-mflops svg").bounding_box()
        assert box is not None
        for mark in page.locator("#by-mflops .mark").all():
            inner = mark.bounding_box()
            assert inner is not None
            assert box["x"] <= inner["x"] <= box["x"] + box["width"] - inner["width"]


def test_texts_of_entries_are_never_markup(browser: Browser, tmp_path: Path) -> None:
    hostile = indexed(hostile_catalog(tmp_path / "catalog"), tmp_path / "out")
    with opened(browser, file_url(hostile)) as page:
        for card in page.locator(".card summary").all():
            card.click()
        page.locator("#choices").get_by_role("button", name="onerror").click()
        page.locator("#by-mflops .point[aria-label*=onerror]").hover()
        expect(page.locator("#tip")).to_contain_text("onerror=")
        assert page.locator("img, main b, script[src], link").count() == 0
        assert page.evaluate("window.hit") is None
        expect(page.locator("body")).to_contain_text(HOSTILE)


def test_without_scripts_the_cards_are_there(browser: Browser, shelf: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file_url(shelf))
    page.locator(".card summary").first.click()
    expect(page.locator(".card").first).to_contain_text("918,168 at 12 × 12 pixels")
    expect(page.locator("#pictures")).to_be_hidden()
    context.close()


class QuietHandler(SimpleHTTPRequestHandler):
    """Any web server: what `python -m http.server` gives out."""

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_models_are_tried_from_any_web_server_and_not_from_a_file(browser: Browser, tmp_path: Path) -> None:
    need_packages("web")
    out = indexed(SHELF, tmp_path / "site", "--with-client")
    with opened(browser, file_url(out)) as page:
        page.locator(".card", has_text="digits_s").locator("summary").click()
        expect(page.locator(".try a:visible")).to_have_count(0)
        expect(page.locator(".card", has_text="digits_s")).to_contain_text("python -m http.server")
    handler = partial(QuietHandler, directory=str(out))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with opened(browser, f"http://127.0.0.1:{server.server_port}/index.html") as page:
                card = page.locator(".card", has_text="digits_s")
                card.locator("summary").click()
                card.get_by_role("link", name="Try it here").click()
                expect(page.locator("#status")).to_contain_text("Ready", timeout=60_000)
                expect(page).to_have_title("digits_s · anas-zoo")
                page.get_by_role("button", name="Run the golden check").click()
                expect(page.locator("#verdict.good")).to_contain_text("OK: 8 images")
        finally:
            server.shutdown()
            thread.join()
