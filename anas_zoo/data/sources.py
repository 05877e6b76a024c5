"""Sources of labelled images: what they offer, and which one a name means."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from PIL import Image

from anas_zoo.core.errors import DataError, nearest
from anas_zoo.core.progress import note
from anas_zoo.core.text import hidden_characters, printable
from anas_zoo.data.digits import DigitsSource
from anas_zoo.data.folder import FolderSource
from anas_zoo.data.hf_datasets import HfDatasetSource, place_and_config
from anas_zoo.data.wds import WdsSource
from anas_zoo.entry import IMAGENET, WHOLE_IMAGE, Preprocessing

BUILT_IN = ("digits", "glyphs")
# What is before the first slash of a name, and what that means.
KINDS = {"hfds": "the Hugging Face dataset", "wds": "the tar shards"}


class ImageSource(Protocol):
    """A numbered, labelled collection of images, which may be sent to another process.

    Attributes:
        name: how to open it again (``open_source(name)``).
        title: what it is, for cards.
        licence: under which terms its images may be used.
        label_names: one name per class; none where the images have no labels.
        labels: class index of each image, (N,) int64; -1 where there are no classes.
        test_indices: images that the publisher set aside for testing, ascending, (T,) int64; None where
            there is no such part. They are numbered in one sequence with the others.
        preprocessing: how these images are turned into network inputs by default.
    """

    name: str
    title: str
    licence: str
    label_names: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    test_indices: npt.NDArray[np.int64] | None
    preprocessing: Preprocessing

    def image(self, index: int) -> Image.Image:
        """Image ``index`` in RGB, or in RGBA where parts are transparent.

        Raises :class:`DataError` naming an image that cannot be read.
        """
        ...

    def fingerprint(self) -> str:
        """Hash by which a split recognises the collection it was made for."""
        ...


@runtime_checkable
class FromFiles(Protocol):
    """A source whose images are files of their own, or one around such a source."""

    def file_name(self, index: int) -> str | None:
        """The file of image ``index`` within its source's folder; None where it is no file of its own."""
        ...


def file_of(source: ImageSource, index: int) -> str | None:
    """The file of an image within its source's folder; None for one that is no file of its own."""
    return source.file_name(index) if isinstance(source, FromFiles) else None


@runtime_checkable
class StoredSource(ImageSource, Protocol):
    """A source whose images are files, wherever these lie."""

    def stored_bytes(self) -> npt.NDArray[np.int64]:
        """Size of each image's file in bytes, (N,) int64; -1 where that takes opening it."""
        ...

    def stored_file(self, index: int) -> BinaryIO:
        """The file of image ``index``, opened for reading. Raises :class:`DataError` if it cannot be."""
        ...


def open_source(name: str | Path) -> ImageSource:
    """The source of that name, with names of classes that can be shown and published.

    ``digits`` and ``glyphs`` are built in; ``hfds/NAME`` is a Hugging Face dataset, on the Hub or in a
    folder; ``wds/PATH`` are tar shards in the WebDataset layout; anything else is a folder of images (see
    :class:`FolderSource`). A folder of such a name is ``./NAME``; a note says so where there is one.

    Raises :class:`DataError` that says what there is, and for a class whose name has hidden characters.
    """
    source = _open(name)
    for label in source.label_names:
        if hidden := hidden_characters(label):
            raise DataError(
                f"{source.name}: the class '{printable(label)}' has hidden characters in its name "
                f"({hidden}), which no entry may have; rename it"
            )
    return source


def _open(name: str | Path) -> ImageSource:
    text = str(name)
    kind, _, rest = text.partition("/")
    if (meaning := _meaning(text)) and Path(text).exists():
        as_kind = f", or {kind}/{text} for what it holds of that kind" if rest else ""
        note(f"{text} is {meaning}; for the folder of that name, give ./{text}{as_kind}")
    if text == "digits":
        return DigitsSource()
    if text == "glyphs":
        from anas_zoo.data.glyphs import GlyphsSource

        return GlyphsSource()
    if kind == "hfds" and rest:
        return HfDatasetSource(rest)
    if kind == "wds" and rest:
        return WdsSource(rest)
    path = Path(name)
    if not text or not path.is_dir():
        hint = f" (for tar shards, type wds/{text})" if ".tar" in path.suffixes else nearest(text, BUILT_IN)
        raise DataError(
            f"no data source {text!r}{hint}; give 'digits', 'glyphs', hfds/NAME (a Hugging Face dataset), "
            "wds/PATH (tar shards) or a folder with one sub-folder of images per class"
        )
    source = FolderSource(path)
    if _meaning(source.name):  # what Path makes of ./digits
        source.name = f"./{source.name}"
    return source


def _meaning(text: str) -> str:
    """What a name means that no folder can be opened by, in words; "" for any other."""
    kind, rest = _cut(text)
    return "the built-in source" if text in BUILT_IN else f"{KINDS[kind[:-1]]} {rest}" if kind else ""


def with_preprocessing(source: ImageSource, preprocessing: Preprocessing) -> ImageSource:
    """The same images with another contract; ``source`` keeps its own."""
    changed = copy.copy(source)
    changed.preprocessing = preprocessing
    return changed


def cropped_as_imagenet(source: ImageSource) -> ImageSource:
    """The same images without their borders, as networks for ImageNet are evaluated.

    All images that were no built-in ones were shown so, until versions after 0.2. Those with a preprocessing
    of their own keep it.
    """
    return with_preprocessing(source, IMAGENET) if source.preprocessing == WHOLE_IMAGE else source


def with_classes(source: ImageSource, label_names: Sequence[str], classes: Sequence[int]) -> ImageSource:
    """The same images with the classes of a network that has more of them, or has them in another order.

    Args:
        source: the images; known by the same fingerprint afterwards.
        label_names: the network's classes.
        classes: number among them of each class of ``source``.
    """
    return _OfOtherClasses(source, tuple(label_names), classes)


class _OfOtherClasses:
    """A source whose labels are numbers of a network's classes; see :func:`with_classes`."""

    def __init__(self, source: ImageSource, label_names: tuple[str, ...], classes: Sequence[int]) -> None:
        self._source = source
        self.name, self.title, self.licence = source.name, source.title, source.licence
        self.label_names, self.preprocessing = label_names, source.preprocessing
        self.labels: npt.NDArray[np.int64] = np.asarray(classes, dtype=np.int64)[source.labels]
        self.test_indices = source.test_indices

    def image(self, index: int) -> Image.Image:
        return self._source.image(index)

    def file_name(self, index: int) -> str | None:
        return file_of(self._source, index)

    def fingerprint(self) -> str:
        return self._source.fingerprint()


def _cut(name: str) -> tuple[str, str]:
    """(kind with its slash, path); the kind is empty for a folder of images."""
    kind, _, rest = name.partition("/")
    return (f"{kind}/", rest) if kind in KINDS and rest else ("", name)


def path_of_source(name: str, folder: Path) -> Path | None:
    """What has to be there for the source that ``name`` means in ``folder``; None where no path is meant.

    Of a pattern of shards that is the folder that they are in.
    """
    if name in BUILT_IN:
        return None
    kind, rest = _cut(name)
    path = folder / (place_and_config(rest, folder)[0] if kind == "hfds/" else rest)
    if kind == "hfds/" and not path.exists() and not Path(rest).is_absolute():
        return None  # on the Hub
    return path.parent if kind == "wds/" and "{" in path.name else path


def source_seen_from(name: str, folder: Path) -> str:
    """The name by which what ``name`` means in ``folder``, an absolute path, is opened from anywhere."""
    if path_of_source(name, folder) is None:
        return name
    kind, rest = _cut(name)
    return f"{kind}{folder / rest}"
