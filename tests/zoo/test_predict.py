from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from timm.data import create_transform, resolve_data_config

from anas_zoo.core.errors import DataError, EntryError, NoWeightsError
from anas_zoo.core.images import read_image
from anas_zoo.core.resources import resource_folder
from anas_zoo.data import eval_transform
from anas_zoo.entry import Entry, Preprocessing, read_config, write_report
from anas_zoo.zoo import Classifier, create_model
from anas_zoo.zoo.predict import preprocess
from anas_zoo.zoo.verifying import check_onnx_files

pytest_plugins = ["zoo_fixtures"]


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """A real photograph, 640 × 427."""
    return Image.fromarray(load_sample_image("china.jpg"))


def transparent_palette(image: Image.Image, path: Path) -> None:
    image.quantize(16).save(path, transparency=bytes(range(0, 256, 16)))


def grey16(image: Image.Image, path: Path) -> None:
    Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(path)


def rotated(image: Image.Image, path: Path) -> None:
    """Lying on its side, with the mark that says so, as phones save."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


FORMATS: dict[str, tuple[str, Callable[[Image.Image, Path], None]]] = {
    "rgb": ("a.png", lambda i, p: i.save(p)),
    "cmyk": ("a.jpg", lambda i, p: i.convert("CMYK").save(p, quality=90)),
    "grey": ("a.png", lambda i, p: i.convert("L").save(p)),
    "grey and alpha": ("a.png", lambda i, p: i.convert("LA").save(p)),
    "gif": ("a.gif", lambda i, p: i.save(p)),
    "palette with transparency": ("a.png", transparent_palette),
    "portrait": ("a.png", lambda i, p: i.transpose(Image.Transpose.ROTATE_90).save(p)),
    "tiny": ("a.png", lambda i, p: i.resize((9, 5)).save(p)),
    "one column": ("a.png", lambda i, p: i.resize((1, 40)).save(p)),
}


def timms(image: Image.Image, cfg: dict[str, object]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    tensor: torch.Tensor = create_transform(**resolve_data_config(pretrained_cfg=cfg))(image)
    return tensor.numpy()


@pytest.mark.parametrize("name", ["attentive_nas_a0", "digits_s"])
@pytest.mark.parametrize("form", FORMATS)
def test_preprocessing_equals_timms(
    form: str, name: str, published: Path, photo: Image.Image, tmp_path: Path
) -> None:
    folder = published if name == "digits_s" else resource_folder("models") / name
    config = read_config(folder)
    file, save = FORMATS[form]
    path = tmp_path / file
    save(photo, path)
    with Image.open(path) as opened:
        plain = opened.convert("RGBA").convert("RGB") if "transparency" in form else opened.convert("RGB")
    want = timms(plain, config.pretrained_cfg.model_dump())
    got = preprocess(read_image(path), config.anas.preprocessing, config.arch.resolution)
    assert got.dtype == np.float32
    assert got.shape == (3, config.arch.resolution, config.arch.resolution)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


def test_a_rotated_photo_is_read_upright(photo: Image.Image, tmp_path: Path) -> None:
    rotated(photo, tmp_path / "phone.png")
    config = read_config(resource_folder("models") / "attentive_nas_a1")
    got = preprocess(read_image(tmp_path / "phone.png"), config.anas.preprocessing, config.arch.resolution)
    np.testing.assert_allclose(got, timms(photo, config.pretrained_cfg.model_dump()), rtol=0, atol=1e-6)


def test_sixteen_bits_are_scaled_and_not_clipped(photo: Image.Image, tmp_path: Path) -> None:
    grey16(photo, tmp_path / "deep.png")
    with Image.open(tmp_path / "deep.png") as opened:
        assert opened.mode.startswith("I")  # where Pillow's own conversion to RGB gives white
    config = read_config(resource_folder("models") / "attentive_nas_a1")
    got = preprocess(read_image(tmp_path / "deep.png"), config.anas.preprocessing, config.arch.resolution)
    want = timms(photo.convert("L").convert("RGB"), config.pretrained_cfg.model_dump())
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("side", [192, 224, 288])
def test_reference_mode_is_the_authors_resize(side: int, photo: Image.Image) -> None:
    info = Preprocessing(mode="reference")
    crop = timms(photo, {"input_size": (3, 224, 224), "crop_pct": 0.875, "interpolation": "bilinear"})
    want = torch.nn.functional.interpolate(
        torch.from_numpy(crop)[None], size=(side, side), mode="bicubic", align_corners=False
    )[0]
    # torch sums in float32; 2e-5 is a two-hundredth of one of 256 grey levels after normalising.
    np.testing.assert_allclose(preprocess(photo, info, side), want.numpy(), rtol=0, atol=2e-5)


def test_the_entrys_transform_is_what_prediction_does(photo: Image.Image) -> None:
    for mode in ("native", "reference"):
        info = Preprocessing(mode=mode, interpolation="bilinear")
        tensor = eval_transform(info, 160)(photo)
        np.testing.assert_allclose(preprocess(photo, info, 160), tensor.numpy(), rtol=0, atol=2e-5)


def test_predictions_are_those_of_torch(published: Path, photo: Image.Image, tmp_path: Path) -> None:
    paths = []
    for index, box in enumerate([(0, 0, 200, 200), (200, 100, 420, 300), (300, 0, 640, 427)]):
        paths.append(tmp_path / f"{index}.png")
        photo.crop(box).save(paths[-1])
    classifier = Classifier(published)
    results = classifier.predict(paths, top_k=3)
    model = create_model(published, pretrained=True).eval()
    cfg = read_config(published).pretrained_cfg.model_dump()
    for path, result in zip(paths, results, strict=True):
        with torch.no_grad():
            logits = model(torch.from_numpy(timms(Image.open(path).convert("RGB"), cfg))[None])[0]
        percents, indices = (100 * logits.double().softmax(0)).topk(3)
        assert [p.index for p in result] == indices.tolist()
        assert [p.label for p in result] == [f"digit {i}" for i in indices.tolist()]
        assert [p.probability_pct for p in result] == pytest.approx(percents.tolist(), abs=0.02)
    assert classifier.predict([]) == []
    assert len(classifier.predict(paths[:1], top_k=99)[0]) == 10


BAD_IMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda p: p.write_text("not an image"), "not an image that Pillow can read"),
    "empty": (lambda p: p.write_bytes(b""), "not an image that Pillow can read"),
    "folder": (lambda p: p.mkdir(), "is a folder"),
    "absent": (lambda p: None, "no such file"),
}


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_an_unreadable_image_is_named(published: Path, tmp_path: Path, kind: str) -> None:
    make, message = BAD_IMAGES[kind]
    path = tmp_path / "bad.png"
    make(path)
    with pytest.raises(DataError, match=f"bad.png.*{message}") as caught:
        Classifier(published).predict([path])
    assert "\n" not in str(caught.value)


def test_entries_that_cannot_predict(entry: Path, draft: Path) -> None:
    with pytest.raises(NoWeightsError, match="anas import attentive-nas"):
        Classifier(resource_folder("models") / "attentive_nas_a0")
    with pytest.raises(EntryError, match=r"no exported file 'model\.int8\.onnx'; it has model\.onnx"):
        Classifier(entry, file="model.int8.onnx")
    content = bytearray((entry / "model.onnx").read_bytes())
    content[-40] ^= 1
    (entry / "model.onnx").write_bytes(content)
    with pytest.raises(EntryError, match=r"model\.onnx.*SHA-256 differs|cannot load"):
        Classifier(entry)
    (draft / "model.onnx").unlink()
    with pytest.raises(EntryError, match=r"model\.onnx: no such"):
        Classifier(draft)


def test_a_file_for_other_processors_is_not_run(draft: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(draft / "model.onnx", draft / "model.mine.onnx")
    report = Entry.read(draft).report
    info = report.files["model.onnx"].model_copy(update={"processor": "integer-dot-product"})
    write_report(draft, report.model_copy(update={"files": report.files | {"model.mine.onnx": info}}))
    monkeypatch.setattr("anas_zoo.profiling.machine.has_integer_dot_product", lambda: False)
    with pytest.raises(
        EntryError, match=r"model\.mine\.onnx would be wrong on this machine: .* neither VNNI"
    ):
        Classifier(draft, file="model.mine.onnx")
    assert Classifier(draft).file.name == "model.onnx"
    assert check_onnx_files(Entry.read(draft), None).keys() == {"model.onnx"}
    monkeypatch.setattr("anas_zoo.profiling.machine.has_integer_dot_product", lambda: True)
    assert Classifier(draft, file="model.mine.onnx").predict([]) == []
    assert check_onnx_files(Entry.read(draft), None).keys() == {"model.onnx", "model.mine.onnx"}


def test_prediction_and_the_shelf_need_no_torch(published: Path, photo: Image.Image, tmp_path: Path) -> None:
    photo.save(tmp_path / "a.png")
    code = (
        "import sys\n"
        "from anas_zoo.entry import Entry\nfrom anas_zoo.zoo import entry_folder, list_models\n"
        "Entry.read(entry_folder(list_models()[0]))\n"
        "light = {'torch', 'timm', 'onnxruntime', 'PIL', 'sklearn', 'onnx'} & set(sys.modules)\n"
        "assert not light, light\n"
        "from anas_zoo.zoo import Classifier\n"
        f"print(Classifier({str(published)!r}).predict([{str(tmp_path / 'a.png')!r}])[0][0].label)\n"
        "heavy = {'torch', 'torchvision', 'timm', 'onnx'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("digit ")
