"""README.md of an entry, made from config.json and report.json alone: every number has its source."""

from __future__ import annotations

from typing import Any

import yaml

from anas_zoo.core.geometry import REFERENCE_CROP, REFERENCE_RESIZE, resized_short_side
from anas_zoo.core.tables import Markdown, markdown_table
from anas_zoo.core.text import markdown, markdown_code
from anas_zoo.entry import EntryConfig, EntryReport, FileInfo, hub_licence
from anas_zoo.zoo.cost_table import graph_difference
from anas_zoo.zoo.evidence_tables import file_table, latency_table, measured_table, published_table
from anas_zoo.zoo.snippets import loading_section, transform_lines

__all__ = ["NOT_MEASURED", "model_card", "stated_licence"]

NOT_MEASURED = "published by the authors, not measured here"

# The Hub refuses a card whose licence it does not know; any other one goes by the name "other".
HUB_LICENCES = {
    "afl-3.0", "agpl-3.0", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "bsl-1.0", "cc", "cc-by-2.0",
    "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "ecl-2.0", "epl-2.0",
    "gpl-2.0", "gpl-3.0", "isc", "lgpl-2.1", "lgpl-3.0", "mit", "mpl-2.0", "ncsa", "unlicense", "wtfpl",
    "zlib",
}  # fmt: skip


def model_card(config: EntryConfig, report: EntryReport) -> str:
    """The text of README.md; the same config and report give the same text."""
    parts = [
        _front_matter(config, report),
        f"# {config.anas.name}",
        _introduction(config, report),
        _accuracy(config, report),
        _cost(report),
        _files(report),
        loading_section(config, report),
        _preprocessing(config),
        _architecture(config),
        _lineage(config),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


_WHAT_WAS_SEEN = {
    "test": "Measured once, in torch, on images that neither training nor search has seen:",
    "held out of calibration": "Measured once, in torch, on images that batch norm was not calibrated on. "
    "The weights may have been trained on these images:",
}


def stated_licence(card: str) -> list[str]:
    """The lines of a card's front matter that say its licence to the Hub."""
    head = card.split("\n---\n")[0].splitlines()[1:] if card.startswith("---\n") else []
    return sorted(line.rstrip() for line in head if line.startswith("license"))


def _front_matter(config: EntryConfig, report: EntryReport) -> str:
    weights = config.anas.weights
    stated = config.pretrained_cfg.license or (hub_licence(weights.licence or "") if weights else None)
    data: dict[str, Any] = {}
    if stated in HUB_LICENCES:
        data["license"] = stated
    elif stated:
        data |= {"license": "other", "license_name": stated}
    data |= {
        "library_name": "timm",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "timm", "anas-zoo", *(["onnx"] if report.files else [])],
    }
    return "---\n" + yaml.safe_dump(data, sort_keys=False, allow_unicode=True) + "---"


def _introduction(config: EntryConfig, report: EntryReport) -> str:
    own = config.anas
    what = (
        f"An image classifier with {config.num_classes} classes for {config.arch.resolution} × "
        f"{config.arch.resolution} RGB input: architecture `{own.arch_id}` of the search space "
        f"{markdown_code(own.space.name)}, a network of the AttentiveNAS family."
    )
    if own.weights is None:
        what += " **This folder holds no weights**, only what the network is and how to get them."
    return what


def _accuracy(config: EntryConfig, report: EntryReport) -> str:
    lines = []
    if report.accuracy is not None:
        a = report.accuracy
        lines += [
            _WHAT_WAS_SEEN.get(a.split, _WHAT_WAS_SEEN["test"]),
            "",
            markdown_table(*measured_table([a])),
        ]
    if report.further_accuracy:
        lines += [""] if lines else []
        lines += [
            "Measured further, in torch, with the same weights; the network's own preprocessing is "
            f"`{config.anas.preprocessing.mode}`:",
            "",
            markdown_table(*measured_table(report.further_accuracy)),
        ]
    figures = [*([report.published] if report.published else []), *report.also_published]
    if figures:
        lines += [""] if lines else []
        lines += [f"Top-1 **{NOT_MEASURED}**:", "", markdown_table(*published_table(figures))]
    return "## Accuracy\n\n" + "\n".join(lines) if lines else ""


def _cost(report: EntryReport) -> str:
    cost = report.cost
    if cost is None:
        return ""
    rows: list[list[object]] = [
        [
            f"multiply-adds at {cost.resolution} × {cost.resolution}",
            f"{cost.macs / 1e6:.2f} MFLOPs (multiply-adds), {cost.macs:,} exactly",
        ],
        ["parameters", f"{cost.params:,}"],
    ]
    if cost.params_authors is not None:
        what = "parameters as the AttentiveNAS authors count, with shortcut convolutions that are never used"
        rows.append([what, f"{cost.params_authors:,}"])
    if cost.fvcore_total is not None:
        rows.append(["fvcore's total, which also counts batch norm and pooling", f"{cost.fvcore_total:,}"])
    for operator, count in sorted((cost.fvcore_by_operator or {}).items()):
        rows.append([Markdown(f"fvcore, {markdown_code(operator)}"), f"{count:,}"])
    for name, graph in sorted((cost.onnx or {}).items()):
        parts = ", ".join(f"{operator} {count:,}" for operator, count in sorted(graph.by_operator.items()))
        why = graph_difference(cost, graph)
        rows.append(
            [
                Markdown(f"`{name}`, counted on its graph"),
                f"{graph.macs:,} ({parts})" + (f": {why}" if why else ""),
            ]
        )
    note = "Multiply-adds are those of convolutions and linear layers, as the paper counts FLOPs."
    return f"## Cost\n\n{note}\n\n" + markdown_table(["what", "value"], rows)


def _files(report: EntryReport) -> str:
    refused = "".join(f"\n\nNot published: `{name}`. {markdown(why)}" for name, why in report.refused.items())
    if not report.files:
        return f"## Exported files{refused}" if refused else ""
    heads, rows = latency_table(report.files)
    latency = f"\n\nLatency:\n\n{markdown_table(heads, rows)}" if rows else "\n\nLatency was not measured."
    note = "Each file was run as it lies on disk; the batch size is free."
    int8 = "".join(_quantized(name, info) for name, info in sorted(report.files.items()))
    return (
        f"## Exported files\n\n{note}\n\n{markdown_table(*file_table(report.files))}{latency}{int8}{refused}"
    )


def _quantized(name: str, info: FileInfo) -> str:
    """A paragraph on how an int8 file was made and what it is worth beside the float file, if it is one."""
    how = info.quantization
    if how is None:
        return ""
    kept = ", ".join(how.keep_float) or "nothing"
    return (
        f"\n\n`{name}` is int8: {markdown(how.beside_float(info.size_bytes))}. Its ranges come from "
        f"{markdown(how.source)}; in float stayed {markdown(kept)}."
    )


_ON_WHITE = (
    'Transparent parts of an image are laid on **white** first. timm and `convert("RGB")` drop transparency: '
    "what lies under it shows, often black; the clients of anas-zoo, `anas predict` and "
    "`anas_zoo.data.eval_transform` do as recorded."
)


def _preprocessing(config: EntryConfig) -> str:
    p, resolution = config.anas.preprocessing, config.arch.resolution
    mean, std = (", ".join(f"{v:g}" for v in values) for values in (p.mean, p.std))
    laid = "" if p.transparency == "dropped" else f"\n\n{_ON_WHITE}"
    if p.mode == "reference":
        return (
            f"## Preprocessing (`{p.mode}`)\n\nRGB, shorter side to {REFERENCE_RESIZE} ({p.interpolation}, "
            f"antialiased), centre crop {REFERENCE_CROP}; pixels in 0..1, minus mean ({mean}), divided by "
            f"std ({std}); then that tensor is resized to {resolution} (bicubic, not antialiased), as the "
            "authors evaluate. The network itself resizes nothing.\n\n"
            "**timm cannot say this**: its `create_transform` with this entry's `pretrained_cfg` cuts "
            f"{resolution} pixels out of an image of {resized_short_side(resolution, p.crop_pct)} and "
            "resizes no tensor, which is the mode `native` with the same filter. The network was not "
            f"calibrated for that. Its own transform is:\n\n{transform_lines(config)}{laid}"
        )
    return (
        f"## Preprocessing (`{p.mode}`)\n\nRGB, shorter side to "
        f"{resized_short_side(resolution, p.crop_pct)} ({p.interpolation}, antialiased), centre crop "
        f"{resolution}; pixels in 0..1, minus mean ({mean}), divided by std ({std}). The network itself "
        f"resizes nothing.{laid}"
    )


def _architecture(config: EntryConfig) -> str:
    arch = config.arch
    rows: list[list[object]] = [["resolution", arch.resolution]]
    rows += [
        ["width (stem, stages, head)", " ".join(map(str, arch.width))],
        ["depth", " ".join(map(str, arch.depth))],
        ["kernel size", " ".join(map(str, arch.kernel_size))],
        ["expand ratio", " ".join(map(str, arch.expand_ratio))],
    ]
    return "## Architecture\n\n" + markdown_table(["dimension", "choice"], rows)


def _lineage(config: EntryConfig) -> str:
    own, stated = config.anas, config.pretrained_cfg.license
    if own.weights is None:
        terms = f"The authors' weights are under {markdown_code(stated)}; " if stated else ""
        return f"## Licence and lineage\n\n{terms}this description is part of anas-zoo (Apache-2.0)."
    w, c = own.weights, own.calibration
    lines = [f"- Weights: **{markdown(w.licence)}**; {markdown(w.source)}."]
    if w.source_sha256:
        lines.append(f"- SHA-256 of the checkpoint they were taken from: `{w.source_sha256}`.")
    lines.append(f"- SHA-256 of `model.safetensors`: `{w.sha256}`.")
    for one in w.lineage:
        allowed = f"; another licence was allowed: {markdown(one.permission)}" if one.permission else ""
        terms = f"**{markdown(one.licence)}**, `{one.sha256}`"
        lines.append(f"- Made from {markdown(one.name)} ({terms}){allowed}.")
    if c is not None:
        lines.append(
            f"- Batch norm was calibrated on {c.images} images in {c.batches} batches at {c.resolution} × "
            f"{c.resolution} (SHA-256 of the images: `{c.sha256}`)."
        )
    space = f"{markdown_code(own.space.name)} ({markdown_code(own.space.id)})"
    lines.append(f"- Search space {space}, architecture `{own.arch_id}`.")
    return "## Licence and lineage\n\n" + "\n".join(lines)
