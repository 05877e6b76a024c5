"""The same with Xet, the Hub's newer storage, through hf_xet's own store on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_faults import Fault
from hub_program import Program, cached, content_of, environment, repository
from hub_server import Hub

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

    (entry / "model.onnx").write_bytes((entry / "model.onnx").read_bytes() + b"\0" * 99)
    (entry / "report.json").unlink()
    write_manifest(entry)
    assert xet_program.push(entry, address).code == 0
    assert xet_program.push(entry, address).out.strip() == repository(xet_hub, address).head.oid
    assert len(repository(xet_hub, address).history()) == 3
    xet_program.run("pull", address, "--out", tmp_path / "new")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("match", "kind", "status"),
    [
        ("xet-write-token", "status", 503),
        ("POST .*/commit/", "lose", 0),
        ("POST .*/commit/", "status", 503),
    ],
)
def test_publishing_goes_on_after_one_fault(
    match: str, kind: str, status: int, xet_hub: Hub, xet_program: Program, address: str, entry: Path
) -> None:
    fault = xet_hub.faults.add(Fault(match, kind, status=status))  # type: ignore[arg-type]
    done = xet_program.push(entry, address)
    assert fault.reached.is_set()
    assert done.code == 0, done.err
    assert len(repository(xet_hub, address).history()) == 2


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
