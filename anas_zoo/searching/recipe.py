"""What can be chosen about a search."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from anas_zoo.core.errors import SearchError
from anas_zoo.core.schema import Schema, parse
from anas_zoo.searching.objectives import Limits, ObjectiveName

AlgorithmName = Literal["surrogate", "evolution", "nsga2", "random"]


class EvolutionRecipe(Schema):
    """The authors' evolution; defaults are the shares of AlphaNet's 512 + 20 × (128 + 128) evaluations.

    Attributes:
        initial_share: part of the budget that is drawn at random in the beginning.
        rounds: in which the rest is spent, half on mutations and half on crossovers.
        mutation_probability: of each gene of a mutant.
    """

    initial_share: float = Field(1 / 11, gt=0, le=1)
    rounds: int = Field(20, ge=1)
    mutation_probability: float = Field(0.2, gt=0, le=1)

    def sizes(self, budget: int) -> tuple[int, int, int]:
        """(random start, mutants per round, children per round) for that many evaluations."""
        initial = min(budget, max(1, round(budget * self.initial_share)))
        per_round = -(-(budget - initial) // self.rounds)
        return initial, -(-per_round // 2), per_round // 2


class Nsga2Recipe(Schema):
    """NSGA-II (Deb et al. 2002) as pymoo has it; ``mutated_genes`` of an offspring are redrawn on average."""

    population: int = Field(100, ge=4)
    mutated_genes: float = Field(1.5, gt=0)


class SurrogateRecipe(Schema):
    """A model of accuracy, refitted on everything evaluated before each round.

    Attributes:
        initial: architectures of the first round, spread over the costs.
        batch: architectures of every further round.
        population: of NSGA-II, which looks for the front of the model before each round.
        generations: of it.
        models: of accuracy, whose mean is taken: a Gaussian ``process``, extremely randomised ``trees``.
    """

    initial: int = Field(32, ge=2)
    batch: int = Field(16, ge=1)
    population: int = Field(200, ge=4)
    generations: int = Field(20, ge=1)
    models: tuple[Literal["process", "trees"], ...] = Field(("process",), min_length=1)


class SearchRecipe(Schema):
    """One search.

    Attributes:
        objectives: what the front weighs: ``top1_pct`` and one or more costs.
        limits: which architectures count.
        calibration_images: training images that batch norms are calibrated on, fixed by the run's seed.
        calibration_batch_size: images per batch of it.
        views: how often each image is scored: once as it is, the other times as a fixed augmented view. On
            a small split, where one image is a third of a point, the best of many noisy scores is mostly
            luck; more and harder views tell subnets apart.
        subnets: how many of the front are extracted.

    The others say what they are themselves; the command line's options are made from them.
    """

    algorithm: AlgorithmName = Field(
        "surrogate",
        description="What proposes architectures; nsga2 by default where a predictor scores them.",
    )
    evaluations: int = Field(
        512, ge=1, description="Subnets to score at most; 10000 by default where a predictor scores them."
    )
    images_forwarded: int | None = Field(
        None, ge=1, description="Images to pass through subnets at most, those of calibrations included."
    )
    patience: int = Field(
        0,
        ge=0,
        description="Stop after so many rounds in which the front has hardly moved; 0: go on to the last "
        "evaluation.",
    )
    objectives: tuple[ObjectiveName, ...] = ("top1_pct", "macs")
    limits: Limits = Limits()
    latency: str | None = Field(
        None, description="A latency model's file, where latency is an objective or limited."
    )
    surrogate: SurrogateRecipe = SurrogateRecipe()
    evolution: EvolutionRecipe = EvolutionRecipe()
    nsga2: Nsga2Recipe = Nsga2Recipe()
    calibration_images: int = Field(512, ge=2)
    calibration_batch_size: int = Field(128, ge=2)
    images: int | None = Field(
        None,
        ge=1,
        description="Images of the search split to score a subnet on, balanced over the classes and fixed by "
        "the run's seed; default: all.",
    )
    views: int = Field(1, ge=1, le=100)
    subnets: int = Field(3, ge=1, le=26)

    def changed(self, **changes: Any) -> SearchRecipe:
        """This recipe with other values where they are not None. Raises :class:`SearchError`."""
        data = self.model_dump() | {key: value for key, value in changes.items() if value is not None}
        return parse(SearchRecipe, data, "the search", error=SearchError)

    def without_latency(self) -> SearchRecipe:
        """This recipe with multiply-adds in the place of latency among the objectives."""
        costs = ["macs" if name == "latency_ms" else name for name in self.objectives]
        return self.changed(objectives=tuple(dict.fromkeys(costs)))

    def settings(self) -> dict[str, Any]:
        """What decides which architectures are proposed, as plain data; the budget only where it does."""
        own = ("algorithm", "objectives", "limits")
        data = self.model_dump(mode="json")
        found = {key: data[key] for key in own} | {key: data[key] for key in (self.algorithm,) if key in data}
        if self.algorithm == "evolution":
            found["evaluations"] = self.evaluations
        return found
