"""What can be chosen about a search; defaults are the evolution that AlphaNet publishes."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from anas_zoo.errors import SearchError
from anas_zoo.schema import Schema, parse

__all__ = ["SearchRecipe"]


class SearchRecipe(Schema):
    """One evolution: ``initial`` random architectures, then rounds of mutations and crossovers.

    ``views`` is how often each image of the search split is scored: once as it is, the other times as a
    fixed augmented view. On a small split, where one image is a third of a point, the best of many noisy
    scores is mostly luck; more and harder views tell subnets apart.
    """

    initial: int = Field(512, ge=1)
    rounds: int = Field(20, ge=0)
    mutations: int = Field(128, ge=0)
    crossovers: int = Field(128, ge=0)
    mutation_probability: float = Field(0.2, gt=0, le=1)
    min_macs: int = Field(0, ge=0)
    max_macs: int | None = Field(None, ge=1)
    calibration_images: int = Field(512, ge=2)
    calibration_batch_size: int = Field(128, ge=2)
    views: int = Field(1, ge=1, le=100)
    images: int | None = Field(None, ge=1)  # of the search split, evenly spread; None for all of them
    subnets: int = Field(3, ge=1, le=26)  # how many of the front are extracted

    @model_validator(mode="after")
    def _range_is_one(self) -> Self:
        if self.max_macs is not None and self.min_macs > self.max_macs:
            raise ValueError(f"min_macs {self.min_macs} is above max_macs {self.max_macs}")
        return self

    @property
    def evaluations(self) -> int:
        """How many architectures are scored at most."""
        return self.initial + self.rounds * (self.mutations + self.crossovers)

    def with_limits(
        self, *, min_macs: int | None, max_macs: int | None, evaluations: int | None
    ) -> SearchRecipe:
        """This recipe within other limits (None keeps its own), the rounds scaled to ``evaluations``."""
        data = self.model_dump()
        if min_macs is not None:
            data["min_macs"] = min_macs
        if max_macs is not None:
            data["max_macs"] = max_macs
        if evaluations is not None:
            # The random start keeps its share; what rounding leaves over goes to it.
            per_round = self.mutations + self.crossovers
            data["rounds"] = min(self.rounds, round(self.rounds * evaluations / self.evaluations))
            if evaluations > self.evaluations and per_round:
                data["rounds"] = (evaluations - self.initial) // per_round
            data["initial"] = evaluations - data["rounds"] * per_round
            if data["initial"] < 1:
                data |= {"initial": evaluations, "rounds": 0}
        return parse(SearchRecipe, data, "limits of the search", error=SearchError)
