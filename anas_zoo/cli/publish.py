"""``anas publish``: a draft becomes an entry, if every gate lets it pass."""

from __future__ import annotations

from typing import Annotated

import typer

from anas_zoo.cli.options import JsonOption
from anas_zoo.cli.output import print_json, print_lines

__all__ = ["publish"]


def publish(
    draft: Annotated[str, typer.Argument(metavar="ENTRY", help="The draft's folder; it is left as it is.")],
    to: Annotated[str, typer.Option("--to", metavar="DIR", help="The new folder that becomes the entry.")],
    as_json: JsonOption = False,
) -> None:
    """Publish a draft as a new entry folder, or refuse and say which evidence is missing."""
    from anas_zoo import zoo
    from anas_zoo.cli.entries import find_entry, local_folder

    source, target = find_entry(draft), local_folder(to, purpose="publishing to")
    folder = zoo.publish(source, target)
    if as_json:
        print_json({"folder": str(folder)})
    else:
        print_lines(f"published {folder}", f"  check it at any time: anas verify {folder}")
