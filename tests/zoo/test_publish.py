from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from safetensors.torch import load_file, save_file

from anas_zoo.core.errors import EntryError, OutputError
from anas_zoo.core.files import sha256_file
from anas_zoo.entry import Entry
from anas_zoo.profiling import open_session
from anas_zoo.zoo import draft as draft_module
from anas_zoo.zoo import plan_publication, predict, publish, publishing, verify
from anas_zoo.zoo.publishing import staged

pytest_plugins = ["zoo_fixtures"]


def edit(path: Path, change: Callable[[Any], object]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_a_published_entry_is_complete_and_verifies(published: Path) -> None:
    names = {path.name for path in published.iterdir()}
    assert names == {
        "config.json", "model.safetensors", "model.onnx", "report.json", "golden.safetensors",
        "README.md", "manifest.json",
    }  # fmt: skip
    result = verify(published)
    assert (result.name, result.files, result.golden_images) == ("digits_s", 6, 4)
    assert result.torch_max_abs_diff is not None
    assert result.torch_max_abs_diff < 1e-5
    assert 0 <= result.onnx_max_abs_diff["model.onnx"] < 1e-3
    assert Entry.read(published).has_weights


def test_weights_are_loaded_once_and_each_file_is_run_once(
    draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way once: with onnxruntime's graph optimizations and without them."""
    loaded: list[str] = []
    opened: list[tuple[str, bool]] = []

    def load(path: Path) -> Any:
        loaded.append(path.name)
        return load_file(path)

    def start(path: Path, *, threads: int, optimize: bool) -> Any:
        opened.append((path.name, optimize))
        return open_session(path, threads=threads, optimize=optimize)

    monkeypatch.setattr(draft_module, "load_file", load)
    monkeypatch.setattr(predict, "open_session", start)
    out = publish(draft, tmp_path / "out")
    assert loaded == ["model.safetensors"]
    assert opened == [("model.onnx", True), ("model.onnx", False)]
    loaded.clear()
    opened.clear()
    verify(out)
    assert (len(loaded), len(opened)) == (1, 2)


def test_a_file_that_changes_behind_the_gates_is_not_published(
    draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates = publishing.check_gates

    def and_then(entry: Entry) -> None:
        gates(entry)
        (draft / "model.onnx").write_bytes(b"another")

    monkeypatch.setattr(publishing, "check_gates", and_then)
    with pytest.raises(EntryError, match=r"model\.onnx was changed while it was published"):
        publish(draft, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_publishing_leaves_the_draft_and_refuses_a_taken_folder(
    published: Path, pristine_draft: Path, tmp_path: Path
) -> None:
    assert not (pristine_draft / "README.md").exists()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="already holds"):
        publish(pristine_draft, tmp_path / "taken")
    assert [p.name for p in (tmp_path / "taken").iterdir()] == ["mine.txt"]


def test_notes_in_a_draft_are_not_published(draft: Path, tmp_path: Path) -> None:
    (draft / "notes.txt").write_text("mine")
    (draft / ".hidden").write_text("mine")
    publish(draft, tmp_path / "out")
    assert not (tmp_path / "out" / "notes.txt").exists()
    assert not (tmp_path / "out" / ".hidden").exists()


def test_what_goes_to_the_hub_is_what_goes_to_a_folder(published: Path, draft: Path) -> None:
    before = {path.name: path.read_bytes() for path in draft.iterdir()}
    for source in (draft, published):
        with staged(source) as entry:
            staging = entry.folder
            files = {path.name: path.read_bytes() for path in staging.iterdir()}
        assert files == {path.name: path.read_bytes() for path in published.iterdir()}
        assert not staging.exists()
    assert {path.name: path.read_bytes() for path in draft.iterdir()} == before


def test_a_plan_writes_nothing(draft: Path, published: Path) -> None:
    plan = plan_publication(draft)
    assert (plan.name, plan.licence) == ("digits_s", "Apache-2.0")
    assert plan.files == {path.name: path.stat().st_size for path in published.iterdir()}
    assert plan.card == (published / "README.md").read_text(encoding="utf-8")
    assert not (draft / "README.md").exists()


AUTHORS = {"name": "the authors' checkpoint", "sha256": "0" * 64, "licence": "CC-BY-NC-4.0"}


def test_the_licence_of_an_ancestor_binds(draft: Path, tmp_path: Path) -> None:
    edit(draft / "config.json", lambda c: c["anas"]["weights"].update(lineage=[AUTHORS]))
    with pytest.raises(
        EntryError, match=r"gate 'licence'.*under CC-BY-NC-4\.0, so they cannot be under Apache"
    ):
        publish(draft, tmp_path / "out")
    permitted = AUTHORS | {"permission": "the authors, by letter"}
    edit(draft / "config.json", lambda c: c["anas"]["weights"].update(lineage=[permitted]))
    card = (publish(draft, tmp_path / "out") / "README.md").read_text(encoding="utf-8")
    assert "Made from the authors' checkpoint (**CC-BY-NC-4.0**" in card
    assert "another licence was allowed: the authors, by letter" in card


def without_licence(draft: Path) -> Path:
    """``draft`` as a run leaves it where nobody has chosen a licence."""

    def none(data: Any) -> None:
        data["anas"]["weights"]["licence"] = data["pretrained_cfg"]["license"] = None

    edit(draft / "config.json", none)
    return draft


def test_a_draft_gets_its_licence_when_it_is_published(draft: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in without_licence(draft).iterdir()}
    with pytest.raises(
        EntryError, match=r"gate 'licence'.* have none; .* give it, such as licence='CC-BY-4.0'"
    ):
        publish(draft, tmp_path / "out")
    with pytest.raises(EntryError, match=r"gate 'licence'.* 'TBD', which is not a licence"):
        publish(draft, tmp_path / "out", licence="TBD")
    assert not (tmp_path / "out").exists()
    assert plan_publication(draft, licence="MIT").licence == "MIT"
    out = publish(draft, tmp_path / "out", licence="CC-BY-4.0")
    verify(out)
    entry = Entry.read(out)
    assert entry.config.anas.weights is not None
    assert (entry.config.anas.weights.licence, entry.config.pretrained_cfg.license) == (
        "CC-BY-4.0",
        "cc-by-4.0",
    )
    assert "license: cc-by-4.0" in (out / "README.md").read_text()
    props = {prop.key: prop.value for prop in onnx.load(out / "model.onnx").metadata_props}
    assert (props["licence"], props["name"]) == ("CC-BY-4.0", "digits_s")
    assert {path.name: path.read_bytes() for path in draft.iterdir()} == before


def test_a_licence_that_was_published_stays(published: Path, draft: Path, tmp_path: Path) -> None:
    with pytest.raises(EntryError, match=r"was published under Apache-2\.0, which stays"):
        publish(published, tmp_path / "out", licence="MIT")
    assert verify(publish(published, tmp_path / "same", licence="Apache-2.0")).name == "digits_s"
    edit(draft / "config.json", lambda c: c["anas"]["weights"].update(lineage=[AUTHORS]))
    with pytest.raises(EntryError, match=r"under CC-BY-NC-4\.0, so they cannot be under MIT"):
        publish(draft, tmp_path / "out", licence="MIT")


def report(change: Callable[[Any], object]) -> Callable[[Path], None]:
    return lambda draft: edit(draft / "report.json", change)


def config(change: Callable[[Any], object]) -> Callable[[Path], None]:
    return lambda draft: edit(draft / "config.json", change)


def flip(name: str) -> Callable[[Path], None]:
    def damage(draft: Path) -> None:
        content = bytearray((draft / name).read_bytes())
        content[-9] ^= 0x40
        (draft / name).write_bytes(content)

    return damage


def shifted_golden(draft: Path) -> None:
    tensors = load_file(draft / "golden.safetensors")
    tensors["logits"][1, 2] += 0.01
    save_file(tensors, draft / "golden.safetensors")


def other_network(draft: Path) -> None:
    """A file that has its hash in the report, and still computes something else."""
    model = onnx.load(draft / "model.onnx")
    weight = max(model.graph.initializer, key=lambda w: int(np.prod(w.dims)))
    weight.raw_data = (onnx.numpy_helper.to_array(weight) * np.float32(1.1)).tobytes()
    onnx.save(model, draft / "model.onnx")
    path = draft / "model.onnx"
    record = {"sha256": sha256_file(path), "size_bytes": path.stat().st_size}
    edit(draft / "report.json", lambda r: r["files"]["model.onnx"].update(record))


def stray_onnx(draft: Path) -> None:
    (draft / "model.other.onnx").write_bytes((draft / "model.onnx").read_bytes())


def link(draft: Path) -> None:
    (draft / "model.onnx").rename(draft.parent / "elsewhere.onnx")
    (draft / "model.onnx").symlink_to(draft.parent / "elsewhere.onnx")


def unknown_licence(c: Any) -> None:
    c["anas"]["weights"]["licence"] = c["pretrained_cfg"]["license"] = "unknown"


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "another name": (report(lambda r: r.update(name="other")), "gate 'consistency'.*'other'"),
    "other preprocessing": (
        report(lambda r: r["accuracy"].update(preprocessing="reference")), "gate 'consistency'.*preproc",
    ),
    "no licence": (config(unknown_licence), "gate 'licence'.*'unknown'"),
    "no weights stated": (config(lambda c: c["anas"].update(weights=None)), "gate 'licence'.*no weights"),
    "uncalibrated": (config(lambda c: c["anas"].update(calibration=None)), "gate 'calibration'"),
    "no accuracy": (report(lambda r: r.update(accuracy=None)), "gate 'accuracy'"),
    "no cost": (report(lambda r: r.update(cost=None)), "gate 'cost'.*no cost"),
    "wrong macs": (report(lambda r: r["cost"].update(macs=1)), "gate 'cost'.*says 1 multiply-adds"),
    "wrong authors' count": (
        report(lambda r: r["cost"].update(params_authors=1)), "gate 'cost'.*says 1 parameters as the authors",
    ),
    "wrong graph count": (
        report(lambda r: r["cost"]["onnx"]["model.onnx"].update(macs=1)),
        "gate 'cost'.*says 1 multiply-adds .* of model.onnx, its graph has 57624 and",
    ),
    "count of a file that is not there": (
        report(lambda r: r["cost"]["onnx"].update({"a.onnx": r["cost"]["onnx"]["model.onnx"]})),
        "gate 'cost'.*counts a.onnx, which it does not list",
    ),
    "no onnx": (
        report(lambda r: (r.update(files={}), r["cost"].pop("onnx"))), "gate 'parity'.*no ONNX file",
    ),
    "no parity": (
        report(lambda r: r["files"]["model.onnx"].update(parity=None)), "gate 'parity'.*model.onnx was never",
    ),
    "parity too far": (
        report(lambda r: r["files"]["model.onnx"]["parity"].update(max_abs_logit_diff=0.5)),
        "gate 'parity'.*differs from torch by 0.5",
    ),
    "onnx absent": (lambda d: (d / "model.onnx").unlink(), "gate 'parity'.*model.onnx: no such file"),
    "onnx altered": (flip("model.onnx"), "gate 'parity'.*is not the file that report.json measured"),
    "onnx of another network": (other_network, "gate 'parity'.*model.onnx.*golden logits"),
    "onnx without evidence": (stray_onnx, "gate 'parity'.*model.other.onnx"),
    "a link": (link, "gate 'files'.*model.onnx is a symbolic link"),
    "weights altered": (flip("model.safetensors"), "gate 'weights'.*SHA-256 differs"),
    "golden absent": (lambda d: (d / "golden.safetensors").unlink(), "gate 'golden'.*no such file"),
    "golden shifted": (shifted_golden, "gate 'golden'.*difference 0.01"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_every_gate_refuses_and_leaves_nothing(draft: Path, tmp_path: Path, damage: str) -> None:
    change, message = DAMAGE[damage]
    change(draft)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(EntryError, match=message) as caught:
        publish(draft, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
