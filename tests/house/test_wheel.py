"""The wheel, in an environment that sees the dependencies but not this checkout."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import urllib.request
import venv
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from anas_zoo.zoo.serving import find_runtime
from anas_zoo.zoo.serving.runtime import RUNTIME_FILES, cache_folder

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


class Environment(NamedTuple):
    folder: Path
    wheel: Path

    def start(self, *command: str | Path) -> subprocess.Popen[str]:
        """A program of the environment, running outside the checkout."""
        program, clean = self._prepare(command[0])
        return subprocess.Popen(
            [program, *command[1:]], stdout=subprocess.PIPE, text=True, cwd=self.folder, env=clean
        )

    def _prepare(self, name: str | Path) -> tuple[Path, dict[str, str]]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
        return self.folder / "bin" / name, clean

    def run(self, *command: str | Path) -> str:
        """Standard output of a program of the environment, run outside the checkout."""
        program, clean = self._prepare(command[0])
        done = subprocess.run(
            [program, *command[1:]],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=clean,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def call(*command: str | Path) -> None:
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("fresh")
    call("build", "--wheel", "--no-isolation", "--outdir", folder / "dist", ROOT)
    (wheel,) = (folder / "dist").glob("*.whl")
    fresh = folder / "environment"
    venv.create(fresh, with_pip=False)
    call("pip", "--python", fresh / "bin" / "python", "install", "--no-deps", "--no-index", wheel)
    # The dependencies of the running environment, by path. Python reads no .pth file in a folder that was
    # added like this, and so not the one by which an editable installation points at this checkout.
    own = sysconfig.get_path("purelib", vars={"base": str(fresh)})
    shared = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(own, "dependencies.pth").write_text("".join(f"{path}\n" for path in sorted(shared)))
    return Environment(fresh, wheel)


def test_the_package_comes_from_the_wheel(environment: Environment) -> None:
    code = "import anas_zoo, sys; print(anas_zoo.__file__); print('\\n'.join(sys.path))"
    file, *paths = environment.run("python", "-c", code).splitlines()
    assert environment.folder in Path(file).parents
    assert str(ROOT) not in paths


def test_list_finds_the_shelf_inside_the_wheel(environment: Environment) -> None:
    listed = json.loads(environment.run("anas", "list", "--json"))
    on_shelf = sorted(path.parent.name for path in ROOT.glob("models/*/config.json"))
    assert sorted(model["name"] for model in listed) == on_shelf
    assert "attentive_nas_a0" in environment.run("anas", "list")


def test_create_model_works_outside_the_checkout(environment: Environment) -> None:
    code = (
        "import anas_zoo, torch\n"
        "model = anas_zoo.create_model('attentive_nas_a0', num_classes=5).eval()\n"
        "print(tuple(model(torch.zeros(1, 3, 64, 64)).shape))\n"
        "import timm\n"
        "print(timm.is_model('attentive_nas_a0'))\n"
    )
    assert environment.run("python", "-W", "ignore", "-c", code).splitlines() == ["(1, 5)", "True"]


def test_targets_and_spaces_are_found(environment: Environment) -> None:
    code = (
        "from anas_zoo.exporting import list_targets\n"
        "from anas_zoo.space import SearchSpace\n"
        "print(*list_targets(), SearchSpace.load('attentive_nas').name)\n"
    )
    found = environment.run("python", "-W", "ignore", "-c", code).split()
    assert found == [*sorted(path.stem for path in ROOT.glob("export/targets/*.yaml")), "attentive_nas"]


def test_serve_finds_its_page_inside_the_wheel(environment: Environment) -> None:
    page = ROOT / "export" / "clients" / "web"
    if (runtime := find_runtime(page)) is None:
        pytest.fail("the packages of export/clients/web are not installed; run: make setup", pytrace=False)
    # As npm leaves it in the cache; the wheel's page has the same lock file, and so the same place.
    for name in (*RUNTIME_FILES, "onnxruntime-web/package.json"):
        (cache_folder(page) / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(runtime / name, cache_folder(page) / name)
    with environment.start("anas", "serve", "digits_s", "--no-open", "--port", "0") as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[3]
        for address in (
            "web/",
            "javascript/png.mjs",
            "entry/model.onnx",
            f"runtime/{Path(RUNTIME_FILES[-1]).name}",
        ):
            with urllib.request.urlopen(url + address, timeout=60) as answer:
                assert answer.status == 200
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0


def test_the_wheel_holds_the_package_and_nothing_else(environment: Environment) -> None:
    with zipfile.ZipFile(environment.wheel) as archive:
        names = archive.namelist()
        entry_points = next(name for name in names if name.endswith("entry_points.txt"))
        assert "anas = anas_zoo.cli:main" in archive.read(entry_points).decode()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"anas_zoo"}
    assert not [
        name for name in names if "/tests/" in name or "/benchmarks/" in name or "__pycache__" in name
    ]
    assert "anas_zoo/py.typed" in names  # pyproject.toml says that the package is typed
    shipped = {name.removeprefix("anas_zoo/_resources/") for name in names if "/_resources/" in name}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for folder in ("models", "export")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not {"__pycache__", "node_modules"} & set(path.parts)
    }
    assert shipped == wanted
    assert any(name.endswith("licenses/LICENSE") for name in names)
