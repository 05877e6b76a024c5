"""Stage: the front -> drafts of fixed subnets: extracted, calibrated, tested once, profiled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from anas_zoo.files import output_folder, sha256_file, write_json
from anas_zoo.nets import Subnet
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.search import make_evaluator
from anas_zoo.profiling import FlopsReport, profile_flops
from anas_zoo.progress import track
from anas_zoo.search import Evaluation, pick_subnets
from anas_zoo.search.archive import read_evaluations
from anas_zoo.search.evaluator import accuracy_pct, logits_of
from anas_zoo.zoo import Accuracy, Cost, EntryReport, build_config, write_draft

__all__ = ["GOLDEN_IMAGES", "cost_of", "extract_stage"]

GOLDEN_IMAGES = 8  # kept in an entry to check it again after a download


def cost_of(report: FlopsReport, resolution: int) -> Cost:
    """The cost section of an entry's report."""
    return Cost(
        macs=report.macs,
        params=report.params,
        resolution=resolution,
        fvcore_total=report.fvcore_total,
        fvcore_by_operator=report.fvcore_by_operator,
    )


def extract_stage(run: Run, *, chosen: Sequence[Evaluation] | None = None) -> list[str]:
    """Extract the ``chosen`` subnets (default: spread over the front) into ``RUN/subnets``.

    Returns their names from small to large. This is the only stage that sees the test split.
    """
    run.use_threads()
    if chosen is None:
        evaluations = read_evaluations(run.search_folder / "evaluations.jsonl")
        chosen = pick_subnets(evaluations, run.recipe.search.subnets)
    names = run.entry_names(len(chosen))
    evaluator = make_evaluator(run)
    with output_folder(run.drafts_folder) as staging:
        pairs = list(zip(names, chosen, strict=True))
        for name, evaluation in track(pairs, "extract, calibrate, test and profile"):
            _write(run, staging / name, name, evaluator.calibrated(evaluation.arch))
        write_json(staging / "order.json", names)
    return names


def _write(run: Run, folder: Path, name: str, subnet: Subnet) -> None:
    resolution = subnet.arch.resolution
    images, labels = run.test_images(resolution), run.test_images.labels
    top1_pct = accuracy_pct(logits_of(subnet, images), labels)
    profile = profile_flops(subnet, resolution)
    source = run.source
    config = build_config(
        subnet,
        name=name,
        space=run.space,
        preprocessing=source.preprocessing,
        label_names=source.label_names,
        licence=run.recipe.licence,
        source=f"trained by anas-zoo with the recipe {run.recipe.name!r}, seed {run.recipe.seed}, on "
        f"{source.title} (licence of the images: {source.licence})",
        source_sha256=sha256_file(run.supernet_file),
    )
    report = EntryReport(
        name=name,
        arch_id=subnet.arch.id,
        accuracy=Accuracy(
            source=source.title, split="test", images=len(labels), top1_pct=top1_pct, preprocessing="native"
        ),
        cost=cost_of(profile, resolution),
    )
    write_draft(folder, subnet, config, report, images[:GOLDEN_IMAGES])
