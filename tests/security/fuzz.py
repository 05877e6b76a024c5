"""Read damaged files by the thousand and count what comes out; docs/security.md has the numbers of a run.

    OMP_NUM_THREADS=1 PYTHONPATH=. python tests/security/fuzz.py --count 3000 --seed 0

A bug is an exception that the package does not raise on purpose, a reader that takes longer than
--limit seconds, or a file or folder that appears where the damaged one lies.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parent))

from surfaces import ENTRY, SURFACES, Surface, client

from anas_zoo.core.errors import AnasError

__all__ = ["outcome"]

ACCEPTED, HANG, WROTE = "accepted", "took too long", "wrote something"


class _TooLong(BaseException):
    pass


def _too_long(number: int, frame: FrameType | None) -> None:
    raise _TooLong


def outcome(surface: Surface, content: bytes, folder: Path) -> tuple[str, bool]:
    """What the reader made of ``content``: "accepted" or the name of a class, and whether that is a bug."""
    (folder / surface.file).write_bytes(content)
    for name in surface.beside:
        if not (folder / name).exists():
            shutil.copyfile(ENTRY / name, folder / name)
    before = {path.name for path in folder.parent.rglob("*")}
    try:
        surface.read(folder)
        told, bug = ACCEPTED, False
    except (AnasError, client().ClassifyError) as exc:
        told, bug = type(exc).__name__, "\n" in str(exc)
    except _TooLong:
        told, bug = HANG, True
    except BaseException as exc:  # a panic of a Rust library is no Exception
        if isinstance(exc, KeyboardInterrupt):
            raise
        told, bug = f"{type(exc).__name__}: {str(exc)[:80]}", True
    if {path.name for path in folder.parent.rglob("*")} != before:
        return WROTE, True
    return told, bug


def run(name: str, count: int, seed: int, limit_s: int) -> tuple[Counter[str], Counter[str], float]:
    """Outcomes, bugs and seconds of ``count`` damaged files for one reader."""
    surface, rng = SURFACES[name], random.Random(f"{seed} {name}")
    valid, found, bugs = surface.seed(), Counter[str](), Counter[str]()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as outside:
        folder = Path(outside, "folder")
        folder.mkdir()
        told, bug = outcome(surface, valid, folder)
        if told != ACCEPTED:
            raise SystemExit(f"{name}: the undamaged file is not accepted: {told}")
        for number in range(max(1, round(count * surface.share))):
            content = surface.damage(valid, rng)
            signal.alarm(limit_s)
            told, bug = outcome(surface, content, folder)
            signal.alarm(0)
            (bugs if bug else found)[told] += 1
            if bug:
                print(f"  {name}, input {number}: {told}", file=sys.stderr)
    return found, bugs, time.monotonic() - begun


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=300, help="damaged files for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, default=20, metavar="SECONDS", help="for one file")
    parser.add_argument("--only", default="", metavar="TEXT", help="readers whose name has this")
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, _too_long)
    warnings.simplefilter("ignore")
    total, wrong = 0, 0
    print("| reader | files | accepted | refused | bugs | ms a file |\n|---|---:|---:|---|---:|---:|")
    for name in SURFACES:
        if options.only not in name:
            continue
        found, bugs, seconds = run(name, options.count, options.seed, options.limit)
        files = found.total() + bugs.total()
        refused = ", ".join(f"{kind} {n}" for kind, n in found.most_common() if kind != ACCEPTED)
        row = [name, files, found[ACCEPTED], refused, bugs.total(), f"{1000 * seconds / files:.1f}"]
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
        total, wrong = total + files, wrong + bugs.total()
    print(f"\n{total} files, {wrong} bugs")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
