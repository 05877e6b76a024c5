"""Stages on drafts with exported files: validate them on disk, time them, publish."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from anas_zoo.core.errors import AnasError, EntryError, ExportError, ParityError
from anas_zoo.core.files import output_folder
from anas_zoo.core.hints import Call
from anas_zoo.core.progress import track
from anas_zoo.data import ImagesAt
from anas_zoo.entry import Entry, FileInfo, Latency, Parity
from anas_zoo.exporting import Target, list_targets, validate_onnx
from anas_zoo.exporting.locate import with_departure
from anas_zoo.exporting.runtimes import is_timed_here, open_runner
from anas_zoo.exporting.validate import logits_of_all
from anas_zoo.nets import top1_pct
from anas_zoo.pipeline.export import DEFAULT_FILE
from anas_zoo.profiling import measure_latency
from anas_zoo.zoo import load_network, publish


def validate_draft(
    draft: Path | Entry,
    images: Tensor,
    labels: Tensor | None,
    *,
    keep: bool = True,
    only: str | None = None,
) -> dict[str, Parity]:
    """Validate every exported file of a draft on ``images``; ``keep`` puts the parity into its report.

    ``only`` names one of them that is meant. Every file is tried, and the parity of those that hold is kept.
    Raises :class:`EntryError` when nothing was exported yet; what :func:`validate_onnx` raises for a file
    that does not compute what the weights do, and :class:`ExportError` with each reason for several of them.
    """
    entry = draft if isinstance(draft, Entry) else Entry.read(draft)
    refuse_without_files(entry)
    network, preprocessing = load_network(entry), entry.config.anas.preprocessing
    found: dict[str, Parity] = {}
    failed: dict[str, AnasError] = {}
    files = dict(entry.report.files)
    for name, info in entry.report.files.items():
        if only not in (None, name):
            continue
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


def validate_on_test_images(
    draft: Path | Entry, test_images: ImagesAt, *, only: str | None = None
) -> dict[str, Parity]:
    """Validate a draft as :func:`validate_draft` does, on all test images or as many as fit in memory."""
    entry = draft if isinstance(draft, Entry) else Entry.read(draft)
    resolution = entry.config.resolution
    images = test_images.that_fit(resolution)
    return validate_draft(entry, images(resolution), images.labels, only=only)


def time_drafts(
    drafts: Mapping[str, Path],
    others: Mapping[str, Path] | None = None,
    *,
    threads: int = 1,
    repeats: int = 100,
) -> dict[str, Latency]:
    """Measure the latency of all files of ``drafts`` that this machine can time, into their reports.

    ``others`` are files by name that are measured with them, side by side. Returns what was found of these.
    """
    entries = {name: Entry(draft) for name, draft in drafts.items()}
    timed = {name: _timed_files(entry) for name, entry in entries.items()}
    paths = {f"{name}/{file}": drafts[name] / file for name, files in timed.items() for file in files}
    others = dict(others or {})
    found = measure_latency(paths | others, threads=threads, repeats=repeats)
    for name, entry in entries.items():
        files = {
            file: info.model_copy(update={"latency": (found[f"{name}/{file}"],)})
            for file, info in timed[name].items()
        }
        entry.updated(entry.report.model_copy(update={"files": entry.report.files | files}))
    return {name: found[name] for name in others}


def _timed_files(entry: Entry) -> dict[str, FileInfo]:
    def timed(info: FileInfo) -> bool:
        made_for = Target.load(info.target).as_made(opset=info.opset, form=info.input)
        return is_timed_here(made_for)

    known = list_targets()  # others are of files of the user's, which may not be there any more
    return {name: info for name, info in entry.report.files.items() if info.target in known and timed(info)}


def publish_drafts(drafts: Mapping[str, Path], zoo: Path, licence: str | None = None) -> list[Path]:
    """Publish all ``drafts`` under ``zoo``; all of them appear, or none. ``licence``: see ``publish``."""
    with output_folder(zoo) as staging:
        for name, draft in track(drafts.items(), "publish", total=len(drafts)):
            publish(draft, staging / name, licence=licence)
    return [zoo / name for name in drafts]


def file_top1_pct(path: Path, target: Target, images: ImagesAt, resolution: int) -> float:
    """Accuracy of an exported file on ``images``, in the runtime of its ``target``.

    Raises :class:`ExportError` where that is not on this machine, or cannot load or run the file.
    """
    runner = open_runner(path, target, threads=torch.get_num_threads())
    if isinstance(runner, str):
        raise ExportError(f"{path}: cannot be run on this machine ({runner})")
    fixed = None if target.batch == "dynamic" else target.batch
    parts = (part.numpy() for part in images.batches(resolution))
    logits = [torch.from_numpy(logits_of_all(path, runner, part, fixed)) for part in parts]
    return top1_pct(torch.cat(logits), images.labels)


def table_row(folder: Path, name: str = DEFAULT_FILE) -> dict[str, Any]:
    """The numbers of one draft or entry with all its evidence, from its own report; of the file ``name``."""
    report = Entry(folder).report
    file = report.files[name]
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
