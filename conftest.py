"""Settings of all tests: their own caches, the browser tests only where there is a browser."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser


# The tests' networks are too small for threads to help, and on a busy machine threads that wait for each
# other cost many times the work. Set before torch is imported, and inherited by every subprocess.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A background job ignores Ctrl-C, one under nohup SIGHUP, and so would the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# The tests' caches are their own, and go with them.
_cache = tempfile.TemporaryDirectory(prefix="anas-zoo-tests-")
os.environ["XDG_CACHE_HOME"] = _cache.name

REQUIRE_BROWSER = "ANAS_REQUIRE_BROWSER"  # set to 1, a missing browser is an error
NO_BROWSER = (
    "no Chromium, so no browser tests; install it (Debian: apt install chromium) or set CHROMIUM=PATH"
)

CHROMIUM_OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def find_chromium() -> str | None:
    """The program named by CHROMIUM, or else an installed one; None when there is none."""
    named = os.environ.get("CHROMIUM")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome", "chrome"]
    return next((path for name in names if (path := shutil.which(name))), None)


def pytest_configure(config: pytest.Config) -> None:
    """Stop where a browser is required and there is none."""
    if find_chromium() is None and os.environ.get(REQUIRE_BROWSER, "") not in ("", "0"):
        raise pytest.UsageError(f"{NO_BROWSER} ({REQUIRE_BROWSER} is set)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the browser tests where there is no browser."""
    if find_chromium() is None:
        out = [item for item in items if item.get_closest_marker("browser")]
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say so."""
    if find_chromium() is None:
        terminalreporter.write_line(NO_BROWSER, yellow=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real, headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_OPTIONS)
        yield running
        running.close()


@pytest.fixture(autouse=True)
def messages_on_stderr() -> Iterator[None]:
    """What the package logs is printed on stderr, as by the command line."""
    from anas_zoo.cli.run import messages_shown

    with messages_shown():
        yield
