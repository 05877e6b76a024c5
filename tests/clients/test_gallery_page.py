"""The page of `anas index` in a real Chromium: charts, table, cards, hostile entries, models to try."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from catalog_entries import HOSTILE, hostile_catalog
from javascript import need_packages
from playwright.sync_api import Browser, Locator, Page, expect

from anas_zoo.cli import main
from anas_zoo.core.resources import resource_folder

pytestmark = pytest.mark.browser

SHELF = resource_folder("models")


def indexed(source: Path, out: Path, *options: str) -> Path:
    assert main(["index", str(source), "--out", str(out), *options]) == 0
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
    page.on("console", lambda said: wrong.append(said.text) if said.type not in ("log", "warning") else None)
    allowed = (home, "data:", "blob:")
    page.on("request", lambda asked: None if asked.url.startswith(allowed) else wrong.append(asked.url))
    page.goto(url)
    yield page
    page.close()
    assert wrong == []


def file_url(folder: Path) -> str:
    return (folder / "index.html").as_uri()


def names(page: Page) -> list[str]:
    return page.locator("#models tbody tr:visible th").all_inner_texts()


def test_the_page_draws_sorts_filters_and_opens_cards(browser: Browser, shelf: Path) -> None:
    with opened(browser, file_url(shelf)) as page:
        expect(page.locator("#chart0 .scatterlayer .trace")).to_have_count(4)
        expect(page.locator("#chart0 .scatterlayer .point")).to_have_count(7 + 2 + 6 + 7 + 34)
        page.locator("#chart0").get_by_text("latency", exact=True).click()
        expect(page.locator("#chart0 .xtitle")).to_contain_text("ms for one image, one thread (median)")

        everything = names(page)
        head = page.get_by_role("button", name="MFLOPs")
        head.click()
        assert names(page) == sorted(everything, key=mflops_of(page))
        head.click()
        assert names(page) == sorted(everything, key=mflops_of(page), reverse=True)
        page.get_by_role("button", name="ms", exact=True).click()
        assert "–" in page.locator("#models tbody tr").last.inner_text()  # what nobody knows comes last

        page.get_by_label("Filter").fill("Alphanet_a0")
        assert names(page) == ["attentive_nas_a0"]  # by the other name of its architecture
        expect(page.locator("#count")).to_have_text(f"1 of {len(everything)}")
        page.get_by_role("link", name="attentive_nas_a0").click()
        card = page.locator("details", has_text="203,389,568 at 192 × 192 pixels")
        expect(card).to_have_attribute("open", "")


def mflops_of(page: Page) -> Callable[[str], float]:
    rows = [row.all_inner_texts() for row in map(cells, page.locator("#models tbody tr").all())]
    costs = {name: float(mflops.replace(",", "")) for name, _, _, mflops, *_ in rows}
    return costs.__getitem__


def cells(row: Locator) -> Locator:
    return row.locator("th, td")


def test_texts_of_entries_are_never_markup(browser: Browser, tmp_path: Path) -> None:
    hostile = indexed(hostile_catalog(tmp_path / "catalog"), tmp_path / "out")
    with opened(browser, file_url(hostile)) as page:
        for card in page.locator("details summary").all():
            card.click()
        legend = page.locator(".legendtext").get_by_text("onerror=").first
        expect(legend).to_contain_text("</script><img src=x")  # plotly reads tags where it can
        assert page.locator("img, section b, script[src], link").count() == 0
        assert page.evaluate("window.hit") is None
        expect(page.locator("body")).to_contain_text(HOSTILE)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (400, "dark"), (1280, "dark")])
def test_nothing_is_wider_than_the_screen(width: int, scheme: str, browser: Browser, shelf: Path) -> None:
    with opened(browser, file_url(shelf), width, scheme) as page:
        for card in page.locator("details summary").all()[:4]:
            card.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


class QuietHandler(SimpleHTTPRequestHandler):
    """Any web server: what `python -m http.server` gives out."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.slow
def test_models_are_tried_from_any_web_server(browser: Browser, tmp_path: Path) -> None:
    need_packages("web")
    out = indexed(SHELF, tmp_path / "site", "--with-client")
    handler = partial(QuietHandler, directory=str(out))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with opened(browser, f"http://127.0.0.1:{server.server_port}/index.html") as page:
                card = page.locator("details", has_text="digits_s")
                card.locator("summary").click()
                card.get_by_role("link", name="Try it in the browser").click()
                expect(page.locator("#status")).to_contain_text("Ready", timeout=60_000)
                expect(page).to_have_title("digits_s · anas-zoo")
                page.get_by_role("button", name="Run the golden check").click()
                expect(page.locator("#verdict.good")).to_contain_text("OK: 8 images")
        finally:
            server.shutdown()
            thread.join()
