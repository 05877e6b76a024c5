"""README.md of an entry, made from config.json and report.json alone: every number has its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from anas_zoo.core.geometry import REFERENCE_CROP, REFERENCE_RESIZE, resized_short_side
from anas_zoo.core.pages import render_markdown
from anas_zoo.core.resources import install_command
from anas_zoo.core.tables import Markdown, markdown_table
from anas_zoo.entry import EntryConfig, EntryReport, hub_licence
from anas_zoo.entry.licence import import_way
from anas_zoo.space import Structure
from anas_zoo.space.structure import NetworkRules
from anas_zoo.zoo.cost_table import cost_rows
from anas_zoo.zoo.evidence_tables import (
    Table,
    class_table,
    confusion_table,
    file_table,
    latency_table,
    measured_table,
    published_table,
)
from anas_zoo.zoo.predict import default_file

# The Hub refuses a card whose licence it does not know; any other one goes by the name "other".
HUB_LICENCES = {
    "afl-3.0", "agpl-3.0", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "bsl-1.0", "cc", "cc-by-2.0",
    "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "ecl-2.0", "epl-2.0",
    "gpl-2.0", "gpl-3.0", "isc", "lgpl-2.1", "lgpl-3.0", "mit", "mpl-2.0", "ncsa", "unlicense", "wtfpl",
    "zlib",
}  # fmt: skip
PRINTED_LABELS = 20  # more of them do not belong into a program of a few lines


def model_card(config: EntryConfig, report: EntryReport) -> str:
    """The text of README.md; the same config and report give the same text."""
    side, preprocessing = config.resolution, config.anas.preprocessing
    resized, cropped = preprocessing.sides(side)
    labels = [str(label) for label in config.label_names or ()]
    rules = _rules(config.structure) if config.is_subnet else []
    return render_markdown(
        Path(__file__).with_suffix(".md"),
        front_matter=_front_matter(config, report),
        config=config,
        own=config.anas,
        weights=config.anas.weights,
        arch=config.arch if config.is_subnet else None,
        choices=_choices,
        rules=rules,
        family=f"{_kinds(config.structure)} blocks" if rules else "the AttentiveNAS family",
        side=side,
        report=report,
        figures=[*([report.published] if report.published else []), *report.also_published],
        costs=_cost_table(report),
        table=lambda table: Markdown(markdown_table(*table)),
        measured=measured_table,
        by_class=class_table(report.accuracy, config.label_names) if report.accuracy else None,
        confused=confusion_table(report.accuracy, config.label_names) if report.accuracy else None,
        published=published_table,
        files=file_table(report.files),
        latencies=latency_table(report.files),
        install=install_command(),
        way=import_way(config.anas.name, config.space.name) if config.is_subnet else None,
        first_file=default_file(report.files),
        labels=labels if len(labels) <= PRINTED_LABELS else [],
        pre=preprocessing,
        resized=resized,
        cropped=cropped,
        scale=cropped / side,
        timms_short_side=resized_short_side(side, preprocessing.crop_pct),
        reference=(REFERENCE_RESIZE, REFERENCE_CROP),
    )


def _choices(of_stages: tuple[Any, ...]) -> str:
    """One word per stage; where its blocks differ, their values with commas between them."""
    return " ".join(
        ",".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in of_stages
    )


def _kinds(structure: Structure) -> str:
    words = {"plain": "plain", "fused": "fused", "inverted": "inverted residual"}
    *others, last = [words[kind] for kind in structure.block_kinds]
    return f"{', '.join(others)} and {last}" if others else last


def _rules(structure: Structure) -> list[tuple[str, str]]:
    """What a structure's blocks and head do otherwise than AttentiveNAS'; its files say it all."""
    said = structure.model_dump(mode="json")
    found = {key.replace("_", " "): said[key] for key in NetworkRules.LEFT_OUT if key in said}
    if structure.block_kinds != ("inverted",):
        found["block"] = " ".join(stage.block for stage in structure.stages)
    if structure.head.kind != "conv_pool_mix":
        found["head"] = structure.head.kind
    return [
        (
            key,
            ", ".join(f"{part} {one}" for part, one in value.items())
            if isinstance(value, dict)
            else str(value),
        )
        for key, value in found.items()
    ]


def stated_licence(card: str) -> list[str]:
    """The lines of a card's front matter that say its licence to the Hub."""
    head = card.split("\n---\n")[0].splitlines()[1:] if card.startswith("---\n") else []
    return sorted(line.rstrip() for line in head if line.startswith("license"))


def licence_lines(licence: str | None) -> dict[str, Any]:
    """What a card's front matter says of a licence; one that the Hub does not know is its "other"."""
    stated = hub_licence(licence or "")
    if stated in HUB_LICENCES:
        return {"license": stated}
    return {"license": "other", "license_name": stated} if stated else {}


def _front_matter(config: EntryConfig, report: EntryReport) -> str:
    weights = config.anas.weights
    data = licence_lines(config.pretrained_cfg.license or (weights.licence if weights else None)) | {
        "library_name": "timm",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "timm", "anas-zoo", *(["onnx"] if report.files else [])],
    }
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _cost_table(report: EntryReport) -> Table | None:
    if report.cost is None:
        return None
    rows = [
        [
            row.what.replace("  ", "– ", 1) if row.what.startswith("  ") else row.what,
            f"{row.count:,}",
            row.why,
        ]
        for row in cost_rows(report.cost)
    ]
    return ["what", "count", "why"], rows
