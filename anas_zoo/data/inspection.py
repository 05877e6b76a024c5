"""A look at a collection of images before anything is trained on it: what is there, and what is odd."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import Field

from anas_zoo.core.errors import DataError
from anas_zoo.core.images import FORMATS
from anas_zoo.core.progress import track
from anas_zoo.core.schema import Schema
from anas_zoo.core.text import printable
from anas_zoo.data.copies import MAX_COMPARED, Groups, find_copies, name_of
from anas_zoo.data.sources import ImageSource, StoredSource
from anas_zoo.data.splits import Split

MAX_LOOKED_AT = 20_000  # images; of more a part that is spread evenly
MAX_DRAWN = 256  # of images that are in no files: they are all of one kind
SECONDS = 15.0  # for decoding; what is decided by an inspection follows from the files' headers
LISTED_CLASSES = 12  # whose images are counted one by one in a line
NAMED = 3  # examples in a line
UNEQUAL = 10  # times as many images has the median class as one that is too small beside it
FEW_IMAGES = 20  # of the median class
MIXED = 4  # times as long is a long short side as a short one
SWAPPED = (5, 6, 7, 8)  # EXIF's orientations that exchange width and height
FILMS = ("GIF", "PNG", "WEBP", "AVIF")  # others with several images, as a camera's MPO, show one picture
THUMBNAIL = (32, 32)  # by which grey images are told

Size = tuple[int, int]


class ExactCopies(Schema):
    """Images whose files are equal, byte for byte.

    ``images`` are their numbers, ``files`` what people find them by, ``classes`` those that they are in.
    """

    images: tuple[int, ...]
    files: tuple[str, ...]
    classes: tuple[str, ...]

    def __str__(self) -> str:
        return " = ".join(self.files[:NAMED]) + (" = …" if len(self.files) > NAMED else "")


class Inspection(Schema):
    """What :func:`inspect` found.

    Attributes:
        images: number of all images.
        per_class: images of each class, by name; empty without classes.
        measured: images whose size was looked up.
        read: images that were read whole, those included that cannot be.
        unreadable: why each of those cannot be read.
        short_sides_px: smallest, 5 %, median, 95 % and largest short side in pixels; None where no image
            can be read.
        smallest: (width, height) in pixels of the image with the smallest area.
        largest: the same of the largest.
        kinds: how many of the images that were read are ``grey``, ``colour``, ``transparent`` (in parts),
            of a ``palette``, or ``animated``.
        compared: whether files were compared.
        copies: the files that are equal.
    """

    images: int
    per_class: dict[str, int]
    measured: int
    read: int
    unreadable: tuple[str, ...] = ()
    short_sides_px: tuple[int, int, int, int, int] | None = None
    smallest: Size | None = None
    largest: Size | None = None
    kinds: dict[str, int] = Field(default_factory=dict)
    compared: bool = False
    copies: tuple[ExactCopies, ...] = ()

    @property
    def short_side_px(self) -> int | None:
        """The median short side in pixels; None where no image can be read."""
        return None if self.short_sides_px is None else self.short_sides_px[2]

    @property
    def groups(self) -> Groups:
        """The numbers of the images that are copies of each other, as a split takes them."""
        return tuple(copies.images for copies in self.copies)

    @property
    def conflicts(self) -> tuple[ExactCopies, ...]:
        """The copies that are in more than one class."""
        return tuple(copies for copies in self.copies if len(copies.classes) > 1)

    def across(self, split: Split) -> tuple[ExactCopies, ...]:
        """The copies that are in more than one part of ``split``: what was trained on is tested on."""
        part = dict.fromkeys(split.search, 1) | dict.fromkeys(split.test, 2)
        nowhere = {image.index for image in split.unreadable} | set(split.copies_of_test)
        return tuple(
            copies
            for copies in self.copies
            if len({part.get(index, 0) for index in copies.images if index not in nowhere}) > 1
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return self.model_dump(mode="json")

    def line(self) -> str:
        """``"5,000 images in 10 classes (smallest: 'three', 480), 28×28 pixels"``."""
        text = f"{self.images:,} images"
        if self.per_class:
            name = min(self.per_class, key=lambda name: self.per_class[name])
            text += f" in {len(self.per_class):,} classes (smallest: {name!r}, {self.per_class[name]:,})"
        if self.smallest and self.largest:
            small, large = (f"{width:,}×{height:,}" for width, height in (self.smallest, self.largest))
            sizes = small if small == large else f"{small} to {large}"
            text += f", {sizes} pixels"
        return text

    def lines(self) -> list[str]:
        """What people want to know beyond :meth:`line`, in a few short lines."""
        found = [self._classes_line(), self._kinds_line()]
        if self.copies:
            count = sum(len(copies.images) - 1 for copies in self.copies)
            found.append(
                f"exact copies of other images, byte for byte: {count:,} ({_some(self.copies)}); copies are "
                "kept in one part"
            )
        elif not self.compared and self.images > MAX_COMPARED:
            found.append(f"copies were not looked for: more than {MAX_COMPARED:,} images")
        if self.unreadable:
            found.append(f"unreadable: {len(self.unreadable):,} ({_some(self.unreadable)})")
        if self.read < self.images and self.measured > MAX_DRAWN:
            rest = self.measured - self.read
            headers = f"; only the headers of {rest:,} others" if rest else ""
            found.append(f"looked at whole: {self.read:,} of the {self.images:,} images{headers}")
        return [line for line in found if line]

    def warnings(self) -> list[str]:
        """What may spoil a training, the worst first."""
        found = []
        if self.conflicts:
            count = sum(len(copies.images) for copies in self.conflicts)
            found.append(
                f"{count:,} files are in several classes with the same content ({_some(self.conflicts)}): "
                "no network can be right about both; keep each in one class"
            )
        counts = [count for count in self.per_class.values() if count]
        median = float(np.median(counts)) if counts else 0.0
        small = {name: count for name, count in self.per_class.items() if 0 < count < median / UNEQUAL}
        if small:
            named = _some([f"{name!r} {count:,}" for name, count in small.items()])
            found.append(
                f"very unequal classes: {named} images, while the median class has {median:,.0f}; "
                "small classes are learnt badly: add images to them"
            )
        if counts and median < FEW_IMAGES:
            found.append(
                f"few images, {median:.0f} in the median class: expect a rough accuracy, measured roughly"
            )
        if self.short_sides_px and self.short_sides_px[3] > MIXED * self.short_sides_px[1]:
            found.append(
                f"very unequal sizes: short sides from {self.short_sides_px[1]:,} (5 %) to "
                f"{self.short_sides_px[3]:,} pixels (95 %); the small ones are enlarged"
            )
        return found

    def _classes_line(self) -> str:
        if not self.per_class:
            return "no classes"
        if len(self.per_class) <= LISTED_CLASSES:
            return "images per class: " + ", ".join(f"{n} {c:,}" for n, c in self.per_class.items())
        counts = list(self.per_class.values())
        if min(counts) == max(counts):
            return f"images per class: {counts[0]:,}"
        return f"images per class: {min(counts):,} to {max(counts):,}, median {np.median(counts):,.0f}"

    def _kinds_line(self) -> str:
        kinds, readable = self.kinds, self.read - len(self.unreadable)
        if not readable:
            return ""
        grey, colour = kinds.get("grey", 0), kinds.get("colour", 0)
        text = f"{grey:,} grey and {colour:,} in colour" if grey and colour else "all grey" if grey else ""
        others = {
            "with transparent parts, which are laid on white": kinds.get("transparent", 0),
            "animated, of which the first picture is read": kinds.get("animated", 0),
        }
        found = [text, *(f"{count:,} {what}" for what, count in others.items() if count)]
        if self.short_sides_px and self.smallest != self.largest:
            found.insert(0, f"median short side {self.short_side_px:,} pixels")
        return "; ".join(filter(None, found))


def inspect(source: ImageSource, *, seconds: float = SECONDS) -> Inspection:
    """Look at the images of ``source``.

    Sizes are read from the headers of up to :data:`MAX_LOOKED_AT` files, and as many of these files as can be
    in ``seconds`` are read whole. Files are compared by :func:`anas_zoo.data.copies.find_copies`. Of images
    that are in no files a few are drawn.

    ``short_sides_px`` and ``copies`` depend on the images alone, not on the time.
    """
    stored = isinstance(source, StoredSource)
    chosen = _spread(len(source.labels), MAX_LOOKED_AT if stored else MAX_DRAWN)
    headers: dict[int, _Header] = {}
    if isinstance(source, StoredSource):
        for index in track(chosen, f"look at {len(chosen)} images"):
            if header := _header(source, index):
                headers[index] = header
    sizes = {index: header.size for index, header in headers.items()}
    kinds: Counter[str] = Counter()
    unreadable, read = [], 0
    end = time.monotonic() + seconds
    # A file without a header is read in any case: what is wrong with it is known then.
    for index in track(sorted(chosen, key=lambda index: index in headers), f"read {len(chosen)} images"):
        if time.monotonic() > end and index in headers:
            break
        read += 1
        try:
            with source.image(index) as image:
                sizes.setdefault(index, image.size)
                kinds.update(_kinds(image, headers.get(index)))
        except DataError as exc:
            unreadable.append(printable(str(exc)))
    copies = find_copies(source)
    counts = np.bincount(source.labels[source.labels >= 0], minlength=len(source.label_names))
    by_area = sorted(sizes.values(), key=lambda size: (size[0] * size[1], size))
    return Inspection(
        images=len(source.labels),
        per_class=dict(zip(map(printable, source.label_names), counts.tolist(), strict=True)),
        measured=len(chosen),
        read=read,
        unreadable=tuple(unreadable),
        short_sides_px=_quantiles([min(size) for size in by_area]) if by_area else None,
        smallest=by_area[0] if by_area else None,
        largest=by_area[-1] if by_area else None,
        kinds=dict(sorted(kinds.items())),
        compared=copies is not None,
        copies=tuple(_described(source, group) for group in copies or ()),
    )


class _Header(NamedTuple):
    """What a file says of itself before its pixels."""

    size: Size
    palette: bool
    animated: bool


def _header(source: StoredSource, index: int) -> _Header | None:
    """None where the file is not understood: it is read as a whole then, which says why."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with source.stored_file(index) as file, Image.open(file) as image:
                if image.format not in FORMATS:
                    return None
                width, height = image.size
                # Of other formats it may lie behind the pixels.
                if image.format in ("JPEG", "MPO") and image.getexif().get(0x0112) in SWAPPED:
                    width, height = height, width
                animated = image.format in FILMS and getattr(image, "is_animated", False)
                return _Header((width, height), image.mode in ("P", "PA"), animated)
    except Exception:  # a damaged file fails in as many ways as Pillow has formats
        return None


def _kinds(image: Image.Image, header: _Header | None) -> list[str]:
    pixels = np.asarray(image.convert("RGB").resize(THUMBNAIL, Image.Resampling.NEAREST))
    found = ["grey" if (pixels == pixels[..., :1]).all() else "colour"]
    if image.mode == "RGBA":
        found.append("transparent")
    if header is not None:
        found += ["palette"] * header.palette + ["animated"] * header.animated
    return found


def _spread(count: int, limit: int) -> list[int]:
    """At most ``limit`` numbers under ``count``, in an order whose beginnings are spread over all of them."""
    numbers: npt.NDArray[np.int64] = np.unique(np.linspace(0, count - 1, min(count, limit)).astype(np.int64))
    shuffled: list[int] = np.random.default_rng(0).permutation(numbers).tolist()
    return shuffled


def _quantiles(values: Sequence[int]) -> tuple[int, int, int, int, int]:
    low, few, half, most, high = np.quantile(values, (0, 0.05, 0.5, 0.95, 1), method="nearest")
    return int(low), int(few), int(half), int(most), int(high)


def _described(source: ImageSource, group: tuple[int, ...]) -> ExactCopies:
    labels = dict.fromkeys(source.labels[list(group)].tolist())
    return ExactCopies(
        images=group,
        files=tuple(name_of(source, index) for index in group),
        classes=tuple(printable(source.label_names[label]) for label in labels if label >= 0),
    )


def _some(things: Sequence[object]) -> str:
    more = f"; and {len(things) - NAMED:,} more" if len(things) > NAMED else ""
    return "; ".join(map(str, things[:NAMED])) + more
