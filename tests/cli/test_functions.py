"""The stages as functions: the names and options of the commands, results in place of printed text."""

from __future__ import annotations

import inspect
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import anas_zoo
from anas_zoo.cli import app
from anas_zoo.core.errors import AnasError
from anas_zoo.core.extras import MissingPackageError
from anas_zoo.core.hints import FUNCTIONS
from anas_zoo.core.progress import LOGGER


@pytest.fixture(autouse=True)
def as_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens to the package's log."""
    monkeypatch.setattr(LOGGER, "handlers", [])


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_has_the_arguments_and_options_of_its_command(name: str) -> None:
    program: Any = typer.main.get_command(app.make_app(name))
    command = {
        (one.opts[0].lstrip("-").replace("-", "_") if one.opts[0].startswith("--") else one.name)
        for one in program.commands[name].params
    }
    function = {parameter.rstrip("_") for parameter in inspect.signature(getattr(anas_zoo, name)).parameters}
    assert command - {"json"} == function


@pytest.mark.parametrize("name", anas_zoo.__all__)
def test_every_argument_is_explained(name: str) -> None:
    function = getattr(anas_zoo, name)
    pages = [function.__doc__ or "", function.__init__.__doc__ or ""]
    if name == "Entry":
        pages.append(anas_zoo.Entry.read.__doc__ or "")
    for parameter in inspect.signature(function).parameters:
        assert any(f"{parameter}:" in page for page in pages), parameter
    assert function.__module__ == "anas_zoo" or inspect.isclass(function)


def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingPackageError, match=r"^scikit-learn is not .*pip install .*\[train\]"):
        anas_zoo.train(tmp_path / "run", data="digits")


def test_an_entry_is_named_by_its_folder_its_shelf_name_or_itself(entry: Path) -> None:
    by_name, by_folder = anas_zoo.profile("digits_s"), anas_zoo.profile(entry)
    assert by_folder == anas_zoo.profile(anas_zoo.Entry(entry)) == anas_zoo.profile(str(entry))
    assert by_name.macs != by_folder.macs
    assert anas_zoo.create_model(anas_zoo.Entry(entry), pretrained=True).num_classes == 4
    assert anas_zoo.Classifier("digits_s").label_names == tuple("0123456789")
    with pytest.raises(AnasError, match=r"image_size is height and width in pixels"):
        anas_zoo.profile(entry, image_size="480")


def test_a_search_is_extracted_exported_and_evaluated_without_a_word(
    trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    found = anas_zoo.search(
        run, algorithm="random", evaluations=4, images=32, max_mflops=[1, 9.5], device="cpu"
    )
    assert found is not None
    assert [answer.limit for answer in found.answers] == [1e6, 9.5e6]
    assert found.folder == run / "search"
    best = found.answers[-1].best
    assert best is not None
    (draft,) = anas_zoo.extract(run, arch=best.arch.id).drafts
    made = anas_zoo.export(draft, target=["ort-cpu-fp32", "ort-cpu-int8"], require_speedup=False)
    assert made.files[0].path == draft / "model.onnx"
    assert len(made.files) + len(made.failed) == 2
    (accuracy,) = anas_zoo.evaluate(draft, limit=20, runtime="onnxruntime").accuracies
    assert accuracy.images == 20
    with pytest.raises(AnasError, match=r"holds a finished search; .*anas_zoo\.search\('.*', resume=True\)"):
        anas_zoo.search(run)
    with pytest.raises(AnasError, match=r"objective='flops': no such cost"):
        anas_zoo.search(run, objective="flops", resume=True)
    with pytest.raises(AnasError, match="arch and max_mflops name architectures in two ways"):
        anas_zoo.extract(run, arch=best.arch.id, max_mflops=1)
    assert capfd.readouterr() == ("", "")


def test_an_entry_is_published_verified_and_validated_without_a_word(
    draft: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = anas_zoo.publish(draft, tmp_path / "entry", dry_run=True).plan
    assert plan is not None
    assert plan.licence == "Apache-2.0"
    assert list(tmp_path.iterdir()) == []
    folder = anas_zoo.publish(draft, tmp_path / "entry").folder
    assert folder == tmp_path / "entry"
    assert anas_zoo.verify(folder).golden_images == 2
    copy = anas_zoo.pull(folder, tmp_path / "copy")
    assert copy.files == anas_zoo.verify(copy.folder).files
    (parity,) = anas_zoo.validate(folder).values()
    assert parity.max_abs_logit_diff < 1e-4
    with pytest.raises(AnasError, match=r"check it: anas_zoo\.verify\(|check it: anas verify"):
        anas_zoo.publish(draft, folder)
    assert capfd.readouterr() == ("", "")
