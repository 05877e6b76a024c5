"""``anas pull``: an entry or a supernet from the Hub or from a folder, whole and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anas_zoo.cli.options import JsonOption
from anas_zoo.cli.output import print_json, print_lines
from anas_zoo.core.text import quoted


def pull(
    source: Annotated[
        str,
        typer.Argument(metavar="hf://ORG/NAME[@REVISION]|DIR", help="The published entry or supernet."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The new folder of the copy.")],
    as_json: JsonOption = False,
) -> None:
    """Download an entry or a supernet through the Hub's cache, compare every file's hash, and pin the commit.

    A pull that was stopped resumes with the missing files; with HF_HUB_OFFLINE=1 all come from the cache.
    """
    from anas_zoo import zoo

    pulled = zoo.pull(source, out)
    if as_json:
        print_json(pulled.to_dict())
        return
    lines = [f"pulled {pulled.name} to {pulled.folder}"]
    lines.append(f"  {pulled.files} files, {pulled.size_bytes:,} bytes, have the SHA-256 of the manifest")
    if pulled.commit:
        lines.append(f"  commit {pulled.commit}")
    print_lines(*lines, f"  check what it computes: anas verify {quoted(pulled.folder)}")
