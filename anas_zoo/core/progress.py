"""Log messages of long work, and bars with the time left on a terminal or in a notebook.

Messages go to the standard logger ``anas_zoo`` (INFO; WARNING for what may be wrong) and are shown as the
program's logging says; the command line prints them on stderr. Bars show on a terminal and in a notebook that
has ipywidgets, and nowhere else.
"""

from __future__ import annotations

import atexit
import logging
import operator
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from anas_zoo.core.hints import Part, as_python
from anas_zoo.core.text import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


T = TypeVar("T")

LOGGER = logging.getLogger("anas_zoo")
LOGGER.addHandler(logging.NullHandler())  # a library prints nothing unless it is asked to
SILENT_SECONDS = 25.0  # where no bar shows, long work says how far it is this often
BRIEF_SECONDS = 1.0  # the bar of work that took less leaves no line behind
REDRAWS_PER_SECOND = 5


def silence() -> None:
    """Show and log nothing from now on: for processes that work beside the one that reports."""
    _screen.silent = True
    LOGGER.disabled = True


def watched() -> bool:
    """Whether bars show: stderr is a terminal that can move its cursor, or this is a notebook."""
    if _screen.silent:
        return False
    if _in_notebook():
        return find_spec("ipywidgets") is not None  # rich draws its bars with them
    try:
        return sys.stderr.isatty() and os.environ.get("TERM", "") != "dumb"
    except (AttributeError, ValueError):  # stderr was closed or replaced
        return False


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return ipython is not None and type(ipython.get_ipython()).__name__ == "ZMQInteractiveShell"


class _Screen:
    """The terminal's bars: one live display for all of them, however deeply they are nested."""

    def __init__(self) -> None:
        self.silent = False
        self._lock = threading.RLock()
        self._progress: Progress | None = None
        self._bars: list[TaskID] = []
        self._began = 0.0

    def open(self, what: str, total: float | None) -> TaskID:
        """Add a bar, and start the display with the first one."""
        with self._lock:
            if self._progress is None:
                self._progress = _make_progress()
                self._began = time.monotonic()
                # Ctrl-C may come at any instruction, also while the display is being started.
                atexit.register(self.stop)
                self._progress.start()
            bar = self._progress.add_task(what, total=total)
            self._bars.append(bar)
            return bar

    def close(self, bar: TaskID) -> None:
        """Remove an inner bar; with the outermost one, stop the display and give the cursor back."""
        with self._lock:
            if self._progress is None or bar not in self._bars:
                return
            self._bars.remove(bar)
            if self._bars:
                self._progress.remove_task(bar)
                return
            self._progress.live.transient = time.monotonic() - self._began < BRIEF_SECONDS
            self.stop()

    def stop(self) -> None:
        """End the display and give the cursor back, however far its start or its end had got before."""
        with self._lock:
            progress = self._progress
            if progress is None:
                return
            try:
                progress.stop()
            finally:
                progress.console.show_cursor(True)
            self._progress = None
            self._bars.clear()
            atexit.unregister(self.stop)

    def update(self, bar: TaskID, *, advance: float | None = None, what: str | None = None) -> None:
        progress = self._progress
        if progress is not None and bar in self._bars:
            progress.update(bar, advance=advance, description=what)

    def line(self, text: str) -> None:
        """Print a line on stderr; above the bars while there are some."""
        text = printable(text)
        progress = self._progress
        if progress is not None:
            progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)


_screen = _Screen()


class _LastSaid(logging.Filter):
    """Lets all messages pass and remembers when the last one came."""

    def __init__(self) -> None:
        super().__init__()
        self.at = time.monotonic()

    def filter(self, record: logging.LogRecord) -> bool:
        self.at = time.monotonic()
        return True


_last_said = _LastSaid()
LOGGER.addFilter(_last_said)


def _make_progress() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    def whole() -> Column:
        return Column(no_wrap=True, min_width=7)

    # On a narrow terminal the description gives way, then the bar; the numbers and the time left never.
    return Progress(
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, ratio=1)),
        BarColumn(bar_width=12),
        TaskProgressColumn(table_column=Column(no_wrap=True, min_width=4)),
        MofNCompleteColumn(table_column=whole()),
        TimeElapsedColumn(table_column=whole()),
        TextColumn("left", table_column=Column(no_wrap=True, min_width=4)),
        TimeRemainingColumn(table_column=whole()),
        console=Console(stderr=not _in_notebook()),
        expand=True,
        refresh_per_second=REDRAWS_PER_SECOND,
        # The programs' own prints to stdout are results, and stay where they are.
        redirect_stdout=False,
        redirect_stderr=False,
    )


class Bar:
    """A bar from 0 to ``total`` steps: percentage, done of total, time gone and time left.

    Use it as a context manager; ``total=None`` is work of unknown length. Bars may be nested and may
    be advanced from several threads. Unless it is watched (see :func:`watched`), no bar is shown, but work
    of which nothing was logged for 25 seconds logs how far it is.
    """

    def __init__(self, what: str, total: float | None = None) -> None:
        self._what = what
        self._total = total
        self._id: TaskID | None = None
        self._done = 0.0
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        if watched():
            self._id = _screen.open(self._what, self._total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._id is not None:
            _screen.close(self._id)
            self._id = None

    def advance(self, steps: float = 1) -> None:
        """Count ``steps`` more of the total as done."""
        self._done += steps
        if self._id is not None:
            _screen.update(self._id, advance=steps)
        elif time.monotonic() - max(_last_said.at, self._began) > SILENT_SECONDS:
            of_total = f" of {self._total:,.0f} ({self._done / self._total:.0%})" if self._total else ""
            LOGGER.info("  %s: %s", self._what, f"{self._done:,.0f}{of_total}")

    def describe(self, text: str) -> None:
        """Change what the bar says it is doing."""
        if self._id is not None:
            _screen.update(self._id, what=text)


def track(iterable: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield the items of ``iterable`` under a bar; ``total`` is taken from its length where it has one."""
    if total is None:
        total = operator.length_hint(iterable, -1)
    with Bar(what, total if total >= 0 else None) as bar:
        for item in iterable:
            yield item
            bar.advance()


def stage(title: str) -> None:
    """Log which part of the work begins: ``stage("2/8 train the supernet")``."""
    LOGGER.info("==> %s", title)


def note(*parts: Part) -> None:
    """Log one line about the work; its parts are those of an error (see :mod:`anas_zoo.core.hints`)."""
    LOGGER.info("%s", as_python(parts), extra={"parts": parts})


def warn(*parts: Part) -> None:
    """Log one line about what may be wrong."""
    LOGGER.warning("%s", as_python(parts), extra={"parts": parts})


def print_line(text: str) -> None:
    """Print one line on stderr, above the bars while there are some: for the command line alone."""
    _screen.line(text)
