"""ReLU and no squeeze-and-excite for a whole supernet at once, or for each subnet that is wanted?

    python benchmarks/simplified_supernet.py --out runs/simplified [--seeds 0 1] [--seconds 60]

A supernet with SiLU and squeeze-and-excite is trained on glyphs. Six of its subnets are wanted without both,
for int8, in equal seconds of one core all together:

- each alone: its own network, simplified and trained on with itself as it was as teacher, as
  `anas finetune ENTRY --activation relu --no-se` does it, for a sixth of the seconds;
- supernet: its weights, simplified and trained on by the sandwich rule for all of the seconds, and the
  subnets taken from it as they are; or with the original's largest subnet as teacher of the largest.

Top-1 is on the search split, which chooses nothing here.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from shared import RESULTS, machine_in_words, options, run_cells, write
from supernet_ranking import CALIBRATION_BATCH, Images, drawn_subnets, fit, score, training_recipe
from supernet_ranking_arms import MUON
from torch import Tensor

from anas_zoo.core.files import write_json
from anas_zoo.core.schema import read_json
from anas_zoo.core.tables import markdown_table
from anas_zoo.data import Batch
from anas_zoo.nets import Subnet, Supernet, calibrate_bn
from anas_zoo.nets.new_classifier import with_new_classifier
from anas_zoo.pipeline.recipe import FinetuneRecipe
from anas_zoo.space import Architecture, SearchSpace
from anas_zoo.training import Processes, SupernetStep, TrainRecipe, make_sampler
from anas_zoo.training.losses import distillation_loss, label_loss
from anas_zoo.training.sampling import Draw, Moment
from anas_zoo.training.step import TEACHER_SHARE, FixedStep

DATA, WANTED = "glyphs", 6
CPU = torch.device("cpu")
HERE = Processes(CPU)
ORIGINAL, ALONE, AT_ONCE, TAUGHT = "as it was", "each alone", "supernet", "supernet, taught by the original"


def space_of(*, simplified: bool) -> SearchSpace:
    """The space `digits` at larger resolutions, as it is or without what int8 loses its time with."""
    config = SearchSpace.load("digits").to_dict() | {"name": "digits_larger", "resolution": [16, 20, 24]}
    if simplified:
        for part in (config["stem"], *config["stages"], config["head"]):
            part["act"] = "relu"
        for stage in config["stages"]:
            stage["se"] = False
    return SearchSpace.from_dict(config)


class TaughtStep(SupernetStep):
    """The largest subnet learns from the labels and, by half, from a network that is trained already."""

    def __init__(self, supernet: Supernet, recipe: TrainRecipe, original: Subnet) -> None:
        super().__init__(supernet, recipe, make_sampler(supernet.space, recipe)[0], HERE)
        self._original = original.eval()

    def _train(
        self,
        draw: Draw,
        weight: float,
        batches: Sequence[Batch],
        numbers: Sequence[int],
        moment: Moment,
        teacher: list[Tensor] | None,
    ) -> tuple[Tensor, list[Tensor]]:
        if draw.kind != "largest":
            return super()._train(draw, weight, batches, numbers, moment, teacher)
        (batch,) = batches
        found = self._supernet(batch.view(draw.arch.resolution), draw.arch)
        with torch.no_grad():
            wanted = self._original(batch.view(draw.arch.resolution))
        taught = distillation_loss(found, wanted, self._recipe.distillation)
        labels = label_loss(found, batch.labels, self._recipe.label_smoothing)
        loss = (1 - TEACHER_SHARE) * labels + TEACHER_SHARE * taught
        (weight * loss).backward()
        return loss.detach(), [found.detach()]


class Trial:
    """Both supernets, the images and the subnets of one seed."""

    def __init__(self, seed: int, original_seconds: float, seconds: float) -> None:
        self.seed, self.seconds = seed, seconds
        self.space, self.lite = space_of(simplified=False), space_of(simplified=True)
        self.images = Images(DATA, self.space, CPU)
        self.archs = drawn_subnets(self.space)[:WANTED]
        self.recipe = training_recipe(DATA, MUON)
        self.original = Supernet(
            self.space, self.images.classes, generator=torch.Generator().manual_seed(seed)
        )
        self.original.to(memory_format=torch.channels_last)
        self.train(self.original, original_seconds)

    def train(self, supernet: Supernet, seconds: float, step: SupernetStep | None = None) -> None:
        recipe = self.recipe
        step = step or SupernetStep(supernet, recipe, make_sampler(supernet.space, recipe)[0], HERE)
        views = self.images.views(recipe)
        fit(step, views, recipe, self.seed, CPU, lambda _, spent: spent / seconds)

    def subnet(self, arch: Architecture) -> Subnet:
        """One of the original's, calibrated."""
        subnet = self.original.extract(arch)
        calibrate_bn(subnet, self.images.calibration(arch.resolution).split(CALIBRATION_BATCH))
        return subnet.eval()

    def alone(self, arch: Architecture) -> Subnet:
        """One of the original's, simplified and trained on."""
        tuning = FinetuneRecipe.load(None, {"data": DATA}).train
        changes = {name: getattr(tuning, name) for name in ("learning_rate", "optimizer", "distillation")}
        recipe = self.recipe.model_copy(update=changes)
        given, structure = self.subnet(arch), self.lite.structure
        generator = torch.Generator().manual_seed(self.seed)
        subnet = with_new_classifier(given, self.images.classes, generator=generator, structure=structure)
        subnet.classifier.load_state_dict(given.classifier.state_dict())
        subnet.to(memory_format=torch.channels_last)
        step, views = FixedStep(subnet, recipe, HERE, given), self.images.views(recipe)
        fit(step, views, recipe, self.seed, CPU, lambda _, spent: spent / (self.seconds / WANTED))
        return subnet

    def at_once(self, *, taught: bool) -> Supernet:
        """The whole supernet, simplified and trained on."""
        supernet = Supernet(self.lite, self.images.classes, generator=torch.Generator())
        weights = self.original.state_dict()
        supernet.load_state_dict({name: weights[name] for name in supernet.state_dict()})
        supernet.to(memory_format=torch.channels_last)
        step = TaughtStep(supernet, self.recipe, self.subnet(self.space.largest)) if taught else None
        self.train(supernet, self.seconds, step)
        return supernet

    def scores(self, subnet_of: Callable[[Architecture], Subnet]) -> list[float]:
        return [score(subnet_of(arch), self.images)["top1_pct"] for arch in self.archs]


def make_cell(seed: int, args: argparse.Namespace, file: Path) -> None:
    """All ways of one seed."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    trial = Trial(seed, args.original_seconds, args.seconds)
    found = {
        ORIGINAL: trial.scores(trial.subnet),
        ALONE: trial.scores(trial.alone),
        AT_ONCE: trial.scores(trial.at_once(taught=False).extract),
        TAUGHT: trial.scores(trial.at_once(taught=True).extract),
    }
    resolutions = [arch.resolution for arch in trial.archs]
    macs = (trial.lite.macs(trial.archs, trial.images.classes) / 1e6).tolist()
    write_json(file, {"top1_pct": found, "resolutions": resolutions, "mflops": macs})


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--seconds", type=float, default=60, help="for all six subnets, of one core")
    parser.add_argument("--original-seconds", type=float, default=120, help="of the supernet as it was")
    parser.add_argument("--jobs", type=int, default=2, help="seeds at a time")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    about = f"{args.original_seconds:g}s_{args.seconds:g}s"
    cells = {str(seed): args.out / f"seed{seed}_{about}.json" for seed in args.seeds}
    if args.cell:
        make_cell(int(args.cell), args, cells[args.cell])
        return
    run_cells(__file__, cells, args.jobs)
    found = [read_json(file) for file in cells.values()]
    ways = list(found[0]["top1_pct"])
    rows = [
        (
            str(found[0]["resolutions"][place]),
            f"{found[0]['mflops'][place]:.2f}",
            *(f"{statistics.fmean(one['top1_pct'][way][place] for one in found):.1f}" for way in ways),
        )
        for place in range(WANTED)
    ]
    means = [[statistics.fmean(one["top1_pct"][way]) for one in found] for way in ways]
    rows.append(("mean", "", *(f"{statistics.fmean(of_way):.1f}" for of_way in means)))
    each = [
        f"{', '.join(f'{one:.1f}' for one in of_way)} ({way})"
        for way, of_way in zip(ways, means, strict=True)
    ]
    write(
        RESULTS / "simplified_supernet.md",
        [
            "# A supernet simplified at once, or its subnets one by one",
            "",
            "Six subnets of a supernet with SiLU and squeeze-and-excite, made ReLU networks without it in "
            f"{args.seconds:g} s of one core all together: [the script](../simplified_supernet.py) says how. "
            f"Top-1 in percent on the search split of glyphs, mean of {len(found)} seeds; multiply-adds are "
            f"those of the simplified ones. The seeds' means: {'; '.join(each)}.",
            "",
            f"Made by `python benchmarks/simplified_supernet.py --out runs/simplified` on "
            f"{machine_in_words()}.",
            "",
            markdown_table(["pixels", "MFLOPs", *ways], rows),
        ],
    )


if __name__ == "__main__":
    main()
