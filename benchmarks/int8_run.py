"""A run for int8, beside a run for float32 whose models are exported to int8 afterwards.

    python benchmarks/int8_run.py --out runs/int8_run [--datasets glyphs] [--minutes 5] [--seeds 0 1 2]

For every data set and seed, on all cores, one after the other:

- for int8: `anas run --data DIR --minutes M --target litert-int8`, which searches by int8 files' latency;
- for float: the same without `--target`, and then `anas export MODEL --target litert-int8` of each of its
  models, which takes no time from the run.

At the end of a pair one sweep times all int8 files, one image on one thread. A user with a limit takes of
each run the file within it that is best on the run's search split, as LiteRT computes it; what that has on
the test split is compared, limit by limit. The same is done for the float files of the float run.

What is finished is not made again. The numbers of all finished pairs are kept in results/int8_run.json, and
the report is of them.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from own_images import command_of_run, run_as_user
from own_images_data import DATA_SETS, source_of
from shared import RESULTS, machine_in_words, options, spread_of, write

from anas_zoo.core.files import write_json
from anas_zoo.core.schema import read_json
from anas_zoo.core.tables import markdown_table
from anas_zoo.data import ImagesAt, with_preprocessing
from anas_zoo.entry import Entry
from anas_zoo.exporting import Target
from anas_zoo.pipeline import Run
from anas_zoo.pipeline.deploy import file_top1_pct
from anas_zoo.pipeline.export import export, file_name
from anas_zoo.profiling.sweep import measure_sweep, yardsticks_among

FLOAT, INT8 = "litert-fp32", "litert-int8"
FOR_INT8, FOR_FLOAT, NOT_INT8 = "run for int8", "run for float, in int8", "run for float, in float"
WAYS = {FOR_INT8: ("int8", INT8), FOR_FLOAT: ("float", INT8), NOT_INT8: ("float", FLOAT)}
LIMITS_MS = (0.008, 0.010, 0.014, 0.020, 0.028, 0.040, 0.056)
REPEATS = 800  # calls of each file
Model = Mapping[str, Any]


def make_run(name: str, minutes: float, seed: int, data: str, folder: Path) -> None:
    """One run of a pair: "int8" or "float"."""
    if (folder / "summary.json").is_file():
        return
    command = command_of_run(data, minutes, seed, folder)
    run_as_user([*command, *(["--target", INT8] if name == "int8" else [])], folder)


def models_of(way: str, run: Run, folder: Path) -> list[dict[str, Any]]:
    """The files of a run for a way, with their accuracy on both splits; exported where they are not there."""
    target = Target.load(WAYS[way][1])
    found = []
    for name, draft in run.drafts().items():
        entry = Entry.read(draft)
        file = draft / file_name(target)
        if not file.is_file():
            exported = export(draft, target=target.name, out=folder / name)
            for error in exported.failed.values():
                print(f"no {target.name} of {name}: {error}", flush=True)
            if exported.failed:
                continue
            file = folder / name / file_name(target)
        source = with_preprocessing(run.source, entry.config.anas.preprocessing)
        side = entry.config.arch.resolution
        top1 = {
            split: file_top1_pct(file, target, ImagesAt.readable(source, part, side), side)
            for split, part in (("top1_pct", run.split.test), ("search_top1_pct", run.split.search))
        }
        assert entry.report.cost is not None
        costs = {"macs": entry.report.cost.macs, "size_bytes": file.stat().st_size}
        found.append({"way": way, "name": name, "file": str(file), "resolution": side} | top1 | costs)
    return found


def make_pair(data: str, minutes: float, seed: int, work: Path) -> dict[str, Any]:
    """Both runs, their files and these files' latency; read again where it is there."""
    folder = work / f"{data}_{minutes:g}min_seed{seed}"
    file = folder / "pair.json"
    if file.is_file():
        return dict(read_json(file))
    folder.mkdir(parents=True, exist_ok=True)
    source = source_of(data, work)
    for name in ("float", "int8"):
        make_run(name, minutes, seed, source, folder / name)
    models = [
        model
        for way, (name, _) in WAYS.items()
        for model in models_of(way, Run.open(folder / name), folder / "exported")
    ]
    macs = np.array([model["macs"] for model in models])
    sweep = measure_sweep(
        [Path(model.pop("file")) for model in models],
        yardsticks=yardsticks_among(macs),
        rng=np.random.default_rng(0),
        repeats=REPEATS,
    )
    for model, ms in zip(models, sweep.ms.tolist(), strict=True):
        model["latency_ms"] = ms
    pair = {"data": data, "minutes": minutes, "seed": seed, "noise_pct": sweep.noise_pct}
    tested = len(Run.open(folder / "int8").split.test)
    pair |= {"images": tested, "made_on": machine_in_words(), "models": models}
    write_json(file, pair)
    return pair


def within(pair: Model, way: str, limit_ms: float) -> Model | None:
    """The model that a user with the limit takes of a run: the best on its search split, None of none."""
    quick = [one for one in pair["models"] if one["way"] == way and one["latency_ms"] <= limit_ms]
    return max(quick, key=lambda one: (one["search_top1_pct"], -one["latency_ms"]), default=None)


def by_limit(pairs: Sequence[Model]) -> str:
    """What each way has within each limit that a model of every seed keeps, in some way."""
    rows = []
    for limit in LIMITS_MS:
        taken = {way: [one for pair in pairs if (one := within(pair, way, limit))] for way in WAYS}
        whole = {way: models for way, models in taken.items() if len(models) == len(pairs)}
        if not whole:
            continue
        mean = {way: statistics.fmean(m["top1_pct"] for m in models) for way, models in whole.items()}
        cells = [spread_of([m["top1_pct"] for m in whole[way]], 1) if way in whole else "–" for way in WAYS]
        both = FOR_INT8 in mean and FOR_FLOAT in mean
        gain = f"{mean[FOR_INT8] - mean[FOR_FLOAT]:+.1f}" if both else "–"
        rows.append((f"{limit:.3f}", *cells, gain))
    return markdown_table(["at most ms", *WAYS, "gain of the run for int8"], rows)


def fronts(pairs: Sequence[Model]) -> str:
    """Every model of every way: means over the seeds."""
    rows = []
    for way in WAYS:
        names = sorted({one["name"] for pair in pairs for one in pair["models"] if one["way"] == way})
        for number, name in enumerate(names):
            of_name = [m for p in pairs for m in p["models"] if (m["way"], m["name"]) == (way, name)]
            mean = {
                key: statistics.fmean(m[key] for m in of_name) for key in ("latency_ms", "macs", "size_bytes")
            }
            rows.append(
                (
                    way if number == 0 else "",
                    name,
                    str(len(of_name)),
                    ", ".join(str(m["resolution"]) for m in of_name),
                    spread_of([m["top1_pct"] for m in of_name], 1),
                    f"{mean['latency_ms']:.4f}",
                    f"{mean['macs'] / 1e6:.2f}",
                    f"{mean['size_bytes'] / 1e3:.0f}",
                )
            )
    return markdown_table(["", "model", "seeds", "pixels", "test top-1 %", "ms", "MFLOPs", "kB"], rows)


def lines_of(pairs: Iterable[Model]) -> Iterable[str]:
    """The report."""
    pairs = list(pairs)
    yield from (
        "# A run for int8",
        "",
        "`anas run --target litert-int8`, which searches by the latency of int8 files, beside a run without "
        "`--target` whose models are exported to int8 when it is done: [the script](../int8_run.py) says "
        "how. All files run in LiteRT. Within a limit, the file of a run that is best on its search split is "
        "taken; top-1 is on the test split, mean ± standard deviation over the seeds.",
        "",
        f"On {' and '.join(sorted({pair['made_on'] for pair in pairs}))}; one image, one thread, all files "
        "of a seed in one sweep. Made by `python benchmarks/int8_run.py --out runs/int8_run`.",
    )
    for key in sorted({(pair["data"], pair["minutes"]) for pair in pairs}):
        of_key = [pair for pair in pairs if (pair["data"], pair["minutes"]) == key]
        yield from ("", f"## {DATA_SETS[key[0]].title}; {key[1]:g} minutes", "")
        seeds = f"{len(of_key)} seed{'s' if len(of_key) > 1 else ''}"
        yield from (f"{seeds}, {of_key[0]['images']} test images.", "", by_limit(of_key))
        yield from ("", fronts(of_key))


def main() -> None:
    parser = options(__doc__)
    offered = [name for name, one in DATA_SETS.items() if not one.pretrained]
    parser.add_argument("--datasets", nargs="+", choices=offered, default=["glyphs"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=5)
    args = parser.parse_args()
    file = RESULTS / "int8_run.json"
    kept = read_json(file) if file.is_file() else {}
    for data in args.datasets:
        for seed in args.seeds:
            kept[f"{data}_{args.minutes:g}min_seed{seed}"] = make_pair(data, args.minutes, seed, args.out)
            write_json(file, kept)
    write(RESULTS / "int8_run.md", lines_of(kept.values()))


if __name__ == "__main__":
    main()
