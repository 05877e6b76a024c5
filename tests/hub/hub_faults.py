"""What can go wrong between a Hub and its clients, told to the loopback Hub by tests."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["status", "drop", "lose", "cut", "flip", "slow", "hold", "hold-after"]


@dataclass
class Fault:
    """One fault of requests that match.

    Attributes:
        match: searched in "METHOD /path?query".
        kind: status: an error instead of the answer · drop: the connection ends before anything was done ·
            lose: everything was done, the connection ends without an answer · cut: it ends in the middle of
            the answer · flip: one bit of the body is another one · slow: the body comes in drops ·
            hold: the request waits before anything is done · hold-after: it waits before the answer.
        times: how often; None for always.
        status: of kind status.
        headers: of kind status.
        message: of kind status, as the server words it.
        reached: set when a request has come to this fault.
        go_on: what held requests wait for.
    """

    match: str
    kind: Kind
    times: int | None = 1
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
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
