"""What the package logs, shown on stderr while a command runs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from anas_zoo.core.hints import Part, as_command_line
from anas_zoo.core.progress import LOGGER, print_line

__all__ = ["messages_shown"]


class _ToStderr(logging.Handler):
    """Prints messages on stderr, above the bars while there are some."""

    def emit(self, record: logging.LogRecord) -> None:
        warning = "warning: " if record.levelno >= logging.WARNING else ""
        parts: tuple[Part, ...] = getattr(record, "parts", (record.getMessage(),))
        print_line(f"{warning}{as_command_line(parts)}")


@contextlib.contextmanager
def messages_shown() -> Iterator[None]:
    """Show the package's messages in here, each once, whatever else the program's logging does."""
    if any(isinstance(handler, _ToStderr) for handler in LOGGER.handlers):
        yield
        return
    handler, level, propagates = _ToStderr(), LOGGER.level, LOGGER.propagate
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)
        LOGGER.propagate = propagates
