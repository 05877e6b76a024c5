"""One model's card on the page of a catalog."""

from __future__ import annotations

import json
from collections.abc import Iterator

from anas_zoo.core.text import quoted
from anas_zoo.entry.licence import IMPORT_COMMAND
from anas_zoo.zoo.catalog.markup import code_block, table, text
from anas_zoo.zoo.catalog.model import CatalogModel
from anas_zoo.zoo.shelf import list_models

__all__ = ["card", "loading_address"]

HUB = "hf://"


def loading_address(model: CatalogModel, source: str) -> str:
    """What :func:`anas_zoo.create_model` takes for this model."""
    if source.startswith(HUB):
        return f"hf-hub:{model.location}" + (f"@{model.commit}" if model.commit else "")
    return f"./{source}/{model.location}" if model.location != source else f"./{source}"


def card(model: CatalogModel, *, source: str, place: int, try_it: str | None) -> str:
    """The card's HTML: closed it says name, accuracy and cost; opened, everything else.

    Args:
        model: what to tell.
        source: of the catalog.
        place: the model's number in the catalog.
        try_it: relative address of the web client that runs it.
    """
    sections = [_numbers(model), _load(model, source, try_it), _files(model)]
    return "\n".join(
        [
            f'<details class="card" id="m{place}">',
            f'<summary><span class="name">{text(model.name)}</span>{"".join(_chips(model))}</summary>',
            *sections,
            "</details>",
        ]
    )


def _chips(model: CatalogModel) -> Iterator[str]:
    def chip(kind: str, value: str) -> str:
        return f'<span class="chip {kind}">{text(value)}</span>'

    if model.top1_pct is None:
        yield chip("none", "accuracy not measured")
    else:
        yield chip(model.top1_kind or "", f"{model.top1_pct:.2f} % {model.top1_kind}")
    yield chip("plain", f"{_mflops(model.macs)} MFLOPs")
    if model.quickest is not None:
        yield chip("plain", f"{model.quickest[1].p50_ms:.3g} ms")
    yield chip("plain", model.licence or "no licence stated")
    if not model.has_weights:
        yield chip("none", "without weights")


def _mflops(macs: int) -> str:
    return f"{macs / 1e6:,.2f}" if macs < 100e6 else f"{macs / 1e6:,.0f}"


def _numbers(model: CatalogModel) -> str:
    rows: list[list[object]] = []
    measured = [*([model.accuracy] if model.accuracy else []), *model.further_accuracy]
    for one in measured:
        top5 = "" if one.top5_pct is None else f", top-5 {one.top5_pct:.2f} %"
        rows.append(
            [
                "top-1, measured here",
                f"{one.top1_pct:.2f} %{top5} on {one.images:,} images of {one.source} ({one.split}), "
                f"preprocessing {one.preprocessing}",
            ]
        )
    rows += [
        ["top-1, published, not measured here", f"{one.top1_pct:g} % on {one.dataset}, {_origin(one)}"]
        for one in model.published
    ]
    rows += [
        ["multiply-adds", f"{model.macs:,} at {model.resolution} × {model.resolution} pixels"],
        ["parameters", f"{model.params:,}"],
        ["classes", f"{model.num_classes:,}"],
        ["architecture", f"{model.id} of the space {model.space}"],
    ]
    if model.other_names:
        rows.append(["the same architecture", ", ".join(model.other_names)])
    rows.append(["licence", model.licence or "not stated"])
    if model.source is not None:
        rows.append(["weights", model.source])
    if model.commit is not None:
        rows.append(["commit", model.commit])
    rows += [
        [
            f"latency of {file.name}",
            f"{one.p50_ms:.3g} ms median, {one.p95_ms:.3g} ms p95; {one.threads} "
            f"thread{'s' if one.threads > 1 else ''}, batch {one.batch_size}, {one.runtime}, {one.machine}",
        ]
        for file in model.exported
        for one in file.latency
    ]
    return "<h3>Numbers</h3>\n" + table([], rows)


def _origin(one: object) -> str:
    weights, source = getattr(one, "weights", None), getattr(one, "source", "")
    return f"weights of {weights}, {source}" if weights else str(source)


def _load(model: CatalogModel, source: str, try_it: str | None) -> str:
    address = loading_address(model, source)
    command = address.removeprefix("./").replace("hf-hub:", HUB)
    parts = ["<h3>Load it</h3>"]
    if not model.has_weights:
        if model.name in list_models():
            lines = ["import anas_zoo, timm", f"model = timm.create_model({json.dumps(model.name)})"]
            parts.append(code_block("The network without weights", *lines))
        parts.append(code_block("With the authors' weights, from their checkpoint", IMPORT_COMMAND))
        return "\n".join(parts)
    lines = ["import anas_zoo", f"model = anas_zoo.create_model({json.dumps(address)}, pretrained=True)"]
    parts.append(code_block("Python, with torch and timm", *lines))
    if source.startswith(HUB):
        folder = f"./{model.name}"
        parts.append(code_block("Download and check", f"anas pull {quoted(command)} --out {quoted(folder)}"))
        command = folder
    elif model.exported:
        file = json.dumps(f"{command}/{model.exported[0].name}")
        lines = ["import onnxruntime", f"session = onnxruntime.InferenceSession({file})"]
        parts.append(code_block("Python, with onnxruntime alone", *lines))
    if model.exported:
        parts.append(code_block("Classify images", f"anas predict {quoted(command)} IMAGE..."))
        parts.append(code_block("Try it in the browser", f"anas serve {quoted(command)}"))
    if try_it is not None:
        parts.append(
            f'<p class="try"><a class="button" href="{text(try_it)}">Try it here</a> '
            '<span class="offline" hidden>Browsers run models only in pages of a server, not of a file; in '
            "this page's folder: <code>python -m http.server --bind 127.0.0.1 8000</code></span></p>"
        )
    return "\n".join(parts)


def _files(model: CatalogModel) -> str:
    parts = []
    if model.exported:
        heads = ["file", "target", "precision", "input", "top-1 %", "run here"]
        rows = [
            [
                file.name,
                file.target,
                file.precision,
                file.input,
                "–" if file.top1_pct is None else f"{file.top1_pct:.2f}",
                file.not_run_here or "yes",
            ]
            for file in model.exported
        ]
        parts += ["<h3>Exported files</h3>", table(heads, rows)]
    if model.refused:
        parts += ["<h3>Made, and refused</h3>", table(["file", "why"], list(model.refused.items()))]
    if model.files:
        rows = [[name, f"{one.bytes:,}", one.sha256] for name, one in model.files.items()]
        parts += ["<h3>Files</h3>", table(["file", "bytes", "SHA-256"], rows)]
    return "\n".join(parts)
