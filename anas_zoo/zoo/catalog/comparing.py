"""What two entries differ in: architecture, numbers, files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from anas_zoo.core.schema import Schema
from anas_zoo.space import Structure
from anas_zoo.zoo.catalog.model import CatalogModel

# Shown in this order; what follows from the others, or names the place, is left out.
NETWORK = ("id", "structure", "space", "num_classes", "preprocessing", "licence", "source", "has_weights")
NUMBERS = ("macs", "params")


@dataclass(frozen=True)
class Difference:
    """One thing that the two have differently.

    Attributes:
        part: 'architecture', 'numbers' or 'files'.
        what: which thing of that part.
        a: value of the first, None where it has none.
        b: value of the second.
    """

    part: str
    what: str
    a: Any
    b: Any


def compare(
    a: CatalogModel, b: CatalogModel, structures: tuple[Structure, Structure] | None = None
) -> list[Difference]:
    """Everything that differs; nothing for two entries with the same content, whatever their names.

    A catalog knows the ids of structures only; ``structures`` of the two say which of their fields differ.
    """
    parts = {"architecture": _architecture, "numbers": _numbers, "files": _files}
    found = []
    for part, read in parts.items():
        found += _differences(part, dict(read(a)), dict(read(b)))
        if part == "architecture" and structures is not None:
            own, other = (dict(_fields("structure", one)) for one in structures)
            found += _differences(part, own, other)
    return found


def _differences(part: str, of_a: Mapping[str, Any], of_b: Mapping[str, Any]) -> list[Difference]:
    return [
        Difference(part, what, of_a.get(what), of_b.get(what))
        for what in dict.fromkeys([*of_a, *of_b])
        if of_a.get(what) != of_b.get(what)
    ]


def _architecture(model: CatalogModel) -> Iterator[tuple[str, Any]]:
    for key in NETWORK:
        yield key, getattr(model, key)
    for key, value in model.arch.items():
        if not isinstance(value, list | tuple):
            yield key, value
            continue
        for place, one in enumerate(value):
            yield f"{key}[{_place(key, place, len(value))}]", one


def _fields(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every field of a schema and of those in it, by a dotted name."""
    if isinstance(value, Schema):
        for key in type(value).model_fields:
            yield from _fields(f"{name}.{key}", getattr(value, key))
    elif isinstance(value, tuple) and any(isinstance(one, Schema) for one in value):
        for place, one in enumerate(value):
            yield from _fields(f"{name}[{place}]", one)
    else:
        yield name, list(value) if isinstance(value, tuple) else value


def _place(key: str, place: int, length: int) -> str:
    """Widths begin with the stem's and end with the head's; all other lists are of the stages alone."""
    if key != "width":
        return str(place)
    return "stem" if place == 0 else "head" if place == length - 1 else str(place - 1)


def _numbers(model: CatalogModel) -> Iterator[tuple[str, Any]]:
    for key in NUMBERS:
        yield key, getattr(model, key)
    measured = [*([model.accuracy] if model.accuracy else []), *model.further_accuracy]
    for one in measured:
        where = f"measured on {one.source} ({one.split}, {one.preprocessing})"
        yield f"top-1 %, {where}", one.top1_pct
        yield f"its 95 % interval, {where}", [round(end, 1) for end in one.top1_interval_pct]
        yield f"calibration error %, {where}", one.ece_pct
    for figure in model.published:
        yield f"top-1 %, published for {figure.dataset} ({figure.weights or figure.source})", figure.top1_pct
    for file in model.exported:
        if file.top1_pct is not None:
            yield f"{file.name}: top-1 %", file.top1_pct
        for latency in file.latency:
            conditions = f"{latency.threads} thread{'s' if latency.threads > 1 else ''}"
            where = f"batch {latency.batch_size}, {latency.machine}"
            yield f"{file.name}: latency p50 ms, {conditions}, {where}", latency.p50_ms


def _files(model: CatalogModel) -> Iterator[tuple[str, Any]]:
    exported: Mapping[str, Any] = {file.name: file for file in model.exported}
    for name, digest in model.files.items():
        yield name, {"bytes": digest.bytes, "sha256": digest.sha256} | _about(exported.get(name))
    for name, file in exported.items():
        if name not in model.files:  # of a draft
            yield name, {"bytes": file.bytes} | _about(file)
    for name, why in model.refused.items():
        yield f"{name}, refused", why


def _about(file: Any) -> dict[str, Any]:
    if file is None:
        return {}
    return {"target": file.target, "precision": file.precision, "input": file.input}
