"""``anas diff``: what differs between two entries."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

import typer

from anas_zoo.cli.options import JsonOption
from anas_zoo.cli.output import print_json, print_lines, print_table


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="An entry, as for anas show.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another entry.")],
    as_json: JsonOption = False,
) -> None:
    """Show what differs between two entries: architecture, numbers and files, each with both values."""
    from anas_zoo.entry import Entry
    from anas_zoo.zoo.catalog import compare, model_of
    from anas_zoo.zoo.shelf import locate

    entries = [Entry.read(locate(text)) for text in (a, b)]
    first, second = map(model_of, entries)
    both = all(entry.config.is_subnet for entry in entries)
    networks = (entries[0].config.structure, entries[1].config.structure) if both else None
    found = compare(first, second, networks)
    if as_json:
        print_json(
            {
                "a": a,
                "b": b,
                "same_architecture": first.content == second.content,
                "differences": [dataclasses.asdict(one) for one in found],
            }
        )
        return
    same = "the same architecture" if first.content == second.content else "two architectures"
    print_lines(f"{first.name} and {second.name}: {same}, {len(found)} differences")
    for part in dict.fromkeys(one.part for one in found):
        print_lines("", part)
        rows = [[one.what, _cell(one.a), _cell(one.b)] for one in found if one.part == part]
        print_table(["", a, b], rows)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):  # a file
        parts = [f"{value['bytes']:,} bytes", value.get("sha256", "")[:12]]
        parts += [value[key] for key in ("target", "precision", "input") if key in value]
        return " ".join(filter(None, parts))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and value >= 10_000:
        return f"{value:,}"
    return (
        f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
    )
