"""``anas list``: the shelf as a table."""

from __future__ import annotations

from typing import Any

from anas_zoo.cli.options import JsonOption
from anas_zoo.cli.output import print_json, print_lines, print_table

__all__ = ["list_models"]


def list_models(as_json: JsonOption = False) -> None:
    """List the models of the shelf with their size, cost and accuracy."""
    from anas_zoo import zoo
    from anas_zoo.cli.entries import summary

    names = zoo.list_models()
    entries = [zoo.Entry.read(zoo.entry_folder(name), check_hashes=False) for name in names]
    models = sorted(map(summary, entries), key=lambda model: (model["num_classes"], model["macs"]))
    if as_json:
        print_json(models)
        return
    headers = ["name", "px", "MFLOPs", "params (M)", "classes", "top-1 %", "", "weights", "their licence"]
    print_table(headers, [_row(model) for model in models])
    print_lines(
        "",
        "px: side of the input. MFLOPs: millions of multiply-adds at that size.",
        "top-1 'published': by the authors of the weights, not measured here. See one: anas show NAME",
    )


def _row(model: dict[str, Any]) -> list[str]:
    top1 = model["top1_pct"]
    return [
        model["name"],
        str(model["resolution"]),
        f"{model['macs'] / 1e6:.2f}",
        f"{model['params'] / 1e6:.3f}",
        str(model["num_classes"]),
        "-" if top1 is None else f"{top1:.1f}",
        model["top1_kind"] or "",
        "yes" if model["has_weights"] else "no",
        model["weights_licence"] or "-",
    ]
