"""``anas index``: a folder of entries, or an organisation on the Hub, as index.json and a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anas_zoo.cli.options import JsonOption
from anas_zoo.cli.output import print_json, print_lines
from anas_zoo.core.text import quoted

if TYPE_CHECKING:
    from anas_zoo.zoo.catalog import Index


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
            help="Add the web client and the models, to try them from any web server.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make index.json and a page of a catalog: charts of accuracy over cost, a sortable table, cards.

    The page is one file that needs no network. Of the Hub only config.json, report.json and manifest.json are
    read.
    """
    from anas_zoo.core.errors import EntryError
    from anas_zoo.core.files import output_folder, write_json
    from anas_zoo.core.hints import Call, Option
    from anas_zoo.zoo.catalog import index_folder, index_organisation, write_gallery
    from anas_zoo.zoo.catalog.gallery import PAGE
    from anas_zoo.zoo.catalog.index import INDEX

    if source.startswith(HUB):
        author = source.removeprefix(HUB).strip("/")
        if not author or "/" in author:
            pull = Call("pull", source, out="DIR")
            raise EntryError(f"{source}: give an organisation, as hf://org; one model: ", pull)
        if with_client:
            pull = Call("pull", f"{source}/NAME", out="DIR/NAME")
            raise EntryError(
                Option("with_client"),
                " needs the models' files; pull them into a folder and index that: ",
                pull,
            )
        found = index_organisation(author)
    else:
        found = index_folder(Path(source))
    with output_folder(out) as staging:
        write_json(staging / INDEX, found.model_dump(mode="json"))
        try_it = _copy_client(Path(source), found, staging) if with_client else {}
        write_gallery(staging / PAGE, found, try_it=try_it)
    if as_json:
        left_out = found.left_out
        print_json({"folder": str(out), "models": len(found.models), "left_out": left_out})
        return
    lines = [f"{len(found.models)} models in {out / INDEX}", f"  look at them: {out / PAGE}"]
    if with_client:
        lines.append(f"  try them: python -m http.server --bind 127.0.0.1 --directory {quoted(out)} 8000")
    print_lines(*lines)


def _copy_client(source: Path, index: Index, out: Path) -> dict[str, str]:
    """Copy the web client and the models that it can run into ``out``.

    Returns the relative address of the page that runs a model, by the model's location.
    """
    from urllib.parse import quote

    from anas_zoo.zoo.catalog import entries_in
    from anas_zoo.zoo.serving import write_site

    runnable = {model.location for model in index.models if model.has_weights and model.exported}
    folders = {path.resolve().name: path for path in entries_in(source)}
    write_site(out, {f"entries/{name}": folders[name] for name in runnable})
    return {name: f"web/index.html?entry={quote(name, safe='')}" for name in runnable}
