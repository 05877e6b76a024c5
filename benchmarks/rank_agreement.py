"""How few images rank subnets like all of them? On a run's supernet and its search split.

    anas train --recipe glyphs --out runs/glyphs
    python benchmarks/rank_agreement.py runs/glyphs --out runs/agreement

Architectures spread over the costs are calibrated and scored on the whole search split once, image by image;
fewer images are then a part of that table, drawn balanced over the classes with many seeds. Calibration sets
of other sizes and seeds are calibrated and scored anew. What is there already is not computed again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import kendalltau
from shared import evaluator_of, options

from anas_zoo.core.files import write_json
from anas_zoo.core.progress import track
from anas_zoo.core.tables import markdown_table
from anas_zoo.data import ImagesAt, balanced_choice
from anas_zoo.pipeline import Run
from anas_zoo.pipeline.search_stage import make_problem
from anas_zoo.searching.problem import draw_inside
from anas_zoo.space import Architecture

COUNTS = (50, 100, 200, 400, 800, 1600)
SEEDS = 20
CALIBRATIONS = (32, 64, 128, 256, 512, 1024)
CALIBRATION_SEEDS = 2
CALIBRATION_IMAGES_SCORED = 1410
QUARTERS = 4  # of the costs: a search compares subnets of about one cost

Table = npt.NDArray[np.bool_]


def chosen_architectures(run: Run, count: int) -> list[Architecture]:
    """Spread evenly over the logarithm of the multiply-adds, from small to large."""
    problem = make_problem(run.space, len(run.source.label_names), run.recipe.search)
    pool = draw_inside(problem, np.random.default_rng(5), 20_000, set(), tilted=True)
    cost = np.log(problem.costs(pool)["macs"])
    places = [int(np.abs(cost - goal).argmin()) for goal in np.linspace(cost.min(), cost.max(), count)]
    return run.space.decode(pool[sorted(set(places), key=lambda place: cost[place])])


def right_table(run: Run, archs: list[Architecture], calibration: ImagesAt, images: ImagesAt) -> Table:
    """Which image each architecture classifies right, (architectures, images)."""
    score = evaluator_of(run, images, calibration)
    rows = [score.logits(arch).argmax(1) == images.labels for arch in track(archs, "score subnets")]
    return torch.stack(rows).numpy()


def agreement(few: npt.NDArray[Any], full: npt.NDArray[Any]) -> tuple[float, float]:
    """Kendall's τ over all architectures, and its mean within quarters of the cost (they come sorted)."""
    parts = np.array_split(np.arange(len(full)), QUARTERS)
    within = [kendalltau(few[part], full[part]).statistic for part in parts]
    return float(kendalltau(few, full).statistic), float(np.mean(within))


def by_images(table: Table, labels: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
    full = table.mean(axis=1)
    rows = []
    for count in (n for n in COUNTS if n < len(labels)):
        found = [
            agreement(table[:, balanced_choice(range(len(labels)), labels, count, [seed])].mean(axis=1), full)
            for seed in range(SEEDS)
        ]
        everything, within = np.array(found).T
        rows.append(
            {
                "images": count,
                "kendall_tau": everything.mean(),
                "lowest": everything.min(),
                "within_quarters": within.mean(),
                "within_quarters_lowest": within.min(),
            }
        )
    return rows


def by_calibration(run: Run, archs: list[Architecture], out: Path) -> list[dict[str, Any]]:
    """Against the largest calibration set, on the same images; different seeds are different sets."""
    source, split = run.source, run.split
    scored = balanced_choice(split.search, source.labels, CALIBRATION_IMAGES_SCORED, [0])
    images = ImagesAt(source, scored)
    accuracies: dict[tuple[int, int], npt.NDArray[Any]] = {}
    for count in CALIBRATIONS:
        for seed in range(CALIBRATION_SEEDS):
            file = out / f"calibration-{count}-{seed}.npy"
            if not file.exists():
                chosen = balanced_choice(split.train, source.labels, count, [100 + seed])
                np.save(file, right_table(run, archs, ImagesAt(source, chosen), images))
            accuracies[count, seed] = np.load(file).mean(axis=1)
    full = np.mean([accuracies[CALIBRATIONS[-1], seed] for seed in range(CALIBRATION_SEEDS)], axis=0)
    rows = []
    for count in CALIBRATIONS:
        own = [accuracies[count, seed] for seed in range(CALIBRATION_SEEDS)]
        taus = np.array([agreement(values, full) for values in own])
        rows.append(
            {
                "calibration_images": count,
                "kendall_tau": taus[:, 0].mean(),
                "within_quarters": taus[:, 1].mean(),
                "mean_top1_pct": 100 * np.mean(own),
                "between_sets_pct": 100 * float(np.abs(own[0] - own[1]).mean()),
            }
        )
    return rows


def markdown(rows: list[dict[str, Any]]) -> str:
    keys = list(rows[0])
    cells = [[str(row[k]) if isinstance(row[k], int) else f"{row[k]:.3f}" for k in keys] for row in rows]
    return markdown_table([key.replace("_", " ") for key in keys], cells)


def draw(path: Path, rows: list[dict[str, Any]], total: int) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    counts = [row["images"] for row in rows]
    for number, (key, lowest, label) in enumerate(
        [
            ("kendall_tau", "lowest", "all architectures"),
            ("within_quarters", "within_quarters_lowest", "within a quarter of the costs"),
        ]
    ):
        axes.plot(counts, [row[key] for row in rows], marker="o", color=f"C{number}", label=label)
        axes.plot(counts, [row[lowest] for row in rows], ls=":", color=f"C{number}")
    axes.plot([], [], ls=":", color="#666666", label=f"lowest of {SEEDS} seeds")
    axes.set_xscale("log")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.set_xlabel("images of the search split that a subnet is scored on")
    axes.set_ylabel(f"Kendall τ against all {total} images")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, metadata={"Software": None})


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--architectures", type=int, default=96)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    run = Run.open(args.run)
    run.use_threads()
    archs = chosen_architectures(run, args.architectures)
    images = ImagesAt(run.source, run.split.search)
    file = args.out / "right.npy"
    if not file.exists():
        np.save(file, right_table(run, archs, run.calibration_images, images))
    table = np.load(file)
    images_rows = by_images(table, images.labels.numpy())
    calibration_rows = by_calibration(run, archs[::2], args.out)
    accuracy = 100 * table.mean(axis=1)
    write_json(
        args.out / "rank_agreement.json",
        {
            "architectures": len(archs),
            "images": table.shape[1],
            "lowest_top1_pct": float(accuracy.min()),
            "highest_top1_pct": float(accuracy.max()),
            "by_images": images_rows,
            "by_calibration": calibration_rows,
        },
    )
    draw(args.out / "rank_agreement.png", images_rows, table.shape[1])
    print(f"{len(archs)} architectures, {accuracy.min():.1f} to {accuracy.max():.1f} % top-1")
    print(markdown(images_rows), markdown(calibration_rows), sep="\n\n")


if __name__ == "__main__":
    main()
