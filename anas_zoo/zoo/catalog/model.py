"""One entry of a catalog: the same data for a local folder and for the Hub."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from anas_zoo.core.geometry import InputForm
from anas_zoo.core.schema import Schema, Sparse
from anas_zoo.entry import WEIGHTS, Accuracy, Entry, FileDigest, FileInfo, Latency, Published
from anas_zoo.space import count_by_walking
from anas_zoo.zoo.catalog.names import content_key, kind_of, known_names
from anas_zoo.zoo.evidence_tables import precision

IMAGENET_CLASSES = 1000


class ExportedFile(Schema):
    """One exported file: what it is for, and what was measured of it."""

    name: str
    target: str
    precision: str
    input: InputForm
    bytes: int
    top1_pct: float | None
    not_run_here: str | None
    latency: tuple[Latency, ...]


class CatalogModel(Sparse):
    """One entry of a catalog; all of it comes from its config, report and manifest.

    Attributes:
        id: content id of the architecture; equal for entries of one architecture, whatever their names.
        structure: content id of the structure that the choices are put into.
        name: as the entry calls itself.
        location: where it lies in the catalog: a folder's name, or ``org/name`` on the Hub.
        commit: that was read, on the Hub.
        other_names: under which the same architecture is known as well.
        label_names: of its classes, where the accuracy is known by class.
        accuracy: measured on a test split; None if it was not.
        published: figures of other people, not measured.
        macs: multiply-adds, exact.
        licence: of the weights, as the Hub spells it.
        files: size and hash of every file; empty for drafts, which have no manifest.
        refused: files that were made and not kept, and why.
    """

    LEFT_OUT: ClassVar = ("label_names",)

    id: str
    structure: str
    name: str
    location: str
    commit: str | None = None
    other_names: tuple[str, ...] = ()
    space: str
    arch: dict[str, Any]
    resolution: int
    num_classes: int
    label_names: tuple[str, ...] = ()
    macs: int
    params: int
    accuracy: Accuracy | None = None
    further_accuracy: tuple[Accuracy, ...] = ()
    published: tuple[Published, ...] = ()
    licence: str | None = None
    source: str | None = None
    has_weights: bool
    preprocessing: str
    exported: tuple[ExportedFile, ...] = ()
    refused: dict[str, str] = Field(default_factory=dict)
    files: dict[str, FileDigest] = Field(default_factory=dict)

    @property
    def content(self) -> tuple[str, str]:
        """What makes it this network and no other, apart from weights and number of classes."""
        return self.id, self.structure

    @property
    def network(self) -> str:
        """What it is, in a few words: an architecture of a space, or a network that is no subnet."""
        other = self.arch.get("network")
        return f"{other} ({self.space})" if other else f"{self.id} of the space {self.space}"

    @property
    def top1_pct(self) -> float | None:
        """Measured here, or else published, or None: see :attr:`top1_kind`."""
        if self.accuracy is not None:
            return self.accuracy.top1_pct
        return self.published[0].top1_pct if self.published else None

    @property
    def top1_images(self) -> int | None:
        """How many images :attr:`top1_pct` was measured on here; None where it was not."""
        return None if self.accuracy is None else self.accuracy.images

    @property
    def top1_kind(self) -> str | None:
        """'measured', 'published' or None."""
        return "measured" if self.accuracy is not None else "published" if self.published else None

    @property
    def data(self) -> str | None:
        """The images that :attr:`top1_pct` is on; only figures on the same images can be compared."""
        if self.accuracy is not None:
            return data_name(self.accuracy.source, self.num_classes)
        return data_name(self.published[0].dataset, self.num_classes) if self.published else None

    @property
    def quickest(self) -> tuple[str, Latency] | None:
        """File and latency of one image on one thread, of the file that takes least.

        It stands beside the accuracy of the weights, which is not that of int8 files: they are left out.
        """
        timed = [
            (file.name, one)
            for file in self.exported
            for one in file.latency
            if file.precision != "int8" and one.batch_size == 1 and one.threads == 1
        ]
        return min(timed, key=lambda pair: pair[1].p50_ms, default=None)


def data_name(source: str, num_classes: int) -> str:
    """One name for the images of ImageNet-1k, however a source spells them; others keep their own."""
    plain = "".join(letter for letter in source.lower() if letter.isalnum())
    return "ImageNet-1k" if num_classes == IMAGENET_CLASSES and "imagenet" in plain else source


def model_of(entry: Entry, *, location: str | None = None, commit: str | None = None) -> CatalogModel:
    """What a catalog knows of ``entry``, with the names that come with the package.

    Args:
        entry: a draft, a published one, or the small files of one on the Hub.
        location: where it lies in the catalog; default is its folder's name.
        commit: that was read, on the Hub.
    """
    config, report, own, weights = entry.config, entry.report, entry.config.anas, entry.config.anas.weights
    macs, params = _costs(entry)
    arch_id, structure = content_key(config)
    measured = report.accuracy
    files = entry.manifest.files if entry.is_published else {}
    return CatalogModel(
        id=arch_id,
        structure=structure,
        name=own.name,
        location=location or entry.folder.resolve().name,
        commit=commit,
        other_names=tuple(n for n in known_names().get((arch_id, structure), ()) if n != own.name),
        space=config.space.name if config.is_subnet else kind_of(config),
        arch=config.arch.to_dict() if config.is_subnet else {"network": config.architecture},
        resolution=config.resolution,
        num_classes=config.num_classes,
        macs=macs,
        params=params,
        label_names=(config.label_names or ()) if measured and measured.confusion else (),
        accuracy=measured,
        further_accuracy=report.further_accuracy,
        published=(*([report.published] if report.published else []), *report.also_published),
        licence=config.pretrained_cfg.license,
        source=None if weights is None else weights.source,
        has_weights=WEIGHTS in (files or entry.files),
        preprocessing=own.preprocessing.mode,
        exported=tuple(_exported(name, info) for name, info in sorted(report.files.items())),
        refused=report.refused,
        files=files,
    )


def _costs(entry: Entry) -> tuple[int, int]:
    """(multiply-adds, parameters): exact of a subnet; of a network of timm's own, as its report has them."""
    config, cost = entry.config, entry.report.cost
    if config.is_subnet:
        return count_by_walking(config.structure, config.arch, config.num_classes)
    return (0, 0) if cost is None else (cost.macs, cost.params)


def _exported(name: str, info: FileInfo) -> ExportedFile:
    parity = info.parity
    return ExportedFile(
        name=name,
        target=info.target,
        precision=precision(info),
        input=info.input,
        bytes=info.size_bytes,
        top1_pct=None if parity is None else parity.top1_pct,
        not_run_here=None if parity is None else parity.not_run_here,
        latency=info.latency,
    )
