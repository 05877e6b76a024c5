"""A real, headless Chromium for the tests of pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

__all__ = ["running_chromium"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def _program() -> str:
    named = os.environ.get("CHROMIUM")
    found = [path for name in ([named] if named else NAMES) if (path := shutil.which(name))]
    if not found:
        pytest.fail(
            "no Chromium: install it (Debian: apt install chromium) or name one with CHROMIUM=PATH; "
            "to leave these tests out: pytest -m 'not browser'",
            pytrace=False,
        )
    return found[0]


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """A browser that ends with the block; fails in one line where there is none."""
    program = _program()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield running
        running.close()
