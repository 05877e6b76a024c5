"""Stages on drafts with exported files: validate them on disk, time them, publish."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from anas_zoo.data import with_preprocessing
from anas_zoo.errors import EntryError
from anas_zoo.export import ParityReport, Target, validate_onnx
from anas_zoo.files import output_folder
from anas_zoo.pipeline.draft_run import run_of_draft
from anas_zoo.pipeline.exporting import DEFAULT_TARGET, onnx_name
from anas_zoo.pipeline.images_at import ImagesAt
from anas_zoo.profiling import measure_latency
from anas_zoo.progress import track
from anas_zoo.text import quoted
from anas_zoo.zoo import Entry, file_info, load_subnet, publish, write_report
from anas_zoo.zoo.draft import read_golden
from anas_zoo.zoo.evidence import FileInfo
from anas_zoo.zoo.manifest import MANIFEST

__all__ = [
    "publish_drafts",
    "table_row",
    "time_drafts",
    "validate_draft",
    "validate_entry",
    "validate_on_test_images",
]


def validate_draft(
    draft: Path, images: Tensor, labels: Tensor | None, *, keep: bool = True
) -> dict[str, ParityReport]:
    """Validate every exported file of a draft on ``images``; ``keep`` puts the parity into its report.

    Raises :class:`EntryError` when nothing was exported yet, :class:`anas_zoo.errors.ParityError` for a
    file that does not compute what the weights do.
    """
    entry = Entry.read(draft)
    if not entry.report.files:
        raise EntryError(f"{draft} has no exported file; run: anas export {quoted(draft)}")
    subnet, preprocessing = load_subnet(draft), entry.config.anas.preprocessing.to_preprocessing()
    found, files = {}, dict(entry.report.files)
    for name, info in entry.report.files.items():
        target = Target.load(info.target).as_made(opset=info.opset, form=info.input)
        found[name] = validate_onnx(
            draft / name, subnet, images, labels, target=target, preprocessing=preprocessing
        )
        files[name] = info.model_copy(update=_evidence(draft / name, info, found[name]))
    if keep:
        write_report(draft, entry.report.model_copy(update={"files": files}))
    return found


def _evidence(path: Path, info: FileInfo, parity: ParityReport) -> dict[str, Any]:
    fresh = file_info(path, target=info.target, opset=info.opset, parity=parity)
    return {"size_bytes": fresh.size_bytes, "sha256": fresh.sha256, "parity": fresh.parity}


def validate_on_test_images(draft: Path, test_images: ImagesAt) -> dict[str, ParityReport]:
    """Validate a draft as :func:`validate_draft` does, on all test images or as many as fit in memory."""
    resolution = Entry.read(draft).config.arch.resolution
    images = test_images.that_fit(resolution)
    return validate_draft(draft, images(resolution), images.labels)


def validate_entry(folder: Path) -> dict[str, ParityReport]:
    """Validate the files of a run's draft on the test images, those of anything else on its golden ones.

    Images are preprocessed as the entry's config says. A draft gets the parity into its report; a published
    entry stays as it is. Raises as :func:`validate_draft` does.
    """
    entry = Entry.read(folder)
    run = run_of_draft(folder)
    if run is not None:
        source = with_preprocessing(run.source, entry.config.anas.preprocessing.to_preprocessing())
        return validate_on_test_images(folder, ImagesAt(source, run.split.test))
    golden, _ = read_golden(folder, entry.config)
    return validate_draft(folder, golden, None, keep=MANIFEST not in entry.files)


def time_drafts(drafts: Mapping[str, Path], *, threads: int = 1, repeats: int = 100) -> None:
    """Measure the latency of the default file of all ``drafts`` side by side, into their reports."""
    file = onnx_name(DEFAULT_TARGET)
    reports = measure_latency(
        {name: draft / file for name, draft in drafts.items()}, threads=threads, repeats=repeats
    )
    for name, draft in drafts.items():
        report = Entry.read(draft).report
        info = report.files[file].model_copy(update={"latency": (reports[name],)})
        write_report(draft, report.model_copy(update={"files": report.files | {file: info}}))


def publish_drafts(drafts: Mapping[str, Path], zoo: Path, licence: str | None = None) -> list[Path]:
    """Publish all ``drafts`` under ``zoo``; all of them appear, or none. ``licence``: see ``publish``."""
    with output_folder(zoo) as staging:
        for name, draft in track(drafts.items(), "publish", total=len(drafts)):
            publish(draft, staging / name, licence=licence)
    return [zoo / name for name in drafts]


def table_row(folder: Path) -> dict[str, Any]:
    """The numbers of one draft or entry with all its evidence, from its own report."""
    report = Entry.read(folder).report
    file = report.files[onnx_name(DEFAULT_TARGET)]
    assert report.accuracy is not None
    assert report.cost is not None
    assert file.parity is not None
    return {
        "name": report.name,
        "top1_pct": report.accuracy.top1_pct,
        "onnx_top1_pct": file.parity.top1_pct,
        "macs": report.cost.macs,
        "params": report.cost.params,
        "latency_ms": file.latency[0].p50_ms,
        "size_bytes": file.size_bytes,
        "max_abs_logit_diff": file.parity.max_abs_logit_diff,
        "top1_agreement_pct": file.parity.top1_agreement_pct,
    }
