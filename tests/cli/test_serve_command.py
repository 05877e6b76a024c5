from __future__ import annotations

import http.client
import re
import signal
import socket
import subprocess
import sys

import pytest
from command_line import refused

PROGRAM = [sys.executable, "-m", "anas_zoo.cli"]


def test_it_serves_an_entry_of_the_shelf_until_it_is_ended() -> None:
    with subprocess.Popen(
        [*PROGRAM, "serve", "digits_s", "--no-open", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.fullmatch(r"digits_s is at http://127\.0\.0\.1:(\d+)/web/ \(Ctrl-C ends it\)\n", said)
        assert found, process.communicate(timeout=60)
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=30)
        connection.request("GET", "/entry/config.json")
        assert connection.getresponse().status == 200
        process.send_signal(signal.SIGTERM)  # with the connection still open
        out, err = process.communicate(timeout=60)
        connection.close()
    assert (process.returncode, out, err) == (0, "", "anas: ended\n")


def test_what_cannot_be_served_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = refused(capsys, "serve", "digits_s", "--no-open", "--port", str(port))
    assert said == f"port {port} is taken; give another, or take any free one: --port 0"
    assert "has no weights on the shelf" in refused(capsys, "serve", "attentive_nas_a0", "--no-open")
