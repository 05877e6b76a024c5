from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from image_files import DIGITS, encoded

from anas_zoo.core.errors import DataError
from anas_zoo.data import SplitRecipe, WdsSource, make_split, open_source

Files = dict[str, bytes]


def write_tar(path: Path, files: Files | list[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in files.items() if isinstance(files, dict) else files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def samples(indices: range, form: str = "png") -> Files:
    files: Files = {}
    for index in indices:
        files[f"{index:05d}.{form}"] = encoded(index, form=form.replace("jpg", "jpeg"))
        files[f"{index:05d}.cls"] = str(DIGITS.labels[index]).encode()
    return files


def shows(source: WdsSource, indices: list[int]) -> None:
    """Image i of the source is digit ``indices[i]``, in pixels and label."""
    assert source.labels.tolist() == DIGITS.labels[indices].tolist()
    for i, index in enumerate(indices):
        assert source.image(i).tobytes() == DIGITS.image(index).resize((12, 12)).tobytes()


def test_one_tar(tmp_path: Path) -> None:
    source = WdsSource(str(write_tar(tmp_path / "a.tar", samples(range(12)))))
    shows(source, list(range(12)))
    assert source.test_indices is None
    assert source.label_names == tuple("0123456789")
    assert source.image(3).mode == "RGB"


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("train-{}.tar", "val-{}.tar"),
        ("imagenet1k-train-{}.tar", "imagenet1k-validation-{}.tar"),
        ("my-test-train{}.tar", "my-test-valid{}.tar"),  # the last such word counts
        ("train/shard-{}.tar", "test/shard-{}.tar"),
        ("Training/{}.tar", "dev/{}.tar"),
    ],
)
def test_parts_by_name_or_folder(tmp_path: Path, train: str, val: str) -> None:
    write_tar(tmp_path / train.format("0001"), samples(range(20, 40)))
    write_tar(tmp_path / train.format("0000"), samples(range(20)))
    write_tar(tmp_path / val.format("0000"), samples(range(40, 80)))
    source = open_source(f"wds/{tmp_path}")
    assert isinstance(source, WdsSource)
    shows(source, list(range(80)))
    assert source.test_indices is not None
    assert source.test_indices.tolist() == list(range(40, 80))
    split = make_split(source, SplitRecipe(search_per_class=1), seed=0)
    assert split.test == tuple(range(40, 80))


def test_of_several_held_out_parts_val_is_the_test_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, part in enumerate(("test", "train", "val")):
        write_tar(tmp_path / f"{part}-0.tar", samples(range(10 * number, 10 * number + 10)))
    write_tar(tmp_path / "extra" / "0.tar", samples(range(2)))
    (tmp_path / "._train-0.tar").write_bytes(b"what a Mac left")
    shows(WdsSource(str(tmp_path)), [*range(10, 20), *range(20, 30)])
    said = (
        "not read: the shards in extra",
        "training images are from train; the test part is val; not read: test",
    )
    assert capsys.readouterr().err == "".join(f"wds/{tmp_path}: {text}\n" for text in said)


def test_keys_may_have_dots(tmp_path: Path) -> None:
    files: Files = {}
    for index in range(12):
        key = f"n0144{index % 3}.{index:04d}.v1" if index % 2 else f"a.b/{index}"
        files[f"{key}.png"] = encoded(index)
        files[f"{key}.cls"] = str(DIGITS.labels[index]).encode()
    shows(WdsSource(str(write_tar(tmp_path / "a.tar", files))), list(range(12)))


def test_further_files_of_a_sample_are_no_samples(tmp_path: Path) -> None:
    further = {
        "x.seg.png": encoded(7),  # an image of another kind
        "x.meta.json": b'{"width": 12}',
        "x.raw.cls": b"cat",
        "x.big.json": b"1" * (2**20 + 1),
    }
    one: Files = {"x.png": encoded(1), "x.cls": b"1"}
    for number, files in enumerate((one | further, further | one)):
        shows(WdsSource(str(write_tar(tmp_path / f"{number}.tar", files))), [1])
    two = one | {"x.2.png": encoded(2), "x.2.json": b'{"label": 2}'}  # a copy is a sample of its own
    shows(WdsSource(str(write_tar(tmp_path / "two.tar", two))), [1, 2])


def test_a_pattern_names_the_shards(tmp_path: Path) -> None:
    for number in range(8, 12):
        write_tar(tmp_path / f"part-{number:02d}.tar", samples(range(number, number + 1)))
    shows(WdsSource(f"{tmp_path}/part-{{08..11}}.tar"), [8, 9, 10, 11])
    with pytest.raises(DataError, match=r"part-12\.tar: no such file \(2 of 4 shards are missing\)"):
        WdsSource(f"{tmp_path}/part-{{10..13}}.tar")
    with pytest.raises(DataError, match=r"the range \{3\.\.1\} must go up"):
        WdsSource(f"{tmp_path}/part-{{3..1}}.tar")


def test_labels_from_json_and_other_files_between(tmp_path: Path) -> None:
    files = {
        "README.md": b"no sample",
        "./a/x.JPEG": encoded(1, form="jpeg"),
        "./a/x.json": json.dumps({"label": 3, "caption": "one"}).encode(),
        "./a/x.txt": b"a caption",
        "./b/x.webp": encoded(2, form="webp"),  # the same name in another folder is another key
        "./b/x.json": b"not read, since there is a cls",
        "./b/x.cls": b" 2\n",
        "./.x.jpg": b"what a file manager left",
    }
    source = WdsSource(str(write_tar(tmp_path / "a.tar", files)))
    assert source.labels.tolist() == [3, 2]
    assert source.image(0).size == source.image(1).size == (12, 12)


def test_long_names_and_folders(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        folder = tarfile.TarInfo("folder.jpg")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for kind, content in (("png", encoded(5)), ("cls", b"5")):
            info = tarfile.TarInfo("folder/" + "n" * 200 + "." + kind)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    shows(WdsSource(str(tmp_path / "a.tar")), [5])


@pytest.mark.parametrize("file", ["classnames.txt", "classes.txt"])
def test_class_names_lie_beside_the_shards(tmp_path: Path, file: str) -> None:
    write_tar(tmp_path / "train" / "a.tar", samples(range(10)))
    (tmp_path / file).write_text("null\neins\nzwei\ndrei\nvier\nfünf\nsechs\nsieben\nacht\nneun\n\n", "utf-8")
    assert WdsSource(str(tmp_path)).label_names[5] == "fünf"
    (tmp_path / file).write_text("zero\none\n")
    with pytest.raises(DataError, match=rf"{file}: 2 class names, and the labels go up to 9"):
        WdsSource(str(tmp_path))
    (tmp_path / file).write_bytes(b"f\xfcnf")
    with pytest.raises(DataError, match=rf"{file}: cannot be read as UTF-8"):
        WdsSource(str(tmp_path))


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    write_tar(tmp_path / "x" / "train-0.tar", samples(range(10)))
    write_tar(tmp_path / "x" / "val-0.tar", samples(range(10, 20)))
    before = WdsSource(str(tmp_path / "x")).fingerprint()
    (tmp_path / "x").rename(tmp_path / "y")
    assert WdsSource(str(tmp_path / "y")).fingerprint() == before
    relabelled = samples(range(10)) | {"00003.cls": b"0"}
    write_tar(tmp_path / "y" / "train-0.tar", relabelled)
    assert WdsSource(str(tmp_path / "y")).fingerprint() != before


ONE = {"k.png": encoded(0), "k.cls": b"0"}
BROKEN: dict[str, tuple[Files | list[tuple[str, bytes]], str]] = {
    "no label, dots": (ONE | {"a.b.png": encoded(0)}, r"'a\.b' has no label; expected a\.b\.cls"),
    "other words": ({"k.img.png": encoded(0), "k.target.cls": b"0"}, r"'k\.img' has no label"),
    "no label": ({"k.png": encoded(0)}, r"'k' has no label; expected k\.cls"),
    "json without label": (
        {"k.png": encoded(0), "k.json": b'{"text": 1}'},
        r"'k' has no label; expected k\.cls .* with \"label\"",
    ),
    "no image": ({"k.cls": b"1", "k.bmp": b""}, r"'k' has a label and no image; expected k\.jpg"),
    "a word": ({"k.png": encoded(0), "k.cls": b"cat\n"}, r"k\.cls holds 'cat'; expected a class number"),
    "negative": ({"k.png": encoded(0), "k.cls": b"-1"}, r"k\.cls holds '-1'"),
    "a fraction": ({"k.png": encoded(0), "k.json": b'{"label": 1.5}'}, r"k\.json has \"label\" '1\.5'"),
    "bytes": ({"k.png": encoded(0), "k.cls": b"\xff\xfe"}, r"k\.cls holds '\ufffd\ufffd'"),
    "not json": ({"k.png": encoded(0), "k.json": b"{label: 1}"}, r"k\.json is not valid JSON"),
    "large label": ({"k.png": encoded(0), "k.cls": b"1" * (2**20 + 1)}, r"k\.cls has 1048577 bytes"),
    "two images": (ONE | {"k.jpg": encoded(1)}, r"two images of the key 'k'"),
    "twice": ([*ONE.items(), ("k.png", encoded(1))], r"two images of the key 'k'"),
    "two labels": ([*ONE.items(), ("k.cls", b"1")], r"two files k\.cls of the key 'k'"),
    "nothing": ({"readme.md": b"empty"}, r"no samples in the shards of .*expected KEY\.jpg"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_sample_is_named_in_one_line(tmp_path: Path, kind: str) -> None:
    files, message = BROKEN[kind]
    with pytest.raises(DataError, match=message) as caught:
        WdsSource(str(write_tar(tmp_path / "shard.tar", files)))
    assert "shard.tar" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_link_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("k.jpg")
        info.type, info.linkname = tarfile.SYMTYPE, "elsewhere.jpg"
        tar.addfile(info)
    with pytest.raises(DataError, match=r"a\.tar: k\.jpg is a link"):
        WdsSource(str(tmp_path / "a.tar"))


def test_a_truncated_tar_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", samples(range(3)))
    whole = path.read_bytes()
    content = 3 * (1024 + 1024)  # each file has a header and, being small, one block
    assert whole[content:] == bytes(len(whole) - content)
    for length in [*range(0, content, 500), *range(512, content + 1, 512)]:
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"a\.tar: truncated") as caught:
            WdsSource(str(path))
        assert "\n" not in str(caught.value)
    path.write_bytes(whole[: content + 512])  # of the two zero blocks at the end one is enough
    assert len(WdsSource(str(path)).labels) == 3


def test_a_damaged_header_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", samples(range(3)))
    data = bytearray(path.read_bytes())
    data[2048:2050] = b"\xff\xff"  # the name in the header of the second sample; its checksum is wrong now
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.tar: truncated"):
        WdsSource(str(path))


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "a.tar"])
def test_a_compressed_tar_is_refused_with_what_to_type(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(write_tar(tmp_path / "plain", ONE).read_bytes()))
    for place in (path, tmp_path):
        with pytest.raises(DataError, match=rf"unpack it: gunzip < {path} > NEW\.tar"):
            WdsSource(str(place))


WRONG_FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda p: None, r"no \.tar files in .*nor in .*train"),
    "no tar": (lambda p: (p / "a.tar").write_text("text, not a tar"), r"a\.tar: truncated or not a tar"),
    "unclear": (
        lambda p: (write_tar(p / "train-0.tar", ONE), write_tar(p / "more.tar", ONE)),
        r"more\.tar is neither of train nor of val",
    ),
    "also in a sub-folder": (
        lambda p: (write_tar(p / "train" / "0.tar", ONE), write_tar(p / "0.tar", ONE)),
        r"0\.tar is neither of train nor of val",
    ),
    "val and test": (
        lambda p: (write_tar(p / "val-0.tar", ONE), write_tar(p / "test-0.tar", ONE)),
        r"shards of val and of test, and none of train; .* such as train-\{0000\.\.0003\}",
    ),
    "two spellings": (
        lambda p: [write_tar(p / part / "0.tar", ONE) for part in ("train", "val", "valid")],
        r"'val' and 'valid' are two spellings of the same part",
    ),
    "val is empty": (
        lambda p: (write_tar(p / "train-0.tar", ONE), write_tar(p / "val-0.tar", {})),
        r"no samples in the shards",
    ),
}


@pytest.mark.parametrize("kind", WRONG_FOLDERS)
def test_folders_that_are_no_collection(tmp_path: Path, kind: str) -> None:
    make, message = WRONG_FOLDERS[kind]
    make(tmp_path)
    with pytest.raises(DataError, match=message):
        WdsSource(str(tmp_path))


def test_an_unreadable_image_is_named_by_its_file(tmp_path: Path) -> None:
    files = ONE | {"deep/bad.png": encoded(1)[:-40], "deep/bad.cls": b"1"}
    source = WdsSource(str(write_tar(tmp_path / "a.tar", files)))
    assert source.image(0).size == (12, 12)
    with pytest.raises(DataError, match=r"a\.tar: deep/bad\.png: unreadable image"):
        source.image(1)


def test_a_shard_that_goes_away_is_named(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", ONE)
    source = WdsSource(str(path))
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(DataError, match=r"a\.tar: has changed since it was indexed"):
        source.image(0)
    path.unlink()
    with pytest.raises(DataError, match=r"a\.tar: cannot be read \(No such file"):
        source.image(0)
