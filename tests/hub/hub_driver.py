"""The program ``anas`` in a process of its own, answering one command after the other.

huggingface_hub reads its environment when it is imported, so each mode of it needs a process; importing
torch takes seconds, so a process is kept. Reads a line of JSON, the arguments; writes one with the result.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import types
from pathlib import Path
from typing import Any

from huggingface_hub import file_download
from huggingface_hub.utils import _http

import anas_zoo
from anas_zoo.cli import app, main
from anas_zoo.zoo.hub import HubAddress, client
from anas_zoo.zoo.hub import push as client_push

QUICK = 0.01  # seconds; the real waits are 1 to 8


def quicken() -> None:
    """Let retries wait for an instant only; how often they happen stays as it is."""
    # It takes nothing but `sleep` from that module.
    setattr(file_download, "time", types.SimpleNamespace(sleep=lambda _: None))  # noqa: B010
    client.WAITS = (QUICK, QUICK)
    waits = {"base_wait_time": QUICK, "max_wait_time": QUICK}
    functions: list[Any] = [_http._http_backoff_base, _http.http_backoff, _http.http_stream_backoff]
    for function in functions:
        getattr(function, "__wrapped__", function).__kwdefaults__ |= waits


def push(folder: Path, address: str) -> None:
    "Send an entry as `anas publish` does after its gates."
    print(client_push(folder, HubAddress.parse(address), message="pushed").commit)


def load(source: str) -> None:
    "Load a supernet as `anas_zoo.load_supernet` does."
    supernet = anas_zoo.load_supernet(source)
    print(supernet.space.name, supernet.num_classes)


def run(args: list[str]) -> dict[str, object]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(args)
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


if __name__ == "__main__":
    quicken()
    app.COMMANDS |= {"push": push, "load": load}
    answers = sys.stdout
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), file=answers, flush=True)
