"""Architectures per second of the cost model on one thread, against a plain walk in the same run.

Seconds are those of the processor, so that other programs do not count.

python benchmarks/cost_model.py [--out benchmarks/results]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from shared import RESULTS, options, write

from anas_zoo.core.tables import markdown_table
from anas_zoo.profiling.machine import describe_machine
from anas_zoo.space import SearchSpace, count_by_walking, plan_network

SPACES = ("attentive_nas", "ofa_mbv3_w1_2")  # choices per stage, and per block
ENCODED = 1_000_000
LISTED = 50_000
WALKED = 1_000


def _rate(work: Callable[[], object], count: int, runs: int) -> tuple[float, float]:
    """(median, slowest) architectures per second over ``runs``."""
    rates = []
    for _ in range(runs):
        start = time.thread_time()
        work()
        rates.append(count / (time.thread_time() - start))
    return statistics.median(rates), min(rates)


def measure(name: str, runs: int) -> dict[str, tuple[float, float]]:
    """Rates by kind of input; the counts of all kinds are checked against each other first."""
    space = SearchSpace.load(name)
    codes = space.sample_codes(np.random.default_rng(0), ENCODED)
    archs = space.decode(codes[:LISTED])

    def walk() -> list[int]:
        # plan_network caches plans; a walk over what it has never seen is what is compared.
        plan_network.cache_clear()
        return [count_by_walking(space.structure, arch, 1000)[0] for arch in archs[:WALKED]]

    if not (space.macs(archs[:WALKED]).tolist() == walk() == space.macs(codes[:WALKED]).tolist()):
        raise SystemExit("the counts disagree: no rate means anything")
    return {
        f"multiply-adds, {ENCODED:,} encoded": _rate(lambda: space.macs(codes), ENCODED, runs),
        f"parameters, {ENCODED:,} encoded": _rate(lambda: space.params(codes), ENCODED, runs),
        f"multiply-adds, list of {LISTED:,} architectures": _rate(lambda: space.macs(archs), LISTED, runs),
        f"plain walk in Python, {WALKED:,} architectures": _rate(walk, WALKED, runs),
    }


def main() -> None:
    parser = options(__doc__, out=RESULTS)
    parser.add_argument("--runs", type=int, default=7)
    args = parser.parse_args()
    heads = ("space", "input", "architectures/s (median)", "slowest run", "against the walk")
    rows = []
    for name in SPACES:
        rates = measure(name, args.runs)
        base = list(rates.values())[-1][0]  # the plain walk
        rows += [
            (name, kind, f"{median:,.0f}", f"{slowest:,.0f}", f"{median / base:,.0f}×")
            for kind, (median, slowest) in rates.items()
        ]
    lines = ["# Cost model: exact multiply-adds and parameters per second", ""]
    lines += [
        "A code of `attentive_nas` has 31 genes; one of `ofa_mbv3_w1_2`, where each block chooses, has 57.",
        "An architecture keeps its packed form, so the slowest run of a list is the first, which packs it.",
        "",
        f"One thread and its processor's time, {args.runs} runs of each, on {describe_machine()}.",
    ]
    lines += ["Made by `python benchmarks/cost_model.py`.", "", markdown_table(heads, rows)]
    write(args.out / "cost_model.md", lines)


if __name__ == "__main__":
    main()
