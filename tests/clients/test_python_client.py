"""The client of one file: it computes what the package computes, and knows what is wrong with its input."""

from __future__ import annotations

import ast
import io
import json
import shutil
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import pytest
from PIL import Image
from python_client import CLIENT, SHELF, client, copied_entry, edit, refusal, run_client
from safetensors.numpy import load_file, save
from sklearn.datasets import load_sample_image

from anas_zoo.core.errors import DataError
from anas_zoo.core.files import sha256_file
from anas_zoo.core.geometry import Transparency
from anas_zoo.core.images import opaque, read_image
from anas_zoo.data import DigitsSource
from anas_zoo.entry import Preprocessing, read_config
from anas_zoo.exporting.image_input import with_image_input
from anas_zoo.zoo import Classifier, verifying
from anas_zoo.zoo.predict import preprocess


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    return copied_entry(tmp_path)


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """A real photograph, 640 × 427."""
    return Image.fromarray(load_sample_image("china.jpg"))


def test_it_imports_three_packages_and_no_more() -> None:
    roots = set()
    for node in ast.walk(ast.parse(CLIENT.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add((node.module or ".").split(".")[0])
    assert roots - sys.stdlib_module_names == {"numpy", "PIL", "onnxruntime"}


def test_golden_images_give_the_golden_logits() -> None:
    done = run_client(SHELF / "digits_s", "--check", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["file"], found["images"]) == ("model.onnx", 8)
    assert 0 <= found["max_abs_logit_diff"] < 1e-4 < found["allowed"] < 1e-2


def test_predictions_are_those_of_the_package(photo: Image.Image, tmp_path: Path) -> None:
    paths = [tmp_path / "photo.jpg", *(tmp_path / f"{index}.png" for index in range(5))]
    photo.save(paths[0])
    for index, path in enumerate(paths[1:]):
        DigitsSource().image(index).save(path)
    done = run_client(SHELF / "digits_s", *paths, "--json", "--top", "4")
    assert (done.returncode, done.stderr) == (0, "")
    want = Classifier(SHELF / "digits_s").predict(paths, top_k=4)
    for path, best, found in zip(paths, want, json.loads(done.stdout), strict=True):
        assert found["image"] == str(path)
        assert [p["label"] for p in found["predictions"]] == [p.label for p in best]
        assert [p["index"] for p in found["predictions"]] == [p.index for p in best]
        percents = [p["probability_pct"] for p in found["predictions"]]
        assert percents == pytest.approx([p.probability_pct for p in best], rel=1e-5)
    plain = run_client(SHELF / "digits_s", paths[1], "--top", "1", "--threads", "2")
    assert plain.stdout == f"{paths[1]}\n  {want[1][0].probability_pct:6.2f} %  {want[1][0].label}\n"


def test_it_is_a_module_as_well(photo: Image.Image, tmp_path: Path) -> None:
    classifier = client.Classifier(SHELF / "digits_m")
    photo.save(tmp_path / "a.png")
    want = classifier(tmp_path / "a.png")
    assert len(want) == 5
    content = (tmp_path / "a.png").read_bytes()
    assert classifier(content) == classifier(io.BytesIO(content)) == classifier(photo) == want
    assert sum(p.probability_pct for p in classifier(photo, top=99)) == pytest.approx(100)


def rotated(image: Image.Image, path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


def transparent_palette(image: Image.Image, path: Path) -> None:
    image.quantize(16).save(path, transparency=bytes(range(0, 256, 16)))


def half_transparent(image: Image.Image, path: Path) -> None:
    image = image.copy()
    image.putalpha(image.convert("L").transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    image.save(path)


def sixteen_bits(image: Image.Image, path: Path) -> None:
    Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(path)


def colour_key(depth: int, colour: int, rows: bytes, *key: int) -> bytes:
    """A PNG of one row of two pixels whose tRNS chunk makes one grey level, or one colour, transparent."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    parts = [(b"IHDR", struct.pack(">IIBBBBB", 2, 1, depth, colour, 0, 0, 0))]
    parts += [(b"tRNS", struct.pack(f">{len(key)}H", *key)), (b"IDAT", zlib.compress(b"\0" + rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in [*parts, (b"IEND", b"")])


COLOUR_KEYS = {
    "2 bits": colour_key(2, 0, b"\x60", 1),
    "16 bits": colour_key(16, 0, b"\7\1\x08\1", 0x0701),
    "RGB of 16 bits": colour_key(16, 2, b"\1\0\2\0\3\0\1\0\2\0\4\0", 0x100, 0x200, 0x300),
}

FORMATS: dict[str, tuple[str, Callable[[Image.Image, Path], None]]] = {
    "rgb": ("a.png", lambda i, p: i.save(p)),
    "cmyk": ("a.jpg", lambda i, p: i.convert("CMYK").save(p, quality=90)),
    "grey and alpha": ("a.png", lambda i, p: i.convert("LA").save(p)),
    "16 bits": ("a.png", sixteen_bits),
    "half transparent": ("a.png", half_transparent),
    "transparent colour": ("a.png", lambda i, p: i.save(p, transparency=i.getpixel((3, 3)))),
    "transparent grey": ("a.png", lambda i, p: i.convert("L").save(p, transparency=90)),
    "long": ("a.png", lambda i, p: i.resize((1850, 19)).save(p)),
    "upright": ("a.png", lambda i, p: i.resize((4, 333)).save(p)),
    "palette with transparency": ("a.png", transparent_palette),
    "rotated": ("a.jpg", rotated),
    "one column": ("a.png", lambda i, p: i.resize((1, 40)).save(p)),
    "odd": ("a.png", lambda i, p: i.resize((333, 271)).save(p)),
}  # fmt: skip

INFOS = {
    "native": (Preprocessing(transparency="dropped"), 192),
    "on white": (Preprocessing(), 96),
    "lanczos": (Preprocessing(interpolation="lanczos", crop_pct=0.9), 77),
    "reference": (Preprocessing(mode="reference"), 288),
    "reference down": (Preprocessing(mode="reference"), 192),
}


def config_of(kind: str, **changes: str) -> dict[str, Any]:
    info, resolution = INFOS[kind]
    own = info.model_dump(mode="json") | changes
    return {"anas": {"preprocessing": own, "arch": {"resolution": resolution}}}


def preprocessing_of(kind: str) -> Any:
    return client.Preprocessing(config_of(kind), Path("config.json"))


@pytest.fixture(scope="module")
def images(photo: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of every form in :data:`FORMATS`."""
    paths = {}
    for form, (file, save_as) in FORMATS.items():
        paths[form] = tmp_path_factory.mktemp("form") / file
        save_as(photo, paths[form])
    return paths


@pytest.mark.parametrize("kind", INFOS)
def test_pixels_are_those_of_the_package(kind: str, images: dict[str, Path]) -> None:
    prepare = preprocessing_of(kind)
    for form, path in images.items():
        want = preprocess(read_image(path), *INFOS[kind])
        got = prepare(client.read_rgb(path, prepare.transparency))
        assert got.dtype == np.float32
        assert got.flags["C_CONTIGUOUS"]
        close = 1e-6 if kind.startswith("reference") else 0
        np.testing.assert_allclose(got, want, rtol=0, atol=close, err_msg=form)


@pytest.mark.parametrize("transparency", get_args(Transparency))
def test_transparent_colours_are_those_of_the_package(transparency: Transparency) -> None:
    for name, content in COLOUR_KEYS.items():
        want = opaque(read_image(content), transparency)
        assert client.read_rgb(content, transparency).tobytes() == want.tobytes(), name


def test_unknown_ways_of_preprocessing_are_refused() -> None:
    for key, value in {"transparency": "grey", "colour": "bgr", "mode": "squash"}.items():
        with pytest.raises(
            client.ClassifyError, match=rf"config.json: anas.preprocessing.{key} is '{value}'"
        ):
            client.Preprocessing(config_of("native", **{key: value}), Path("config.json"))


def test_golden_logits_are_held_to_what_verify_allows() -> None:
    assert client.RELATIVE_TOLERANCE == verifying.RELATIVE_TOLERANCE
    assert client.PARITY_MARGIN == verifying.PARITY_MARGIN


def test_a_file_that_takes_raw_images(
    entry: Path, photo: Image.Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, config = entry / "model.u8.onnx", read_config(entry)
    model = onnx.load(entry / "model.onnx")
    onnx.save(with_image_input(model, config.anas.preprocessing, config.arch.resolution), raw)
    own = {"sha256": sha256_file(raw), "input": "uint8-nhwc"}
    edit(
        entry / "report.json",
        lambda r: r["files"].update({raw.name: r["files"]["model.onnx"] | own}),
    )
    rotated(photo, tmp_path / "phone.png")
    got, want = (client.Classifier(entry, file=f).logits(tmp_path / "phone.png") for f in (raw.name, None))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)
    assert "takes raw pixels" in refusal(capsys, entry, "--check", "--file", raw.name)


BAD_IMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda p: p.write_text("no image"), "bad.png: not an image that Pillow can read"),
    "folder": (lambda p: p.mkdir(), "bad.png: is a folder"),
    "absent": (lambda p: None, "bad.png: no such file"),
    "32 bits": (
        lambda p: Image.fromarray(np.full((4, 4), 70_000, np.int32)).save(p, format="TIFF"),
        "outside 0 to 65535",
    ),
    "floating point": (
        lambda p: Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(p, format="TIFF"),
        "floating-point pixel",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_an_unreadable_image_is_named(
    kind: str, photo: Image.Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = BAD_IMAGES[kind]
    make(tmp_path / "bad.png")
    photo.save(tmp_path / "good.png")
    said = refusal(capsys, SHELF / "digits_s", tmp_path / "good.png", tmp_path / "bad.png")
    assert message in said
    with pytest.raises(DataError) as caught:  # the package says the same
        read_image(tmp_path / "bad.png")
    assert said.removeprefix("classify.py: error: ") == str(caught.value)


def test_what_is_not_there_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "no exported file 'model.int8.onnx'; it has: model.onnx" in refusal(
        capsys, SHELF / "digits_s", "--check", "--file", "model.int8.onnx"
    )
    assert "README.md says how to get weights" in refusal(capsys, SHELF / "attentive_nas_a0", "--check")
    assert "give the folder of an entry" in refusal(capsys, tmp_path / "none", "--check")


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    done = run_client(SHELF / "digits_s", "--check", absent=("onnxruntime",))
    assert done.returncode == 1
    assert done.stderr.startswith("classify.py: error: onnxruntime is missing; run: pip install numpy")
    assert done.stderr.count("\n") == 1
    failed = run_client(tmp_path / "none", "--check")
    assert (failed.returncode, failed.stdout, failed.stderr.count("\n")) == (1, "", 1)


def config(**changes: object) -> Callable[[Path], None]:
    return lambda entry: edit(entry / "config.json", lambda c: c["anas"]["preprocessing"].update(changes))


def flipped(name: str) -> Callable[[Path], None]:
    def damage(entry: Path) -> None:
        content = bytearray((entry / name).read_bytes())
        content[-9] ^= 0x40
        (entry / name).write_bytes(content)

    return damage


def foreign(entry: Path) -> None:
    (entry / "model.onnx").write_bytes(b"no model")
    edit(
        entry / "report.json",
        lambda r: r["files"]["model.onnx"].update(sha256=sha256_file(entry / "model.onnx")),
    )


def shifted(entry: Path) -> None:
    tensors = load_file(entry / "golden.safetensors")
    tensors["logits"][3, 2] += 0.01
    (entry / "golden.safetensors").write_bytes(save(tensors))


def published_and_altered(entry: Path) -> None:
    shutil.copyfile(SHELF / "digits_s" / "manifest.json", entry / "manifest.json")
    flipped("golden.safetensors")(entry)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda e: (e / "config.json").unlink(), "config.json: cannot be read"),
    "no json": (lambda e: (e / "config.json").write_text("{"), "config.json: not valid JSON"),
    "later format": (
        lambda e: edit(e / "config.json", lambda c: c["anas"].update(format=3)), "a newer format",
    ),
    "unknown mode": (config(mode="fancy"), "mode is 'fancy', known: ('native', 'reference')"),
    "no deviation": (config(std=[0.5, 0, 0.5]), "are three numbers, std without zeros"),
    "few labels": (
        lambda e: edit(e / "config.json", lambda c: c.update(label_names=["a"])), "not a list of 10 names",
    ),
    "altered onnx": (flipped("model.onnx"), "model.onnx is not the file that report.json measured"),
    "foreign onnx": (foreign, "model.onnx: onnxruntime cannot load it"),
    "altered golden": (published_and_altered, "golden.safetensors is not the file that was published"),
    "shifted golden": (shifted, "does not give the golden logits: largest difference 0.01, allowed 0.000"),
    "truncated golden": (lambda e: (e / "golden.safetensors").write_bytes(b"\x07"), "damaged, or no safe"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_one_line(damage: str, entry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, message = DAMAGE[damage]
    change(entry)
    assert message in refusal(capsys, entry, "--check")
