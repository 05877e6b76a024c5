"""How good a front does each algorithm find with how many evaluations? All of them, on an oracle.

    python benchmarks/search_efficiency.py --oracle FILE.onnx --out runs/efficiency [--seeds 5] [--jobs 2]
    python benchmarks/search_efficiency.py --space ofa_mbv3_w1_2 --oracle FILE.onnx --out runs/efficiency_ofa

The oracle is an accuracy predictor of the space: for attentive_nas one that reads codes (docs/predictors.md
says how to convert the authors'), for ofa_mbv3_w1_2 once-for-all's own, an ONNX file that reads its 128
features. Every (problem, algorithm, seed) is run by `anas search`'s own code, several at a time; a result
that is there already is not made again. When all are there, the table and the picture are written.

Hypervolume: minimise the cost, maximise the oracle's top-1, up to the reference point (largest cost of the
problem, least top-1 of the benchmark), divided by the ranges of both: from the space's smallest cost, and to
the benchmark's largest top-1 (67 to 73 % for attentive_nas, 75 to 85 % for ofa_mbv3_w1_2).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # jobs run side by side

import numpy as np
from moocore import hypervolume
from shared import options, run_cells, write

from anas_zoo.core.files import write_json
from anas_zoo.core.tables import markdown_table
from anas_zoo.searching import (
    Archive,
    Budget,
    Evaluation,
    Evaluator,
    Limits,
    PredictorEvaluator,
    Problem,
    Score,
    SearchRecipe,
    make_algorithm,
    run_search,
)
from anas_zoo.searching.front import losses_of
from anas_zoo.space import AccuracyPredictor, Architecture, SearchSpace


class FeaturePredictor:
    """Once-for-all's accuracy predictor of ``ofa_mbv3_w1_2``: an ONNX file of one-hot features.

    20 blocks × one of kernel sizes 3, 5, 7, then of expand ratios 3, 4, 6, all zero where the block is
    absent; then one of (R - 112) / 16 in 8 places. It answers in fractions.
    """

    images = images_forwarded = 0
    at_once = 4096

    def __init__(self, path: Path, space: SearchSpace) -> None:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(path), settings, providers=["CPUExecutionProvider"], enable_fallback=0
        )
        self._space = space
        # The first stage is fixed, and the features leave it out.
        self._columns = [
            (gene, value)
            for key, values in ((0, (3, 5, 7)), (1, (3, 4, 6)))
            for stage in range(1, len(space.config.stages))
            for gene in space.genes.of_stage(key, stage)
            for value in values
        ] + [(0, 112 + 16 * place) for place in range(8)]

    def __call__(self, archs: Sequence[Architecture]) -> list[Score]:
        codes = self._space.encode(archs)
        features = np.stack([codes[:, gene] == value for gene, value in self._columns], axis=1)
        fractions = self._session.run(None, {"features": features.astype(np.float32)})[0]
        return [Score(100.0 * float(value)) for value in fractions.reshape(-1)]


@dataclass(frozen=True)
class Benchmark:
    """An oracle's space and the problems on it.

    Attributes:
        problems: name -> (cost, least, most), in the stored units.
        top1_pct: least and largest of the hypervolume.
        evaluator: of the oracle's file.
        resolution: where the oracle knows only some of the space's.
    """

    problems: dict[str, tuple[str, float, float]]
    top1_pct: tuple[float, float]
    evaluator: Callable[[Path, SearchSpace], Evaluator]
    resolution: tuple[int, ...] | None = None


BENCHMARKS = {
    "attentive_nas": Benchmark(
        {
            "200-1200 M": ("macs", 200e6, 1200e6),
            "200-600 M": ("macs", 200e6, 600e6),
            "params to 16 M": ("params", 0.0, 16e6),
        },
        (67.0, 73.0),
        lambda path, space: PredictorEvaluator(AccuracyPredictor(path, space)),
    ),
    "ofa_mbv3_w1_2": Benchmark(
        {
            "60-850 M": ("macs", 60e6, 850e6),
            "60-300 M": ("macs", 60e6, 300e6),
            "params to 8 M": ("params", 0.0, 8e6),
        },
        (75.0, 85.0),
        FeaturePredictor,
        (160, 176, 192, 208, 224),
    ),
}
# name -> the recipe
ALGORITHMS: dict[str, dict[str, Any]] = {
    "surrogate": {"evaluations": 512},
    "nsga2": {"evaluations": 5632},
    "evolution": {"evaluations": 5632},
    "random": {"evaluations": 5632},
}
# Near the best known, on every problem; one seed.
OPTIMUM: dict[str, dict[str, Any]] = {
    "nsga2, population 200": {"algorithm": "nsga2", "evaluations": 60_000, "nsga2": {"population": 200}}
}
# The models of the surrogate alone, on the first problem; for --parts.
PARTS = {
    f"surrogate, {model} alone": {
        "algorithm": "surrogate",
        "evaluations": 512,
        "surrogate": {"models": [model]},
    }
    for model in ("process", "trees")
}
BUDGET = 5632
MARKS = (128, 256, 512, 1024, 2048, 5632)


def run_cell(problem_name: str, algorithm: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """One search, and its hypervolume after every round number of evaluations."""
    benchmark = BENCHMARKS[args.space]
    cost, least, most = benchmark.problems[problem_name]
    space = SearchSpace.load(args.space)
    limits = {cost: {"min": least, "max": most}, "resolution": benchmark.resolution}
    problem = Problem(
        space, num_classes=1000, objectives=("top1_pct", cost), limits=Limits.model_validate(limits)
    )
    data = {"algorithm": algorithm} | (ALGORITHMS | PARTS | OPTIMUM)[algorithm]
    budget = min(data["evaluations"], args.evaluations or data["evaluations"])
    recipe = SearchRecipe.model_validate(data | {"evaluations": budget})
    archive_file = args.out / "archives" / f"{cell_name(problem_name, algorithm, seed)}.jsonl"
    archive_file.parent.mkdir(parents=True, exist_ok=True)
    archive_file.unlink(missing_ok=True)
    evaluator = benchmark.evaluator(args.oracle, space)
    began = time.perf_counter()
    with Archive(archive_file) as archive:
        result = run_search(
            make_algorithm(problem, recipe, seed=[seed, 2]), evaluator, archive, Budget(budget)
        )
    seconds = time.perf_counter() - began
    step = 16 if budget <= BUDGET else budget // 20
    at = sorted({*range(step, budget + 1, step), *MARKS} & set(range(budget + 1)))
    smallest_arch = replace(space.smallest, resolution=problem.resolutions[0])
    smallest = float(getattr(space, cost)([smallest_arch], 1000)[0])
    ranges = (smallest, most), benchmark.top1_pct
    return {
        "problem": problem_name,
        "algorithm": algorithm,
        "seed": seed,
        "seconds": seconds,
        "evaluations": at,
        "hypervolume": [share(result.evaluations[:n], cost, *ranges) for n in at],
    }


def share(
    evaluations: list[Evaluation], cost: str, costs: tuple[float, float], top1_pct: tuple[float, float]
) -> float:
    """The hypervolume of some evaluations, normalised as the module's docstring says."""
    losses = losses_of(evaluations, (cost, "top1_pct"))
    volume = float(hypervolume(losses, ref=np.array([costs[1], -top1_pct[0]])))
    return volume / ((costs[1] - costs[0]) * (top1_pct[1] - top1_pct[0]))


def cell_name(problem: str, algorithm: str, seed: int) -> str:
    return f"{problem}-{algorithm}-{seed}".replace(" ", "_").replace(",", "")


def curves(cells: list[dict[str, Any]], problem: str, algorithm: str) -> tuple[list[int], Any]:
    """(evaluations, hypervolume (seeds, evaluations)) of one algorithm on one problem."""
    own = [c for c in cells if (c["problem"], c["algorithm"]) == (problem, algorithm)]
    return own[0]["evaluations"], np.array([cell["hypervolume"] for cell in own])


def draw(path: Path, cells: list[dict[str, Any]], problems: Sequence[str]) -> None:
    """Mean and range of the hypervolume over evaluations, one panel a problem."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.5), dpi=120, layout="constrained")
    for axes, problem in zip(figure.subplots(1, len(problems)), problems, strict=True):
        for number, algorithm in enumerate(ALGORITHMS):
            at, values = curves(cells, problem, algorithm)
            axes.plot(at, values.mean(axis=0), color=f"C{number}", label=algorithm)
            axes.fill_between(at, values.min(axis=0), values.max(axis=0), color=f"C{number}", alpha=0.2, lw=0)
        axes.set_xscale("log")
        axes.set_xticks([32, *MARKS], [str(mark) for mark in (32, *MARKS)], fontsize=8)
        axes.minorticks_off()
        bottom = min(curves(cells, problem, name)[1].mean(axis=0)[0] for name in ALGORITHMS)
        axes.set_ylim(bottom=bottom)
        axes.set_xlabel("evaluations")
        axes.set_title(problem)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("hypervolume, mean and range of seeds")
    figure.axes[-1].legend(loc="lower right")
    figure.savefig(path, metadata={"Software": None})


def table(cells: list[dict[str, Any]], problems: Sequence[str]) -> str:
    """Mean ± standard deviation over the seeds at the marks."""
    rows = []
    for problem in problems:
        parts = {name: data for name, data in PARTS.items() if any(c["algorithm"] == name for c in cells)}
        parts = parts if problem == problems[0] else {}
        for algorithm in ALGORITHMS | OPTIMUM | parts:
            at, values = curves(cells, problem, algorithm)
            own = [c for c in cells if (c["problem"], c["algorithm"]) == (problem, algorithm)]
            texts = []
            for mark in MARKS:
                if mark not in at:
                    texts.append("")
                    continue
                column = values[:, at.index(mark)]
                spread = f" ± {column.std(ddof=1):.4f}" if len(column) > 1 else ""
                texts.append(f"{column.mean():.4f}{spread}")
            seconds = np.mean([cell["seconds"] for cell in own])
            end = f" ({values[:, -1].mean():.4f} after {at[-1]:,})" if algorithm in OPTIMUM else ""
            rows.append((problem, algorithm + end, len(own), *texts, f"{seconds:.0f}"))
    return markdown_table(("problem", "algorithm", "seeds", *map(str, MARKS), "seconds"), rows)


def needed(cells: list[dict[str, Any]], problem: str, algorithm: str, goal: float) -> str:
    """Evaluations after which the mean of an algorithm's seeds reaches ``goal``."""
    at, values = curves(cells, problem, algorithm)
    reached = np.flatnonzero(values.mean(axis=0) >= goal)
    return f"{at[reached[0]]:,}" if len(reached) else f"over {at[-1]:,}"


def comparison(cells: list[dict[str, Any]], problems: Sequence[str]) -> str:
    """What the surrogate reaches, as a share of the best known, and what the others need for as much."""
    names = ("evolution", "nsga2", "random")
    heads = ["problem", "best known", "surrogate after", "hypervolume", "share of the best"]
    rows = []
    for problem in problems:
        best = max(c["hypervolume"][-1] for c in cells if c["problem"] == problem)
        at, values = curves(cells, problem, "surrogate")
        for mark in (128, 512):
            goal = float(values[:, at.index(mark)].mean())
            others = [needed(cells, problem, name, goal) for name in names]
            reached = f"{100 * goal / best:.1f} %"
            rows.append((problem, f"{best:.4f}", mark, f"{goal:.4f}", reached, *others))
    return markdown_table([*heads, *(f"{name} needs" for name in names)], rows)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--space", choices=BENCHMARKS, default=next(iter(BENCHMARKS)))
    parser.add_argument("--oracle", type=Path, required=True, help="an accuracy predictor's .onnx file")
    parser.add_argument("--problem", action="append", help="one of the space's; default: all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--parts", type=int, default=0, help="seeds of the surrogate's models alone")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--evaluations", type=int, help="at most this many, for a quick look")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.cell:
        problem, algorithm, seed = args.cell.split(":")
        name = cell_name(problem, algorithm, int(seed))
        write_json(args.out / "cells" / f"{name}.json", run_cell(problem, algorithm, int(seed), args))
        return

    problems = args.problem or list(BENCHMARKS[args.space].problems)
    wanted = [(p, a, s) for s in range(args.seeds) for p in problems for a in ALGORITHMS]
    wanted += [(p, a, 0) for p in problems for a in OPTIMUM]
    wanted += [(problems[0], a, s) for s in range(args.parts) for a in PARTS]
    files = {":".join(map(str, cell)): args.out / "cells" / f"{cell_name(*cell)}.json" for cell in wanted}
    run_cells(__file__, files, args.jobs)
    cells = [json.loads(file.read_text(encoding="utf-8")) for file in files.values()]
    draw(args.out / "search_efficiency.png", cells, problems)
    write(args.out / "search_efficiency.md", [table(cells, problems), "", comparison(cells, problems)])


if __name__ == "__main__":
    main()
