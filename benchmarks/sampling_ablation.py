"""Does attentive sampling pay? All strategies on glyphs, with equal numbers of images forwarded.

    python benchmarks/sampling_ablation.py --out runs/ablation [--jobs 2] [--device cuda] [--epochs 6]

Every (strategy, seed) is trained by `anas train`'s own code, then the same architectures are extracted,
calibrated and tested on the test split. A result that is there already is not made again, so that the
command can be stopped and repeated; when all are there, the table and the picture are written.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from shared import evaluator_of, options, run_cells, write

from anas_zoo.core.files import write_json
from anas_zoo.core.tables import markdown_table
from anas_zoo.space import Architecture, SearchSpace

# Passes forward of each image and epoch: K = 4 subnets a step, 3 candidates for each of the 2 between.
FORWARDS = {"bestup": 10, "worstup": 10, "bestup_predictor": 4, "worstup_predictor": 4, "uniform": 4}
FORWARDS |= {"spos": 1, "fairnas": 4, "ofa": 3}  # ofa: a third of the steps trains the largest alone
SEARCH_PER_CLASS = 200  # leaves 200 of each class to train on
TESTED = 96
PREDICTOR_ARCHS = 200
PREDICTOR_IMAGES = 2000
PREDICTOR_SEED = 1000


def settings_of(strategy: str, epochs: int, predictor: Path) -> list[str]:
    """The recipe's changes for a strategy; ``epochs`` are those of BestUp."""
    total = epochs * FORWARDS["bestup"]
    found = [
        f"train.epochs={total // FORWARDS[strategy]}",
        f"train.warmup_epochs={total / FORWARDS[strategy] / 15:.3f}",
        f"train.sampling.strategy={strategy.removesuffix('_predictor')}",
        f"split.search_per_class={SEARCH_PER_CLASS}",
        "train.evaluation.every_epochs=1000",
        "train.checkpoints.every_epochs=5",
    ]
    if strategy.endswith("_predictor"):
        found += ["train.sampling.quality=predictor", f"train.sampling.predictor={predictor}"]
    if strategy == "ofa":
        third, rest = 1 / 3, 2 / 9
        found.append(
            f"train.sampling.ofa_phases={{full: {third}, kernel: {rest}, depth: {rest}, width: {rest}}}"
        )
    return found


def tested_architectures(space: SearchSpace, classes: int) -> list[Architecture]:
    """The smallest, the largest and uniform draws between, spread evenly over the logarithm of the cost."""
    codes = space.sample_codes(np.random.default_rng(7), 20_000)
    cost = np.log(space.macs(codes, classes).astype(float))
    low, high = np.log(space.macs([space.smallest, space.largest], classes).astype(float)).tolist()
    chosen = [int(np.abs(cost - goal).argmin()) for goal in np.linspace(low, high, TESTED)[1:-1]]
    between = space.decode(codes[sorted(set(chosen))])
    return [space.smallest, *between, space.largest]


def median_architecture(space: SearchSpace, classes: int) -> Architecture:
    """A uniform draw whose cost is the median of uniform draws."""
    codes = space.sample_codes(np.random.default_rng(11), 20_001)
    order = np.argsort(space.macs(codes, classes), kind="stable")
    return space.decode(codes[order[10_000]][None])[0]


def hypervolume(macs: npt.NDArray[Any], top1: npt.NDArray[Any]) -> float:
    """Area under the front over log multiply-adds from the smallest to the largest, by its width, in percent.

    It is the hypervolume towards the reference point (multiply-adds of the largest, 0 %), normalised: the
    mean of the best accuracy within a budget, budgets spread evenly over the logarithm.
    """
    order = np.argsort(macs, kind="stable")
    cost, best = np.log(macs[order].astype(float)), np.maximum.accumulate(top1[order])
    return float((np.diff(cost) * best[:-1]).sum() / (cost[-1] - cost[0]))


def run_cell(strategy: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Train one strategy with one seed and test the architectures."""
    from anas_zoo.pipeline import Recipe, Run
    from anas_zoo.pipeline.train import train_stage
    from anas_zoo.training import Processes, pick_device, read_metrics

    processes = Processes(pick_device(args.device))
    changes = settings_of(strategy, args.epochs, args.out / "predictor.onnx")
    recipe = Recipe.load("glyphs", seed=seed, settings=[*changes, *args.settings])
    run = Run.start(args.out / "runs" / f"{strategy}-{seed}", recipe)
    began = time.perf_counter()
    if not run.supernet_folder.exists():
        train_stage(run, processes)
    seconds = time.perf_counter() - began
    run.use_threads()
    supernet = run.supernet.to(processes.device)
    evaluator = evaluator_of(run, run.test_images)  # nothing is chosen by these numbers
    classes = supernet.num_classes
    archs = tested_architectures(run.space, classes)
    found = [evaluator.top1_pct(arch) for arch in archs]
    trained = [r for r in read_metrics(run.training_folder) if r["kind"] == "train"][-1]
    return {
        "strategy": strategy,
        "seed": seed,
        "epochs": recipe.train.epochs,
        "images_forwarded": trained["images_forwarded"],
        "train_s": seconds,
        "macs": run.space.macs(archs, classes).tolist(),
        "top1_pct": found,
        "hypervolume_pct": hypervolume(run.space.macs(archs, classes), np.array(found)),
        "smallest_top1_pct": found[0],
        "largest_top1_pct": found[-1],
        "median_top1_pct": evaluator.top1_pct(median_architecture(run.space, classes)),
    }


def fit_predictor(args: argparse.Namespace) -> None:
    """A random forest on subnets of a supernet that was trained uniformly for a tenth of the budget.

    It is scored on the search split; what it costs is not counted in the budget of its users.
    """
    from anas_zoo.data import ImagesAt
    from anas_zoo.pipeline import Recipe, Run
    from anas_zoo.pipeline.train import train_stage
    from anas_zoo.searching.predictor_file import write_predictor
    from anas_zoo.searching.predictor_fit import fit_predictor as fit

    epochs = max(2, args.epochs // 2)
    changes = [
        *settings_of("uniform", args.epochs, Path()),
        f"train.epochs={epochs}",
        "train.warmup_epochs=0.5",
    ]
    recipe = Recipe.load("glyphs", seed=PREDICTOR_SEED, settings=[*changes, *args.settings])
    run = Run.start(args.out / "runs" / "predictor", recipe)
    if not run.supernet_folder.exists():
        train_stage(run)
    run.use_threads()
    space, images = run.space, ImagesAt(run.source, run.split.search).some(PREDICTOR_IMAGES)
    evaluate = evaluator_of(run, images)
    codes = space.sample_codes(np.random.default_rng(PREDICTOR_SEED), PREDICTOR_ARCHS)
    codes = np.concatenate([codes, space.encode([space.smallest, space.largest])])
    archs = space.decode(codes)
    scores = [evaluate.top1_pct(arch) for arch in archs]
    fitted = fit(space, archs, scores, held_out=0.25, model="random_forest")
    write_predictor(args.out / "predictor.onnx", fitted, about={})
    quality = fitted.held_out
    write_json(args.out / "predictor.json", {"kendall_tau": quality.kendall_tau, "held_out": quality.archs})


def draw(path: Path, cells: list[dict[str, Any]]) -> None:
    """Mean accuracy of the tested architectures relative to uniform, and the hypervolumes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, strategy in enumerate(FORWARDS):
        own = [cell for cell in cells if cell["strategy"] == strategy]
        macs = np.array(own[0]["macs"]) / 1e6
        best = np.mean(
            [np.maximum.accumulate(np.array(cell["top1_pct"])[np.argsort(macs)]) for cell in own], 0
        )
        left.plot(np.sort(macs), best, label=strategy, color=f"C{number}")
        values = [cell["hypervolume_pct"] for cell in own]
        right.errorbar(
            np.mean(values), -number, xerr=np.std(values, ddof=1), fmt="o", capsize=4, color=f"C{number}"
        )
        right.plot(values, [-number - 0.2] * len(values), "|", color=f"C{number}")
    left.set_xscale("log")
    left.set_xlabel("MFLOPs (multiply-adds)")
    left.set_ylabel("best top-1 within the budget (%), test split")
    left.set_title("fronts, mean over seeds")
    left.grid(alpha=0.3)
    left.legend(fontsize=8)
    right.set_yticks([-n for n in range(len(FORWARDS))], list(FORWARDS))
    right.set_xlabel("hypervolume of the front (%), mean ± sd")
    right.set_title("each seed, mean and standard deviation")
    right.grid(alpha=0.3, axis="x")
    figure.savefig(path, metadata={"Software": None})


def table(cells: list[dict[str, Any]]) -> str:
    """Mean ± standard deviation of every strategy, best hypervolume first."""
    rows = []
    for strategy in FORWARDS:
        own = [cell for cell in cells if cell["strategy"] == strategy]
        keys = ("hypervolume_pct", "smallest_top1_pct", "median_top1_pct", "largest_top1_pct")
        values = [np.array([cell[key] for cell in own]) for key in keys]
        texts = [f"{v.mean():.2f} ± {v.std(ddof=1) if len(v) > 1 else 0:.2f}" for v in values]
        rows.append((values[0].mean(), strategy, own[0]["epochs"], len(own), *texts))
    heads = ("strategy", "epochs", "seeds", "hypervolume", "smallest", "median", "largest")
    return markdown_table(heads, [row[1:] for row in sorted(rows, reverse=True)])


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6, help="of bestup; the others by images forwarded")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.cell == "predictor":
        fit_predictor(args)
        return
    if args.cell:
        strategy, seed = args.cell.split(":")
        write_json(args.out / "cells" / f"{strategy}-{seed}.json", run_cell(strategy, int(seed), args))
        return
    run_cells(__file__, {"predictor": args.out / "predictor.onnx"}, 1)
    wanted = [(strategy, seed) for seed in range(args.seeds) for strategy in FORWARDS]
    files = {f"{s}:{seed}": args.out / "cells" / f"{s}-{seed}.json" for s, seed in wanted}
    run_cells(__file__, files, args.jobs)
    cells = [json.loads(path.read_text()) for path in sorted((args.out / "cells").glob("*.json"))]
    draw(args.out / "sampling_ablation.png", cells)
    write(args.out / "sampling_ablation.md", [table(cells)])


if __name__ == "__main__":
    main()
