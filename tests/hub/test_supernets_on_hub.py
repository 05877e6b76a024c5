"""A supernet goes to the Hub and comes back as an entry does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hub_program import Program, content_of, environment, repository, visible
from hub_server import Hub
from small_supernets import QUICK, write_digits
from supernet_folders import write_supernet

from anas_zoo.zoo import publish

pytest_plugins = ["hub_fixtures"]


@pytest.fixture
def supernet(tmp_path: Path) -> Path:
    """A published supernet."""
    write_supernet(tmp_path / "draft")
    return publish(tmp_path / "draft", tmp_path / "digits")


def test_published_pulled_verified_shown_and_loaded(
    hub: Hub, program: Program, address: str, supernet: Path, tmp_path: Path
) -> None:
    done = program.ok("publish", tmp_path / "draft", "--to", address)
    repo = repository(hub, address)
    assert len(repo.history()) == 2  # the Hub's own first one, and this
    assert repo.history()[0].startswith("Publish digits (supernet of the space ")
    assert visible(hub, address) == content_of(supernet)
    assert done["changed"] == sorted(content_of(supernet))
    assert program.ok("publish", supernet, "--to", address)["changed"] == []
    pulled = program.ok("pull", address, "--out", tmp_path / "pulled")
    assert (pulled["name"], pulled["files"], pulled["commit"]) == ("digits", 3, done["commit"])
    assert content_of(tmp_path / "pulled") == content_of(supernet)
    assert set(program.ok("verify", tmp_path / "pulled")["subnet_max_abs_logit"]) == {"smallest", "largest"}
    by_address = address.replace("hf://", "hf-hub:")
    assert program.ok("show", by_address)["config"]["weights"]["licence"] == "Apache-2.0"
    assert program.ok("verify", by_address)["files"] == 3
    hub.seen.clear()
    assert program.run("load", by_address).out == "digits 10\n"
    assert program.run("load", f"{address}@{done['commit']}").out == "digits 10\n"
    assert not hub.lines("supernet.safetensors")  # it is in the cache


def test_it_is_searched_and_trained_on_by_its_address(
    hub: Hub, program: Program, address: str, supernet: Path, tmp_path: Path
) -> None:
    program.push(supernet, address)
    by_address = address.replace("hf://", "hf-hub:")
    images = write_digits(tmp_path / "images", {3: "digit 3", 5: "digit 5"}, per_class=12)
    words = ("--data", images, "--device", "cpu")
    few = ("--algorithm", "random", "--evaluations", "2")
    found = program.ok("search", by_address, *words, *few, "--out", tmp_path / "found")
    assert found["evaluations"] == 2
    copied, own = content_of(tmp_path / "found" / "supernet"), content_of(supernet)
    assert copied == {name: own[name] for name in ("supernet.json", "supernet.safetensors")}
    settings = [word for setting in QUICK for word in ("--set", setting)]
    done = program.run("train", "--init", address, *words, *settings, "--out", tmp_path / "tuned")
    assert done.code == 0, done.err
    hub.seen.clear()
    assert program.ok("search", tmp_path / "tuned", *few, "--device", "cpu")["evaluations"] == 2
    assert not hub.seen
    said = program.run("search", f"{address}-nowhere", *words, "--out", tmp_path / "other").refusal
    assert "no such repository" in said
    assert not (tmp_path / "other").exists()


def test_loading_downloads_the_record_and_the_weights_alone(
    hub: Hub, program: Program, address: str, supernet: Path
) -> None:
    program.push(supernet, address)
    hub.seen.clear()
    assert program.run("load", address).out == "digits 10\n"
    assert hub.lines("supernet.safetensors")
    assert not hub.lines("README.md")


def test_entries_and_supernets_do_not_replace_each_other(
    hub: Hub, program: Program, address: str, supernet: Path, entry: Path
) -> None:
    program.push(entry, address)
    said = program.push(supernet, address).refusal
    assert "holds an entry, which is not overwritten by a supernet; give another repository or branch" in said
    assert visible(hub, address) == content_of(entry)
    program.push(supernet, f"{address}-supernet")
    said = program.push(entry, f"{address}-supernet").refusal
    assert "holds a supernet, which is not overwritten by an entry" in said
    assert visible(hub, f"{address}-supernet") == content_of(supernet)


def test_what_is_of_the_other_kind_is_said(
    hub: Hub, program: Program, address: str, supernet: Path, entry: Path
) -> None:
    program.push(entry, address)
    said = program.run("load", address).refusal
    assert "manifest.json does not list supernet.json, supernet.safetensors; this is an entry, not" in said
    program.push(supernet, f"{address}-supernet")
    said = program.run("profile", f"{address}-supernet").refusal
    assert "is a supernet, and entries are made of its subnets" in said
    said = program.run("load", f"{address}-nowhere").refusal
    assert "no such repository" in said


def test_a_tampered_supernet_is_not_taken(
    hub: Hub, program: Program, address: str, supernet: Path, tmp_path: Path
) -> None:
    program.push(supernet, address)
    repo = repository(hub, address)
    files = dict(repo.head.files)
    files["supernet.safetensors"] = files["supernet.json"]
    repo.branches["main"] = repo._add(repo.head.oid, "tampered", files)
    for words in (("pull", address, "--out", tmp_path / "out"), ("load", address), ("verify", address)):
        said = program.run(*words).refusal
        assert "supernet.safetensors was altered (size or SHA-256 differs)" in said
    assert not (tmp_path / "out").exists()


def test_a_gate_that_refuses_comes_before_the_hub(
    hub: Hub, program: Program, address: str, tmp_path: Path
) -> None:
    write_supernet(tmp_path / "draft", licence=None)
    said = program.run("publish", tmp_path / "draft", "--to", address).refusal
    assert said.endswith("choose one that the training images allow and give it, such as --licence CC-BY-4.0")
    assert hub.seen == []


@pytest.mark.slow
def test_a_new_process_loads_it_by_its_address(
    hub: Hub, program: Program, address: str, supernet: Path, tmp_path: Path
) -> None:
    program.push(supernet, address)
    code = (
        "import sys, anas_zoo, torch\n"
        "supernet = anas_zoo.load_supernet(sys.argv[1])\n"
        "print(tuple(supernet(torch.zeros(4, 3, 8, 8), supernet.space.largest).shape))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, address.replace("hf://", "hf-hub:")],
        env=environment(hub, tmp_path / "home"), cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "(4, 10)\n"), done.stderr
