"""Accuracy of a shelf's entry on real digits, by the command's stage and by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from catalog_entries import FIRST_FORMAT
from edited_entries import as_reference, edit_config
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anas_zoo.core.errors import DataError, EntryError, NoWeightsError, OutputError
from anas_zoo.core.files import sha256_file
from anas_zoo.core.geometry import Mode
from anas_zoo.core.intervals import with_interval
from anas_zoo.data import DigitsSource, balanced_choice, eval_tensor
from anas_zoo.data.chosen_images import SCORING
from anas_zoo.entry import Accuracy, Entry, EntryReport, FileInfo, write_report
from anas_zoo.exporting.image_input import with_image_input
from anas_zoo.pipeline.evaluate import evaluate
from anas_zoo.pipeline.labelled_images import choose_images
from anas_zoo.pipeline.recipe import FinetuneRecipe
from anas_zoo.pipeline.run import FinetuneRun
from anas_zoo.zoo import Classifier, entry_folder, load_subnet, model_card

SMALL = FIRST_FORMAT
LIMIT = 300


def by_hand(indices: list[int], mode: Mode) -> tuple[float, float]:
    """(top-1, top-5) in percent of the small entry on digits."""
    source = DigitsSource()
    images = eval_tensor(source, indices, source.preprocessing.in_mode(mode), 6)
    labels = torch.from_numpy(source.labels[indices])[:, None]
    with torch.no_grad():
        hits = load_subnet(SMALL)(images).topk(5).indices == labels
    return 100.0 * float(hits[:, 0].double().mean()), 100.0 * float(hits.any(1).double().mean())


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """The small entry as the draft of a run on digits."""
    run = FinetuneRun.start(
        tmp_path / "run", FinetuneRecipe.load(None, {"data": "digits"}), Entry.read(SMALL)
    )
    return Path(shutil.copytree(SMALL, run.draft_folder, ignore=shutil.ignore_patterns("manifest.json")))


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_accuracies_are_those_counted_by_hand(runtime: str) -> None:
    found = evaluate(SMALL, data="digits", preprocessing="both", limit=LIMIT, runtime=runtime)  # type: ignore[arg-type]
    indices = balanced_choice(range(1797), DigitsSource().labels, LIMIT, [0, SCORING])
    assert [a.preprocessing for a in found.accuracies] == ["native", "reference"]
    for accuracy in found.accuracies:
        top1, top5 = by_hand(indices, accuracy.preprocessing)
        assert accuracy.top1_pct == pytest.approx(top1)
        assert accuracy.top5_pct == pytest.approx(top5)
        assert (accuracy.split, accuracy.images) == ("all", LIMIT)
    assert by_hand(indices, "native") != by_hand(indices, "reference")
    assert found.runtime == ("torch" if runtime == "torch" else "model.onnx")


def test_a_limit_leaves_no_class_out() -> None:
    source = DigitsSource()
    _, chosen = choose_images(source, None, None, 60)
    assert np.bincount(source.labels[chosen]).tolist() == [6] * 10


def test_the_recorded_mode_is_the_default(draft: Path) -> None:
    (native,) = evaluate(draft, limit=LIMIT).accuracies
    as_reference(draft)
    (reference,) = evaluate(draft, limit=LIMIT).accuracies
    assert (native.preprocessing, reference.preprocessing) == ("native", "reference")
    test = FinetuneRun.open(draft.parent.parent).split.test
    measured = balanced_choice(test, DigitsSource().labels, LIMIT, [0, SCORING])
    assert reference.top1_pct == pytest.approx(by_hand(measured, "reference")[0])
    # Its native form is what timm does with the config: here another crop than the entry had.
    other = evaluate(draft, limit=LIMIT, preprocessing="native").accuracies[0]
    assert other.preprocessing == "native"


def test_a_draft_of_a_run_is_measured_on_its_test_split(draft: Path) -> None:
    run = FinetuneRun.open(draft.parent.parent)
    for named in (None, "digits"):
        (accuracy,) = evaluate(draft, data=named).accuracies
        assert (accuracy.split, accuracy.images) == ("test", len(run.split.test))
        assert accuracy.top1_pct == pytest.approx(by_hand(list(run.split.test), "native")[0])
    assert evaluate(draft, split="search").accuracies[0].images == len(run.split.search)
    assert evaluate(draft, split="train").accuracies[0].images == len(run.split.train)


def test_what_is_kept_is_one_row_per_mode_in_report_and_card(draft: Path) -> None:
    before = Entry.read(draft).report.model_copy(update={"accuracy": None})
    write_report(draft, before)
    evaluate(draft, preprocessing="both", limit=20, keep=True)
    evaluate(draft, preprocessing="both", keep=True)
    entry = Entry.read(draft)
    modes = [(a.preprocessing, a.split, a.images) for a in entry.report.further_accuracy]
    count = len(FinetuneRun.open(draft.parent.parent).split.test)
    assert modes == [("native", "test", count), ("reference", "test", count)]
    assert entry.report.model_copy(update={"further_accuracy": ()}) == before
    card = model_card(entry.config, entry.report)
    for accuracy in entry.report.further_accuracy:
        row = f"| {accuracy.top1} | {accuracy.top5_pct:.2f} % | {accuracy.ece_pct:.2f} % | {count} | test |"
        assert any(
            line.startswith(row) and line.endswith(f"| {accuracy.preprocessing} |")
            for line in card.splitlines()
        )
    assert "the network's own preprocessing is `native`" in card


def test_what_the_report_says_already_is_not_said_twice(draft: Path) -> None:
    with pytest.raises(EntryError, match="leave out runtime or keep"):  # only torch's figures are kept
        evaluate(draft, runtime="onnxruntime", keep=True)
    (measured,) = evaluate(draft).accuracies
    own = Entry.read(draft).report.accuracy
    assert own is not None
    assert own.images == measured.images
    assert own.top1_pct == pytest.approx(measured.top1_pct)
    evaluate(draft, preprocessing="both", keep=True)
    assert [a.preprocessing for a in Entry.read(draft).report.further_accuracy] == ["reference"]


def test_a_published_entry_stays_as_it_is(tmp_path: Path) -> None:
    entry = Path(shutil.copytree(SMALL, tmp_path / "entry"))
    before = {path.name: path.read_bytes() for path in entry.iterdir()}
    with pytest.raises(EntryError, match="is published, its report is fixed; leave out keep"):
        evaluate(entry, data="digits", limit=10, keep=True)
    evaluate(entry, data="digits", limit=10)
    assert {path.name: path.read_bytes() for path in entry.iterdir()} == before


@pytest.fixture
def raw(draft: Path) -> Path:
    """The draft with a second file, which prepares its images itself."""
    config = Entry.read(draft).config
    own = config.anas.preprocessing
    model = with_image_input(onnx.load(draft / "model.onnx"), own, config.arch.resolution)
    onnx.save(model, draft / "model.raw.onnx")
    report = Entry.read(draft).report
    file = draft / "model.raw.onnx"
    info = FileInfo(
        target="raw",
        opset=18,
        input="uint8-nhwc",
        size_bytes=file.stat().st_size,
        sha256=sha256_file(file),
    )
    write_report(draft, report.model_copy(update={"files": report.files | {"model.raw.onnx": info}}))
    return draft


def test_a_file_that_prepares_its_images_gets_them_as_they_are(raw: Path, tmp_path: Path) -> None:
    (mine,) = evaluate(raw, runtime="onnxruntime", file="model.raw.onnx").accuracies
    (plain,) = evaluate(raw, runtime="onnxruntime").accuracies
    assert mine.confusion == plain.confusion
    assert (mine.top1_pct, mine.top5_pct) == (plain.top1_pct, plain.top5_pct)
    images = sorted(write_folder(tmp_path / "images", "05").rglob("*.png"))
    DigitsSource().image(3).resize((20, 31)).save(images[0])  # images need not be of one size
    (folder,) = evaluate(
        raw, data=str(tmp_path / "images"), runtime="onnxruntime", file="model.raw.onnx"
    ).accuracies
    assert folder.images == 12
    by_file = Classifier(raw, file="model.raw.onnx").logits(images)
    np.testing.assert_allclose(by_file, Classifier(raw).logits(images), atol=0.05)
    with pytest.raises(EntryError, match=r"model\.raw\.onnx prepares its images itself.*leave out preproc"):
        evaluate(raw, preprocessing="both", runtime="onnxruntime", file="model.raw.onnx")


def test_what_is_mistaken_is_named_and_drawn(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", "0123456789", per_class=30)
    found = evaluate(SMALL, data=str(folder), preprocessing="both", sheet=tmp_path / "sheet.png")
    native, reference = found.accuracies
    assert native.confusion is not None
    assert native.mistakes
    files = [folder / found.images[one.image] for one in native.mistakes]
    said = [best for (best,) in Classifier(SMALL).predict(files, top_k=1)]
    assert [file.parent.name for file in files] == [str(one.label) for one in native.mistakes]
    assert [best.label for best in said] == [str(one.predicted) for one in native.mistakes]
    assert [best.probability_pct for best in said] == pytest.approx(
        [one.confidence_pct for one in native.mistakes], abs=0.01
    )
    sure = [one.confidence_pct for one in native.mistakes]
    assert sure == sorted(sure, reverse=True)
    data = found.to_dict()["accuracies"][0]
    assert [one["file"] for one in data["mistakes"]] == [found.images[one.image] for one in native.mistakes]
    assert sum(one["correct"] for one in data["classes"]) == round(3 * native.top1_pct)
    assert found.sheet == tmp_path / "sheet.png"
    with Image.open(found.sheet) as sheet:
        assert sheet.format == "PNG"
    with pytest.raises(OutputError, match=r"sheet\.png"):  # nobody's file is replaced
        evaluate(SMALL, data=str(folder), sheet=found.sheet)
    assert reference.ece_pct != native.ece_pct


def test_without_a_mistake_there_is_no_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_folder(tmp_path / "images", "0", per_class=3)
    found = evaluate(SMALL, data=str(folder), sheet=tmp_path / "sheet.png")
    assert (found.sheet, found.accuracies[0].mistakes, found.accuracies[0].confusion) == (None, (), None)
    assert not (tmp_path / "sheet.png").exists()
    assert "nothing was mistaken" in capsys.readouterr().err


def write_folder(root: Path, labels: str, per_class: int = 6) -> Path:
    source = DigitsSource()
    for label in labels:
        (root / label).mkdir(parents=True)
        for index in np.flatnonzero(source.labels == int(label))[:per_class]:
            source.image(int(index)).save(root / label / f"{index}.png")
    return root


def test_classes_of_a_folder_are_matched_by_name(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", "73")
    numbers = sorted(int(path.stem) for path in folder.rglob("*.png"))
    (accuracy,) = evaluate(SMALL, data=str(folder)).accuracies
    assert (accuracy.images, accuracy.split) == (12, "all")
    assert accuracy.top1_pct == pytest.approx(by_hand(numbers, "native")[0])
    assert accuracy.top1_pct > 80  # by their places in the folder, 7 and 3 would be 0 and 1


def test_a_folder_with_a_test_part_is_measured_on_it(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    write_folder(folder / "train", "01")
    write_folder(folder / "val", "01", per_class=2)
    for split, images in ((None, 4), ("train", 12), ("all", 16)):
        assert evaluate(SMALL, data=str(folder), split=split).accuracies[0].images == images
    with pytest.raises(DataError, match="no part 'search'; give test or train or all as split"):
        evaluate(SMALL, data=str(folder), split="search")


def renamed(folder: Path, names: list[str] | None) -> Path:
    return edit_config(folder, lambda config: config.update(label_names=names))


def test_images_that_do_not_fit_are_refused_in_one_line(draft: Path, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", "0123")
    (folder / "0").rename(folder / "zero")
    for data, message in (
        (None, "no images to measure on; give data"),
        ("digit", "no data source"),
        (str(folder), "does not know: 'zero'; name its folders as the labels of the entry, such as '0'"),
    ):
        with pytest.raises(DataError, match=message):
            evaluate(SMALL, data=data)
    with pytest.raises(DataError, match=r"has 10 classes without names and .* has 4; give images of exactly"):
        evaluate(renamed(draft, None), data=str(folder))
    with pytest.raises(DataError, match="several classes called 'zero', so that the images of"):
        evaluate(renamed(draft, ["1", "2", "3", "zero", "zero", *"yyyyy"]), data=str(folder))
    assert (
        evaluate(renamed(draft, ["1", "2", "3", "zero", *"yyyyyy"]), data=str(folder)).accuracies[0].images
        == 24
    )


def test_entries_that_cannot_be_measured_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NoWeightsError, match="attentive_nas_a0 has no weights on the shelf"):
        evaluate(entry_folder("attentive_nas_a0"), data="digits")
    bare = Path(shutil.copytree(SMALL, tmp_path / "bare", ignore=shutil.ignore_patterns("*.s*", "man*")))
    with pytest.raises(EntryError, match=r"bare lacks model\.safetensors"):
        evaluate(bare, data="digits")
    with pytest.raises(EntryError, match=r"no exported file 'x\.onnx'; it has model\.onnx"):
        evaluate(SMALL, data="digits", runtime="onnxruntime", file="x.onnx")
    with pytest.raises(EntryError, match="give runtime='onnxruntime' too"):
        evaluate(SMALL, data="digits", file="model.onnx")


PLAIN = {"source": "s", "split": "test", "images": 3, "top1_pct": 50.0, "preprocessing": "native"}


@given(top5=st.none() | st.floats(0, 100), further=st.lists(st.sampled_from(["native", "reference"])))
def test_reports_of_before_read_and_write_alike(top5: float | None, further: list[Mode]) -> None:
    accuracy = Accuracy.model_validate(PLAIN)
    old = EntryReport(name="x", arch_id="0", accuracy=accuracy)
    assert old.to_dict()["accuracy"] == PLAIN
    assert accuracy.top1 == with_interval(50.0, 3)  # which needs no new field
    assert "further_accuracy" not in old.to_dict()
    more = tuple(accuracy.model_copy(update={"preprocessing": m, "top5_pct": top5}) for m in further)
    new = old.model_copy(update={"further_accuracy": more})
    assert EntryReport.model_validate(json.loads(json.dumps(new.to_dict()))) == new


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_images_that_cannot_be_read_are_not_counted(
    runtime: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = DigitsSource()
    for index in range(40):
        folder = tmp_path / str(source.labels[index])
        folder.mkdir(exist_ok=True)
        source.image(index).save(folder / f"{index}.png")
    whole = evaluate(SMALL, data=str(tmp_path), runtime=runtime).accuracies[0]  # type: ignore[arg-type]
    files = sorted(tmp_path.glob("*/*.png"))
    for file in files[:2]:
        file.write_bytes(file.read_bytes()[:-30])
    found = evaluate(SMALL, data=str(tmp_path), preprocessing="both", runtime=runtime)  # type: ignore[arg-type]
    assert [accuracy.images for accuracy in found.accuracies] == [38, 38]
    gone = round(whole.top1_pct * 40 / 100) - round(found.accuracies[0].top1_pct * 38 / 100)
    assert 0 <= gone <= 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("2 of 40 images cannot be read and are left out: ")
    for file in files[2:11]:
        file.write_bytes(b"")
    with pytest.raises(DataError, match=r"^11 images could not be read, 10 may be left out; .*\.png: "):
        evaluate(SMALL, data=str(tmp_path), runtime=runtime)  # type: ignore[arg-type]


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_transparent_images_are_read_as_the_entry_says(runtime: str, tmp_path: Path) -> None:
    images = tmp_path / "images"
    source = DigitsSource()
    for index in range(60):
        folder = images / str(source.labels[index])
        folder.mkdir(parents=True, exist_ok=True)
        scan = source.image(index)
        scan.putalpha(0)  # nothing but white on white; without its transparency, a scan
        scan.save(folder / f"{index}.png")
    entry = Path(
        shutil.copytree(SMALL, tmp_path / "digits_s", ignore=shutil.ignore_patterns("manifest.json"))
    )
    dropped = evaluate(entry, data=str(images), runtime=runtime).accuracies[0]  # type: ignore[arg-type]
    assert dropped.top1_pct > 80
    edit_config(entry, lambda config: config["anas"]["preprocessing"].update(transparency="white"))
    white = evaluate(entry, data=str(images), runtime=runtime).accuracies[0]  # type: ignore[arg-type]
    assert white.top1_pct < 30  # all look alike
