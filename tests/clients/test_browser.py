"""The web client as a person uses it: `anas serve`, and a real Chromium that looks at the page."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import subprocess
import sys
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

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHELF = resource_folder("models")
PROGRAM = [sys.executable, "-m", "anas_zoo.cli"]
PATIENCE_MS = 60_000


@contextmanager
def served(entry: str | Path) -> Iterator[str]:
    """The address at which ``anas serve`` offers the entry."""
    need_packages("web")
    command = [*PROGRAM, "serve", str(entry), "--no-open", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        try:
            assert " is at http://" in said, process.communicate(timeout=60)
            yield said.split()[3]
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "anas: ended\n")


@contextmanager
def opened(browser: Browser, url: str) -> Iterator[Page]:
    """The page at ``url``, ready; in the end nothing may have gone wrong or come from elsewhere."""
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type != "log" else None)
    page.on("request", lambda request: None if request.url.startswith(url) else wrong.append(request.url))
    page.goto(url)
    expect(page.locator("#status")).to_contain_text("Ready", timeout=PATIENCE_MS)
    yield page
    page.close()
    assert wrong == []


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served("digits_m") as address:
        yield address


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    """A copy of a published entry, to be changed."""
    return Path(shutil.copytree(SHELF / "digits_s", tmp_path / "digits_s"))


def draw(page: Page, *points: tuple[float, float]) -> None:
    """Draw one stroke with the mouse; points are parts of the pad's side."""
    box = page.locator("#pad").bounding_box()
    assert box is not None
    for index, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=6)
        if index == 0:
            page.mouse.down()
    page.mouse.up()


def test_a_digit_drawn_with_the_mouse_is_recognised(browser: Browser, url: str) -> None:
    with opened(browser, url) as page:
        expect(page).to_have_title("digits_m · anas-zoo")
        expect(page.locator("#summary")).to_contain_text("10 classes")
        draw(page, (0.38, 0.28), (0.52, 0.12), (0.52, 0.88))
        expect(page.locator("#answer")).to_contain_text("1")
        assert page.locator("#answer").inner_text().split()[0] == "1"
        assert page.locator("#classes li").count() == 5
        expect(page.locator("#timing")).to_contain_text("network ")
        expect(page.locator("#seen-text")).to_contain_text("what the network sees")
        page.get_by_role("button", name="Clear").click()
        expect(page.locator("#result")).to_be_hidden()
        draw(page, (0.28, 0.12), (0.72, 0.12), (0.45, 0.9))
        draw(page, (0.35, 0.5), (0.66, 0.5))
        expect(page.locator("#answer")).to_contain_text("7")
        page.get_by_role("button", name="Undo").click()
        page.get_by_role("button", name="Undo").click()
        expect(page.locator("#empty")).to_have_text("Nothing yet.")


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


def test_image_files_get_the_classes_that_python_gives(browser: Browser, url: str, tmp_path: Path) -> None:
    paths = write_images(tmp_path / "images")
    wanted = Classifier(SHELF / "digits_m").predict(paths)
    with opened(browser, url) as page:
        for path, best in zip(paths, wanted, strict=True):
            page.get_by_label("Open a file").set_input_files(path)
            expect(page.locator("#whole-text")).to_contain_text(path.name)
            rows = [row.inner_text().split() for row in page.locator("#classes li").all()]
            assert [row[0] for row in rows] == [one.label for one in best], path.name
            percents = [float(row[1]) for row in rows]
            assert percents == pytest.approx([one.probability_pct for one in best], abs=0.051), path.name


@pytest.mark.parametrize(
    ("event", "holder"), [("DragEvent", "dataTransfer"), ("ClipboardEvent", "clipboardData")]
)
def test_images_may_be_dropped_and_pasted(
    event: str, holder: str, browser: Browser, url: str, tmp_path: Path
) -> None:
    content = base64.b64encode(write_images(tmp_path / "images")[0].read_bytes()).decode()
    script = """([content, event, holder]) => {
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], "given.png"));
        const name = event === "DragEvent" ? "drop" : "paste";
        const options = { [holder]: data, bubbles: true, cancelable: true };
        document.body.dispatchEvent(new window[event](name, options));
    }"""
    with opened(browser, url) as page:
        page.evaluate(script, [content, event, holder])
        expect(page.locator("#whole-text")).to_contain_text("given.png, 8")
        expect(page.locator("#answer")).to_contain_text("3")


def test_a_file_that_is_no_image_is_one_line(browser: Browser, url: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "cut.png").write_bytes(write_images(tmp_path / "images")[0].read_bytes()[:60])
    with opened(browser, url) as page:
        page.get_by_label("Open a file").set_input_files(tmp_path / "notes.txt")
        expect(page.locator("#empty")).to_have_text("notes.txt: not an image that this browser can read")
        page.get_by_label("Open a file").set_input_files(tmp_path / "cut.png")
        expect(page.locator("#empty")).to_have_text("cut.png: the PNG is cut off")
        draw(page, (0.5, 0.1), (0.5, 0.9))
        expect(page.locator("#answer")).to_contain_text("1")


@pytest.mark.parametrize("name", ["digits_s", "digits_l"])
def test_the_golden_check_passes(name: str, browser: Browser) -> None:
    with served(name) as address, opened(browser, address) as page:
        page.get_by_role("button", name="Run the golden check").click()
        expect(page.locator("#verdict.good")).to_contain_text("OK: 8 images, largest difference of a logit ")


def test_the_golden_check_fails_on_other_logits(browser: Browser, entry: Path) -> None:
    tensors = load_file(entry / "golden.safetensors")
    tensors["logits"][3, 7] += 0.01
    save_file(tensors, entry / "golden.safetensors")
    with served(entry) as address, opened(browser, address) as page:
        page.get_by_role("button", name="Run the golden check").click()
        expect(page.locator("#verdict.bad")).to_contain_text(
            "FAILED: 8 images, largest difference of a logit 1.0e-2"
        )


def test_texts_of_an_entry_are_never_markup(browser: Browser, entry: Path, tmp_path: Path) -> None:
    path = entry / "config.json"
    config = json.loads(path.read_text())
    labels = [f"<img src=x onerror=alert({digit})><b>{digit}</b>" for digit in range(10)]
    path.write_text(json.dumps(config | {"label_names": labels}))
    with served(entry) as address, opened(browser, address) as page:
        expect(page.locator("#drawing")).to_be_hidden()  # whose classes are not known to be digits
        page.get_by_label("Open a file").set_input_files(write_images(tmp_path / "images")[0])
        expect(page.locator("#answer")).to_contain_text("<img src=x onerror=alert(3)><b>3</b>")
        assert page.locator("main img, main b").count() == 0


def test_a_narrow_screen_needs_no_scrolling_sideways(browser: Browser, url: str) -> None:
    with opened(browser, url) as page:
        page.set_viewport_size({"width": 320, "height": 700})
        draw(page, (0.5, 0.1), (0.5, 0.9))
        expect(page.locator("#answer")).to_contain_text("1")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
