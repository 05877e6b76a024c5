"""Every command that README and guides print works as it stands there, or has a reason why it is not run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from documents import ROOT, Block, blocks_of, commands_of, documents
from printed import ELSEWHERE, NOT_RUN, RUN, all_runs, run_printed

BLOCKS = [block for file in documents() for block in blocks_of(file)]
KEYS = [block.key for block in BLOCKS]


def repeated(block: Block) -> bool:
    """Whether another block that is run has all commands of this one."""
    mine = commands_of(block)
    others = (other for other in BLOCKS if other.key in RUN and other is not block)
    return bool(mine) and any(mine <= commands_of(other) for other in others)


def test_every_block_is_run_or_has_a_reason() -> None:
    tables = [*all_runs(), *ELSEWHERE, *NOT_RUN]
    new = [block.key for block in BLOCKS if block.key not in tables and not repeated(block)]
    assert new == [], "new blocks: say in printed.py how they are run, or why not"
    assert sorted(set(tables) - set(KEYS)) == [], "no such block is printed any more"
    assert len(tables) == len(set(tables)), "a block is in two tables"
    assert len(KEYS) == len(set(KEYS)), "two blocks of a file begin alike, so one of them would go unseen"
    assert [block.key for block in BLOCKS if block.key in RUN and repeated(block)] == [], "run twice"


@pytest.mark.parametrize("file", sorted(set(ELSEWHERE.values())))
def test_the_other_tests_are_there(file: str) -> None:
    assert (ROOT / file).is_file()


@pytest.mark.parametrize("file", documents())
def test_linked_files_exist(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / file).parent.joinpath(link).exists()] == []


@pytest.mark.slow
@pytest.mark.parametrize("block", [block for block in BLOCKS if block.key in RUN], ids=str)
def test_the_block_runs(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_printed(block, tmp_path / "checkout", monkeypatch, capsys)
