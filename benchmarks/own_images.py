"""Your own images: what one `anas run` makes of them, against the networks that a user trains in that time.

    python benchmarks/own_images.py --stamps PACKAGE.deb --out runs/own_images [--minutes 5] [--seeds 0 1 2]

For every data set (own_images_data.py) and seed, which splits the images and draws everything else:

- run: `anas run --data DIR --minutes M`, as a user types it, on all cores; for photographs with `--init`, a
  supernet that `anas import timm` has made of EfficientNet-Lite0 from the same ImageNet weights;
- baselines: plain networks of 3, 5 and 7 convolutions in two widths, timm's mobilenetv3_small_050 and
  resnet10t from scratch, and for photographs EfficientNet-Lite0 from its ImageNet weights
  (own_images_baselines.py). Together they get the seconds that the run took, on the same cores: as many are
  trained at a time as there are cores, each on one, all for equally long. Their time is the processor's and
  is for training alone; the run's is the wall clock's and is for everything. So what disturbs the machine,
  and exporting and testing, is to the run's disadvantage.

Both train on the run's train part and are tested once on its test part; the search part is for choosing. At
the end of a cell, one sweep measures the latency of all its models, one image on one thread of onnxruntime.
What is finished is not made again, so the command can be stopped and repeated, also with other data sets,
seeds or minutes. The numbers of all finished cells are kept in results/own_images.json, and the report is of
them: a cell that is made anew, in whatever folder, takes the place of the one that was kept. Best on a
machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from own_images_data import DATA_SETS, source_of
from own_images_report import made_on, report
from real_weights import LICENCE, NETWORK, write_real_weights
from shared import RESULTS, options, run_cells

from anas_zoo.core.files import canonical_json, sha256_bytes, write_json
from anas_zoo.core.schema import read_json
from anas_zoo.data import ImageSource, Split, inspect, make_split, open_source
from anas_zoo.pipeline import Run
from anas_zoo.profiling.sweep import measure_sweep, yardsticks_among

ARMS = ("run", "baselines")
REPEATS = 400  # calls of each file
# what is kept of a model
NUMBERS = ("arm", "name", "top1_pct", "search_top1_pct", "macs", "params", "size_bytes", "seconds", "images")
SIDES = (96, 128)  # pixels, of the supernet for photographs


@dataclass(frozen=True)
class Cell:
    """One data set, length and seed; ``folder`` has all that belongs to it."""

    data: str
    minutes: float
    seed: int
    work: Path

    @property
    def folder(self) -> Path:
        return self.work / "cells" / f"{self.data}_{self.minutes:g}min_seed{self.seed}"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def run_file(self) -> Path:
        return self.folder / "run.json"

    @property
    def latency_file(self) -> Path:
        return self.folder / "latency.json"

    def baseline_file(self, name: str) -> Path:
        return self.folder / "baselines" / f"{name}.json"


def command_of_run(data: str, minutes: float, seed: int, out: Path, init: Path | None = None) -> list[str]:
    """What a user types."""
    options = {"data": data, "minutes": f"{minutes:g}", "seed": seed, "licence": "Apache-2.0", "out": out}
    if init is not None:
        options["init"] = init
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    return [sys.executable, "-m", "anas_zoo.cli", "run", *words]


def run_as_user(command: Sequence[str], folder: Path) -> None:
    """Do it as a user does, on all cores; end with one line where it fails."""
    user = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    if subprocess.run(command, env=user, check=False).returncode:
        raise SystemExit(f"stopped at the run in {folder}; it said why above")


def pretrained_supernet(work: Path, sides: Sequence[int] = SIDES) -> Path:
    """EfficientNet-Lite0 with its ImageNet weights as a supernet; made once, outside of the time."""
    folder = work / "lite0"
    if not folder.is_dir():
        from anas_zoo.pipeline.import_timm import import_timm

        weights = work / "weights.safetensors"
        write_real_weights(weights)
        import_timm(NETWORK, checkpoint=weights, resolution=sides, out=folder, licence=LICENCE)
    return folder


def make_run(cell: Cell, data: str) -> None:
    """The run from its beginning, since its time counts; one that was stopped is removed."""
    shutil.rmtree(cell.run, ignore_errors=True)
    cell.folder.mkdir(parents=True, exist_ok=True)
    init = pretrained_supernet(cell.work) if DATA_SETS[cell.data].pretrained else None
    command = command_of_run(data, cell.minutes, cell.seed, cell.run, init)
    begun = time.perf_counter()
    run_as_user(command, cell.run)
    seconds = time.perf_counter() - begun
    run = Run.open(cell.run)
    models = models_of_run(cell)
    write_json(cell.run_file, {"seconds": seconds, **parts(run.split), "models": models})


def models_of_run(cell: Cell) -> list[dict[str, Any]]:
    """What the run published, from its summary; its plain network is among it where it is on the front."""
    wanted = ("name", "top1_pct", "search_top1_pct", "macs", "params")
    found = []
    for row in read_json(cell.run / "summary.json")["entries"]:
        file = cell.run / "zoo" / row["name"] / "model.onnx"
        if file.exists():
            known = {key: row[key] for key in wanted if key in row}
            place = {"file": str(file.relative_to(cell.folder)), "size_bytes": file.stat().st_size}
            found.append(known | place)
    return found


def make_baseline(cell: Cell, name: str, data: str, seconds: float) -> None:
    """Train one baseline for so many seconds of one core, test and export it."""
    from own_images_baselines import export_baseline, macs_of, train_baseline

    file = cell.baseline_file(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    source = open_source(data)
    split = split_of(cell, data, source)
    network, found = train_baseline(name, DATA_SETS[cell.data], source, split, seconds, cell.seed, cell.work)
    exported = file.with_suffix(".onnx")
    export_baseline(name, network, exported, found["side"])
    costs = {"macs": macs_of(network, found["side"]), "size_bytes": exported.stat().st_size}
    place = {"name": name, "file": str(exported.relative_to(cell.folder))}
    write_json(file, place | found | costs | parts(split))


def split_of(cell: Cell, data: str, source: ImageSource) -> Split:
    """The split of the cell's run, or, before there is one, what it will be."""
    if (cell.run / "split.json").is_file():
        return Run.open(cell.run).split
    recipe = Run.recipe_for(cell.run, None, data=data).split
    return make_split(source, recipe, seed=cell.seed, copies=inspect(source).groups)


def parts(split: Split) -> dict[str, Any]:
    """What tells whether two models were tested on the same images, and their number."""
    tested = canonical_json([split.source_sha256, list(split.test)])
    return {"test_sha256": sha256_bytes(tested.encode()), "test_images": len(split.test)}


def share_of(cell: Cell, jobs: int, baselines: int) -> float:
    """Seconds of one core for each baseline: of what the run took, or of the minutes before there is one."""
    seconds = read_json(cell.run_file)["seconds"] if cell.run_file.exists() else 60 * cell.minutes
    return float(seconds) * jobs / baselines


def make_latency(cell: Cell, files: dict[str, dict[str, Any]]) -> None:
    """Time all models of a cell in one sweep; ``files`` has their costs by file."""
    places = [cell.folder / file for file in files]
    macs = np.array([model["macs"] for model in files.values()])
    found = measure_sweep(
        places, yardsticks=yardsticks_among(macs), rng=np.random.default_rng(0), repeats=REPEATS
    )
    ms = dict(zip(files, found.ms.tolist(), strict=True))
    write_json(cell.latency_file, {"ms": ms, "noise_pct": found.noise_pct, "made_on": made_on()})


def models_of(cell: Cell) -> dict[str, dict[str, Any]]:
    """All finished models of a cell by the name of their file; raises where the images differ."""
    found: dict[str, dict[str, Any]] = {}
    tested = set()
    if cell.run_file.exists():
        made = read_json(cell.run_file)
        tested.add(made["test_sha256"])
        found |= {m["file"]: m | {"arm": "run", "images": made["test_images"]} for m in made["models"]}
    for file in sorted((cell.folder / "baselines").glob("*.json")):
        model = read_json(file)
        tested.add(model["test_sha256"])
        found[model["file"]] = model | {"arm": "baselines"}
    if len(tested) > 1:
        raise SystemExit(f"{cell.folder}: run and baselines were tested on other images; remove one of them")
    return found


def make_cell(cell: Cell, args: argparse.Namespace) -> None:
    """The arms of a cell that are asked for and not there yet, and its latencies."""
    from own_images_baselines import baselines_of

    data = source_of(cell.data, cell.work, args.stamps)
    if "run" in args.arms and not cell.run_file.exists():
        print("begins run", cell.folder.name, flush=True)
        make_run(cell, data)
    if "baselines" in args.arms:
        names = baselines_of(DATA_SETS[cell.data])
        key = {name: f"{cell.data}/{cell.minutes:g}/{cell.seed}/{name}" for name in names}
        run_cells(__file__, {key[name]: cell.baseline_file(name) for name in names}, args.jobs)
    models = models_of(cell)
    timed = read_json(cell.latency_file)["ms"] if cell.latency_file.exists() else {}
    if models and set(timed) != set(models):
        make_latency(cell, models)


def make_named(name: str, args: argparse.Namespace) -> None:
    """The one baseline that ``--cell`` names, in a process of its own."""
    from own_images_baselines import baselines_of

    data, minutes, seed, baseline = name.split("/")
    cell = Cell(data, float(minutes), int(seed), args.out)
    seconds = share_of(cell, args.jobs, len(baselines_of(DATA_SETS[data])))
    make_baseline(cell, baseline, source_of(data, args.out, args.stamps), seconds)


def finished(work: Path) -> list[dict[str, Any]]:
    """The numbers of every cell with measured latencies."""
    found = []
    for folder in sorted((work / "cells").glob("*_*min_seed*")):
        data, minutes, seed = folder.name.rsplit("_", 2)
        cell = Cell(data, float(minutes.removesuffix("min")), int(seed.removeprefix("seed")), work)
        if not cell.latency_file.exists():
            continue
        timed = read_json(cell.latency_file)
        models = [
            {key: value for key, value in model.items() if key in NUMBERS} | {"latency_ms": timed["ms"][file]}
            for file, model in models_of(cell).items()
            if file in timed["ms"]
        ]
        seconds = read_json(cell.run_file)["seconds"] if cell.run_file.exists() else None
        found.append(
            {"data": cell.data, "minutes": cell.minutes, "seed": cell.seed, "models": models}
            | {"noise_pct": timed["noise_pct"], "run_seconds": seconds, "made_on": timed["made_on"]}
        )
    return found


def kept_with(file: Path, made: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the cells that were made to those that ``file`` keeps, and return all of them."""

    def key(cell: dict[str, Any]) -> tuple[str, float, int]:
        return cell["data"], cell["minutes"], cell["seed"]

    kept = {key(cell): cell for cell in json.loads(file.read_text())} if file.is_file() else {}
    kept |= {key(cell): cell for cell in made}
    cells = [kept[name] for name in sorted(kept)]
    if cells:
        write_json(file, cells)
    return cells


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--stamps", type=Path, help="the Debian package with the photographs")
    parser.add_argument("--datasets", nargs="+", choices=DATA_SETS, default=list(DATA_SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("--jobs", type=int, default=cores, help="cores: baselines trained at a time")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the table and the picture")
    parser.add_argument("--report-only", action="store_true", help="of what is finished; make nothing")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.cell:
        make_named(args.cell, args)
        return
    if not args.report_only:
        args.out.mkdir(parents=True, exist_ok=True)
        for seed in args.seeds:  # all data sets once before any twice
            for data in args.datasets:
                make_cell(Cell(data, args.minutes, seed, args.out), args)
    cells = kept_with(args.results / "own_images.json", finished(args.out))
    if not cells:
        raise SystemExit(f"nothing is finished in {args.out}")
    report(args.results, cells)


if __name__ == "__main__":
    main()
