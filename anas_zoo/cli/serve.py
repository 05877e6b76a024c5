"""``anas serve``: try an entry in the browser, which runs the exported file itself; no torch."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from anas_zoo.cli.options import EntryArgument


def _open_browser(url: str) -> None:
    """Open the page where there is a desktop; without one, a text browser would take the terminal."""
    import webbrowser

    if sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(url)


def serve(
    entry: EntryArgument,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where to listen, on 127.0.0.1; 0 takes any free port.")
    ] = 8765,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open the browser.")] = False,
) -> None:
    """Try an entry in the browser: classify images, draw digits, check the golden logits.

    The first time, npm fetches onnxruntime-web (about 35 MB) into the cache; a line says so beforehand.
    """
    from anas_zoo.cli.output import print_lines
    from anas_zoo.core.progress import note
    from anas_zoo.zoo.serving import page_server, page_url, write_site
    from anas_zoo.zoo.shelf import locate

    folder = locate(entry)
    with tempfile.TemporaryDirectory(prefix="anas-serve-") as site:
        write_site(Path(site), {"entry": folder})
        with page_server(Path(site), port=port) as server:
            print_lines(f"{entry} is at {page_url(server)} (Ctrl-C ends it)")
            sys.stdout.flush()  # a reader on a pipe waits for the address
            if not no_open:
                _open_browser(page_url(server))
            try:
                server.serve_forever()
            except KeyboardInterrupt:  # the only end there is, so nothing went wrong
                note("anas: ended")
