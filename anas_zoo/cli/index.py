"""``anas index``: a folder of entries, or an organisation on the Hub, as index.json and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anas_zoo.cli.options import JsonOption
from anas_zoo.cli.output import print_json, print_lines
from anas_zoo.core.text import quoted

__all__ = ["index"]

HUB = "hf://"


def index(
    source: Annotated[
        str, typer.Argument(metavar="DIR|hf://ORG", help="A folder of entries, or an organisation.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The new folder of index and page.")],
    with_client: Annotated[
        bool,
        typer.Option(
            "--with-client",
            help="Put the web client and the models beside the page, to be tried from any web server.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make index.json and a page of a catalog: accuracy, cost and latency, a card per model, a filter.

    The page is one file that needs no network. Of the Hub only config.json, report.json and manifest.json are
    read.
    """
    from anas_zoo.core.errors import EntryError
    from anas_zoo.core.files import output_folder, write_json
    from anas_zoo.zoo.catalog import index_folder, write_gallery
    from anas_zoo.zoo.catalog.gallery import PAGE
    from anas_zoo.zoo.catalog.hub import index_organisation
    from anas_zoo.zoo.catalog.index import INDEX
    from anas_zoo.zoo.catalog.try_it import copy_client

    if source.startswith(HUB):
        author = source.removeprefix(HUB).strip("/")
        if not author or "/" in author:
            raise EntryError(
                f"{source}: an organisation is needed, as hf://org; one model: "
                f"anas pull {quoted(source)} --out DIR"
            )
        if with_client:
            raise EntryError(
                "--with-client needs the models' files; pull them into a folder and index that: "
                f"anas pull {quoted(source + '/NAME')} --out DIR/NAME"
            )
        found = index_organisation(author)
    else:
        found = index_folder(Path(source))
    with output_folder(out) as staging:
        write_json(staging / INDEX, found.model_dump(mode="json"))
        try_it = copy_client(Path(source), found, staging) if with_client else {}
        write_gallery(staging / PAGE, found, try_it=try_it)
    if as_json:
        left_out = found.left_out
        print_json({"folder": str(out), "models": len(found.models), "left_out": left_out})
        return
    lines = [f"{len(found.models)} models in {out / INDEX}", f"  look at them: {out / PAGE}"]
    if with_client:
        lines.append(f"  try them: python -m http.server --bind 127.0.0.1 --directory {quoted(out)} 8000")
    print_lines(*lines)
