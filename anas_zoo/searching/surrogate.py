"""Surrogate search: a model of accuracy, refitted as evaluations arrive, proposes a batch each round."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from anas_zoo.searching.accuracy_model import AccuracyModel
from anas_zoo.searching.algorithm import Algorithm
from anas_zoo.searching.front import nondominated
from anas_zoo.searching.problem import Codes, Problem
from anas_zoo.searching.recipe import SurrogateRecipe
from anas_zoo.space import neighbours

Floats = npt.NDArray[np.float64]

POOL = 1024  # drawn at random; the first round is chosen from it
EXPLORED = 8  # one of this many in a round is there for what the model has not seen
MUTATED_GENES = 2.0
FEWEST = 4  # evaluations that a model can be fitted on
LISTED = 20_000  # a space of up to so many architectures is gone through, not sampled by NSGA-II
BEYOND = 0.1  # the reference point of the hypervolume lies this far beyond the front, of its range


class SurrogateSearch(Algorithm):
    """First a spread over the costs; then, round by round, what the model expects to improve the front most.

    Each round fits :class:`AccuracyModel` on everything evaluated, finds the front of the model, where costs
    are known, by NSGA-II or in a small space among all there is, and asks for those that add the most
    hypervolume to the measured front.
    """

    def __init__(self, problem: Problem, recipe: SurrogateRecipe, *, seed: Sequence[int]) -> None:
        super().__init__(problem, seed=seed)
        self._recipe = recipe

    def _propose(self, rng: np.random.Generator) -> Codes:
        if self.round == 0:
            return self._spread(rng, self._recipe.initial)
        batch, items = self._recipe.batch, self.evaluations
        if len(items) < FEWEST:
            return self._draw(rng, batch, tilted=True)
        problem = self.problem
        codes = problem.space.encode(e.arch for e in items)
        model = AccuracyModel(
            problem, codes, np.array([e.top1_pct for e in items]), models=self._recipe.models
        )
        front = codes[nondominated(problem.losses(items))]
        candidates, losses = self._front_of(model, front, rng)
        chosen = self._explored(codes, front, rng, batch // EXPLORED)
        best = candidates[self._best(losses, batch)]
        chosen = np.concatenate([chosen, self._new(best, batch - len(chosen), also=chosen)])
        if len(chosen) < batch:  # the model sees no improvement: near what it likes, then anywhere
            rest = candidates[rng.permutation(len(candidates))]
            chosen = np.concatenate([chosen, self._new(rest, batch - len(chosen), also=chosen)])
        if len(chosen) < batch:
            drawn = self._draw(rng, 2 * batch, tilted=True)
            chosen = np.concatenate([chosen, self._new(drawn, batch - len(chosen), also=chosen)])
        return chosen

    def _spread(self, rng: np.random.Generator, count: int) -> Codes:
        """Random codes, evenly spread over the logarithm of the first cost, and the ends of the space."""
        space = self.problem.space
        pool = self._draw(rng, POOL, tilted=True)
        ends = self._new(space.encode([space.smallest, space.largest]), count)
        if len(pool) <= count:
            return np.concatenate([ends, self._new(pool, count - len(ends), also=ends)])
        cost = np.log(self.problem.costs(pool)[self.problem.cost_objectives[0]])
        places: list[int] = []
        free = np.ones(len(pool), dtype=bool)
        for goal in np.linspace(cost.min(), cost.max(), count):
            # Not simply the nearest, so that seeds differ.
            near = np.argsort(np.where(free, np.abs(cost - goal), np.inf), kind="stable")[:16]
            place = int(rng.choice(near[free[near]]))
            free[place] = False
            places.append(place)
        inner = self._new(pool[places], count, also=ends)
        keep = rng.permutation(len(inner))[: count - len(ends)]
        return np.concatenate([ends, inner[np.sort(keep)]])

    def _explored(self, known: Codes, front: Codes, rng: np.random.Generator, count: int) -> Codes:
        """Near the measured front, with the choices that were evaluated the least.

        Within narrow limits some choices are rare, such as the largest resolution, and a model that has not
        seen them does not know what they are worth. One-gene variants of the front show it.
        """
        genes = self.problem.space.genes
        offered = neighbours(self.problem.space, front)
        offered = self._new(offered[rng.permutation(len(offered))], len(offered))
        if not len(offered):
            return offered
        columns = np.arange(genes.count)
        counts = np.zeros((genes.count, max(map(len, genes.states))))
        for row in genes.indices(known):
            counts[columns, row] += 1
        rows, chosen = genes.indices(offered), list[int]()
        for _ in range(min(count, len(offered))):
            rarest = counts[columns, rows].min(axis=1)
            rarest[chosen] = np.inf
            chosen.append(int(rarest.argmin()))
            counts[columns, rows[chosen[-1]]] += 1
        return offered[chosen]

    def _front_of(self, model: AccuracyModel, front: Codes, rng: np.random.Generator) -> tuple[Codes, Floats]:
        """New codes near the front that the model predicts, with their predicted losses."""
        problem, least = self.problem, self.problem.limits.top1_pct.min

        def predicted(codes: Codes) -> tuple[Floats, Floats]:
            costs = problem.costs(codes)
            top1_pct = model(codes)
            breach = problem.breach(codes, costs)
            if least is not None:
                breach = breach + np.clip(least - top1_pct, 0, None) / 100.0
            return problem.losses_from(top1_pct, costs), breach

        if problem.space.size <= LISTED:
            found = problem.space.every_code()
        else:
            found = self._evolved(predicted, front, rng)
        found = self._new(found, len(found))
        losses, breach = predicted(found) if len(found) else (np.empty((0, len(problem.objectives))), [])
        kept = np.flatnonzero(np.asarray(breach) == 0)
        kept = kept[nondominated(losses[kept])]
        return found[kept], losses[kept]

    def _evolved(
        self, predicted: Callable[[Codes], tuple[Floats, Floats]], front: Codes, rng: np.random.Generator
    ) -> Codes:
        """Codes near the front of what ``predicted`` says, by NSGA-II from the measured ``front``."""
        from anas_zoo.searching.nsga2 import CodesProblem, make_nsga2

        problem, size = self.problem, self._recipe.population
        start = np.concatenate([front, self._draw(rng, size, tilted=True)])
        algorithm = make_nsga2(problem.space, start, population=size, mutated_genes=MUTATED_GENES)
        algorithm.setup(
            CodesProblem(problem.space, len(problem.objectives), predicted),
            seed=int(rng.integers(2**31)),
            termination=("n_gen", self._recipe.generations),
        )
        found = algorithm.run().pop.get("X").astype(np.int64)
        # A front has steps, where one gene decides; the population is too small to hold every such variant.
        return np.concatenate([found, neighbours(problem.space, np.concatenate([front, found]))])

    def _best(self, candidates: Floats, count: int) -> list[int]:
        """The candidates that improve the measured front the most, by predicted losses (N, objectives)."""
        problem = self.problem
        measured = problem.losses(problem.accepted(self.evaluations) or self.evaluations)
        front = measured[nondominated(measured)]
        low, width = measured.min(axis=0), np.ptp(measured, axis=0)
        width[width == 0] = 1.0
        # Beyond the front's own worst values, and for costs beyond the dearest evaluated.
        costs = np.array([name != "top1_pct" for name in problem.objectives])
        worst = np.where(costs, measured.max(axis=0), front.max(axis=0)) + BEYOND * width
        return choose_batch((front - low) / width, (candidates - low) / width, (worst - low) / width, count)


def choose_batch(front: Floats, candidates: Floats, reference_point: Floats, count: int) -> list[int]:
    """Up to ``count`` rows of ``candidates`` that one after the other add the most hypervolume to ``front``.

    Losses (N, M), the hypervolume up to ``reference_point`` (M,). Greedy, with gains kept until they may have
    changed: what a candidate adds can only shrink as others join. Rows that add nothing are never chosen.
    """
    from moocore import hypervolume

    taken = front
    volume = hypervolume(taken, ref=reference_point)

    def gain(place: int) -> float:
        return float(hypervolume(np.vstack([taken, candidates[place]]), ref=reference_point) - volume)

    heap = [(-gain(place), place) for place in range(len(candidates))]
    heapq.heapify(heap)
    chosen: list[int] = []
    fresh = set(range(len(candidates)))
    while heap and len(chosen) < count:
        negative, place = heapq.heappop(heap)
        if -negative <= 1e-15:
            break
        if place in fresh:
            chosen.append(place)
            taken = np.vstack([taken, candidates[place]])
            volume, fresh = hypervolume(taken, ref=reference_point), set()
        else:
            fresh.add(place)
            heapq.heappush(heap, (-gain(place), place))
    return chosen
