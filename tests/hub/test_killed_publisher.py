"""A publisher that is really killed, whenever that is, leaves the repository as it was or complete."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hub_program import ROOT, Program, content_of, environment, repository, visible
from hub_server import Fault, Hub, Kind
from supernet_folders import fresh_supernet, write_supernet

from anas_zoo.entry import write_manifest
from anas_zoo.zoo import complete

pytest_plugins = ["hub_fixtures"]

PUSH = """
import sys
from pathlib import Path
from anas_zoo.zoo.hub import HubAddress, push
push(Path(sys.argv[1]), HubAddress.parse(sys.argv[2]), message="new version")
"""
COMMIT = "POST /api/.*/commit/"


def killed_at(fault: Fault, hub: Hub, command: list[str], home: Path) -> None:
    """Run ``command`` until a request comes to ``fault``, kill it there, and let the request go on."""
    hub.faults.add(fault)
    env = environment(hub, home)
    process = subprocess.Popen([sys.executable, *command], env=env, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        assert fault.reached.wait(60)
    finally:
        process.kill()
        process.wait()
    fault.go_on.set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("match", "kind", "complete"),
    [
        ("PUT /upload/", "hold-after", False),
        (COMMIT, "hold", True),  # all of it had arrived: the Hub continues without its client
    ],
)
def test_killed(
    match: str,
    kind: Kind,
    complete: bool,
    hub: Hub,
    program: Program,
    address: str,
    entry: Path,
    tmp_path: Path,
) -> None:
    program.push(entry, address)
    before = visible(hub, address)
    (entry / "model.onnx").write_bytes((entry / "model.onnx").read_bytes() + address.encode())
    (entry / "report.json").unlink()
    write_manifest(entry)
    killed_at(Fault(match, kind), hub, ["-c", PUSH, str(entry), address], tmp_path / "home")
    deadline = time.monotonic() + 10
    while complete and visible(hub, address) == before and time.monotonic() < deadline:
        time.sleep(0.01)  # the Hub still has to do what it was held from
    assert visible(hub, address) == (content_of(entry) if complete else before)
    assert program.push(entry, address).code == 0
    assert visible(hub, address) == content_of(entry)
    assert len(repository(hub, address).history()) == 3


@pytest.mark.slow
def test_killed_with_the_weights_of_a_supernet(
    hub: Hub, program: Program, address: str, tmp_path: Path
) -> None:
    for seed in (0, 1):
        write_supernet(tmp_path / str(seed), fresh_supernet(seed))
        complete(tmp_path / str(seed))
    program.push(tmp_path / "0", address)
    before = visible(hub, address)
    command = ["-c", PUSH, str(tmp_path / "1"), address]
    killed_at(Fault("PUT /upload/", "hold-after"), hub, command, tmp_path / "home")
    assert visible(hub, address) == before == content_of(tmp_path / "0")
    assert program.push(tmp_path / "1", address).code == 0
    assert visible(hub, address) == content_of(tmp_path / "1")
