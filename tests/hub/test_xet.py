"""The same with Xet, the Hub's newer storage, through hf_xet's own store on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_program import Program, content_of, environment, repository
from hub_server import Fault, Hub

from anas_zoo.entry import write_manifest

pytest_plugins = ["hub_fixtures"]

# `local://` is a simulation inside hf_xet that nobody has promised to keep.
pytest.importorskip("hf_xet", reason="hf_xet is not installed, so there is no Xet mode to test")


@pytest.fixture(scope="module")
def xet_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with Hub(xet=tmp_path_factory.mktemp("xet")) as hub:
        yield hub


@pytest.fixture(scope="module")
def xet_program(xet_hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    home = tmp_path_factory.mktemp("xet-home")
    with Program(environment(xet_hub, home, HF_HUB_DISABLE_XET=""), home) as running:
        yield running


@pytest.mark.slow
def test_round_trip(xet_hub: Hub, xet_program: Program, address: str, entry: Path, tmp_path: Path) -> None:
    done = xet_program.run("publish", entry, "--to", address)
    if "local://" in done.err:
        pytest.skip(f"hf_xet has no store on disk any more: {done.err}")
    assert done.code == 0, done.err
    files = repository(xet_hub, address).head.files
    assert files["model.onnx"].xet_hash
    assert files["model.onnx"].content is None
    assert not xet_hub.lines("info/lfs")
    xet_program.ok("pull", address, "--out", tmp_path / "out")
    assert content_of(tmp_path / "out") == content_of(entry)
    assert not xet_hub.lines("/large/")


@pytest.mark.slow
def test_a_hub_that_gives_no_access_to_its_store(
    xet_hub: Hub, xet_program: Program, address: str, entry: Path
) -> None:
    (entry / "model.onnx").write_bytes(address.encode() * 99)
    write_manifest(entry)
    xet_hub.faults.add(Fault("xet-write-token", "status", times=None, status=403, message="not yours"))
    said = xet_program.push(entry, address).refusal
    xet_hub.faults.clear()
    assert "not allowed" in said
    assert "hf auth login" in said
    assert repository(xet_hub, address).history() == ["initial commit"]
