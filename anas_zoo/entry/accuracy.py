"""Accuracy as a record: top-1 with its interval, how well confidence fits it, what is taken for what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from anas_zoo.core.geometry import Mode
from anas_zoo.core.intervals import interval_pct, with_interval
from anas_zoo.core.schema import Schema, Sparse
from anas_zoo.entry.config import MAX_CLASSES

Percent = Annotated[float, Field(ge=0.0, le=100.0)]
ClassNumber = Annotated[int, Field(ge=0, lt=MAX_CLASSES)]
Confusion = dict[ClassNumber, dict[ClassNumber, Annotated[int, Field(ge=1)]]]

ROUNDING_PCT = 1e-6


class Mistake(Schema):
    """An image that the network took for another class.

    By its number alone: a report is published, and the names of somebody's files are nobody else's business.

    Attributes:
        image: its number in the source that was measured on.
        label: its class.
        predicted: the class that it was taken for.
        confidence_pct: the softmax probability that the network gave that class.
    """

    image: int = Field(ge=0)
    label: ClassNumber
    predicted: ClassNumber
    confidence_pct: Percent


@dataclass(frozen=True)
class ClassAccuracy:
    """What was measured of the images of one class.

    Attributes:
        label: the class.
        images: how many are of it.
        correct: how many of these the network knew.
        taken_for: the class that most of the others were taken for, and how many; None without any.
    """

    label: int
    images: int
    correct: int
    taken_for: tuple[int, int] | None

    @property
    def top1_pct(self) -> float:
        """Share of its images that the network knew."""
        return 100.0 * self.correct / self.images


class Accuracy(Sparse):
    """Top-1, and top-5 where it was asked for, of the weights in torch.

    Attributes:
        source: which images, for people.
        split: the part of them.
        images: how many.
        preprocessing: the mode in which they were prepared.
        ece_pct: expected calibration error: how far confidence and accuracy are apart, over 15 bins of
            confidence; None in reports from before it was measured.
        confusion: how many images of a class (outer key) were taken for a class (inner key); cells without
            images are left out. None where there are too few images to say anything of a class, and in older
            reports.
        mistakes: the images that the network was most sure of and wrong about, the surest first.
    """

    LEFT_OUT: ClassVar = ("top5_pct", "ece_pct", "confusion", "mistakes")

    source: str
    split: str
    images: int = Field(ge=1)
    top1_pct: Percent
    top5_pct: Percent | None = None
    preprocessing: Mode = "native"
    ece_pct: Percent | None = None
    confusion: Confusion | None = None
    mistakes: tuple[Mistake, ...] = ()

    @model_validator(mode="after")
    def _confusion_is_of_these_images(self) -> Self:
        if self.confusion is None:
            return self
        counted = sum(sum(row.values()) for row in self.confusion.values())
        correct = sum(row.get(label, 0) for label, row in self.confusion.items())
        if counted != self.images or abs(100.0 * correct / counted - self.top1_pct) > ROUNDING_PCT:
            raise ValueError(
                f"confusion has {correct} of {counted} images correct, which is not {self.top1_pct:.2f} % of "
                f"{self.images}"
            )
        return self

    @property
    def top1_interval_pct(self) -> tuple[float, float]:
        """The 95 % interval of top-1."""
        return interval_pct(self.top1_pct, self.images)

    @property
    def top1(self) -> str:
        """Top-1 as it is printed, with its interval."""
        return with_interval(self.top1_pct, self.images)

    @property
    def classes(self) -> list[int]:
        """All classes that images are of or were taken for, ascending; none without a confusion matrix."""
        rows: Mapping[int, Mapping[int, int]] = self.confusion or {}
        return sorted({*rows, *(predicted for row in rows.values() for predicted in row)})

    @property
    def by_class(self) -> list[ClassAccuracy]:
        """Each class that has images, the least accurate first."""
        found = []
        for label, row in (self.confusion or {}).items():
            wrong = [(predicted, count) for predicted, count in row.items() if predicted != label]
            taken_for = max(wrong, key=lambda cell: (cell[1], -cell[0]), default=None)
            found.append(ClassAccuracy(label, sum(row.values()), row.get(label, 0), taken_for))
        return sorted(found, key=lambda one: (one.top1_pct, one.label))

    @property
    def confusions(self) -> list[tuple[int, int, int]]:
        """(class, what it was taken for, images), the most frequent first."""
        cells = [
            (label, predicted, count)
            for label, row in (self.confusion or {}).items()
            for predicted, count in row.items()
            if predicted != label
        ]
        return sorted(cells, key=lambda cell: (-cell[2], cell))
