"""What the server gives out: a table of addresses, made once, so that no address can lead anywhere else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anas_zoo.core.errors import EntryError, ServeError
from anas_zoo.core.files import sha256_file
from anas_zoo.core.resources import resource_folder
from anas_zoo.core.text import quoted
from anas_zoo.entry import CONFIG, GOLDEN, REPORT, Entry
from anas_zoo.entry.licence import no_weights
from anas_zoo.entry.manifest import is_own_file
from anas_zoo.zoo.serving.runtime import RUNTIME_FILES, fetch_runtime

__all__ = ["Routes", "page_routes"]

PAGE = "/web/"

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}


@dataclass(frozen=True)
class Routes:
    """The files that may be asked for.

    Attributes:
        name: the entry's name.
        files: the file of each address, such as ``/entry/config.json``.
    """

    name: str
    files: dict[str, Path]

    def find(self, address: str) -> tuple[Path, str] | None:
        """File and content type of an address without its query; None for every other one."""
        path = self.files.get(address)
        if path is None:
            return None
        return path, CONTENT_TYPES.get(path.suffix, "application/octet-stream")


def _entry_files(folder: Path) -> tuple[str, list[Path]]:
    """Name of the entry, and the files that the page needs: all there, the model as it was measured."""
    entry = Entry.read(folder, check_hashes=False)
    if entry.config.anas.weights is None:
        raise no_weights(entry.config)
    models = entry.report.files
    if not models:
        raise EntryError(
            f"{folder} has no exported file; run: anas export {quoted(folder)} --target ort-cpu-fp32"
        )
    model = "model.onnx" if "model.onnx" in models else sorted(models)[0]
    paths = [folder / name for name in (CONFIG, REPORT, GOLDEN, model)]
    for path in paths:
        if not is_own_file(path):
            raise EntryError(f"{path}: no such file; the page needs {', '.join(one.name for one in paths)}")
    if sha256_file(folder / model) != models[model].sha256:
        raise EntryError(f"{folder / model} is not the file that report.json measured (SHA-256 differs)")
    return entry.name, paths


def page_routes(entry: Path, *, clients: Path | None = None) -> Routes:
    """The routes of the page for one entry; fetches onnxruntime-web when it is not there yet.

    Args:
        entry: a published entry or a draft with an exported file.
        clients: the folder of the clients; default is the one that belongs to this package.

    Raises :class:`EntryError` (or :class:`NoWeightsError`) for an entry that the page cannot run,
    :class:`ServeError` when onnxruntime-web cannot be had.
    """
    name, entry_files = _entry_files(entry)
    clients = clients or resource_folder("export") / "clients"
    page, shared = clients / "web", clients / "javascript"
    if not (page / "index.html").is_file():
        raise ServeError(f"{page} holds no page; install anas-zoo again")
    runtime = fetch_runtime(page)
    files = {f"/javascript/{path.name}": path for path in shared.glob("*.mjs")}
    files |= {PAGE + path.name: path for path in page.iterdir() if path.suffix in (".css", ".mjs", ".svg")}
    files |= {f"/ort/{name}": runtime / name for name in RUNTIME_FILES}
    files |= {f"/entry/{path.name}": path for path in entry_files}
    files[PAGE] = page / "index.html"
    return Routes(name, files)
