"""Every command that the guides print works as it stands there, or has a reason why it is not run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from documents import ROOT, Block, blocks_of, documents
from printed import ELSEWHERE, NOT_RUN, RUN, all_runs, run_printed

BLOCKS = [block for file in documents() for block in blocks_of(file)]
KEYS = [block.key for block in BLOCKS]
# The README's and those of the guides for three people run beside these: test_readme.py.
HERE = [
    block
    for block in BLOCKS
    if block.key in RUN and block.file.startswith("docs/") and "guide" not in block.file
]


def test_every_block_is_run_or_has_a_reason() -> None:
    tables = [*all_runs(), *ELSEWHERE, *NOT_RUN]
    assert sorted(set(KEYS) - set(tables)) == [], "new blocks: say in printed.py how they are run, or why not"
    assert sorted(set(tables) - set(KEYS)) == [], "no such block is printed any more"
    assert len(tables) == len(set(tables)), "a block is in two tables"
    assert len(KEYS) == len(set(KEYS)), "two blocks of a file begin alike, so one of them would go unseen"


def test_most_blocks_are_run() -> None:
    assert len(all_runs()) > 2 * len(NOT_RUN)


@pytest.mark.parametrize("file", sorted(set(ELSEWHERE.values())))
def test_the_other_tests_are_there(file: str) -> None:
    assert (ROOT / file).is_file()


@pytest.mark.parametrize("file", documents())
def test_linked_files_exist(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / file).parent.joinpath(link).exists()] == []


@pytest.mark.slow
@pytest.mark.parametrize("block", HERE, ids=str)
def test_the_block_runs(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_printed(block, tmp_path / "checkout", monkeypatch, capsys)
