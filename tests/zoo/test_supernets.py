"""A supernet is shown, published, verified, pulled and loaded; what is wrong with one is refused."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from supernet_folders import fresh_supernet, write_old_supernet, write_supernet

import anas_zoo
from anas_zoo.core.errors import AnasError, CheckpointError, EntryError, OutputError
from anas_zoo.core.files import sha256_file
from anas_zoo.core.resources import resource_folder
from anas_zoo.entry import Ancestor, SupernetFolder
from anas_zoo.nets import Supernet
from anas_zoo.zoo import complete, plan_publication, publish, publishing, pull, verify
from anas_zoo.zoo.publishing import staged
from anas_zoo.zoo.supernet_card import SupernetFacts, supernet_card
from anas_zoo.zoo.supernets import load_supernet, locate_supernet, try_subnets

FILES = {"README.md", "manifest.json", "supernet.json", "supernet.safetensors"}
AUTHORS = Ancestor(name="the authors' checkpoint", sha256="0" * 64, licence="CC-BY-NC-4.0")


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """As a run leaves it, beside what is not published."""
    write_supernet(tmp_path / "draft")
    (tmp_path / "draft" / "metrics.jsonl").write_text("{}\n")
    return tmp_path / "draft"


@pytest.fixture
def published(draft: Path, tmp_path: Path) -> Path:
    return publish(draft, tmp_path / "digits")


def edit(path: Path, change: Callable[[Any], object]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_a_published_supernet_is_complete_and_verifies(draft: Path, published: Path) -> None:
    assert {path.name for path in published.iterdir()} == FILES
    assert (published / "supernet.json").read_bytes() == (draft / "supernet.json").read_bytes()
    found = verify(published)
    assert (found.name, found.files, found.golden_images) == ("digits", 3, 0)
    assert found.subnet_max_abs_logit == try_subnets(fresh_supernet(), published)
    assert set(found.subnet_max_abs_logit) == {"smallest", "largest"}
    again = anas_zoo.load_supernet(published)
    assert all(
        torch.equal(a, b) for a, b in zip(again.parameters(), fresh_supernet().parameters(), strict=True)
    )
    assert SupernetFolder.read(published).is_published
    with pytest.raises(OutputError, match=r"already holds digits, published with these weights"):
        publish(draft, published)


def test_published_again_it_keeps_its_bytes(published: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in published.iterdir()}
    again = publish(published, tmp_path / "again")
    assert {path.name: path.read_bytes() for path in again.iterdir()} == before
    copy = pull(published, tmp_path / "copy")
    assert (copy.name, copy.files) == ("digits", 3)
    assert {p.name: p.read_bytes() for p in copy.folder.iterdir() if p.name[0] != "."} == before
    with staged(published) as entry:
        assert {path.name for path in entry.folder.iterdir()} == FILES
    complete(write_to(tmp_path / "imported"))
    assert verify(tmp_path / "imported").name == "digits"


def write_to(folder: Path) -> Path:
    write_supernet(folder)
    return folder


def test_a_plan_writes_nothing(draft: Path, published: Path) -> None:
    plan = plan_publication(draft)
    assert (plan.name, plan.licence) == ("digits", "Apache-2.0")
    assert plan.files == {path.name: path.stat().st_size for path in published.iterdir()}
    assert plan.card == (published / "README.md").read_text(encoding="utf-8")
    assert not (draft / "README.md").exists()


def test_the_card_says_what_the_record_says(published: Path) -> None:
    card = (published / "README.md").read_text()
    _, head, text = card.split("---\n", 2)
    assert yaml.safe_load(head) == {
        "license": "apache-2.0",
        "library_name": "anas-zoo",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "anas-zoo", "anas-supernet"],
    }
    config = SupernetFolder(published).config
    facts = SupernetFacts.of(config)
    space = config.search_space()
    assert facts.macs == tuple(space.macs([space.smallest, space.largest], num_classes=10))
    assert facts.params == tuple(space.params([space.smallest, space.largest], num_classes=10))
    for said in (
        f"`{space.id}`",
        "24,576 image classifiers with 10 classes",
        f"| parameters | {facts.params[0]:,} | {facts.params[1]:,} |",
        "| search_split_top1_pct.largest | 95.0 |",
        "Weights: **Apache-2.0**; the project's tests.",
        "Made from older weights (**MIT**, `1111",
        config.weights.sha256,
    ):
        assert said in text
    assert supernet_card(config) == card


def test_the_python_of_the_card_runs(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(published.parent)
    card = (published / "README.md").read_text()
    program = card.split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(program, names)
    assert names["logits"].shape == (8, 10)


def test_a_supernet_gets_its_licence_when_it_is_published(tmp_path: Path) -> None:
    write_supernet(tmp_path / "draft", licence=None)
    before = (tmp_path / "draft" / "supernet.json").read_bytes()
    for licence, said in (
        (None, "have none; .* give it, such as licence="),
        ("TBD", "'TBD', which is not a"),
    ):
        with pytest.raises(EntryError, match=f"gate 'licence' of .*{said}"):
            publish(tmp_path / "draft", tmp_path / "out", licence=licence)
    assert not (tmp_path / "out").exists()
    out = publish(tmp_path / "draft", tmp_path / "out", licence="CC-BY-4.0")
    assert SupernetFolder.read(out).weights.licence == "CC-BY-4.0"
    assert "license: cc-by-4.0" in (out / "README.md").read_text()
    assert verify(out).files == 3
    assert (tmp_path / "draft" / "supernet.json").read_bytes() == before
    with pytest.raises(EntryError, match=r"was published under CC-BY-4\.0, which stays"):
        publish(out, tmp_path / "other", licence="MIT")


def test_the_licence_of_an_ancestor_binds(tmp_path: Path) -> None:
    write_supernet(tmp_path / "a", lineage=[AUTHORS])
    with pytest.raises(
        EntryError, match=r"gate 'licence'.* under CC-BY-NC-4\.0, so they cannot be under Apache"
    ):
        publish(tmp_path / "a", tmp_path / "out")
    with pytest.raises(EntryError, match=r"cannot be under MIT"):
        publish(tmp_path / "a", tmp_path / "out", licence="MIT")
    publish(tmp_path / "a", tmp_path / "out", licence="CC-BY-NC-4.0")
    permitted = AUTHORS.model_copy(update={"permission": "the authors, by letter"})
    write_supernet(tmp_path / "b", lineage=[permitted])
    card = (publish(tmp_path / "b", tmp_path / "two") / "README.md").read_text()
    assert "another licence was allowed: the authors, by letter" in card


def with_tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    """Other tensors, and everything else as if they had been published."""

    def damage(folder: Path) -> None:
        path = folder / "supernet.safetensors"
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path, {"format": "pt"})
        digest = sha256_file(path)
        edit(folder / "supernet.json", lambda data: data["weights"].update(sha256=digest))
        (folder / "manifest.json").unlink()
        (folder / "README.md").unlink()
        complete(folder)

    return damage


def record(**changes: Any) -> Callable[[Path], None]:
    """Another record, and a manifest that lists it."""

    def damage(folder: Path) -> None:
        edit(folder / "supernet.json", lambda data: data.update(changes))
        from anas_zoo.entry import write_manifest

        (folder / "manifest.json").unlink()
        write_manifest(folder)

    return damage


def altered(folder: Path) -> None:
    content = bytearray((folder / "supernet.safetensors").read_bytes())
    content[-9] ^= 0x40
    (folder / "supernet.safetensors").write_bytes(content)


def both_records(folder: Path) -> None:
    shutil.copyfile(resource_folder("models") / "digits_s" / "config.json", folder / "config.json")


def linked(folder: Path) -> None:
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to("/etc/hostname")


def a_pipe(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    (folder / "supernet.json").unlink()
    os.mkfifo(folder / "supernet.json")


def path_in_manifest(folder: Path) -> None:
    digest = {"bytes": 0, "sha256": "0" * 64}
    edit(folder / "manifest.json", lambda data: data["files"].update({"../../x": digest}))


SPACE = fresh_supernet().space.to_dict()
HARMS: list[tuple[Callable[[Path], object], str]] = [
    (altered, r"supernet\.safetensors was altered"),
    (lambda f: (f / "supernet.json").write_text("{" * 100), "not valid JSON|was altered"),
    (lambda f: (f / "notes.txt").write_text("x"), r"notes\.txt is not in the manifest"),
    (lambda f: (f / "supernet.safetensors").unlink(), r"supernet\.safetensors is missing"),
    (
        lambda f: (f / "supernet.bin").write_bytes(b"\x80\x02"),
        r"supernet\.bin is of a kind that can run code",
    ),
    (lambda f: (f / "supernet.json").write_text(" " * 17_000_000), "larger than 16777216 bytes|was altered"),
    (linked, r"README\.md is a symbolic link"),
    (a_pipe, r"supernet\.json: is a named pipe|manifest\.json: no such file"),
    (path_in_manifest, r"not the plain name of a file in this folder: '\.\./\.\./x'"),
    (both_records, "holds both config.json and supernet.json"),
    (record(num_classes=11), r"10 label_names for 11 classes"),
    (record(num_classes=10**9, label_names=None), r"num_classes: Input should be less than"),
    (record(name="../x"), r"name: String should match"),
    (record(label_names=["\x1b[2J"] * 10), r"hidden characters"),
    (record(trainde={}), r"unknown key 'trainde' \(did you mean 'trained'\?\)"),
    (record(space=SPACE | {"resolution": [999_999]}), r"space: .*resolution goes up to 4096"),
    (record(space=SPACE | {"colour": 1}), r"space: .*unknown key 'colour'"),
    (record(space=[]), r"space: Input should be a valid dictionary"),
    (with_tensors(lambda t: t.pop("mix.weight")), r"mix\.weight is missing instead of F32"),
    (
        with_tensors(lambda t: t["mix.weight"].fill_(float("nan"))),
        r"mix\.weight holds values that are not finite",
    ),
]


@pytest.mark.parametrize(("harm", "said"), HARMS)
def test_a_wrong_supernet_is_refused_and_nothing_appears(
    harm: Callable[[Path], object], said: str, published: Path, tmp_path: Path
) -> None:
    harm(published)
    before = sorted(tmp_path.rglob("*"))
    for step in (verify, lambda folder: publish(folder, tmp_path / "out")):
        with pytest.raises(AnasError, match=said) as caught:
            step(published)
        assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_weights_that_compute_nothing_finite_are_not_published(tmp_path: Path) -> None:
    supernet = fresh_supernet()
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.fill_(3e38)
    write_supernet(tmp_path / "draft", supernet)
    with pytest.raises(
        EntryError, match=r"gate 'subnets' of .*the smallest subnet gives logits that are not"
    ):
        publish(tmp_path / "draft", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_changes_behind_the_gates_is_not_published(
    draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates = publishing.check_gates

    def and_then(entry: Any) -> None:
        gates(entry)
        altered(draft)

    monkeypatch.setattr(publishing, "check_gates", and_then)
    with pytest.raises(EntryError, match=r"supernet\.safetensors was changed while it was published"):
        publish(draft, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_stands_for_its_supernet(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text('{"kind": "supernet"}')
    with pytest.raises(
        CheckpointError, match=r"no trained supernet; train it: anas_zoo\.train\(out='.*run', resume=True"
    ):
        load_supernet(run)
    write_supernet(run / "supernet")
    assert isinstance(load_supernet(run), Supernet)
    assert locate_supernet(str(run)) == locate_supernet(run / "supernet") == run / "supernet"
    (run / "run.json").write_text('{"kind": "finetune"}')
    shutil.rmtree(run / "supernet")
    with pytest.raises(EntryError, match="the run of a fine-tuning, which has no supernet"):
        load_supernet(run)


def test_the_supernet_of_an_old_run_loads_but_cannot_be_published(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_old_supernet(run / "supernet")
    (run / "run.json").write_text("{}")
    assert load_supernet(run).num_classes == 10
    for step in (verify, lambda folder: publish(folder, tmp_path / "out")):
        with pytest.raises(EntryError, match=r"as version 0\.2 wrote it, which can be loaded and searched"):
            step(run / "supernet")
    assert not (tmp_path / "out").exists()


def test_what_is_no_supernet_is_refused_with_what_to_give(published: Path, tmp_path: Path) -> None:
    entry = resource_folder("models") / "digits_s"
    give = "give the folder of a supernet or of a run, or hf-hub:org/name"
    for source, said in (
        (published / "supernet.json", f"is a file; {give}"),
        ("digits_s", f"'digits_s' is no folder; {give}"),
        (tmp_path, f"has no supernet.json; {give}"),
        (entry, "is an entry, a fixed network and not a supernet"),
        ("hf-hub:nothing", "is not a valid address of the Hub"),
    ):
        with pytest.raises(EntryError, match=said) as caught:
            load_supernet(source)
        assert "\n" not in str(caught.value)


def test_a_supernet_is_no_entry(published: Path) -> None:
    for step in (
        anas_zoo.create_model,
        anas_zoo.Entry.read,
        anas_zoo.profile,
        anas_zoo.export,
        anas_zoo.Classifier,
    ):
        with pytest.raises(
            EntryError,
            match=r"is a supernet, and entries are made of its subnets; search it: anas_zoo\.search\(",
        ):
            step(published)
