"""The web client as static files in a folder, and Python's own HTTP server of that folder."""

from __future__ import annotations

import errno
import shutil
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from anas_zoo.core.errors import EntryError, ServeError
from anas_zoo.core.files import disk_errors, sha256_file
from anas_zoo.core.hints import Call, Option
from anas_zoo.core.resources import resource_folder
from anas_zoo.entry import CONFIG, GOLDEN, REPORT, Entry
from anas_zoo.entry.licence import no_weights
from anas_zoo.entry.manifest import is_own_file
from anas_zoo.zoo.serving.runtime import RUNTIME_FILES, fetch_runtime

__all__ = ["ADDRESS", "PAGE", "page_server", "page_url", "write_site"]

ADDRESS = "127.0.0.1"
PAGE = "web/"
PAGE_SUFFIXES = (".css", ".html", ".mjs", ".svg")


def write_site(out: Path, entries: Mapping[str, Path]) -> None:
    """Copy page, shared modules, onnxruntime-web (14 MB) and entries into ``out``, for any web server.

    Args:
        out: the site's folder; the page is ``out/web/index.html``.
        entries: for each place in the site the entry that lies there: "entry" for the page's own one,
            "entries/NAME" for the page with ``?entry=NAME``.

    Raises :class:`EntryError` (or :class:`NoWeightsError`) for an entry that the page cannot run,
    :class:`ServeError` when onnxruntime-web cannot be fetched.
    """
    copies = {place: _entry_files(folder) for place, folder in entries.items()}
    clients = resource_folder("export") / "clients"
    copies |= {
        "web": [path for path in (clients / "web").iterdir() if path.suffix in PAGE_SUFFIXES],
        "javascript": (clients / "javascript").glob("*.mjs"),
    }
    runtime = fetch_runtime(clients / "web")
    copies["runtime"] = [runtime / name for name in RUNTIME_FILES]
    for place, paths in copies.items():
        with disk_errors(out / place):
            (out / place).mkdir(parents=True)
            for path in paths:
                shutil.copyfile(path, out / place / path.name)


def _entry_files(folder: Path) -> Iterable[Path]:
    """The files of an entry that the page needs: all there, the model as it was measured."""
    entry = Entry.read(folder, check_hashes=False)
    if entry.config.anas.weights is None:
        raise no_weights(entry.config)
    models = entry.report.files
    if not models:
        raise EntryError(
            f"{folder} has no exported file; run: ", Call("export", folder, target="ort-cpu-fp32")
        )
    model = "model.onnx" if "model.onnx" in models else min(models)
    paths = [folder / name for name in (CONFIG, REPORT, GOLDEN, model)]
    for path in paths:
        if not is_own_file(path):
            raise EntryError(f"{path}: no such file; the page needs {', '.join(one.name for one in paths)}")
    if sha256_file(folder / model) != models[model].sha256:
        raise EntryError(f"{folder / model} is not the file that report.json measured (SHA-256 differs)")
    return paths


def page_server(folder: Path, *, port: int) -> ThreadingHTTPServer:
    """A server of the site in ``folder``, listening on 127.0.0.1; ``serve_forever`` answers.

    Args:
        folder: made by :func:`write_site`.
        port: where it listens; 0 takes any free port.

    Raises :class:`ServeError` when the port is taken or not allowed.
    """
    try:
        return _Server((ADDRESS, port), partial(_Handler, directory=str(folder)))
    except OSError as exc:
        free = Option("port", 0)
        if exc.errno == errno.EADDRINUSE:
            raise ServeError(f"port {port} is taken; give another, or take any free one: ", free) from exc
        raise ServeError(f"cannot listen on port {port}: {exc.strerror}; try: ", free) from exc


def page_url(server: ThreadingHTTPServer) -> str:
    """The page's address."""
    return f"http://{ADDRESS}:{server.server_port}/{PAGE}"


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a browser may leave at any time
            super().handle_error(request, client_address)


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012 - as the base class has it
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def send_head(self) -> Any:
        # A foreign name that leads to 127.0.0.1 would let a foreign page read this one (DNS rebinding).
        if self.headers.get("Host", "").partition(":")[0] not in (ADDRESS, "localhost"):
            self.send_error(HTTPStatus.FORBIDDEN, "open the address that was printed")
            return None
        return super().send_head()

    def end_headers(self) -> None:
        # Isolated from other sites, a page gets shared memory, without which WebAssembly has no threads.
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header(
            "Cache-Control", "no-store"
        )  # the next server at this address may have another entry
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not printed."""
