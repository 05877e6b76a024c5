"""Which of a trained network's classes the classes of a collection of images are: by name, never by chance.

ImageNet's classes are known by WordNet id, by description (``tench, Tinca tinca``) and by each of its names
that no other class has. Facts about them come from timm's ``ImageNetInfo``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self

from pydantic import model_validator

from anas_zoo.core.errors import DataError, nearest
from anas_zoo.core.hints import Call
from anas_zoo.core.schema import Schema
from anas_zoo.data import FolderSource, ImageSource

IMAGENET_CLASSES = 1000
NAMED = 3  # classes that an error names


class MatchedClasses(Schema):
    """How the classes of images are among those of a network.

    Attributes:
        by: what they were recognised by, such as "WordNet ids".
        label_names: the network's classes, in its order.
        classes: number among them of each class of the images.
    """

    by: str
    label_names: tuple[str, ...]
    classes: tuple[int, ...]

    @model_validator(mode="after")
    def _each_is_one_of_the_networks(self) -> Self:
        known = range(len(self.label_names))
        if len(set(self.classes)) != len(self.classes) or any(number not in known for number in self.classes):
            raise ValueError(f"classes must be different ones of the {len(known)} label_names")
        return self

    def describe(self, name: str) -> str:
        """``"16 of the 1,000 classes of NAME, matched by WordNet ids"``."""
        found, known = len(self.classes), len(self.label_names)
        return f"{found:,} of the {known:,} classes of {name}, matched by {self.by}"


@dataclass(frozen=True)
class _Names:
    """Names by which a network's classes may be known: number of the class by name.

    ``label_names``: what its classes are called from now on, where that is how they were recognised.
    """

    by: str
    numbers: Mapping[str, int]
    label_names: tuple[str, ...]

    def find(self, name: str) -> int | None:
        return self.numbers.get(name, self.numbers.get(_plain(name)))


def match_classes(
    source: ImageSource, *, name: str, num_classes: int, label_names: tuple[str, ...] | None, again: Call
) -> MatchedClasses:
    """Find each class of ``source`` among those of the network ``name``; some of its classes are enough.

    A network without names has ImageNet's classes if it has 1000; else images of exactly as many classes are
    taken as its classes, in the order of torchvision's ImageFolder (by character code).

    Args:
        source: the images.
        name: the network's, for errors.
        num_classes: how many classes it has.
        label_names: its classes in its order; None where they are not known.
        again: what gives the network a new head for the images' own classes, for errors.

    Raises :class:`DataError` naming the classes of both where one is not found, or two are the same.
    """
    found = source.label_names
    if not found:
        raise DataError(
            f"{source.name} has no class folders, so its images have no labels; sort them into one "
            "sub-folder per class"
        )
    ways = list(_ways(num_classes, label_names))
    for way in ways:
        classes = tuple(number for label in found if (number := way.find(label)) is not None)
        if len(classes) == len(found):
            _refuse_doubles(source, name, classes, way)
            return MatchedClasses(by=way.by, label_names=label_names or way.label_names, classes=classes)
    if label_names is None and len(found) == num_classes:
        order = tuple(sorted(found)) if isinstance(source, FolderSource) else found
        numbers = [order.index(label) for label in found]
        return MatchedClasses(by="their order", label_names=order, classes=tuple(numbers))
    raise _unmatched(source, name, num_classes, ways, again)


def _ways(num_classes: int, label_names: tuple[str, ...] | None) -> list[_Names]:
    """The ways in which a network's classes can be named, the surest first."""
    ways = []
    if label_names is not None:
        ways.append(_Names("the names of its labels", _unique(label_names), label_names))
    ids = _wordnet_ids(num_classes, label_names)
    if ids is None:
        return ways
    described = _descriptions()
    words = tuple(described[one] for one in ids)
    ways.append(_Names("WordNet ids", {one: number for number, one in enumerate(ids)}, ids))
    ways.append(_Names("descriptions", _unique(words), words))
    single = [(part.strip(), number) for number, text in enumerate(words) for part in text.split(",")]
    often = Counter(_plain(part) for part, _ in single)
    numbers = {_plain(part): number for part, number in single if often[_plain(part)] == 1}
    ways.append(_Names("names in descriptions", {**numbers, **_unique(words)}, words))
    return ways


def _wordnet_ids(num_classes: int, label_names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The WordNet id of each class; None where the classes are not ImageNet's."""
    if label_names is None:
        return tuple(_descriptions()) if num_classes == IMAGENET_CLASSES else None
    if all(label in _descriptions() for label in label_names):
        return label_names
    return tuple(_descriptions()) if label_names == tuple(_descriptions().values()) else None


@cache
def _descriptions() -> Mapping[str, str]:
    """The description of each of ImageNet's 1000 classes by its WordNet id, in their order."""
    from timm.data import ImageNetInfo

    imagenet = ImageNetInfo()
    return {
        str(label): str(imagenet.index_to_description(index))
        for index, label in enumerate(imagenet.label_names())
    }


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


def _unique(names: Sequence[str]) -> dict[str, int]:
    """Number by name, and by its plain form, of those that no other one has."""
    once, plainly = Counter(names), Counter(map(_plain, names))
    plain = {_plain(name): number for number, name in enumerate(names) if plainly[_plain(name)] == 1}
    return plain | {name: number for number, name in enumerate(names) if once[name] == 1}


def _refuse_doubles(source: ImageSource, name: str, classes: Sequence[int], way: _Names) -> None:
    for number, times in Counter(classes).items():
        if times > 1:
            double = [label for label, one in zip(source.label_names, classes, strict=True) if one == number]
            raise DataError(
                f"{' and '.join(map(repr, double[:NAMED]))} of {source.name} are the same class of {name}, "
                f"{way.label_names[number]!r}; put their images into one folder"
            )


def _unmatched(
    source: ImageSource, name: str, num_classes: int, ways: Sequence[_Names], again: Call
) -> DataError:
    found = source.label_names
    if not ways:
        return DataError(
            f"{source.name} has {len(found):,} classes ({_some(found)}) and {name} has {num_classes:,} "
            "without names; give images of exactly its classes, or give it a new head for these: ",
            again,
        )
    best = max(ways, key=lambda way: sum(way.find(label) is not None for label in found))
    strange = [label for label in found if best.find(label) is None]
    none = len(strange) == len(found)
    count, verb = ("none", "is") if none else (f"{len(strange):,}", "are not" if strange[1:] else "is not")
    hints = [
        f"{label!r}, which several of those are called"
        if label in best.label_names
        # A near name alone: of a thousand descriptions one is always alike somehow.
        else f"{label!r}{nearest(label, best.label_names) if len(best.label_names) < 100 else ''}"
        for label in strange[:NAMED]
    ]
    more = f" and {len(strange) - NAMED} more" if len(strange) > NAMED else ""
    return DataError(
        f"{count} of the {len(found):,} classes of {source.name} {verb} among the {num_classes:,} of {name} "
        f"({_some(best.label_names)}): {', '.join(hints)}{more}; "
        f"{'' if none else 'rename or remove their folders, or '}give it a new head for all of them: ",
        again,
    )


def _some(names: Sequence[str]) -> str:
    more = ", …" if len(names) > NAMED else ""
    return ", ".join(repr(name.partition(",")[0]) for name in names[:NAMED]) + more
