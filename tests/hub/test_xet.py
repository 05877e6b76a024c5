"""The same with Xet, the Hub's newer storage, through hf_xet's own store on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_program import Program, cached, content_of, environment, repository
from hub_server import Hub

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
def test_a_flipped_byte_in_the_store_and_in_the_cache(
    xet_hub: Hub, xet_program: Program, address: str, entry: Path, tmp_path: Path
) -> None:
    commit = xet_program.push(entry, address).out.strip()
    xet_program.ok("pull", address, "--out", tmp_path / "one")
    blob = cached(xet_program, address, commit, "model.safetensors").resolve()
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1] + b"\7")
    done = xet_program.run("pull", address, "--out", tmp_path / "two")
    assert done.code == 0, done.err
    assert content_of(tmp_path / "two") == content_of(entry)
