"""The README's blocks, and those of the guides for three people, run as they are printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from documents import Block, blocks_of, documents
from printed import RUN, run_printed

FILES = [file for file in documents() if file == "README.md" or "guide" in file]
BLOCKS = [block for file in FILES for block in blocks_of(file) if block.key in RUN]


def test_the_readme_loads_a_model_in_three_ways() -> None:
    text = "\n".join(block.text for block in blocks_of("README.md") if block.language == "python")
    assert "timm.create_model" in text
    assert "torch.hub.load" in text
    assert "onnxruntime.InferenceSession" in text


def test_there_is_a_guide_for_each_of_three_people() -> None:
    assert FILES == ["README.md", "docs/guide_checkpoint.md", "docs/guide_data.md", "docs/guide_models.md"]


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_the_block_runs(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_printed(block, tmp_path / "checkout", monkeypatch, capsys)
