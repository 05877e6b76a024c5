"""The web client as a person uses it: a real Chromium that looks at the page `anas serve` gives out."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from javascript import need_packages
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from safetensors.numpy import load_file, save_file
from sklearn.datasets import load_digits, load_sample_image

from anas_zoo.core.resources import resource_folder
from anas_zoo.zoo import Classifier
from anas_zoo.zoo.serving import page_server, page_url, write_site

pytestmark = pytest.mark.browser

SHELF = resource_folder("models")
PATIENCE_MS = 60_000


@contextmanager
def opened(browser: Browser, entry: Path, folder: Path) -> Iterator[Page]:
    """The page of ``entry``, ready; in the end nothing may have gone wrong or come from elsewhere."""
    need_packages("web")
    write_site(folder, {"entry": entry})
    wrong: list[str] = []
    with page_server(folder, port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            home = page_url(server).removesuffix("web/")
            page = browser.new_page(viewport={"width": 1100, "height": 900})
            page.set_default_timeout(PATIENCE_MS)
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda said: wrong.append(said.text) if said.type != "log" else None)
            page.on("request", lambda asked: None if asked.url.startswith(home) else wrong.append(asked.url))
            page.goto(page_url(server))
            expect(page.locator("#status")).to_contain_text("Ready", timeout=PATIENCE_MS)
            yield page
            page.close()
        finally:
            server.shutdown()
            thread.join()
    assert wrong == []


def draw(page: Page, *points: tuple[float, float]) -> None:
    """Draw one stroke with the mouse; points are parts of the pad's side."""
    expect(page.locator("#pad")).to_be_visible()  # once the entry is there
    box = page.locator("#pad").bounding_box()
    assert box is not None
    for index, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=6)
        if index == 0:
            page.mouse.down()
    page.mouse.up()


def write_images(folder: Path) -> list[Path]:
    """A real scan, a photograph, one turned by its EXIF mark, and one with colours under its transparency."""
    folder.mkdir()
    scan = Image.fromarray((load_digits().images[3] * 255 / 16).astype(np.uint8))
    photo = Image.fromarray(load_sample_image("flower.jpg")).crop((100, 0, 500, 427))
    paths = [folder / name for name in ("scan.png", "photo.jpg", "turned.jpg", "clear.png")]
    scan.save(paths[0])
    photo.save(paths[1])
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(paths[2], exif=exif)
    photo.putalpha(photo.convert("L").point(lambda level: 255 * (level > 128)))
    photo.save(paths[3])
    return paths


def test_images_get_the_classes_that_python_gives(browser: Browser, tmp_path: Path) -> None:
    paths = write_images(tmp_path / "images")
    (tmp_path / "cut.png").write_bytes(paths[0].read_bytes()[:60])
    wanted = Classifier(SHELF / "digits_m").predict(paths)
    with opened(browser, SHELF / "digits_m", tmp_path / "site") as page:
        page.get_by_label("Open a file").set_input_files(tmp_path / "cut.png")
        expect(page.locator("#empty")).to_have_text("cut.png: the PNG is cut off")
        for path, best in zip(paths, wanted, strict=True):
            page.get_by_label("Open a file").set_input_files(path)
            expect(page.locator("#whole-text")).to_contain_text(path.name)
            rows = [row.inner_text().split() for row in page.locator("#classes li").all()]
            assert [row[0] for row in rows] == [one.label for one in best], path.name
            percents = [float(row[1]) for row in rows]
            assert percents == pytest.approx([one.probability_pct for one in best], abs=0.051), path.name
        page.get_by_role("button", name="Run the golden check").click()
        expect(page.locator("#verdict.good")).to_contain_text("OK: 8 images, largest difference of a logit ")


@pytest.mark.slow
def test_a_digit_drawn_on_a_narrow_screen_is_recognised(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, SHELF / "digits_m", tmp_path / "site") as page:
        page.set_viewport_size({"width": 320, "height": 700})
        draw(page, (0.28, 0.12), (0.72, 0.12), (0.45, 0.9))
        draw(page, (0.35, 0.5), (0.66, 0.5))
        expect(page.locator("#answer")).to_contain_text("7")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        page.get_by_role("button", name="Undo").click()
        page.get_by_role("button", name="Undo").click()
        expect(page.locator("#empty")).to_have_text("Nothing yet.")


@pytest.mark.slow
def test_an_entry_of_anybody_is_text_and_fails_its_check(browser: Browser, tmp_path: Path) -> None:
    entry = Path(shutil.copytree(SHELF / "digits_s", tmp_path / "digits_s"))
    config = json.loads((entry / "config.json").read_text())
    labels = [f"<img src=x onerror=alert({digit})><b>{digit}</b>" for digit in range(10)]
    (entry / "config.json").write_text(json.dumps(config | {"label_names": labels}))
    tensors = load_file(entry / "golden.safetensors")
    tensors["logits"][3, 7] += 0.01
    save_file(tensors, entry / "golden.safetensors")
    with opened(browser, entry, tmp_path / "site") as page:
        page.get_by_label("Open a file").set_input_files(write_images(tmp_path / "images")[0])
        expect(page.locator("#answer")).to_contain_text("<img src=x onerror=alert(3)><b>3</b>")
        assert page.locator("main img, main b").count() == 0
        page.get_by_role("button", name="Run the golden check").click()
        expect(page.locator("#verdict.bad")).to_contain_text("FAILED: 8 images, largest difference")
