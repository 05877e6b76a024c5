"""How interrupted work resumes: attached to the error by the block that knows, shown by the command line."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from anas_zoo.core.errors import AnasError
from anas_zoo.core.hints import Part, as_python

_MARK = "_anas_how_to_resume"


@contextlib.contextmanager
def resumable(how: Callable[[], Sequence[Part]]) -> Iterator[None]:
    """Attach the parts of ``how`` to any exception that ends the block, except errors of anas-zoo.

    ``how`` is called then and returns, for example,
    ``["resume from step 40 with: ", Call("train", out="run", resume=True)]``, or nothing. Of nested blocks
    the outermost one counts: it is what the user started.
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
