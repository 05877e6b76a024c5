"""Every command that the README and the guides print works as it stands there, or has a reason why it is not run."""

from __future__ import annotations

from pathlib import Path

import pytest
from documents import ROOT, Block, blocks_of, documents, run_block, scratch_checkout
from printed import ELSEWHERE, NOT_RUN, RUN
from scenes import SCENES

BLOCKS = [block for file in documents() for block in blocks_of(file)]
KEYS = [block.key for block in BLOCKS]


def test_every_block_is_run_or_has_a_reason() -> None:
    tables = [*RUN, *ELSEWHERE, *NOT_RUN]
    assert sorted(set(KEYS) - set(tables)) == [], "new blocks: say in printed.py how they are run, or why not"
    assert sorted(set(tables) - set(KEYS)) == [], "no such block is printed any more"
    assert len(tables) == len(set(tables)), "a block is in two tables"
    assert len(KEYS) == len(set(KEYS)), "two blocks of a file begin alike, so one of them would go unseen"


def test_most_blocks_are_run() -> None:
    assert len(RUN) > len(NOT_RUN)
    assert all(len(reason) > 10 for reason in NOT_RUN.values())


@pytest.mark.parametrize("file", sorted(set(ELSEWHERE.values())))
def test_the_other_tests_are_there(file: str) -> None:
    assert (ROOT / file).is_file()


def _named(block: Block) -> str:
    return f"{block.file}: {block.key[1][:50]}"


RUNNABLE = [block for block in BLOCKS if block.key in RUN]


@pytest.mark.slow
@pytest.mark.parametrize("block", RUNNABLE, ids=map(_named, RUNNABLE))
def test_the_block_runs(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout = scratch_checkout(tmp_path / "checkout")
    monkeypatch.chdir(checkout)
    for scene in RUN[block.key].needs:
        SCENES[scene](checkout)
    run_block(block, RUN[block.key], checkout, capsys)
