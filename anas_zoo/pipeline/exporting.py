"""Stage: a draft or an entry -> an ONNX file for a target, proven on images before it appears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from anas_zoo.core.errors import (
    AnasError,
    ConfigError,
    EntryError,
    ExportError,
    ParityError,
    QuantizationError,
)
from anas_zoo.core.files import canonical_json, sha256_bytes, write_json
from anas_zoo.core.geometry import InputForm
from anas_zoo.core.progress import note
from anas_zoo.core.text import quoted
from anas_zoo.data import ImageSource, balanced_choice, open_source, with_preprocessing
from anas_zoo.data.chosen_images import CALIBRATION, ImagesAt
from anas_zoo.exporting import DEFAULT_TARGET, Quantization, Target, export_onnx
from anas_zoo.nets import Subnet
from anas_zoo.pipeline.int8_speed import BesideFloat, beside_float
from anas_zoo.pipeline.run import run_of_draft
from anas_zoo.profiling import count_onnx_macs
from anas_zoo.zoo import Entry, file_info, load_subnet, write_report
from anas_zoo.zoo.draft import read_golden
from anas_zoo.zoo.entry import CONFIG
from anas_zoo.zoo.evidence import FileInfo, QuantizationInfo
from anas_zoo.zoo.manifest import MANIFEST
from anas_zoo.zoo.schemas import EntryConfig

__all__ = ["DEFAULT_TARGET", "Exported", "export_entry", "export_targets", "onnx_name"]


@dataclass(frozen=True)
class Exported:
    """One exported file and its line in the report."""

    path: Path
    info: FileInfo


def onnx_name(target: str, form: InputForm = "float32-nchw") -> str:
    """File of a target in an entry: model.onnx for the default one, model.TARGET.onnx for others.

    One that takes raw images is model.TARGET.uint8-nhwc.onnx.
    """
    if form != "float32-nchw":
        return f"model.{target}.{form}.onnx"
    return "model.onnx" if target == DEFAULT_TARGET else f"model.{target}.onnx"


def export_entry(
    folder: Path,
    target_name: str | Path = DEFAULT_TARGET,
    *,
    form: InputForm | None = None,
    data: str | None = None,
    out: Path | None = None,
    require_speedup: bool = False,
) -> Exported:
    """Export a draft, or a published entry, for a target.

    The file is compared with torch before it appears: on the search split of a draft's run for int8, on the
    golden images otherwise. Size and speed of an int8 file beside the float one are measured and recorded.
    When an int8 file misses a gate, a draft's report says so; a file of that name that was there stays.

    Args:
        folder: a draft, whose report gets the file; or, with ``out``, any entry.
        target_name: a target's name or file.
        form: form of the input; default is the target's.
        data: images of the same kind as the training split, to calibrate int8 on; needed outside a run. Of a
            draft in a run: where the run's images are now.
        out: the folder to write the file and its evidence, NAME.json, to; needed for a published entry.
        require_speedup: refuse an int8 file that is slower here than the float file, or than the target's
            ``min_speedup`` asks.

    Raises :class:`EntryError` for a published entry without ``out``; :class:`QuantizationError` for an int8
    file that cannot be made, or not as fast as required; what :func:`anas_zoo.exporting.export_onnx` raises.
    """
    entry = _open(folder, out)
    if run_of_draft(folder, data) is not None:
        data = None  # the images of its own run, of which the training split is known, wherever they are now
    config, target = entry.config, Target.load(target_name).with_input(form)
    subnet = load_subnet(folder)
    path = (out or folder) / onnx_name(target.name, target.input)
    try:
        info = _first_that_passes(folder, config, subnet, target, path, data, require_speedup)
    except ExportError as exc:
        if path.is_file():
            raise type(exc)(f"{exc}; the {path.name} that was there stays") from exc
        if target.quantization is not None and out is None:
            _note(folder, path.name, None, f"{type(exc).__name__}: {exc}")
        raise
    if out is None:
        _note(folder, path.name, info, None)
    else:
        write_json(path.with_name(f"{path.name}.json"), info.model_dump(mode="json"))
    return Exported(path, info)


def export_targets(
    folder: Path,
    targets: Sequence[str | Path],
    *,
    form: InputForm | None = None,
    data: str | None = None,
    out: Path | None = None,
    require_speedup: bool = False,
) -> tuple[list[Exported], dict[str, AnasError]]:
    """:func:`export_entry` for each target; one that fails leaves the others as they are.

    Returns the files that were written, and what each other target failed of. Raises before the first of
    them for what concerns them all: an entry that cannot be exported, a target that cannot be read.
    """
    _open(folder, out)
    loaded = [Target.load(name) for name in targets]
    if require_speedup and all(target.quantization is None for target in loaded):
        names = ", ".join(target.name for target in loaded)
        raise ConfigError(
            f"--require-speedup is about int8 files, and none of the targets makes one: {names}; "
            "add --target ort-cpu-int8, or leave it out"
        )
    done: list[Exported] = []
    failed: dict[str, AnasError] = {}
    for name in dict.fromkeys(map(str, targets)):
        try:
            done.append(
                export_entry(folder, name, form=form, data=data, out=out, require_speedup=require_speedup)
            )
        except AnasError as exc:
            failed[name] = exc
    return done, failed


def _open(folder: Path, out: Path | None) -> Entry:
    entry = Entry.read(folder)
    if out is None and MANIFEST in entry.files:
        draft = folder.parent.parent / "subnets" / folder.name  # of an entry in its run's zoo
        known = (draft / CONFIG).is_file()
        other = f"anas export {quoted(draft)}" if known else "anas export RUN/subnets/NAME"
        raise EntryError(
            f"{folder} is published, its files are fixed; give --out FOLDER to write the file elsewhere, or "
            f"export its draft and publish that again: {other}"
        )
    return entry


@dataclass(frozen=True)
class _Images:
    """What a file is compared on, and for int8 what its ranges come from."""

    compared: Tensor
    labels: Tensor | None = None
    calibration: Tensor | None = None
    source: str = ""


def _images(folder: Path, config: EntryConfig, target: Target, data: str | None) -> _Images:
    golden = read_golden(folder, config)[0]
    if target.quantization is None:
        return _Images(golden)
    calibration, source = _calibration_images(folder, config, target.quantization.images, data)
    run = run_of_draft(folder)
    if run is None:
        return _Images(golden, None, calibration, source)
    prepared = with_preprocessing(run.source, config.anas.preprocessing.to_preprocessing())
    scored = ImagesAt(prepared, run.split.search).that_fit(config.arch.resolution)
    return _Images(scored(config.arch.resolution), scored.labels, calibration, source)


def _first_that_passes(
    folder: Path,
    config: EntryConfig,
    subnet: Subnet,
    target: Target,
    path: Path,
    data: str | None,
    require_speedup: bool,
) -> FileInfo:
    """The export; of int8 with as few parts in float as keep the accuracy.

    Raises what the last try raises.
    """
    images = _images(folder, config, target, data)
    choices = [None] if target.quantization is None else target.quantization.choices()
    *others, last = [target.model_copy(update={"quantization": choice}) for choice in choices]
    for tried in others:
        try:
            return _export(config, subnet, tried, path, images, require_speedup)
        except ParityError as exc:
            assert tried.quantization is not None
            note(f"{', '.join(tried.quantization.keep_float) or 'nothing'} in float: {exc}")
    return _export(config, subnet, last, path, images, require_speedup)


def _export(
    config: EntryConfig, subnet: Subnet, target: Target, path: Path, images: _Images, require_speedup: bool
) -> FileInfo:
    side, how, quantization = config.arch.resolution, target.quantization, None
    preprocessing = config.anas.preprocessing.to_preprocessing()

    def measure(file: Path) -> None:
        nonlocal quantization
        assert how is not None
        assert images.calibration is not None
        found = beside_float(file, subnet, target, side, preprocessing)
        if require_speedup:
            _require_speedup(path, found, how)
        quantization = QuantizationInfo(
            images=len(images.calibration),
            source=images.source,
            sha256=sha256_bytes(images.calibration.contiguous().numpy().tobytes()),
            method=how.method,
            keep_float=how.keep_float,
            speedup=found.speedup,
            float_size_bytes=found.float_size_bytes,
            machine=found.machine,
        )

    report = export_onnx(
        subnet,
        path,
        target=target,
        resolution=side,
        metadata=_metadata(config),
        images=images.compared,
        labels=images.labels,
        preprocessing=preprocessing,
        calibration_images=images.calibration,
        gate=None if how is None else measure,
    )
    return file_info(
        path,
        target=target.name,
        opset=report.opset,
        input=target.input,
        parity=report.parity,
        quantization=quantization,
    )


def _require_speedup(path: Path, found: BesideFloat, how: Quantization) -> None:
    least = 1.0 if how.min_speedup is None else how.min_speedup.value
    if found.speedup < least:
        why = "" if how.min_speedup is None else f" ({' '.join(how.min_speedup.reason.split())})"
        raise QuantizationError(
            f"{path}: int8 is {found.speedup:.2f} times as fast as float on this machine, --require-speedup "
            f"asks for {least:g}{why}; without it the file is kept and its speed recorded"
        )


def _metadata(config: EntryConfig) -> dict[str, str]:
    """What a file says of its model, beside what the exporter adds."""
    metadata = {
        "name": config.anas.name,
        "arch": canonical_json(config.arch.to_dict()),
        "preprocessing": canonical_json(config.anas.preprocessing.model_dump(mode="json")),
    }
    if config.label_names is not None:
        metadata["label_names"] = canonical_json(list(config.label_names))
    if config.anas.weights is not None:
        if config.anas.weights.licence is not None:  # publishing adds it
            metadata["licence"] = config.anas.weights.licence
        metadata["weights_sha256"] = config.anas.weights.sha256
    return metadata


def _calibration_images(
    folder: Path, config: EntryConfig, count: int, data: str | None
) -> tuple[Tensor, str]:
    """(N, 3, R, R) float32, at most ``count`` of the training split, and where they come from, in words."""
    run = run_of_draft(folder)
    if data is not None:
        source: ImageSource = open_source(data)
        test = set([] if source.test_indices is None else source.test_indices.tolist())
        indices = [index for index in range(len(source.labels)) if index not in test]
    elif run is not None:
        source, indices = run.source, list(run.split.train)
    else:
        raise QuantizationError(
            f"{folder} is not in a run, so its training images are not known; give --data with images of the "
            "same kind to calibrate int8 on"
        )
    chosen = balanced_choice(indices, source.labels, count, [0, CALIBRATION])
    prepared = with_preprocessing(source, config.anas.preprocessing.to_preprocessing())
    resolution = config.arch.resolution
    images = ImagesAt.readable(prepared, chosen, resolution)
    return images(resolution), f"{len(images.labels)} training images of {source.title}"


def _note(folder: Path, name: str, info: FileInfo | None, refusal: str | None) -> None:
    """Put a file, or why it was refused, into a draft's report."""
    report = Entry.read(folder).report
    files = {known: value for known, value in report.files.items() if known != name}
    refused = {known: value for known, value in report.refused.items() if known != name}
    counted = (report.cost and report.cost.onnx) or {}
    counts = {known: value for known, value in counted.items() if known != name}
    if info is not None:
        files[name] = info
        counts[name] = count_onnx_macs(folder / name)
    if refusal is not None:
        refused[name] = refusal
    cost = report.cost and report.cost.model_copy(update={"onnx": counts or None})
    write_report(folder, report.model_copy(update={"cost": cost, "files": files, "refused": refused}))
