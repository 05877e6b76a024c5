"""Stage: the front -> drafts of fixed subnets: extracted, calibrated, tested once, profiled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from anas_zoo.files import output_folder, sha256_file, write_json
from anas_zoo.nets import Subnet
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.search import make_evaluator
from anas_zoo.pipeline.tested_draft import write_tested_draft
from anas_zoo.progress import track
from anas_zoo.search import Evaluation, pick_subnets
from anas_zoo.search.archive import read_evaluations

__all__ = ["extract_stage"]


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
    source = run.source
    write_tested_draft(
        folder,
        subnet,
        run.test_images,
        source,
        name=name,
        space=run.space,
        licence=run.recipe.licence,
        lineage=f"trained by anas-zoo with the recipe {run.recipe.name!r}, seed {run.recipe.seed}, on "
        f"{source.title} (licence of the images: {source.licence})",
        source_sha256=sha256_file(run.supernet_file),
    )
