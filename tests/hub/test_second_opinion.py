"""@huggingface/hub, the Hub's JavaScript client: does it find what was published?"""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from hub_api import WRITE_TOKEN
from hub_program import Program, content_of
from hub_server import Hub

from anas_zoo.zoo.serving.node import node_program

pytest_plugins = ["hub_fixtures"]

HERE = Path(__file__).parent / "js"


@pytest.mark.slow
@pytest.mark.parametrize("private", [False, True])
def test_the_javascript_client_finds_the_same_files(
    private: bool, hub: Hub, program: Program, address: str, entry: Path
) -> None:
    if not (HERE / "node_modules").is_dir():
        pytest.fail("the packages of tests/hub/js are not installed; run: make setup", pytrace=False)
    commit = program.ok("publish", entry, "--to", address, *(["--private"] if private else []))["commit"]
    repo = address.removeprefix("hf://")
    token = [WRITE_TOKEN] if private else []
    done = subprocess.run(
        [node_program(), "look.mjs", hub.url, repo, commit, *token],
        cwd=HERE, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["id"], found["sha"], found["private"]) == (repo, commit, private)
    seen = {name: (file["size"], file["sha256"]) for name, file in found["files"].items() if name[0] != "."}
    assert seen == {
        name: (len(content), hashlib.sha256(content).hexdigest())
        for name, content in content_of(entry).items()
    }
    large = {name for name, file in found["files"].items() if file["listed"]}
    assert large == {"golden.safetensors", "model.onnx", "model.safetensors"}
    assert all(found["files"][name]["listed"] == found["files"][name]["sha256"] for name in large)
