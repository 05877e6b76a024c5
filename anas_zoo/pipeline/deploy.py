"""Stages on drafts with exported files: validate them on disk, time them, publish."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from torch import Tensor

from anas_zoo.core.errors import AnasError, EntryError, ExportError, ParityError
from anas_zoo.core.files import output_folder
from anas_zoo.core.hints import Call
from anas_zoo.core.progress import track
from anas_zoo.data import ImagesAt
from anas_zoo.entry import Entry, Latency, Parity
from anas_zoo.exporting import Target, validate_onnx
from anas_zoo.exporting.locate import with_departure
from anas_zoo.pipeline.export import DEFAULT_FILE
from anas_zoo.profiling import measure_latency
from anas_zoo.zoo import load_network, publish


def validate_draft(
    draft: Path | Entry, images: Tensor, labels: Tensor | None, *, keep: bool = True
) -> dict[str, Parity]:
    """Validate every exported file of a draft on ``images``; ``keep`` puts the parity into its report.

    Every file is tried, and the parity of those that hold is kept. Raises :class:`EntryError` when nothing
    was exported yet; what :func:`validate_onnx` raises for a file that does not compute what
    the weights do, and :class:`ExportError` with each reason for several of them.
    """
    entry = draft if isinstance(draft, Entry) else Entry.read(draft)
    refuse_without_files(entry)
    network, preprocessing = load_network(entry), entry.config.anas.preprocessing
    found: dict[str, Parity] = {}
    failed: dict[str, AnasError] = {}
    files = dict(entry.report.files)
    for name, info in entry.report.files.items():
        path = entry.folder / name
        try:
            target = Target.load(info.target).as_made(opset=info.opset, form=info.input)
            found[name] = validate_onnx(
                path, network, images, labels, target=target, preprocessing=preprocessing
            )
        except ParityError as exc:
            found_at = with_departure(exc, path, network, images, target, preprocessing)
            every_layer = Call("validate", entry.folder, locate=True)
            failed[name] = type(exc)(*found_at.parts, "; every layer: ", every_layer)
        except AnasError as exc:
            failed[name] = exc
        else:
            evidence = {"size_bytes": path.stat().st_size, "sha256": entry.sha256(name)}
            files[name] = info.model_copy(update=evidence | {"parity": found[name]})
    if keep and found:
        entry.updated(entry.report.model_copy(update={"files": files}))
    if failed:
        _raise(failed, found)
    return found


def refuse_without_files(entry: Entry) -> None:
    """Raise :class:`EntryError` for an entry from which nothing was exported yet."""
    if not entry.report.files:
        raise EntryError(f"{entry.folder} has no exported file; run: ", Call("export", entry.folder))


def _raise(failed: Mapping[str, AnasError], found: Mapping[str, Parity]) -> NoReturn:
    first = next(iter(failed.values()))
    held = f" ({', '.join(found)} passed)" if found else ""
    if len(failed) == 1:
        raise type(first)(*first.parts, held) from first
    reasons = [part for error in failed.values() for part in ("; ", *error.parts)]
    raise ExportError(
        f"{len(failed)} of {len(failed) + len(found)} files failed{held}: ", *reasons[1:]
    ) from first


def validate_on_test_images(draft: Path | Entry, test_images: ImagesAt) -> dict[str, Parity]:
    """Validate a draft as :func:`validate_draft` does, on all test images or as many as fit in memory."""
    entry = draft if isinstance(draft, Entry) else Entry.read(draft)
    resolution = entry.config.resolution
    images = test_images.that_fit(resolution)
    return validate_draft(entry, images(resolution), images.labels)


def time_drafts(
    drafts: Mapping[str, Path],
    others: Mapping[str, Path] | None = None,
    *,
    threads: int = 1,
    repeats: int = 100,
) -> dict[str, Latency]:
    """Measure the latency of the default file of all ``drafts`` side by side, into their reports.

    ``others`` are files by name that are measured with them. Returns what was found of all.
    """
    file = DEFAULT_FILE
    files = {name: draft / file for name, draft in drafts.items()} | dict(others or {})
    reports = measure_latency(files, threads=threads, repeats=repeats)
    for name, draft in drafts.items():
        entry = Entry(draft)
        info = entry.report.files[file].model_copy(update={"latency": (reports[name],)})
        entry.updated(entry.report.model_copy(update={"files": entry.report.files | {file: info}}))
    return reports


def publish_drafts(drafts: Mapping[str, Path], zoo: Path, licence: str | None = None) -> list[Path]:
    """Publish all ``drafts`` under ``zoo``; all of them appear, or none. ``licence``: see ``publish``."""
    with output_folder(zoo) as staging:
        for name, draft in track(drafts.items(), "publish", total=len(drafts)):
            publish(draft, staging / name, licence=licence)
    return [zoo / name for name in drafts]


def table_row(folder: Path) -> dict[str, Any]:
    """The numbers of one draft or entry with all its evidence, from its own report."""
    report = Entry(folder).report
    file = report.files[DEFAULT_FILE]
    assert report.accuracy is not None
    assert report.cost is not None
    assert file.parity is not None
    return {
        "name": report.name,
        "top1_pct": report.accuracy.top1_pct,
        "images": report.accuracy.images,
        "onnx_top1_pct": file.parity.top1_pct,
        "macs": report.cost.macs,
        "params": report.cost.params,
        "latency_ms": file.latency[0].p50_ms,
        "size_bytes": file.size_bytes,
        "max_abs_logit_diff": file.parity.max_abs_logit_diff,
        "top1_agreement_pct": file.parity.top1_agreement_pct,
    }
