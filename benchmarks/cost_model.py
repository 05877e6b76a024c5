"""Architectures per second of the cost model on one thread, against a plain walk in the same run.

python benchmarks/cost_model.py [--write benchmarks/results/cost_model.md --machine "..." --date ...]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from anas_zoo.core.files import atomic_write
from anas_zoo.space import SearchSpace, count_by_walking, plan_network

ENCODED = 1_000_000
LISTED = 50_000
WALKED = 1_000


def _rate(work: Callable[[], object], count: int, runs: int) -> tuple[float, float]:
    """(median, slowest) architectures per second over ``runs``."""
    rates = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        rates.append(count / (time.perf_counter() - start))
    return statistics.median(rates), min(rates)


def measure(runs: int) -> dict[str, tuple[float, float]]:
    """Rates by kind of input; the counts of all kinds are checked against each other first."""
    space = SearchSpace.load("attentive_nas")
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


def table(rates: dict[str, tuple[float, float]]) -> str:
    """The rates as a markdown table, each with its ratio to the last one, the plain walk."""
    base = list(rates.values())[-1][0]
    rows = [
        f"| {kind} | {median:,.0f} | {slowest:,.0f} | {median / base:,.0f}× |"
        for kind, (median, slowest) in rates.items()
    ]
    head = "| input | architectures/s (median) | slowest run | against the walk |\n|---|---:|---:|---:|"
    return "\n".join([head, *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--write", type=Path, help="markdown file to write")
    parser.add_argument("--machine", default="not told", help="class of machine, for the file")
    parser.add_argument("--date", default="not told", help="date of the run, for the file")
    args = parser.parse_args()
    text = table(measure(args.runs))
    print(text)
    if args.write:
        atomic_write(
            args.write,
            "# Cost model: exact multiply-adds and parameters per second\n\n"
            f"Space `attentive_nas`, one thread, {args.runs} runs of each. {args.date}, {args.machine}.\n"
            f"Made by `python benchmarks/cost_model.py --write {args.write}`.\n\n{text}\n",
        )


if __name__ == "__main__":
    main()
