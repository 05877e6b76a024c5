"""The wheel, with what `pip install anas-zoo` brings and nothing else: no extra, and not this checkout."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tomllib
import urllib.request
import venv
import zipfile
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from searching_digits import write_predictor

from anas_zoo.zoo.serving import RUNTIME_FILES, cache_folder, find_runtime

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


class Environment(NamedTuple):
    folder: Path
    wheel: Path

    def start(self, *command: str | Path) -> subprocess.Popen[str]:
        """A program of the environment, running outside the checkout."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
        return subprocess.Popen(
            [self.folder / "bin" / command[0], *command[1:]],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=clean,
        )

    def run(self, *command: str | Path, code: int = 0) -> str:
        """What such a program prints: on stdout, or on stderr where it has to fail with ``code``."""
        with self.start(*command) as process:
            out, err = process.communicate(timeout=120)
        assert process.returncode == code, err
        return err if code else out


def call(*command: str | Path) -> None:
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def installed_for(requirements: Iterable[str]) -> list[Distribution]:
    """The installed distributions that ``requirements`` bring, directly or through others."""
    found: dict[tuple[str, frozenset[str]], Distribution] = {}
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        wanted = waiting.pop()
        key = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if key in found:
            continue
        found[key] = distribution(wanted.name)
        for further in map(Requirement, found[key].requires or []):
            marker, extras = further.marker, ("", *wanted.extras)
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(further)
    return list(found.values())


def link_packages(distributions: Iterable[Distribution], folder: Path) -> None:
    """Links in ``folder`` to every top-level module of the distributions."""
    folder.mkdir()
    for one in distributions:
        for name in {file.parts[0] for file in one.files or []} - {"..", "__pycache__"}:
            if not (folder / name).exists():
                (folder / name).symlink_to(Path(str(one.locate_file(name))))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("fresh")
    call("build", "--wheel", "--no-isolation", "--outdir", folder / "dist", ROOT)
    (wheel,) = (folder / "dist").glob("*.whl")
    fresh = folder / "environment"
    venv.create(fresh, with_pip=False)
    call("pip", "--python", fresh / "bin" / "python", "install", "--no-deps", "--no-index", wheel)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    link_packages(installed_for(project["dependencies"]), folder / "dependencies")
    own = sysconfig.get_path("purelib", vars={"base": str(fresh)})
    Path(own, "dependencies.pth").write_text(f"{folder / 'dependencies'}\n")
    shutil.copytree(ROOT / "models", fresh / "models")
    return Environment(fresh, wheel)


def test_no_extra_is_installed(environment: Environment) -> None:
    code = (
        "from importlib.util import find_spec\n"
        "from anas_zoo.core.extras import EXTRAS\n"
        "print([name for name in EXTRAS if find_spec(name)])\n"
    )
    assert environment.run("python", "-c", code).strip() == "[]"


@pytest.mark.parametrize(
    "command",
    [
        "verify digits_s",
        "predict digits_s three.png",
        "export digits_s --out exported",
        "publish digits_s --to published",
    ],
)
def test_the_plain_installation_runs_an_entry(environment: Environment, command: str) -> None:
    from PIL import Image

    Image.new("L", (8, 8), 200).save(environment.folder / "three.png")
    assert environment.run("anas", *command.split())


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("train --recipe digits --out run-digits", "train"),
        ("search --space digits --predictor predictor.onnx --out found", "search"),
        ("train --recipe glyphs --out run-glyphs", "report"),
        ("index models --out gallery", "report"),
        ("evaluate digits_s --data hfds/ylecun/mnist", "hf-datasets"),
    ],
)
def test_a_stage_that_needs_more_says_what_to_install(
    environment: Environment, command: str, extra: str
) -> None:
    write_predictor(environment.folder / "predictor.onnx", "digits")
    said = environment.run("anas", *command.split(), code=1)
    assert f'pip install "anas-zoo[{extra}] @ git+https://' in said
    assert len(said.splitlines()) == 1


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
        url = process.stdout.readline().split()[3].removesuffix("web/")
        for address in (
            "web/",
            "javascript/png.mjs",
            "entry/model.onnx",
            f"runtime/{Path(RUNTIME_FILES[-1]).name}",
        ):
            with urllib.request.urlopen(url + address, timeout=60) as answer:
                assert answer.status == 200
        process.send_signal(signal.SIGINT)
        # Both pipes stay open until its last line is out: with one closed it would end with 120.
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


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
