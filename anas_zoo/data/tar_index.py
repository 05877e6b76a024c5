"""Where the images of one tar shard lie: a pass over its headers, so that any of them can be read alone.

A sample is KEY.jpg (jpeg, png, webp) with KEY.cls (a whole number as text) or KEY.json with "label". Its
key ends at the last dot of the file's name, so that keys may have dots. In WebDataset it ends at the first
one: what is not a whole sample by itself, such as KEY.seg.png, belongs to the sample KEY where there is one,
and is passed over like all other files.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import DataError
from anas_zoo.core.plain_data import parse_json

IMAGES = ("jpg", "jpeg", "png", "webp")
LABELS = ("cls", "json")
MAX_LABEL_BYTES = 2**20  # a label's file is a few bytes; a larger one is something else
MAX_CLASSES = 10**6

BLOCK = 512  # everything in a tar starts at a multiple of it
COMMANDS = {b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ": "unxz", b"\x28\xb5\x2f\xfd": "unzstd"}


class TarIndex(NamedTuple):
    """The samples of a shard, in the order of its files; three arrays (N,) int64.

    ``offsets`` and ``sizes`` are the bytes of each image within the tar, ``labels`` its class.
    """

    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]


@dataclass(slots=True)
class _Sample:
    image: tuple[int, int] | None = None  # offset, size
    labels: dict[str, bytes] = field(default_factory=dict)  # content of KEY.cls and KEY.json
    problem: str = ""  # why it cannot be used, if it is a sample


def index_tar(path: Path) -> TarIndex:
    """Index the tar ``path``. Only its headers and labels are read.

    Raises :class:`DataError` naming the file, and the sample where there is one, when the tar is compressed
    or truncated, and when a sample is there twice or lacks its image or a label that is a whole number.
    """
    samples: dict[str, _Sample] = {}
    try:
        with path.open("rb") as file:
            _refuse_compressed(path, file)
            end = 0
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for member in tar:
                    end = member.offset_data + -(-member.size // BLOCK) * BLOCK
                    _add(path, file, member, samples)
            # tarfile takes a tar that breaks off between two files, or in a header, for a whole one.
            file.seek(end)
            if file.read(BLOCK) != bytes(BLOCK):
                raise DataError(
                    f"{path}: truncated tar (no end mark at byte {end}); copy or download it again"
                )
    except (tarfile.TarError, OSError, ValueError, EOFError) as exc:
        reason = " ".join(str(exc).split())
        raise DataError(f"{path}: truncated or not a tar ({reason}); copy or download it again") from exc
    rows = [
        _row(path, key, sample) for key, sample in samples.items() if not _belongs_to_another(key, samples)
    ]
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return TarIndex(*(np.ascontiguousarray(column) for column in table.T))


def name_at(path: Path, offset: int) -> str:
    """The name of the file whose content begins at byte ``offset`` of a tar, "?" where there is none."""
    try:
        with tarfile.open(path, "r:") as tar:
            return next((member.name for member in tar if member.offset_data == offset), "?")
    except (tarfile.TarError, OSError):
        return "?"


def _refuse_compressed(path: Path, file: BinaryIO) -> None:
    start = file.read(8)
    file.seek(0)
    for magic, command in COMMANDS.items():
        if start.startswith(magic):
            raise DataError(
                f"{path} is compressed, so its images cannot be read singly; unpack it: {command} < {path} > "
                "NEW.tar"
            )


def _add(path: Path, file: BinaryIO, member: tarfile.TarInfo, samples: dict[str, _Sample]) -> None:
    folder, _, base = member.name.rpartition("/")
    stem, _, kind = base.rpartition(".")
    kind = kind.lower()
    if base.startswith(".") or not stem or (kind not in IMAGES and kind not in LABELS) or member.isdir():
        return
    key = f"{folder}/{stem}" if folder else stem
    sample = samples.setdefault(key, _Sample())
    if not member.isreg() or member.issparse():
        sample.problem = f"{member.name} is a link or sparse; pack it again with: tar --dereference"
    elif kind in sample.labels or (kind in IMAGES and sample.image is not None):
        what = "two images" if kind in IMAGES else f"two files {key}.{kind}"
        sample.problem = f"{what} of the key {key!r}; each key of a shard is one sample"
    elif kind in IMAGES:
        sample.image = (member.offset_data, member.size)
    elif member.size > MAX_LABEL_BYTES:
        sample.problem = f"{member.name} has {member.size} bytes, which no label has"
    else:
        file.seek(member.offset_data)  # tarfile seeks itself before it reads on
        sample.labels[kind] = file.read(member.size)


def _belongs_to_another(key: str, samples: dict[str, _Sample]) -> bool:
    """Whether ``key`` is no sample, and what is before one of its dots is a whole one."""
    folder, _, stem = key.rpartition("/")
    words = stem.split(".")
    if len(words) == 1 or _is_whole(key, samples[key]):
        return False
    shorter = (".".join(words[:count]) for count in range(1, len(words)))
    found = (name for name in (f"{folder}/{stem}" if folder else stem for stem in shorter) if name in samples)
    return any(_is_whole(name, samples[name]) for name in found)


def _is_whole(key: str, sample: _Sample) -> bool:
    try:
        _label(Path(), key, sample)
    except DataError:
        return False
    return sample.image is not None


def _row(path: Path, key: str, sample: _Sample) -> tuple[int, int, int]:
    """(offset, size, class) of a sample."""
    if sample.problem:
        raise DataError(f"{path}: {sample.problem}")
    if sample.image is None:
        raise DataError(f"{path}: {key!r} has a label and no image; expected {key}.jpg, .jpeg, .png or .webp")
    return (*sample.image, _label(path, key, sample))


def _label(path: Path, key: str, sample: _Sample) -> int:
    """The class of a sample; KEY.cls goes before KEY.json."""
    if (content := sample.labels.get("cls")) is not None:
        text = content.strip()
        if not text.isdigit() or int(text) >= MAX_CLASSES:
            given = text[:40].decode("utf-8", "replace")
            raise DataError(f"{path}: {key}.cls holds {given!r}; expected a class number from 0")
        return int(text)
    if (content := sample.labels.get("json")) is not None:
        try:
            data = parse_json(content.decode("utf-8"))
        except ValueError as exc:  # of JSON, or of UTF-8
            raise DataError(f"{path}: {key}.json is not valid JSON ({exc})") from exc
        if isinstance(data, dict) and "label" in data:
            label = data["label"]
            if type(label) is not int or not 0 <= label < MAX_CLASSES:
                raise DataError(
                    f'{path}: {key}.json has "label" {str(label)[:40]!r}; expected a class number from 0'
                )
            return label
    raise DataError(f'{path}: {key!r} has no label; expected {key}.cls (a number) or {key}.json with "label"')
