from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from anas_zoo.core.progress import LOGGER, Bar, note, stage, track, warn

SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


def run_on_terminal(code: str, *, interrupt_after: str | None = None) -> tuple[str, int]:
    """Run ``code`` with stderr on a pseudo-terminal; Ctrl-C once ``interrupt_after`` has been printed."""
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=terminal,
        env=environment,
    )
    os.close(terminal)
    seen = b""
    with process:
        while True:
            try:
                chunk = os.read(controller, 4096)
            except OSError:  # the other end was closed: how Linux says end of file here
                break
            if not chunk:
                break
            seen += chunk
            if interrupt_after is not None and interrupt_after.encode() in seen:
                process.send_signal(signal.SIGINT)
                interrupt_after = None
    os.close(controller)
    return seen.decode(), process.returncode


def test_track_yields_everything_and_is_silent_off_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(5), "counting")) == [0, 1, 2, 3, 4]
    assert list(track((i for i in "abc"), "letters")) == ["a", "b", "c"]
    with Bar("work", 3) as bar:
        bar.advance(2)
        bar.describe("other work")
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_messages_are_logged_and_printed_by_nobody(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LOGGER, "propagate", True)
    monkeypatch.setattr(LOGGER, "handlers", [])  # as for whoever uses the library
    stage("2/8 train the supernet")
    note("80 % [of] it")
    warn("this machine is busy")
    assert [(record.name, record.levelname, record.message) for record in caplog.records] == [
        ("anas_zoo", "INFO", "==> 2/8 train the supernet"),
        ("anas_zoo", "INFO", "80 % [of] it"),
        ("anas_zoo", "WARNING", "this machine is busy"),
    ]
    assert capfd.readouterr() == ("", "")


def test_bar_tells_percentage_count_and_time_left() -> None:
    code = (
        "import time\n"
        "from anas_zoo.core.progress import track\n"
        "for _ in track(range(4), 'training'):\n"
        "    time.sleep(0.4)\n"
    )
    shown, status = run_on_terminal(code)
    assert status == 0
    assert "training" in shown
    assert "50%" in re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert "4/4" in shown
    assert re.search(r"left\s+(\x1b\[[0-9;]*m)*0:00:0", shown)
    assert shown.rfind(SHOW_CURSOR) > shown.rfind(HIDE_CURSOR)


def test_nested_bars_and_lines_between_them() -> None:
    code = (
        "from anas_zoo.core.progress import Bar, print_line, track\n"
        "with Bar('outer', 2) as outer:\n"
        "    for _ in track(range(2), 'inner'):\n"
        "        print_line('==> 1/1 between')\n"
        "        print_line('a [bold]literal[/bold] note ' + 'x' * 200)\n"
        "        outer.advance()\n"
        "    outer.describe('nearly there')\n"
        "print('result')\n"
    )
    shown, status = run_on_terminal(code)
    assert status == 0
    assert "==> 1/1 between" in shown
    assert "a [bold]literal[/bold] note " + "x" * 200 in shown
    assert shown.rfind(SHOW_CURSOR) > shown.rfind(HIDE_CURSOR)


@pytest.mark.parametrize("sign", [HIDE_CURSOR, "training", "2%"])  # while it starts, and while it runs
def test_interrupt_gives_the_cursor_back(sign: str) -> None:
    code = (
        "import time\n"
        "from anas_zoo.core.progress import track\n"
        "for _ in track(range(1000), 'training'):\n"
        "    time.sleep(0.05)\n"
    )
    began = time.monotonic()
    shown, status = run_on_terminal(code, interrupt_after=sign)
    assert status != 0
    assert time.monotonic() - began < 20
    assert HIDE_CURSOR in shown
    assert shown.rfind(SHOW_CURSOR) > shown.rfind(HIDE_CURSOR)


def test_import_is_light() -> None:
    code = "import sys, anas_zoo.core.progress; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path.cwd(), check=False).returncode == 0
