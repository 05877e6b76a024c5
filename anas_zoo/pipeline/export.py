"""Stage: a draft or an entry -> an ONNX file for a target, proven on images before it appears."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from anas_zoo.core.errors import (
    AnasError,
    ConfigError,
    EntryError,
    ExportError,
    ParityError,
    QuantizationError,
)
from anas_zoo.core.files import canonical_json, write_json
from anas_zoo.core.geometry import InputForm
from anas_zoo.core.hints import Call, Option
from anas_zoo.core.progress import note, warn
from anas_zoo.data import ImageSource, balanced_choice, open_source, with_preprocessing
from anas_zoo.data.chosen_images import CALIBRATION, ImagesAt
from anas_zoo.entry import CONFIG, Entry, EntryConfig, FileInfo, QuantizationInfo
from anas_zoo.entry.manifest import ONNX
from anas_zoo.exporting import DEFAULT_TARGET, Quantization, Target, export_onnx
from anas_zoo.exporting.runtimes import refuse_other_processors
from anas_zoo.exporting.sensitivity import sensitive_parts
from anas_zoo.pipeline.int8_speed import quantization_info
from anas_zoo.pipeline.run import run_of_draft
from anas_zoo.profiling import count_onnx_macs
from anas_zoo.zoo import load_network
from anas_zoo.zoo.shelf import locate


@dataclass(frozen=True)
class Exported:
    """One exported file and its line in the report."""

    path: Path
    info: FileInfo


@dataclass(frozen=True)
class Exports:
    """What :func:`export` made.

    Attributes:
        files: that were written.
        failed: why each other target failed, by its name.
    """

    files: tuple[Exported, ...]
    failed: dict[str, AnasError]

    def to_dict(self) -> dict[str, Any]:
        """The files' lines of the report as plain data, by path."""
        return {str(file.path): file.info.model_dump(mode="json") for file in self.files}


DEFAULT_FILE = f"model{ONNX}"


def file_name(target: Target) -> str:
    """File of a target in an entry: model.onnx for the default one, model.TARGET.onnx or .tflite for others.

    One that takes raw images is model.TARGET.uint8-nhwc.onnx.
    """
    if target.input != "float32-nchw":
        return f"model.{target.name}.{target.input}{target.suffix}"
    return DEFAULT_FILE if target.name == DEFAULT_TARGET else f"model.{target.name}{target.suffix}"


def export_entry(
    folder: Path,
    target_name: str | Path = DEFAULT_TARGET,
    *,
    form: InputForm | None = None,
    data: str | None = None,
    out: Path | None = None,
    require_speedup: bool = False,
    network: nn.Module | None = None,
) -> Exported:
    """Export the entry in ``folder`` for one target; the options are those of :func:`export`.

    ``network`` is its, with its weights, where it is at hand already.

    The file is compared with torch before it appears: on the search split of a draft's run for int8, on the
    golden images otherwise. Size and speed of an int8 file beside the float one are measured and recorded.
    When an int8 file misses a gate, a draft's report says so; a file of that name that was there stays.

    Raises :class:`EntryError` for a published entry without ``out``; :class:`QuantizationError` for an int8
    file that cannot be made, or not as fast as required; what :func:`anas_zoo.exporting.export_onnx` raises.
    """
    exporter = _Exporter(folder, data, out, require_speedup)
    if network is not None:
        exporter.network = network
    return exporter.to(Target.load(target_name).with_input(form))


def export(
    entry: str | Path | Entry,
    *,
    target: str | Path | Sequence[str | Path] = DEFAULT_TARGET,
    input: InputForm | None = None,
    data: str | None = None,
    out: str | Path | None = None,
    require_speedup: bool = False,
) -> Exports:
    """Export a draft to one file per target, inside its folder; or any entry, with ``out``.

    Each file is compared with torch before it appears. Every target is tried; one that fails leaves the
    others as they are.

    Args:
        entry: a draft's folder; or, with ``out``, a model of the shelf, an entry's folder, or
            ``hf://org/name``.
        target: names of deployment targets (see ``export/targets``) or YAML files of your own.
        input: ``uint8-nhwc`` for a file that takes raw images of any size and prepares them itself, or
            ``float32-nchw``; by default the target's.
        data: training images for int8, outside a run; of a draft, where its run's images are now.
        out: the folder to write the files to, each with its evidence in ``NAME.json``; for published entries.
        require_speedup: refuse an int8 file that is slower here than the float file, or than its target's
            ``min_speedup`` asks; otherwise its speed is measured and recorded.

    Raises, before the first of them, for what concerns them all: :class:`EntryError` for an entry that cannot
    be exported, :class:`ConfigError` for a target that cannot be read.
    """
    targets = [target] if isinstance(target, (str, Path)) else list(target)
    exporter = _Exporter(locate(entry), data, None if out is None else Path(out), require_speedup)
    loaded = {str(name): Target.load(name) for name in targets}
    if require_speedup and all(one.quantization is None for one in loaded.values()):
        names = ", ".join(one.name for one in loaded.values())
        raise ConfigError(
            Option("require_speedup"),
            f" is about int8 files, and none of the targets makes one: {names}; add ",
            Option("target", "ort-cpu-int8"),
            ", or leave it out",
        )
    done: list[Exported] = []
    failed: dict[str, AnasError] = {}
    for name, one in loaded.items():
        try:
            done.append(exporter.to(one.with_input(input)))
        except AnasError as exc:
            failed[name] = exc
    return Exports(tuple(done), failed)


def export_also(
    draft: Path, target: str | Path, *, data: str | None = None, network: nn.Module | None = None
) -> Exported | None:
    """Export a draft for one more target; one that fails is warned of and noted in the report: None then.

    The arguments are those of :func:`export_entry`. A note says what came out.
    """
    name = Entry(draft).report.name
    try:
        made = export_entry(draft, target, data=data, network=network)
    except ExportError as exc:
        warn(f"no file of {name} for {target}: ", *exc.parts)
        return None
    size_bytes, how = made.info.size_bytes, made.info.quantization
    size = f"{size_bytes / 1e3:,.0f} kB" if how is None else how.beside_float(size_bytes)
    note(f"  {made.path.name} of {name}: {size}")
    return made


def _open(folder: Path, out: Path | None) -> Entry:
    entry = Entry.read(folder)
    if out is None and entry.is_published:
        draft = folder.parent.parent / "subnets" / folder.name  # of an entry in its run's zoo
        known = (draft / CONFIG).is_file()
        raise EntryError(
            f"{folder} is published, its files are fixed; give ",
            Option("out", "FOLDER"),
            " to write the file elsewhere, or export its draft and publish that again: ",
            Call("export", draft if known else "RUN/subnets/NAME"),
        )
    return entry


@dataclass(frozen=True)
class _Images:
    """What a file is compared on, and for int8 what its ranges come from."""

    compared: Tensor
    labels: Tensor | None = None
    calibration: Tensor | None = None
    source: str = ""


class _Exporter:
    """An entry that is exported for one target after the other: read once, its weights loaded once."""

    def __init__(self, folder: Path, data: str | None, out: Path | None, require_speedup: bool) -> None:
        self.entry, self.out, self.require_speedup = _open(folder, out), out, require_speedup
        self.run = run_of_draft(folder, data)
        self.data = data if self.run is None else None  # a run knows its own training images

    @cached_property
    def network(self) -> nn.Module:
        return load_network(self.entry)

    def to(self, target: Target) -> Exported:
        path = (self.out or self.entry.folder) / file_name(target)
        try:
            info = self._first_that_passes(target, path)
        except ExportError as exc:
            if path.is_file():
                raise type(exc)(*exc.parts, f"; the {path.name} that was there stays") from exc
            if target.quantization is not None and self.out is None:
                self.entry = _noted(self.entry, path.name, None, f"{type(exc).__name__}: {exc}")
            raise
        if self.out is None:
            self.entry = _noted(self.entry, path.name, info, None)
        else:
            write_json(path.with_name(f"{path.name}.json"), info.model_dump(mode="json"))
        return Exported(path, info)

    def _first_that_passes(self, target: Target, path: Path) -> FileInfo:
        """The export; of int8 with as few parts in float as keep the accuracy.

        Raises what the last try raises.
        """
        refuse_other_processors(target)
        images = self._images(target)
        tried: ParityError | None = None
        for choice in self._choices(target, images):
            if tried is not None and choice.quantization is not None:
                note(f"{tried}; again with {', '.join(choice.quantization.in_float)} in float")
            try:
                return self._export(choice, path, images)
            except ParityError as exc:
                tried = exc
        assert tried is not None
        raise tried

    def _choices(self, target: Target, images: _Images) -> Iterator[Target]:
        """``target``; then, of int8, with more and more of those parts in float that cost the most."""
        yield target
        how = target.quantization
        if how is None or not how.keep_sensitive:
            return
        parts = sensitive_parts(self.network, target, self.entry.config.resolution, images.calibration)
        for count in sorted({min(count, len(parts)) for count in how.keep_sensitive} - {0}):
            kept = how.model_copy(update={"keep_parts": parts[:count]})
            yield target.model_copy(update={"quantization": kept})

    def _images(self, target: Target) -> _Images:
        golden, config = torch.from_numpy(self.entry.golden.images), self.entry.config
        if target.quantization is None:
            return _Images(golden)
        calibration, source = self._calibration_images(target.quantization.images)
        if self.run is None:
            return _Images(golden, None, calibration, source)
        prepared = with_preprocessing(self.run.source, config.anas.preprocessing)
        scored = ImagesAt(prepared, self.run.split.search).that_fit(config.resolution)
        return _Images(scored(config.resolution), scored.labels, calibration, source)

    def _calibration_images(self, count: int) -> tuple[Tensor, str]:
        """(N, 3, R, R) float32, at most ``count`` of the training split, and their source in words."""
        if self.data is not None:
            source: ImageSource = open_source(self.data)
            test = set([] if source.test_indices is None else source.test_indices.tolist())
            indices = [index for index in range(len(source.labels)) if index not in test]
        elif self.run is not None:
            source, indices = self.run.source, list(self.run.split.train)
        else:
            raise QuantizationError(
                f"{self.entry.folder} is not in a run, so its training images are not known; give ",
                Option("data"),
                " with images of the same kind to calibrate int8 on",
            )
        chosen = balanced_choice(indices, source.labels, count, [0, CALIBRATION])
        config = self.entry.config
        prepared = with_preprocessing(source, config.anas.preprocessing)
        images = ImagesAt.readable(prepared, chosen, config.resolution)
        return images(config.resolution), f"{len(images.labels)} training images of {source.title}"

    def _export(self, target: Target, path: Path, images: _Images) -> FileInfo:
        config, how, quantization = self.entry.config, target.quantization, None
        preprocessing = config.anas.preprocessing

        def measure(file: Path) -> None:
            nonlocal quantization
            assert how is not None
            assert images.calibration is not None
            quantization = quantization_info(
                file,
                self.network,
                target,
                preprocessing,
                resolution=config.resolution,
                calibration=images.calibration,
                source=images.source,
            )
            if self.require_speedup:
                _require_speedup(path, quantization, how)

        info = export_onnx(
            self.network,
            path,
            target=target,
            resolution=config.resolution,
            metadata=_metadata(config),
            images=images.compared,
            labels=images.labels,
            preprocessing=preprocessing,
            calibration_images=images.calibration,
            gate=None if how is None else measure,
        )
        return info.model_copy(update={"quantization": quantization})


def _require_speedup(path: Path, found: QuantizationInfo, how: Quantization) -> None:
    least = 1.0 if how.min_speedup is None else how.min_speedup.value
    if found.speedup < least:
        why = "" if how.min_speedup is None else f" ({' '.join(how.min_speedup.reason.split())})"
        raise QuantizationError(
            f"{path}: int8 is {found.speedup:.2f} times as fast as float on this machine, ",
            Option("require_speedup"),
            f" asks for {least:g}{why}; without it the file is kept and its speed recorded",
        )


def _metadata(config: EntryConfig) -> dict[str, str]:
    """What a file says of its model, beside what the exporter adds."""
    metadata = {
        "name": config.anas.name,
        "preprocessing": canonical_json(config.anas.preprocessing.model_dump(mode="json")),
    }
    if config.is_subnet:
        metadata["arch"] = canonical_json(config.arch.to_dict())
    elif not config.is_own:
        metadata["network"] = f"timm/{config.architecture}"
    if config.label_names is not None:
        metadata["label_names"] = canonical_json(list(config.label_names))
    if config.anas.weights is not None:
        if config.anas.weights.licence is not None:  # publishing adds it
            metadata["licence"] = config.anas.weights.licence
        metadata["weights_sha256"] = config.anas.weights.sha256
    return metadata


def _noted(entry: Entry, name: str, info: FileInfo | None, refusal: str | None) -> Entry:
    """The draft with a file, or why it was refused, in its report."""
    report = entry.report
    files = {known: value for known, value in report.files.items() if known != name}
    refused = {known: value for known, value in report.refused.items() if known != name}
    counted = (report.cost and report.cost.onnx) or {}
    counts = {known: value for known, value in counted.items() if known != name}
    if info is not None:
        files[name] = info
        if name.endswith(ONNX):
            counts[name] = count_onnx_macs(entry.folder / name)
    if refusal is not None:
        refused[name] = refusal
    cost = report.cost and report.cost.model_copy(update={"onnx": counts or None})
    changed = report.model_copy(update={"cost": cost, "files": files, "refused": refused})
    return entry.updated(changed, written=name)
