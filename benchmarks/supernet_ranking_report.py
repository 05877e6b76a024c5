"""Tables of benchmarks/supernet_ranking.py."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from own_images_data import DATA_SETS
from scipy.stats import kendalltau
from shared import interval_of, spread_of
from supernet_ranking_arms import ALONE, ALONE_SGD, ARMS, MUON, SGD, reference_of

from anas_zoo.core.tables import markdown_table
from anas_zoo.space import Architecture, SearchSpace

Found = Mapping[str, Any]  # what one cell wrote

RANDOM_ORDERS = 1000
UNITS = {"s": "s of one core", "steps": "steps"}


def kendall(first: Iterable[float], second: Iterable[float]) -> float:
    """Kendall's τ, of tied values τ-b: 1 is the same order, 0 an unrelated one, or all alike."""
    found = float(kendalltau(list(first), list(second)).statistic)
    return 0.0 if math.isnan(found) else found


class Alone:
    """The ranked subnets of one data set and space, each trained alone.

    Args:
        found: of their cells.
        space: that they are of.
        archs: the subnets.
    """

    def __init__(self, found: Sequence[Found], space: SearchSpace, archs: Sequence[Architecture]) -> None:
        self._found, self._space, self.archs = found, space, archs
        self.classes: int = found[0]["classes"]
        columns = self._columns(ALONE)
        self.top1 = [statistics.fmean(values) for values in zip(*columns, strict=True)]

    def _columns(self, arm: str) -> list[list[float]]:
        """Top-1 of each subnet, for each seed of ``arm``."""
        cells = [one for one in self._found if one["cell"]["arm"] == arm]
        seeds = sorted({one["cell"]["seed"] for one in cells})
        scores = [
            {
                arch: value
                for one in cells
                if one["cell"]["seed"] == seed
                for arch, value in one["scores"].items()
            }
            for seed in seeds
        ]
        return [[of_seed[arch.id]["top1_pct"] for arch in self.archs] for of_seed in scores]

    def describe(self) -> str:
        """How long they were trained, how far apart they are, and how well seeds and optimizers agree."""
        cells = [one for one in self._found if one["cell"]["arm"] == ALONE]
        text = (
            f"Alone, a subnet was trained for {cells[0]['cell']['length']:g} epochs, "
            f"{statistics.fmean(one['seconds'] for one in cells):.0f} s in the mean; they reach "
            f"{min(self.top1):.1f} to {max(self.top1):.1f} % top-1, {statistics.fmean(self.top1):.1f} in the "
            "mean"
        )
        columns = self._columns(ALONE)
        if len(columns) > 1:
            between = [kendall(a, b) for a, b in itertools.combinations(columns, 2)]
            text += f"; τ of one seed with another {_shown(between)}"
        if sgd := self._columns(ALONE_SGD):
            between = [kendall(values, self.top1) for values in sgd]
            mean = statistics.fmean(map(statistics.fmean, sgd))
            text += f"; by SGD {mean:.1f}, in an order with τ {_shown(between)}"
        return (
            f"{text}. τ and *chosen* of what needs no training: {', '.join(self._untrained())}. *Chosen* of "
            f"the order alone is {self.of_chosen(self.top1):.1f}, of orders drawn at random "
            f"{self._of_any():.1f}."
        )

    @cached_property
    def _macs(self) -> list[int]:
        macs: list[int] = self._space.macs(self.archs, self.classes).tolist()
        return macs

    def of_chosen(self, scores: Sequence[float]) -> float:
        """Top-1 alone of the subnet with the best of ``scores`` within a limit of multiply-adds, in percent.

        The mean over the logarithm of limits, from the cheapest of the subnets to the dearest.
        """
        order = sorted(range(len(scores)), key=lambda number: self._macs[number])
        within = [max(order[: end + 1], key=lambda number: scores[number]) for end in range(len(order) - 1)]
        widths = np.diff(np.log([float(self._macs[number]) for number in order]))
        return float(np.average([self.top1[number] for number in within], weights=widths))

    def _of_any(self) -> float:
        """The mean of :meth:`of_chosen` over orders that say nothing."""
        rng = np.random.default_rng(0)
        return statistics.fmean(
            self.of_chosen(rng.permutation(len(self.top1)).tolist()) for _ in range(RANDOM_ORDERS)
        )

    def _untrained(self) -> Iterable[str]:
        costs: dict[str, list[int]] = {
            "multiply-adds": self._macs,
            "parameters": self._space.params(self.archs, self.classes).tolist(),
            "resolution": [arch.resolution for arch in self.archs],
            "resolution and then multiply-adds": [
                arch.resolution * max(self._macs) + macs
                for arch, macs in zip(self.archs, self._macs, strict=True)
            ],
        }
        for name, values in costs.items():
            yield f"{name} {kendall(values, self.top1):.2f} and {self.of_chosen(values):.1f}"


class Section:
    """The supernets of one data set, space and length.

    Args:
        found: of their cells.
        alone: the ranked subnets alone.
        space: the search space.
        median: the subnet of the median cost.
    """

    def __init__(
        self, found: Sequence[Found], alone: Alone, space: SearchSpace, median: Architecture
    ) -> None:
        self._alone, self._space, self._median = alone, space, median
        self._cost = np.array(space.macs([space.smallest, *alone.archs, space.largest], alone.classes))
        self.steps = [
            (one["cell"]["arm"], one["steps"], one["seconds"], one["passes"] / one["steps"]) for one in found
        ]
        self.measured: dict[str, dict[int, dict[str, float]]] = {}
        for one in found:
            of_arm = self.measured.setdefault(one["cell"]["arm"], {})
            of_arm[one["cell"]["seed"]] = self._measure(one["scores"])

    def _measure(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """What is compared of one supernet.

        ``front`` is the mean over the log of multiply-adds, from the smallest to the largest, of the best
        top-1 within so many: a hypervolume in percent.
        """
        space = self._space

        def of(arch: Architecture, value: str = "top1_pct") -> float:
            return scores[arch.id][value]

        top1 = [of(arch) for arch in self._alone.archs]
        losses = [of(arch, "cross_entropy") for arch in self._alone.archs]
        order = np.argsort(self._cost, kind="stable")
        best = np.maximum.accumulate(np.array([of(space.smallest), *top1, of(space.largest)])[order])
        cost = np.log(self._cost[order].astype(float))
        return {
            "τ": kendall(top1, self._alone.top1),
            "τ by loss": kendall([-loss for loss in losses], self._alone.top1),
            "chosen": self._alone.of_chosen(top1),
            "mean": statistics.fmean(top1),
            "front": float((best[:-1] * np.diff(cost)).sum() / (cost[-1] - cost[0])),
            "smallest": of(space.smallest),
            "median": of(self._median),
            "largest": of(space.largest),
        }

    def table(self) -> str:
        """One line an arm: the mean and the standard deviation of its seeds."""
        rows = []
        for arm in self._arms():
            seeds = self.measured[arm]
            steps, seconds, passes = (
                statistics.fmean(values)
                for values in zip(*(rest for name, *rest in self.steps if name == arm), strict=True)
            )
            found = [spread_of([one[key] for one in seeds.values()], _digits(key)) for key in _keys(seeds)]
            rows.append([arm, str(len(seeds)), f"{steps:,.0f}", f"{seconds:.0f}", f"{passes:.1f}", *found])
        keys = _keys(self.measured[self._arms()[0]])
        return markdown_table(["arm", "seeds", "steps", "s", "passes a step", *keys], rows)

    def paired(self) -> str:
        """Each arm less the uniform one, of the seeds that both have; empty where none has two."""
        rows = []
        for arm in self._arms():
            reference = self.measured.get(reference_of(arm) or "", {})
            both = sorted(self.measured[arm].keys() & reference.keys())
            if len(both) < 2:
                continue
            less = [
                {key: value - reference[seed][key] for key, value in self.measured[arm][seed].items()}
                for seed in both
            ]
            rows.append(
                [
                    arm,
                    str(len(both)),
                    *(interval_of([one[key] for one in less], _digits(key)) for key in less[0]),
                ]
            )
        if not rows:
            return ""
        keys = _keys(self.measured[self._arms()[0]])
        return markdown_table(["arm, less the uniform one", "seeds", *keys], rows)

    def _arms(self) -> list[str]:
        return [arm for arm in ARMS if arm in self.measured]


def _keys(seeds: Mapping[int, Mapping[str, float]]) -> list[str]:
    return list(next(iter(seeds.values())))


def _digits(key: str) -> int:
    return 2 if key.startswith("τ") else 1


def _shown(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def lines_of(
    found: Sequence[Found],
    drawn: Callable[[SearchSpace], list[Architecture]],
    median: Callable[[SearchSpace, int], Architecture],
) -> Iterable[str]:
    """The report of all cells."""
    alone = [one for one in found if one["cell"]["unit"] == "epochs"]
    trained = [one for one in found if one["cell"]["unit"] != "epochs"]
    count = len(drawn(SearchSpace.load(found[0]["cell"]["space"])))
    yield from (
        "# How well a supernet ranks its subnets, and what weights it gives them, by how it is trained",
        "",
        f"{count} subnets of a space, drawn uniformly, were each trained alone, on the labels. Each arm then "
        "trained a supernet, with a warm-up over the first tenth and a cosine to zero at the end, and scored "
        "the same subnets with its weights. τ is Kendall's, of the supernet's top-1 (or cross-entropy) with "
        "the top-1 alone: 1 is the same order, 0 an unrelated one. *Chosen* is what a search is for: the "
        "top-1 alone of the subnet that scores best within a limit of multiply-adds, the mean over the "
        "logarithm of limits. *Mean* is that of these subnets' scores, *front* "
        "the mean over the logarithm of multiply-adds of the best within so many (a hypervolume), *median* a "
        "uniform draw of the median cost; all in % top-1, mean ± standard deviation over the seeds. A pass "
        "is one of a batch through one subnet, a backward pass counted as two. All scores are on the search "
        "part of one split, which no training sees, with batch norms calibrated on 256 training images. Arms "
        "of one seed begin with the same weights and see the same images.",
        "",
        "Sandwich: the largest, two draws and the smallest in each step, of which the largest learns from "
        "the labels and the others from it. One path: one subnet a step, on the labels. The draws are "
        "uniform; or the best or worst of some candidates of like cost, by their loss on the batch or on an "
        "eighth of it, or *online* by a model that learns from the losses of the steps; or from a *pool* of "
        "good ones; or *by gradient*, with choices drawn by the norm of their gradients. *Small subnets "
        "early*: the losses of a step are weighed by size and time. Settings are in "
        "[supernet_ranking_arms.py](../supernet_ranking_arms.py), sources in "
        f"[training.md](../../docs/training.md). The rate is {SGD['learning_rate']} with SGD, "
        f"{MUON['learning_rate']} with Muon. Batches and augmentation are those of the recipe `own_images`.",
        "",
        "Made by `python benchmarks/supernet_ranking.py --out runs/ranking` with the arms, seeds and lengths "
        f"of the tables, on {' and '.join(sorted({one['made_on'] for one in found}))}.",
    )
    keys = ("data", "space", "length", "unit")
    sections = sorted({tuple(one["cell"][key] for key in keys) for one in trained})
    for data, name, length, unit in sections:
        space = SearchSpace.load(name)
        own = [one for one in alone if (one["cell"]["data"], one["cell"]["space"]) == (data, name)]
        ranked = Alone(own, space, drawn(space))
        of_section = [
            one for one in trained if tuple(one["cell"][key] for key in keys) == (data, name, length, unit)
        ]
        section = Section(of_section, ranked, space, median(space, ranked.classes))
        yield from ("", f"## {DATA_SETS[data].title}; space `{name}`; {length:g} {UNITS[unit]}")
        yield from ("", ranked.describe(), "", section.table())
        if paired := section.paired():
            said = "Seed by seed, with the 95 % interval of the mean difference († has no zero in it):"
            yield from ("", said, "", paired)
