"""Two supernets of one space, subnet by subnet: the same architectures, scored with the weights of each.

    python benchmarks/two_supernets.py FIRST SECOND --data path/to/imagenet --out runs/two
        [--evaluations 96] [--images 10000] [--seed 0]

For whoever has the authors' files (docs/sources.md): AttentiveNAS' supernet was trained by BestUp-3 and
AlphaNet's by uniform sampling, both in one space, so that what differs is the sampling, and AlphaNet's
α-divergence. Each is searched at random with one seed by `anas search`, which calibrates and scores the same
subnets on the same images; what both have scored is compared in pairs. `anas import attentive-nas CHECKPOINT
--out FIRST` makes a supernet of a file. The command can be stopped and repeated.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau
from scipy.stats import t as student_t
from shared import options, write

import anas_zoo
from anas_zoo.core.errors import ConfigError
from anas_zoo.core.tables import markdown_table
from anas_zoo.searching import Evaluation, read_evaluations
from anas_zoo.searching.archive import EVALUATIONS

THIRDS = ("smallest third", "middle third", "largest third")
CONFIDENCE = 0.95

Pair = tuple[Evaluation, Evaluation]


def scored(supernet: str, out: Path, data: str, *, evaluations: int, images: int | None, seed: int) -> Path:
    """The archive of a random search of ``supernet`` in the folder ``out``, which resumes there."""
    anas_zoo.search(
        supernet if not out.exists() else out,
        data=data if not out.exists() else None,
        algorithm="random",
        evaluations=evaluations,
        images=images,
        seed=seed,
        out=None if out.exists() else out,
        resume=out.exists(),
    )
    return out / "search" / EVALUATIONS


def paired(first: Path, second: Path) -> list[Pair]:
    """What both archives have scored, by multiply-adds. Raises :class:`ConfigError` for fewer than six."""
    found = {one.arch.id: one for one in read_evaluations(second)}
    pairs = [(one, found[one.arch.id]) for one in read_evaluations(first) if one.arch.id in found]
    if len(pairs) < 2 * len(THIRDS):
        raise ConfigError(
            f"both have scored {len(pairs)} subnets, which are too few; are both supernets of one space?"
        )
    return sorted(pairs, key=lambda pair: pair[0].macs)


def table(names: tuple[str, str], pairs: Sequence[Pair]) -> str:
    """Mean top-1 of each, and of what the first is ahead, over all subnets and by cost."""
    thirds = np.array_split(np.arange(len(pairs)), len(THIRDS))
    parts = {"all": list(pairs)} | {
        title: [pairs[place] for place in places] for title, places in zip(THIRDS, thirds, strict=True)
    }
    rows = []
    for title, some in parts.items():
        means = [statistics.fmean(pair[side].top1_pct for pair in some) for side in (0, 1)]
        rows.append(
            [
                title,
                str(len(some)),
                f"{some[0][0].macs / 1e6:,.1f} to {some[-1][0].macs / 1e6:,.1f}",
                *(f"{mean:.2f}" for mean in means),
                _interval([one.top1_pct - other.top1_pct for one, other in some]),
            ]
        )
    first, second = names
    head = ["subnets", "number", "MFLOPs", f"{first}, top-1 %", f"{second}, top-1 %", "first less second"]
    return markdown_table(head, rows)


def _interval(values: Sequence[float]) -> str:
    """The mean, and its interval by Student's t."""
    mean, error = statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))
    reach = float(student_t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    return f"{mean:+.2f} ({mean - reach:+.2f} to {mean + reach:+.2f})"


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("first", help="a supernet: a folder, or hf-hub:org/name")
    parser.add_argument("second", help="another one of the same space")
    parser.add_argument("--data", required=True, help="images with the supernets' classes")
    parser.add_argument("--evaluations", type=int, default=96, help="subnets")
    parser.add_argument("--images", type=int, help="that each is scored on; by default all")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    names = (Path(args.first).name, Path(args.second).name)
    if names[0] == names[1]:
        names = ("first", "second")
    archives = [
        scored(
            supernet,
            args.out / name,
            args.data,
            evaluations=args.evaluations,
            images=args.images,
            seed=args.seed,
        )
        for supernet, name in zip((args.first, args.second), names, strict=True)
    ]
    pairs = paired(*archives)
    tau = kendalltau(*([pair[side].top1_pct for pair in pairs] for side in (0, 1))).statistic
    lines = [
        f"# {names[0]} and {names[1]}, subnet by subnet",
        "",
        f"{len(pairs)} subnets drawn uniformly, each calibrated and scored on {pairs[0][0].images} images "
        "with the weights of either supernet. In brackets is the 95 % interval of the mean difference over "
        f"these subnets. Kendall's τ between both orders: {tau:.2f}.",
        "",
        table(names, pairs),
    ]
    write(args.out / "two_supernets.md", lines)


if __name__ == "__main__":
    main()
