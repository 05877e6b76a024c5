"""A Hub on this machine: two servers (the second one is the origin of large files), and faults on request."""

from __future__ import annotations

import re
import socket
import threading
import traceback
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, NamedTuple, Self

from hub_api import Answer, Api, Request
from hub_store import Store

Kind = Literal["status", "drop", "lose", "cut", "flip", "hold", "hold-after"]


@dataclass
class Fault:
    """One fault of requests that match.

    Attributes:
        match: searched in "METHOD /path?query".
        kind: status: an error instead of the answer · drop: the connection ends before anything was done ·
            lose: everything was done, the connection ends without an answer · cut: it ends in the middle of
            the answer · flip: one bit of the body is another one ·
            hold: the request waits before anything is done · hold-after: it waits before the answer.
        times: how often; None for always.
        status: of kind status.
        message: of kind status, as the server words it.
        reached: set when a request has come to this fault.
        go_on: what held requests wait for.
    """

    match: str
    kind: Kind
    times: int | None = 1
    status: int = 500
    message: str = ""
    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)


class Faults:
    """The faults that are still to happen."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._pending.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            for fault in self._pending:
                fault.go_on.set()
            self._pending.clear()

    def take(self, request: str) -> Fault | None:
        """The first fault that matches, which thereby has happened."""
        with self._lock:
            for fault in self._pending:
                if re.search(fault.match, request):
                    if fault.times is not None:
                        fault.times -= 1
                        if not fault.times:
                            self._pending.remove(fault)
                    fault.reached.set()
                    return fault
        return None


class Seen(NamedTuple):
    """A request that came."""

    line: str
    authorised: bool
    range: str | None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    hub: Hub
    origin: str

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that were killed or cut off are no news."""


class Hub:
    """The loopback Hub: ``with Hub() as hub`` serves at ``hub.url`` until the block ends."""

    def __init__(self) -> None:
        self.store, self.faults, self.seen = Store(), Faults(), list[Seen]()
        self._servers = [_Server(("127.0.0.1", 0), _Handler) for _ in range(2)]
        self.url, self.cdn = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)
        self.api = Api(self.store, self.url, self.cdn)
        for server in self._servers:
            server.hub = self

    def __enter__(self) -> Self:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.faults.clear()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def lines(self, part: str = "") -> list[str]:
        """ "METHOD /path" of all requests so far that contain ``part``."""
        return [seen.line for seen in self.seen if part in seen.line]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests look at ``hub.seen``."""

    def _serve(self) -> None:
        hub, line = self.server.hub, f"{self.command} {self.path}"
        address = urllib.parse.urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(urllib.parse.parse_qsl(address.query))
        request = Request(self.command, address.path, query, headers, self._body(headers))
        hub.seen.append(Seen(line, request.token is not None, headers.get("range")))
        fault = hub.faults.take(line)
        if fault is not None and fault.kind == "hold":
            fault.go_on.wait(60)
        if fault is not None and fault.kind == "drop":
            return self._hang_up()
        if fault is not None and fault.kind == "status":
            answer = Answer.error(fault.status, fault.message)
        else:
            try:
                answer = hub.api.answer(request)
            except Exception:
                traceback.print_exc()  # shown by pytest with the test that failed
                answer = Answer.error(500, "a mistake in the loopback Hub")
        if fault is not None and fault.kind == "hold-after":
            fault.go_on.wait(60)
        if fault is not None and fault.kind == "lose":
            return self._hang_up()
        return self._send(answer, fault)

    do_GET = do_HEAD = do_POST = do_PUT = _serve

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(headers.get("content-length", 0)))

    def _send(self, answer: Answer, fault: Fault | None) -> None:
        body = answer.body
        if fault is not None and fault.kind == "flip" and body:
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
        self.send_response(answer.status)
        for name, value in (answer.headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault is not None and fault.kind == "cut":
            self.wfile.write(body[: len(body) // 2])
            self._hang_up()
        else:
            self.wfile.write(body)

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
