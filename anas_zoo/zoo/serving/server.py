"""The HTTP server of the page: this machine only, files of a fixed table only."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from anas_zoo.core.errors import ServeError
from anas_zoo.core.text import printable
from anas_zoo.zoo.serving.routes import PAGE, Routes

__all__ = ["PageServer"]

ADDRESS = "127.0.0.1"

HEADERS = {
    # The page runs its own modules and WebAssembly, and talks to this server; nothing else, nobody else.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
        "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    # Isolated from other sites, a page gets shared memory, without which WebAssembly has no threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",  # the next server at this address may have another entry
}


class PageServer(ThreadingHTTPServer):
    """A server of ``routes`` on 127.0.0.1, already listening; ``serve_forever`` answers.

    Args:
        routes: what it gives out.
        port: where it listens; 0 takes any free port.

    Raises :class:`ServeError` when the port is taken or not allowed.
    """

    daemon_threads = True  # a browser that keeps its connection open does not keep the program

    def __init__(self, routes: Routes, *, port: int) -> None:
        self.routes = routes
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                raise ServeError(
                    f"port {port} is taken; give another, or take any free one: --port 0"
                ) from exc
            raise ServeError(f"cannot listen on port {port}: {exc.strerror}; try: --port 0") from exc
        names = (ADDRESS, "localhost")
        self.hosts = {f"{name}:{self.server_port}" for name in names}
        if self.server_port == 80:  # which browsers leave out
            self.hosts |= set(names)

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{ADDRESS}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in one line what went wrong in a connection; a browser that left is nothing wrong."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            print(printable(f"anas: {type(error).__name__}: {error}"), file=sys.stderr)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "anas"
    sys_version = ""
    timeout = 60  # of a silent connection, in seconds
    server: PageServer

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body that nobody reads would be taken for the next request
        # A foreign name that leads to 127.0.0.1 would let a foreign page read this one (DNS rebinding).
        if self.headers.get_all("Host", []) not in [[host] for host in self.server.hosts]:
            self.send_error(HTTPStatus.FORBIDDEN, f"open {self.server.url} instead")
            return
        address = self.path.partition("?")[0]
        if address == "/":
            self._head(HTTPStatus.FOUND, 0, Location=PAGE)
            return
        found = self.server.routes.find(address)
        try:
            if found is None:
                raise FileNotFoundError
            self._send_file(*found, with_body=with_body)
        except (FileNotFoundError, PermissionError):
            self.send_error(HTTPStatus.NOT_FOUND, "no such file")

    def _send_file(self, path: Path, content_type: str, *, with_body: bool) -> None:
        with path.open("rb") as file:
            self._head(HTTPStatus.OK, os.fstat(file.fileno()).st_size, **{"Content-Type": content_type})
            if with_body:
                shutil.copyfileobj(file, self.wfile)

    def _head(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, **HEADERS, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer in one line of plain text, and end the connection."""
        text = f"{code} {message or HTTPStatus(code).phrase}\n".encode("utf-8", "replace")
        self.close_connection = True
        self._head(code, len(text), Connection="close", **{"Content-Type": "text/plain; charset=utf-8"})
        if self.command != "HEAD":
            self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are the browser's business and go unsaid."""
