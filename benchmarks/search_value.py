"""What the search of a run is worth: its subnets beside ones that are as fast and were picked without it.

    python benchmarks/search_value.py RUN [RUN ...] --out runs/search_value [--seconds 60] [--jobs 2]

Each RUN is a finished `anas run` that drew its weights, of one data set with another seed each. For each
subnet that it trained, the script takes two others within the same latency, as the run's own model of this
machine predicts it: the one with the largest resolution and, of these, the most multiply-adds, which takes
no supernet and no search; and one drawn uniformly of those that take nearly as long. All are trained alone on
the run's training split, as the run trains what it found, for equally many seconds of one core, and tested on
its test split. What takes no search is also trained for as much longer as the run had more time without
supernet and search.

A network that is finished is not made again: its numbers are kept in results/search_value.json, and the
report is of all that are there.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from own_images_data import DATA_SETS
from shared import RESULTS, interval_of, machine_in_words, options, run_cells, spread_of, write
from supernet_ranking import fit

from anas_zoo.core.files import write_json
from anas_zoo.core.schema import read_json
from anas_zoo.core.tables import markdown_table
from anas_zoo.nets import logits_of, top1_pct
from anas_zoo.pipeline import Run
from anas_zoo.pipeline.fixed_training import calibrated_on, drawn
from anas_zoo.pipeline.train import HERE, open_train_data
from anas_zoo.pipeline.winners import Winners
from anas_zoo.profiling.latency_model import LatencyModel
from anas_zoo.space import Architecture
from anas_zoo.training.step import FixedStep

SEARCHED, RULE, DRAWN = "searched", "largest resolution, then multiply-adds", "drawn"
LONGER = "the same, with the search's time"
WAYS = (SEARCHED, RULE, LONGER, DRAWN)
NEARLY = 0.85  # of a latency: what is drawn takes at least so much
DRAWS = 20_000  # of a space too large to look at whole
DRAW_SEED = 7


@dataclass(frozen=True)
class Picked:
    """One subnet: the place of the run's subnet that it stands beside, the way it was picked."""

    place: int
    way: str
    arch: Architecture
    latency_ms: float
    times: float = 1.0  # of the seconds, for which it is trained


def picks_of(run: Run) -> list[Picked]:
    """The subnets of a run, and those beside them, from small to large."""
    winners = Winners.of(run)
    if winners is None or not run.latency_file.is_file():
        raise SystemExit(f"{run.folder} is no finished run that searched by latency and drew its weights")
    model, space = LatencyModel.load(run.latency_file, run.space), run.space
    classes = len(run.source.label_names)
    rng = np.random.default_rng([run.recipe.seed, DRAW_SEED])
    codes = space.every_code() if space.size <= DRAWS else space.sample_codes(rng, DRAWS)
    times, macs = model(codes), space.macs(codes, classes)
    longer = times_without_search(run)
    sides = np.array([arch.resolution for arch in space.decode(codes)])
    size = sides * (macs.max() + 1.0) + macs
    found = []
    for place, winner in enumerate(winners.winners):
        arch = Architecture.from_dict(winner.arch)
        limit = float(model([arch])[0])
        within = np.flatnonzero(times <= limit)
        near = within[times[within] >= NEARLY * limit]
        chosen = {RULE: within[np.argmax(size[within])], DRAWN: rng.choice(near)}
        found.append(Picked(place, SEARCHED, arch, limit))
        for way, index in chosen.items():
            (other,) = space.decode(codes[index][None])
            found.append(Picked(place, way, other, float(times[index])))
            if way == RULE:
                found.append(Picked(place, LONGER, other, float(times[index]), longer))
    return found


def times_without_search(run: Run) -> float:
    """How many times as long a run would train its subnets if it had neither supernet nor search."""
    spent = read_json(run.minutes_file)["spent_s"]
    return float(1 + (spent["supernet"] + spent["search"]) / spent["winners"])


def cell_name(run: Run, picked: Picked, seconds: float) -> str:
    """Everything that the result depends on, as the name of a file."""
    data = Path(run.recipe.images()).name
    trained = f"{picked.arch.id}_{seconds * picked.times:.3g}s"
    return f"{data}_seed{run.recipe.seed}_{run.split_sha256[:8]}_{trained}"


def make_cell(run: Run, picked: Picked, seconds: float, file: Path) -> None:
    """Train a subnet alone for ``seconds`` of this process, or as many times as long, and test it."""
    arch, seconds = picked.arch, seconds * picked.times
    torch.set_num_threads(1)
    assert run.recipe.winners is not None
    recipe = run.recipe.winners.training(run.training)
    network = drawn(run, arch, run.space.structure, HERE.device)
    data = open_train_data(run, HERE, resolution=run.resolution, recipe=recipe)
    step = FixedStep(network, recipe, HERE)
    found = fit(step, data, recipe, run.recipe.seed, HERE.device, lambda _, spent: spent / seconds)
    search = run.recipe.search
    calibrated_on(network.eval(), run, search.calibration_images, search.calibration_batch_size)
    images = run.test_images
    top1 = top1_pct(logits_of(network, images.batches(arch.resolution)), images.labels)
    write_json(file, found | {"top1_pct": top1, "images": len(images.labels), "made_on": machine_in_words()})
    print(file.stem, f"{found['steps']} steps, {top1:.2f} %", flush=True)


Found = Mapping[str, Any]


def record_of(run: Run, seconds: float, cells: Mapping[str, Path]) -> dict[str, Any]:
    """What came out of one run, as it is kept."""
    picked = [
        {
            "place": one.place,
            "way": one.way,
            "arch_id": one.arch.id,
            "resolution": one.arch.resolution,
            "latency_ms": one.latency_ms,
            "top1_pct": read_json(cells[cell_name(run, one, seconds)])["top1_pct"],
        }
        for one in picks_of(run)
    ]
    data = Path(run.recipe.images()).name
    about = {"data": data, "space": run.space.name, "minutes": run.recipe.minutes, "seed": run.recipe.seed}
    return about | {
        "seconds": seconds,
        "images": len(run.split.test),
        "made_on": machine_in_words(),
        "picked": picked,
    }


def lines_of(records: Iterable[Found]) -> Iterable[str]:
    """The report of all runs."""
    records = list(records)
    yield from (
        "# What the search of a run is worth",
        "",
        "For each subnet that an `anas run` found and trained, from small to large: its top-1, and that of "
        "two others within the latency that the run's model predicts for it. One has the largest resolution "
        "and, of these, the most multiply-adds, which takes neither supernet nor search; one is drawn "
        f"uniformly of those that take at least {NEARLY:.0%} of that latency. All were trained "
        "alone as the run trains what it found, for the seconds of one core of the title, on its "
        "training split, and tested on its test split; what takes no search also for as much longer as the "
        "run had more time without supernet and search. Latency and top-1 are means over the runs, top-1 "
        "± standard deviation; differences are those of the runs' means over their subnets, with "
        "the 95 % interval by Student's t.",
        "",
        "Made by `python benchmarks/search_value.py RUN... --out runs/search_value`, on "
        + " and ".join(sorted({one["made_on"] for one in records}))
        + ".",
    )
    keys = ("data", "space", "minutes", "seconds")
    for key in sorted({tuple(one[name] for name in keys) for one in records}):
        runs = [one for one in records if tuple(one[name] for name in keys) == key]
        title = next((one.title for name, one in DATA_SETS.items() if name == key[0]), key[0])
        seeds = f"{len(runs)} run{'s' if len(runs) > 1 else ''}"
        yield from ("", f"## {title}; {seeds} of {key[2]:g} minutes; `{key[1]}`; {key[3]:g} s", "")
        yield from _table(runs)


def _table(runs: list[Found]) -> Iterable[str]:
    rows = []
    for place in range(min(1 + max(one["place"] for one in run["picked"]) for run in runs)):
        row = [""]
        for way in WAYS:
            of_way = [
                one for run in runs for one in run["picked"] if (one["place"], one["way"]) == (place, way)
            ]
            top1 = [one["top1_pct"] for one in of_way]
            row.append(spread_of(top1, 2))
            if way == SEARCHED:
                row[0] = f"{statistics.fmean(one['latency_ms'] for one in of_way):.3f}"
        rows.append(row)
    yield markdown_table(["ms", *WAYS], rows)
    for way in (RULE, LONGER, DRAWN) if len(runs) > 1 else ():  # of one run there is no interval
        less = [_mean(run, SEARCHED) - _mean(run, way) for run in runs]
        yield from ("", f"*Searched* less *{way}*: {interval_of(less, 2)} points.")


def _mean(run: Found, way: str) -> float:
    return statistics.fmean(one["top1_pct"] for one in run["picked"] if one["way"] == way)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--seconds", type=float, default=60, help="of one core, for each network")
    parser.add_argument("--jobs", type=int, default=2, help="networks trained at a time, each of one thread")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    args = parser.parse_args()
    folder = args.out / "cells"
    folder.mkdir(parents=True, exist_ok=True)
    runs = [Run.open(path) for path in args.runs]
    wanted = {cell_name(run, one, args.seconds): (run, one) for run in runs for one in picks_of(run)}
    cells = {name: folder / f"{name}.json" for name in wanted}
    if args.cell:
        make_cell(*wanted[args.cell], args.seconds, cells[args.cell])
        return
    run_cells(__file__, cells, args.jobs)
    kept_file = RESULTS / "search_value.json"
    kept = read_json(kept_file) if kept_file.is_file() else {}
    for run in runs:
        record = record_of(run, args.seconds, cells)
        about = (record[name] for name in ("data", "space", "minutes", "seed", "seconds"))
        kept["_".join(map(str, about))] = record
    write_json(kept_file, kept)
    write(RESULTS / "search_value.md", lines_of(kept.values()))


if __name__ == "__main__":
    main()
