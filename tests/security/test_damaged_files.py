"""Whatever a file holds, a reader accepts it or refuses it in one line, in time, and writes nothing.

``ANAS_FUZZ=1000 pytest -m slow tests/security`` reads that many damaged files with each reader.
"""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from types import FrameType

import pytest
from surfaces import SURFACES, Surface, client

from anas_zoo.core.errors import AnasError

ACCEPTED = "accepted"
QUICK, MANY = 6, int(os.environ.get("ANAS_FUZZ", "150"))
LIMIT_S = 20


class TooLong(BaseException):
    pass


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TooLong


def outcome(surface: Surface, content: bytes, folder: Path) -> tuple[str, bool]:
    """What the reader made of ``content``: "accepted" or the name of a class, and whether that is a bug."""
    (folder / surface.file).write_bytes(content)
    before = {path.name for path in folder.parent.rglob("*")}
    signal.alarm(LIMIT_S)
    try:
        surface.read(folder)
        result, bug = ACCEPTED, False
    except (AnasError, client().ClassifyError) as exc:
        result, bug = type(exc).__name__, "\n" in str(exc)
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # a panic of a Rust library is no Exception
        result, bug = f"{type(exc).__name__}: {str(exc)[:80]}", True
    finally:
        signal.alarm(0)
    if {path.name for path in folder.parent.rglob("*")} != before:
        return "wrote something", True
    return result, bug


@pytest.mark.parametrize(
    "count", [pytest.param(QUICK, id="a few"), pytest.param(MANY, id="many", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", SURFACES)
@pytest.mark.filterwarnings("ignore")  # of Pillow and of torch, about the damage
def test_a_damaged_file_is_read_or_refused(name: str, count: int, tmp_path: Path) -> None:
    surface, rng, valid = SURFACES[name], random.Random(f"{name} {count}"), SURFACES[name].seed()
    folder = tmp_path / "outside" / "folder"
    folder.mkdir(parents=True)
    for beside, content in surface.beside.items():
        (folder / beside).write_bytes(content())
    before = signal.signal(signal.SIGALRM, _too_long)
    try:
        assert outcome(surface, valid, folder) == (ACCEPTED, False)
        for number in range(max(2, round(count * surface.share))):
            result, bug = outcome(surface, surface.damage(valid, rng), folder)
            assert not bug, f"file {number}: {result}"
    finally:
        signal.signal(signal.SIGALRM, before)
