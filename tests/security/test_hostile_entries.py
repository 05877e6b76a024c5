"""Entries made to do harm: each kind is refused with an error of its own, and nothing else happens."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image

from anas_zoo.core.errors import AnasError, CheckpointError, ConfigError, DataError, EntryError, ExportError
from anas_zoo.core.images import MAX_PIXELS, read_image
from anas_zoo.core.outside import refuse_external_data
from anas_zoo.core.plain_data import MAX_DEPTH, MAX_NODES, PlainDataError, parse_json, parse_yaml
from anas_zoo.core.resources import resource_folder
from anas_zoo.core.text import hidden_characters, markdown, markdown_code, printable
from anas_zoo.entry import Entry, check_manifest, read_config
from anas_zoo.exporting import Target, check_file
from anas_zoo.nets import load_authors_checkpoint
from anas_zoo.profiling import open_session
from anas_zoo.profiling.session import read_graph
from anas_zoo.space import AccuracyPredictor, SearchSpace
from anas_zoo.zoo import publish, verify


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    return Path(shutil.copytree(resource_folder("models") / "digits_s", tmp_path / "outside" / "digits_s"))


def pipe_as_config(entry: Path) -> None:
    (entry / "manifest.json").unlink()
    (entry / "config.json").unlink()
    os.mkfifo(entry / "config.json")


def link_outside(entry: Path) -> None:
    (entry / "README.md").unlink()
    (entry / "README.md").symlink_to("/etc/hostname")


class _Trap:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("sprung",)


def a_pickle(entry: Path) -> None:
    (entry / "pytorch_model.bin").write_bytes(pickle.dumps(_Trap()))


def many_files(entry: Path) -> None:
    for number in range(100):
        (entry / f"{number}.txt").touch()


def path_in_manifest(entry: Path) -> None:
    data = json.loads((entry / "manifest.json").read_text())
    data["files"]["../../x"] = {"bytes": 0, "sha256": "0" * 64}
    (entry / "manifest.json").write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (link_outside, r"README\.md is a symbolic link"),
        (a_pickle, r"pytorch_model\.bin is of a kind that can run code .* not opened"),
        (many_files, "more than 64 files"),
        (path_in_manifest, r"not the plain name of a file in this folder: '\.\./\.\./x'"),
    ],
)
def test_a_hostile_folder_is_refused_by_name(
    entry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], None], said: str
) -> None:
    harm(entry)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for read in (verify, check_manifest, Entry.read):
        with pytest.raises(EntryError, match=said) as caught:
            read(entry)
        assert "\n" not in str(caught.value)
    with pytest.raises(EntryError):
        publish(entry, tmp_path / "published")
    assert sorted(tmp_path.rglob("*")) == before


def test_pipes_are_never_waited_for(entry: Path) -> None:
    pipe_as_config(entry)
    with pytest.raises(EntryError, match=r"config\.json: is a named pipe"):
        Entry.read(entry)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "a": 2}', "'a' is there twice"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ("[1e999]", "not finite"),
        ("[-Infinity]", "only finite ones"),
        ("[18446744073709551616]", "64 bits"),
        ("[" + "9" * 5000 + "]", "64 bits"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested deeper"),
        ('["\\ud800"]', "lone surrogate"),
        ('"' + '\\"' * 1_000_000, "not valid JSON"),  # in linear time
    ],
)
def test_json_that_is_not_plain(text: str, said: str) -> None:
    with pytest.raises(PlainDataError, match=said):
        parse_json(text)


BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "\n".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, f"more than {MAX_NODES} values"),
        ("a: &a [*a]", "alias that contains itself"),
        ("a: !!python/object/apply:os.system [ls]", "tag"),
        ("a: !!str 1", "tag"),
        ("a: 1\na: 2", "there twice"),
        ("a: .inf", "not finite"),
        ("a: 2001-99-99", "not valid YAML"),
        ("a: " + "[" * 1000, "nested deeper"),
        ("a: 99999999999999999999", "64 bits"),
        ("x" * 300_000, "larger than"),
    ],
)
def test_yaml_that_is_not_plain(text: str, said: str) -> None:
    with pytest.raises(PlainDataError, match=said):
        parse_yaml(text)


def with_label(entry: Path, label: str) -> None:
    for name in ("manifest.json", "config.json"):
        data = json.loads((entry / name).read_text())
        if name == "config.json":
            data["label_names"][3] = label
            (entry / name).write_text(json.dumps(data))
    (entry / "manifest.json").unlink()


@pytest.mark.parametrize("label", ["\x1b[2Jx", "\u202egpj.exe", "a\nb"])
def test_hidden_characters_in_a_label_are_refused_and_shown(entry: Path, label: str) -> None:
    with_label(entry, label)
    with pytest.raises(EntryError, match=r"label_names\[3\]: has hidden characters \(U\+") as caught:
        read_config(entry)
    assert str(caught.value).isprintable()


def test_ordinary_scripts_are_no_hidden_characters() -> None:
    for text in ("Grüße", "数字", "عدد", "می\u200cخواهم", "👩\u200d🔬"):
        assert hidden_characters(text) == ""
        assert printable(text) == text
    assert printable("a\x1b[31m\u202e") == "a\\x1b[31m\\u202e"


HOSTILE = "<img src=x onerror=alert(1)> [a](javascript:b) ![c](d) `e` | **f** ~~g~~ $h$ &lt;"


def test_markdown_shows_text_as_it_is() -> None:
    """Undone by CommonMark's rule for backslashes, it is the text again, and no mark is left alone."""
    import re

    escaped = markdown(HOSTILE)
    assert re.sub(r"\\([\\`*\[\]<>&|~$])", r"\1", escaped) == HOSTILE
    assert not re.search(r"(?<!\\)[`*\[\]<>&|~$]", escaped)
    assert markdown_code("a`b|c\nd") == "`a'b\\|c d`"


def test_a_card_quotes_hostile_text(entry: Path) -> None:
    from anas_zoo.zoo import model_card

    found = Entry.read(entry)
    accuracy = found.report.accuracy
    assert accuracy is not None
    weights = found.config.anas.weights
    assert weights is not None
    report = found.report.model_copy(update={"accuracy": accuracy.model_copy(update={"source": HOSTILE})})
    own = found.config.anas.model_copy(
        update={
            "weights": weights.model_copy(update={"source": HOSTILE}),
            "space": found.config.space.model_copy(update={"name": "`<script>`"}),
        }
    )
    card = model_card(found.config.model_copy(update={"anas": own}), report)
    assert card.count(markdown(HOSTILE)) == 2
    assert "<img" not in card.replace("\\<img", "")
    assert "`'<script>'`" in card


def external(path: Path, location: str) -> Path:
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("image", "logits")]
    graph = helper.make_graph(
        [helper.make_node("Add", ["image", "w"], ["logits"])], "g", values[:1], values[1:], [weight]
    )
    inner = helper.make_node("If", ["c"], ["o"], then_branch=graph, else_branch=graph)
    outer = helper.make_graph([inner], "outer", values[:1], values[1:])
    chosen = outer if location.startswith("nested") else graph
    model = helper.make_model(chosen, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("location", ["beside.bin", "../secret.bin", "/etc/passwd", "nested.bin"])
def test_weights_outside_an_onnx_file_are_never_opened(tmp_path: Path, location: str) -> None:
    (tmp_path / "x").mkdir()
    for name in ("x/beside.bin", "x/nested.bin", "secret.bin"):  # all there, and good to open
        (tmp_path / name).write_bytes(np.zeros(4, np.float32).tobytes())
    path = external(tmp_path / "x" / "model.onnx", location)
    target, space = Target.load("ort-cpu-fp32"), SearchSpace.load("digits")
    for read in (
        open_session,
        read_graph,
        lambda p: check_file(p, target),
        lambda p: AccuracyPredictor(p, space),
    ):
        with pytest.raises(AnasError, match="weights lie outside the file") as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_external_data_is_seen_however_it_is_encoded(tmp_path: Path) -> None:
    content = external(tmp_path / "a.onnx", "x").read_bytes()
    plain = b"\x0a\x08location"
    assert content.count(plain) == 1
    for encoding in (b"\x0a\x08", b"\x8a\x00\x88\x00", b"\x8a\x80\x00\x88\x80\x80\x00"):
        (tmp_path / "b.onnx").write_bytes(content.replace(plain, encoding + b"location"))
        with pytest.raises(ExportError, match="outside the file"):
            refuse_external_data(tmp_path / "b.onnx", ExportError)
    model = onnx.load_model_from_string((resource_folder("models") / "digits_s" / "model.onnx").read_bytes())
    model.metadata_props.add(key="labels", value='["location", "other location"]')
    (tmp_path / "c.onnx").write_bytes(model.SerializeToString())
    refuse_external_data(tmp_path / "c.onnx", ExportError)  # the word alone is no harm


def safetensors_file(path: Path, header: dict[str, object], body: bytes) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


@pytest.mark.parametrize(
    "header",
    [
        {"images": {"dtype": "F32", "shape": [1, 3, 12, 12], "data_offsets": [0, 1728]}},
        {"images": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}, "logits": 3},
        {"images": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 4]}},
        {
            "images": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
            "logits": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
        },
        {
            "images": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]},
            "logits": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]},
        },
    ],
    ids=["alone", "damaged", "too large", "overlapping", "of another type"],
)
def test_golden_tensors_that_lie(entry: Path, header: dict[str, object]) -> None:
    safetensors_file(entry / "golden.safetensors", header, bytes(12))
    with pytest.raises(EntryError, match=r"golden\.safetensors") as caught:
        _ = Entry(entry).golden
    assert "\n" not in str(caught.value)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "s.pth"
    torch.save({"state_dict": {"a": torch.zeros(3)}}, path)
    with (
        zipfile.ZipFile(path) as whole,
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for part in whole.infolist():
            bomb.writestr(part.filename, whole.read(part))
        bomb.writestr("archive/data/9", bytes(10**8))
    assert (tmp_path / "bomb.pth").stat().st_size < 10**6
    with pytest.raises(CheckpointError, match="compressed zip file"):
        load_authors_checkpoint(tmp_path / "bomb.pth")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_one_clear_line(tmp_path: Path) -> None:
    path, side = tmp_path / "small.png", 9_600
    Image.new("1", (side, side)).save(path, optimize=True)
    assert side * side > MAX_PIXELS
    with pytest.raises(DataError, match=r"small\.png: .*limit of 89,478,485"):
        read_image(path)


def test_a_format_that_runs_a_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (4, 4)).save(path, format="EPS")
    with pytest.raises(DataError, match=r"a\.jpg: an image in the format EPS"):
        read_image(path)


def test_sizes_of_networks_have_limits() -> None:
    data = SearchSpace.load("digits").to_dict()
    data["stages"][0]["depth"] = [1, 10**9]
    with pytest.raises(ConfigError, match="depth goes up to 64 at most"):
        SearchSpace.from_dict(data)
