"""One hint, read as Python and as a command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from anas_zoo.core.errors import EntryError, OutputError
from anas_zoo.core.hints import Call, Option, Part, as_command_line, as_python


@pytest.mark.parametrize(
    ("part", "python", "command"),
    [
        ("text", "text", "text"),
        (Option("out"), "out", "--out"),
        (Option("device", "cpu"), "device='cpu'", "--device cpu"),
        (Option("max_mflops", 5), "max_mflops=5", "--max-mflops 5"),
        (Option("resume", True), "resume=True", "--resume"),
        (Call("extract", Path("a b")), "anas_zoo.extract('a b')", "anas extract 'a b'"),
        (
            Call("extract", "RUN", arch=["x", "y"], search=None, again=False),
            "anas_zoo.extract('RUN', arch=['x', 'y'])",
            "anas extract RUN --arch x --arch y",
        ),
        (
            Call("train", out="r", resume=True),
            "anas_zoo.train(out='r', resume=True)",
            "anas train --out r --resume",
        ),
        # no function: a command for both readers
        (
            Call("latency fit", space="glyphs"),
            "anas latency fit --space glyphs",
            "anas latency fit --space glyphs",
        ),
    ],
)
def test_both_readings(part: Part, python: str, command: str) -> None:
    assert (as_python([part]), as_command_line([part])) == (python, command)


def test_an_error_passes_its_parts_on() -> None:
    first = OutputError("no file; run: ", Call("export", "e"))
    second = EntryError("gate 'parity': ", *first.parts)
    assert str(second) == "gate 'parity': no file; run: anas_zoo.export('e')"
    assert as_command_line(second.parts) == "gate 'parity': no file; run: anas export e"
