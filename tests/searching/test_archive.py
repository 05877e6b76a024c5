from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anas_zoo.core.errors import SearchError
from anas_zoo.searching import Archive, Evaluation, Failure, read_evaluations
from anas_zoo.searching.archive import read_records, record_from_dict
from anas_zoo.space import SearchSpace

ARCH = SearchSpace.load("digits").smallest
numbers = st.integers(1, 10**10)
evaluations = st.builds(
    Evaluation,
    arch=st.just(ARCH),
    macs=numbers,
    params=numbers,
    top1_pct=st.floats(0, 100),
    images=st.integers(0, 10**6),
    size_bytes=numbers,
    latency_ms=st.none() | st.floats(0, 1e6),
    round=st.integers(0, 1000),
)
failures = st.builds(
    Failure, arch=st.just(ARCH), macs=numbers, params=numbers, error=st.text(min_size=1), round=numbers
)


@settings(max_examples=20, deadline=None)
@given(evaluations | failures)
def test_a_line_says_everything(record: Evaluation | Failure) -> None:
    line = json.dumps(record.to_dict())
    assert record_from_dict(json.loads(line)) == record
    assert {"arch", "arch_id", "macs", "top1_pct"} <= json.loads(line).keys()


def evaluation(number: int) -> Evaluation:
    return Evaluation(ARCH, macs=number, params=1, top1_pct=50.0, images=10)


def test_whole_lines_stay_and_a_cut_one_goes(tmp_path: Path) -> None:
    path = tmp_path / "evaluations.jsonl"
    with Archive(path) as archive:
        archive.add([evaluation(1), Failure(ARCH, 2, 1, "RuntimeError: no memory")])
    whole = path.read_bytes()
    for cut in range(1, len(whole), 7):
        path.write_bytes(whole + whole[:cut] if not whole[:cut].endswith(b"\n") else whole + whole[: cut - 1])
        with Archive(path) as archive:
            assert [record.macs for record in archive.records][:2] == [1, 2]
        assert path.read_bytes().startswith(whole)
        assert path.read_bytes().endswith(b"\n")
    with Archive(path) as archive:
        archive.add([evaluation(3)])
    assert [e.macs for e in read_evaluations(path)][-1] == 3


@pytest.mark.parametrize("line", ["{}", "3", '{"arch": {}}', "not JSON", '{"arch": 1, "error": "x"}', ""])
def test_a_foreign_line_is_named_and_nothing_is_changed(tmp_path: Path, line: str) -> None:
    path = tmp_path / "evaluations.jsonl"
    with Archive(path) as archive:
        archive.add([evaluation(1)])
    path.write_text(path.read_text() + line + "\n")
    before = path.read_bytes()
    for read in (Archive, read_records):
        with pytest.raises(SearchError, match="line 2: not an evaluation"):
            read(path)
    assert path.read_bytes() == before
