"""What the temperature of trained models does to their probabilities.

    python benchmarks/temperature.py RUN ...

Of every draft of finished runs (`anas run --data ... --out RUN`), on the run's test split: the expected
calibration error and the cross-entropy of its probabilities, and those of the same network as it was trained,
without the temperature that was fitted on the search split and folded into its classifier.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from shared import RESULTS, write
from torch import Tensor

from anas_zoo.core.tables import markdown_table
from anas_zoo.entry import Entry
from anas_zoo.nets import Predictions, logits_of, top1_pct
from anas_zoo.pipeline import Run
from anas_zoo.profiling.machine import describe_machine
from anas_zoo.zoo import load_subnet


def rows_of(run: Run) -> Iterable[list[str]]:
    """One line for each draft."""
    for name, draft in run.drafts().items():
        weights = Entry.read(draft).config.anas.weights
        assert weights is not None
        found = re.search(r"; temperature ([0-9.]+), fitted", weights.source)
        if found is None:
            raise SystemExit(f"{draft} has no temperature: it was made before there was one")
        temperature = float(found.group(1))
        subnet, images = load_subnet(draft), run.test_images
        logits = logits_of(subnet, images.batches(subnet.arch.resolution))
        before, after = (measured(one, images.labels) for one in (logits * temperature, logits))
        top1 = top1_pct(logits, images.labels)
        yield [name, run.folder.name, f"{top1:.2f}", f"{temperature:.2f}", *before, *after]


def measured(logits: Tensor, labels: Tensor) -> tuple[str, str]:
    """Expected calibration error in percent, and cross-entropy."""
    error = Predictions.of(logits, labels).ece_pct
    return f"{error:.2f}", f"{float(F.cross_entropy(logits, labels)):.4f}"


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of finished runs")
    folders = parser.parse_args().runs
    torch.set_num_threads(1)
    runs = [Run.open(folder) for folder in folders]
    minutes = " and ".join(sorted({f"{run.recipe.minutes:g}" for run in runs if run.recipe.minutes}))
    head = ["model", "run", "test top-1 %", "temperature"]
    head += ["calibration error %, as trained", "cross-entropy", "with the temperature, %", "cross-entropy"]
    write(
        RESULTS / "temperature.md",
        [
            "# What a temperature does to the probabilities of trained models",
            "",
            "Expected calibration error (15 bins of confidence) and cross-entropy on the test split, of a "
            "network as it was trained, with label smoothing, and with the temperature that was fitted on "
            "the search split. No prediction changes.",
            "",
            f"Runs of {minutes} minutes on {describe_machine()}, then `python benchmarks/temperature.py "
            f"{' '.join(f'runs/{folder.name}' for folder in folders)}`.",
            "",
            markdown_table(head, [row for run in runs for row in rows_of(run)]),
        ],
    )


if __name__ == "__main__":
    main()
