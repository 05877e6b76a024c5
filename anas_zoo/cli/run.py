"""Run one command line: every failure becomes one line on stderr and an exit code."""

from __future__ import annotations

import contextlib
import difflib
import errno
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import FrameType

from anas_zoo.cli.output import as_started
from anas_zoo.core.errors import AnasError, DiskFullError
from anas_zoo.core.extras import missing_package
from anas_zoo.core.hints import Part, as_command_line
from anas_zoo.core.progress import LOGGER, print_line
from anas_zoo.core.stopping import how_to_resume
from anas_zoo.core.text import printable

TRACEBACK_VARIABLE = "ANAS_TRACEBACK"  # set to 1, it shows where an error comes from
INTERNAL_ERROR = 70  # sysexits' EX_SOFTWARE: our mistake, not the user's
IMPATIENCE_SECONDS = 2.0


class Terminated(KeyboardInterrupt):
    """A signal that asks the program to end; like Ctrl-C it unwinds every block that cleans up."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


@contextlib.contextmanager
def _signals_unwind() -> Iterator[list[int]]:
    """Let SIGINT, SIGTERM and SIGHUP raise :class:`Terminated` in here; yields those that came.

    The first one starts the clean-up; more of them within two seconds (an impatient second Ctrl-C, or
    make passing on what the terminal has already sent) must not cut that short.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread may set handlers; a caller in another thread has its own
        return
    last = -IMPATIENCE_SECONDS

    def unwind(number: int, frame: FrameType | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= IMPATIENCE_SECONDS:
            last = now
            received.append(number)
            raise Terminated(number)

    before = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # SIGHUP is not everywhere
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it
            before[number] = signal.signal(number, unwind)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


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


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def _fail(message: str, exit_code: int) -> int:
    with contextlib.suppress(OSError, ValueError):  # stderr may be closed; the exit code still tells
        print_line(f"anas: {_one_line(message)}")
    return exit_code


def _explain(error: BaseException, how: str) -> int:
    """Say what went wrong in one line, and ``how`` to resume what was interrupted; returns the exit code."""
    error = missing_package(error) or error
    if isinstance(error, AnasError):
        return _fail(f"error: {as_command_line(error.parts)}", error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        code = error.exit_code if isinstance(error, Terminated) else 128 + signal.SIGINT
        if os.environ.get("RANK", "0") != "0":  # torchrun interrupts all; one of them says so
            return code
        return _fail("interrupted; nothing half-written was left" + (f"; {how}" if how else ""), code)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" while writing {error.filename}" if error.filename else ""
        return _fail(f"error: no space left{where}; free some and run it again", DiskFullError.exit_code)
    describe = getattr(error, "format_message", None)
    if callable(describe):  # typer's usage errors, whose classes changed their home between its versions
        return _fail(f"error: {_plain(error, str(describe()))}; see: {_help_for(error)}", 2)
    hint = f"a mistake in anas-zoo, or a file it did not expect; see where with {TRACEBACK_VARIABLE}=1"
    return _fail(f"internal error: {type(error).__name__}: {error} ({hint})", INTERNAL_ERROR)


# What typer's checks say, and what is meant.
_MEANT = {
    "Value error, ": "",
    "Input should be greater than or equal to": "give at least",
    "Input should be a valid number, unable to parse string as a number": "give a number, without a unit",
    "Input should be a valid integer, unable to parse string as an integer": "give a whole number",
}


# Options of earlier versions, and what they are called now.
_RENAMED = {"images": "data", "min-top1": "min-top1-pct"}


def _plain(error: BaseException, message: str) -> str:
    """A usage error of typer in plain words."""
    option = str(getattr(error, "option_name", ""))
    if option and message.startswith("No such option"):
        context = getattr(error, "ctx", None)
        known = [] if context is None else [name for one in context.command.params for name in one.opts]
        now = [name for name in known if name[2:] == _RENAMED.get(option[2:])]
        close = now or difflib.get_close_matches(option, known, n=1, cutoff=0.7)
        return f"no option '{option}'" + "".join(f" (did you mean '{one}'?)" for one in close)
    for said, instead in _MEANT.items():
        message = message.replace(said, instead)
    return message.rstrip(".")


def _help_for(error: BaseException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context is not None else 'anas'} --help"


def _flush_or_drop_stdout() -> None:
    """Let Python's own flush at exit succeed even where stdout's reader has left or its disk is full."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _call(args: Sequence[str]) -> int:
    # Only now, so that the handlers of signals are in place within the first instants of the program.
    import typer

    from anas_zoo.cli.app import make_app

    named = next((word for word in args if not word.startswith("-")), "")
    command = typer.main.get_command(make_app(named))
    try:
        with command.make_context("anas", list(args)) as context:
            command.invoke(context)
    except typer.Exit as done:
        return int(done.exit_code)
    finally:
        sys.stdout.flush()
    return 0


def main(args: Sequence[str] | None = None) -> int:
    """Run ``args`` (the program's own when None) and return the exit code.

    0 success · 1 an error that the user can fix · 2 a command line that cannot be understood · 70 an
    error of ours · 130, 143 and 129 after Ctrl-C, SIGTERM and SIGHUP · 141 when the reader of stdout left.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal's encoding lacks is no reason to stop
            stream.reconfigure(errors="backslashreplace")
    with _signals_unwind() as received, messages_shown():
        try:
            return _call(sys.argv[1:] if args is None else args)
        except BrokenPipeError:
            return 128 + signal.SIGPIPE
        except (Exception, KeyboardInterrupt) as error:
            if os.environ.get(TRACEBACK_VARIABLE, "") not in ("", "0"):
                import traceback

                traceback.print_exception(error)
            parts = how_to_resume(error)
            if received and not isinstance(error, AnasError | KeyboardInterrupt):
                # A signal in the middle of an import comes out as whatever the module made of it.
                error = Terminated(received[0])
            return _explain(error, as_started(parts))
        finally:
            _flush_or_drop_stdout()
