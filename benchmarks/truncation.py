"""Truncated pretrained networks: the linear probe alone, and two ways of training on from it.

    python benchmarks/truncation.py --stamps PACKAGE.deb --out runs/truncation [--seeds 0 1 2] [--jobs 2]

Images and ImageNet weights are those of benchmarks/transfer.py. For every seed, which splits the images, and
each of some truncations of EfficientNet-Lite0:

- probe: logistic regression on its features, no weight changed;
- frozen: trained on from its probe, batch norms by their pretrained statistics, as `anas run --init` does;
- batch: trained on with batch norms by those of each batch and calibrated afterwards, at ten times the rate;
- drawn: the same from a drawn classifier, as a network is usually fine-tuned.

The three trainings of a truncation have as many epochs. A cell that is there is not made again.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from own_images import pretrained_supernet
from own_images_data import source_of
from shared import RESULTS, options, run_cells, write

from anas_zoo.core.files import write_json
from anas_zoo.core.schema import read_json
from anas_zoo.core.tables import markdown_table
from anas_zoo.data import ImagesAt
from anas_zoo.nets import Subnet, logits_of, top1_pct
from anas_zoo.nets.blocks import init_weights
from anas_zoo.pipeline import Recipe, Run
from anas_zoo.pipeline.fixed_training import calibrated_on, train_fixed
from anas_zoo.pipeline.truncated import probe_truncations, spaces_of, truncated_subnet

EPOCHS = {(3, 48): 30, (5, 48): 16, (5, 96): 6}  # of each: stages, side in pixels
ARMS = {"probe": None, "frozen": 0.001, "batch": 0.01, "drawn": 0.01}  # and the rates
HEAD_FACTOR = 5.0  # of a drawn classifier's rate over the body's
SIDES = (48, 96)


def make_cell(file: Path, seed: int, images: str, work: Path) -> None:
    """All arms of all truncations for one split."""
    torch.set_num_threads(1)
    flip = "train.augmentation.flip=true"
    recipe = Recipe.load(
        "pretrained", data=images, init=str(pretrained_supernet(work, SIDES)), seed=seed, settings=[flip]
    )
    with tempfile.TemporaryDirectory() as folder:
        run = Run.start(Path(folder) / "run", recipe.changed(settings=["search.objectives=[top1_pct, macs]"]))
        probe_truncations(run, None)
        found = {}
        for (stages, side), epochs in EPOCHS.items():
            for arm, rate in ARMS.items():
                network = trained(run, stages, side, epochs, arm, rate)
                found[f"{stages}/{side}/{arm}"] = {
                    part: accuracy(network, ImagesAt(run.source, getattr(run.split, part)), side)
                    for part in ("search", "test")
                }
                print(seed, stages, side, arm, found[f"{stages}/{side}/{arm}"], flush=True)
        write_json(file, found)


def trained(run: Run, stages: int, side: int, epochs: int, arm: str, rate: float | None) -> Subnet:
    """One truncation after what ``arm`` says."""
    arch = replace(spaces_of(run)[stages - 1].largest, resolution=side)
    network = truncated_subnet(run, arch).to(memory_format=torch.channels_last)
    if rate is None:
        return network
    if arm == "drawn":
        init_weights(network.classifier, torch.Generator().manual_seed(run.recipe.seed))
    assert run.recipe.winners is not None
    recipe = run.recipe.winners.training(run.training).model_copy(
        update={
            "epochs": epochs,
            "learning_rate": rate,
            "classifier_rate_factor": HEAD_FACTOR if arm == "drawn" else 1.0,
        }
    )
    train_fixed(
        run,
        network,
        recipe,
        folder=run.folder / "trained" / f"{stages}_{side}_{arm}",
        identity={},
        calibration_batch_size=128,
        watched=False,
        frozen_norms=arm == "frozen",
    )
    if arm != "frozen":
        calibrated_on(network, run, 256, 128)
    return network.eval()


def accuracy(network: Subnet, images: ImagesAt, side: int) -> float:
    """Top-1 in percent."""
    return top1_pct(logits_of(network, images.batches(side)), images.labels)


def report(cells: dict[int, dict[str, Any]]) -> None:
    """The table of all finished seeds."""

    def shown(stages: int, side: int, arm: str) -> str:
        values = [cell[f"{stages}/{side}/{arm}"]["test"] for cell in cells.values()]
        spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
        return f"{statistics.mean(values):.1f}{spread}"

    rows = [
        [str(stages), str(side), str(epochs), *(shown(stages, side, arm) for arm in ARMS)]
        for (stages, side), epochs in EPOCHS.items()
    ]
    head = ["stages", "pixels", "epochs", "probe", "frozen", "batch", "drawn"]
    write(
        RESULTS / "truncation.md",
        [
            "# Truncated pretrained networks: the probe alone, and training on from it",
            "",
            f"Test top-1 in %, mean ± standard deviation over {len(cells)} seed(s), each with a split of its "
            "own (153 test images), of the first stages of EfficientNet-Lite0 on 763 photographs and "
            "drawings in 12 categories. What the arms are, and where images and weights come from, says "
            "[the script](../truncation.py). Made by `python benchmarks/truncation.py --stamps PACKAGE.deb "
            f"--out runs/truncation --seeds {' '.join(map(str, cells))}`.",
            "",
            markdown_table(head, rows),
        ],
    )


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--stamps", type=Path, help="the Debian package with the photographs")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=2, help="cells made at a time")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    images = source_of("photographs", args.out, args.stamps)
    files = {str(seed): args.out / f"seed{seed}.json" for seed in args.seeds}
    if args.cell:
        make_cell(files[args.cell], int(args.cell), images, args.out)
        return
    pretrained_supernet(args.out, SIDES)
    run_cells(__file__, files, args.jobs)
    report({seed: read_json(args.out / f"seed{seed}.json") for seed in args.seeds})


if __name__ == "__main__":
    main()
