"""Networks that others published, with their own figures: facts of the package, one file for each family."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from anas_zoo.core.schema import Schema, parse, read_yaml
from anas_zoo.entry.config import ArchDict
from anas_zoo.space import Architecture

PublishedFamily = Literal["attentive_nas", "ofa"]
FAMILIES: tuple[PublishedFamily, ...] = ("attentive_nas", "ofa")


class Paper(Schema):
    """Where figures were published."""

    source: str


class PublishedModel(Schema):
    """One network and its top-1 according to each paper that published it; the first paper named it.

    Attributes:
        name: here, and on the shelf.
        arch: its architecture.
        space: the space that it is from, where those of a family differ.
        top1_pct: in percent, by paper.
        published_as: what its authors call its weights, where that is another name.
        git_blob: git's id of its weights' file as the authors hand it out.
    """

    name: str
    arch: ArchDict
    space: str | None = None
    top1_pct: dict[str, float] = Field(min_length=1)
    published_as: str | None = None
    git_blob: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None

    @property
    def architecture(self) -> Architecture:
        """The architecture as a value."""
        return Architecture.from_dict(self.arch)


class PublishedModels(Schema):
    """The networks of a family, in the order of the papers."""

    space: str | None = None
    licence: str
    dataset: str
    preprocessing: str
    papers: dict[str, Paper]
    models: tuple[PublishedModel, ...]

    @model_validator(mode="after")
    def _everything_is_named(self) -> Self:
        for model in self.models:
            if model.space is None and self.space is None:
                raise ValueError(f"{model.name}: neither it nor the family says its space")
            if unknown := model.top1_pct.keys() - self.papers.keys():
                raise ValueError(f"{model.name}: no paper {', '.join(sorted(unknown))}")
        return self

    def space_of(self, model: PublishedModel) -> str:
        """The name of the preset that a network of this family is from."""
        name = model.space or self.space
        assert name is not None  # checked above
        return name


@cache
def load_published(family: PublishedFamily = "attentive_nas") -> PublishedModels:
    """The networks that the authors of a family published."""
    path = Path(__file__).with_name(f"{family}.yaml")
    return parse(PublishedModels, read_yaml(path), str(path))
