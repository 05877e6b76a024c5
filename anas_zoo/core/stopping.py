"""How work that was interrupted resumes: said by the block that knows, shown by command line or traceback."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from anas_zoo.core.errors import AnasError
from anas_zoo.core.hints import Part, as_python

__all__ = ["how_to_resume", "resumable"]

_MARK = "_anas_how_to_resume"


@contextlib.contextmanager
def resumable(how: Callable[[], Sequence[Part]]) -> Iterator[None]:
    """Let whatever ends the block early, but for errors of ours, carry the parts that ``how`` gives.

    It is asked then and may give none; such as
    ``["resume from step 40 with: ", Call("train", out="run", resume=True)]``. Of nested blocks the outermost
    one is heard: it is what the user started.
    """
    try:
        yield
    except AnasError:  # says itself what to do
        raise
    except BaseException as exc:  # a signal may come out as anything, such as a torn connection
        if parts := tuple(how()):
            before = as_python(how_to_resume(exc))
            exc.__notes__ = [note for note in getattr(exc, "__notes__", ()) if note != before]
            exc.add_note(as_python(parts))
            setattr(exc, _MARK, parts)
        raise


def how_to_resume(error: BaseException) -> tuple[Part, ...]:
    """The parts of the outermost :func:`resumable` block that ``error`` left; () where there was none."""
    parts: tuple[Part, ...] = getattr(error, _MARK, ())
    return parts
