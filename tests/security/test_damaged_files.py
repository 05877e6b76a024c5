"""Whatever a file holds, a reader accepts it or refuses it in one line, and writes nothing."""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from fuzz import ACCEPTED, outcome
from surfaces import SURFACES

EXAMPLES = 40


@pytest.mark.parametrize("name", SURFACES)
@pytest.mark.filterwarnings("ignore")  # of Pillow and of torch, about the damage
def test_a_damaged_file_is_read_or_refused(name: str) -> None:
    surface = SURFACES[name]
    valid = surface.seed()

    @settings(max_examples=max(2, round(EXAMPLES * surface.share)), deadline=None, database=None)
    @given(st.integers(0, 2**32))
    def check(seed: int) -> None:
        with tempfile.TemporaryDirectory() as outside:
            folder = Path(outside, "folder")
            folder.mkdir()
            told, bug = outcome(surface, surface.damage(valid, random.Random(seed)), folder)
            assert not bug, told

    with tempfile.TemporaryDirectory() as outside:
        assert outcome(surface, valid, Path(outside)) == (ACCEPTED, False)
    check()
