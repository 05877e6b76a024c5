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

from huggingface_hub import file_download
from huggingface_hub.utils import _http

from anas_zoo.cli import app, main
from anas_zoo.zoo.hub import HubAddress, client
from anas_zoo.zoo.hub import push as client_push

QUICK = 0.01  # seconds; the real waits are 1 to 8


def quicken() -> None:
    """Let retries wait for an instant only; how often they happen stays as it is."""
    file_download.time = types.SimpleNamespace(sleep=lambda _: None)  # it only sleeps with it
    client.WAITS = tuple(QUICK for _ in client.WAITS)
    defaults = _http._http_backoff_base.__kwdefaults__
    defaults |= {"base_wait_time": QUICK, "max_wait_time": QUICK}
    for function in (_http.http_backoff, _http.http_stream_backoff.__wrapped__):  # type: ignore[attr-defined]
        function.__kwdefaults__ |= {"base_wait_time": QUICK, "max_wait_time": QUICK}


def push(folder: Path, address: str) -> None:
    "Send an entry as `anas publish` does after its gates."
    print(client_push(folder, HubAddress.parse(address), message="pushed").commit)


def run(args: list[str]) -> dict[str, object]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(args)
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


if __name__ == "__main__":
    quicken()
    app.COMMANDS["push"] = push
    answers = sys.stdout
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), file=answers, flush=True)
