"""onnxruntime-web: WebAssembly that npm fetches once, into the user's cache."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from anas_zoo.core.errors import OutputError
from anas_zoo.core.files import disk_errors, output_folder, sha256_file
from anas_zoo.core.progress import note
from anas_zoo.zoo.serving.node import install_packages

__all__ = ["RUNTIME_FILES", "cache_folder", "fetch_runtime", "find_runtime"]

PACKAGE = "onnxruntime-web"
# The build that runs on the processor alone, whose module loads the other two, and a decoder of PNG.
RUNTIME_FILES = (
    "onnxruntime-web/dist/ort.wasm.min.mjs",
    "onnxruntime-web/dist/ort-wasm-simd-threaded.mjs",
    "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
    "@jsquash/png/codec/pkg/squoosh_png.js",
    "@jsquash/png/codec/pkg/squoosh_png_bg.wasm",
)
DOWNLOAD_MB, KEPT_MB = 35, 14  # of 1.30; the package holds builds that the page does not use
_LOCK = "package-lock.json"
_INSTRUCTIONS = ("package.json", _LOCK, ".npmrc")


def _locked_version(page: Path) -> str:
    locked = json.loads((page / _LOCK).read_text(encoding="utf-8"))
    return str(locked["packages"][f"node_modules/{PACKAGE}"]["version"])


def cache_folder(page: Path) -> Path:
    """Where the cache has the runtime of this lock file (``XDG_CACHE_HOME`` or ``~/.cache``)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    cache = (Path(base) if base else Path.home() / ".cache") / "anas-zoo" / "web"
    return cache / f"{PACKAGE}-{_locked_version(page)}-{sha256_file(page / _LOCK)[:12]}"


def find_runtime(page: Path) -> Path | None:
    """The folder with :data:`RUNTIME_FILES` for the web client in ``page``; None when it is not there yet.

    It is node_modules beside the page, if somebody ran ``npm ci`` there for this lock file, or in the cache.
    """
    for folder in (page / "node_modules", cache_folder(page)):
        if all((folder / name).is_file() for name in RUNTIME_FILES) and _version(folder) == _locked_version(
            page
        ):
            return folder
    return None


def _version(modules: Path) -> str | None:
    try:
        return str(json.loads((modules / PACKAGE / "package.json").read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError):
        return None


def fetch_runtime(page: Path) -> Path:
    """The folder with :data:`RUNTIME_FILES`, which npm fetches into the cache when it is not there yet.

    A line on stderr says what will be fetched, how large it is and where it is kept, before npm starts. npm
    compares every package with the hash in the page's package-lock.json. Raises :class:`ServeError` when
    there is no npm or it fails, :class:`OutputError` when the cache cannot be written.
    """
    found = find_runtime(page)
    if found is not None:
        return found
    target = cache_folder(page)
    note(
        f"fetching {PACKAGE} {_locked_version(page)} and a PNG decoder from npm: about {DOWNLOAD_MB} MB, "
        f"once; {KEPT_MB} MB of it are kept in {target}"
    )
    with tempfile.TemporaryDirectory(prefix="anas-web-") as temporary:
        work = Path(temporary)
        with disk_errors(work):
            for name in _INSTRUCTIONS:
                shutil.copyfile(page / name, work / name)
        install_packages(work)
        try:
            with output_folder(target) as folder:
                for name in (*RUNTIME_FILES, f"{PACKAGE}/package.json"):
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(work / "node_modules" / name, folder / name)
        except OutputError:
            if find_runtime(page) is None:  # else another process was quicker, with the same files
                raise
    return target
