"""What users import: complete, sorted, and quick to get at."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import anas_zoo

HEAVY = {
    "torch",
    "torchvision",
    "timm",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "fvcore",
    "sklearn",
    "matplotlib",
}
PACKAGES = sorted(path.parent.name for path in Path(anas_zoo.__file__).parent.glob("*/__init__.py"))


def heavy_modules_after(code: str, tmp_path: Path) -> set[str]:
    """The heavy packages in sys.modules after ``code`` ran in a new interpreter."""
    ending = f"\nimport sys, json; sys.stderr.write(json.dumps(sorted({HEAVY!r} & set(sys.modules))))"
    command = [sys.executable, "-c", code + ending]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr))


def test_all_is_sorted_and_importable() -> None:
    assert list(anas_zoo.__all__) == sorted(anas_zoo.__all__)
    for name in anas_zoo.__all__:
        assert getattr(anas_zoo, name) is not None


def test_dir_shows_the_public_names_and_nothing_else() -> None:
    stages = "run train search extract finetune export validate evaluate profile publish pull verify"
    for package in PACKAGES:
        importlib.import_module(f"anas_zoo.{package}")
    others = {"list_models", "create_model", "load_supernet", "export_module", "Entry", "Classifier"}
    assert set(dir(anas_zoo)) == {*stages.split(), *others}
    assert len(dir(anas_zoo)) == 18
    assert not set(dir(anas_zoo)) & set(PACKAGES), "a folder of that name would take the function's place"
    assert anas_zoo.__version__


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_what_is_public(package: str) -> None:
    module = importlib.import_module(f"anas_zoo.{package}")
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="creat_model"):
        anas_zoo.creat_model  # noqa: B018


@pytest.mark.parametrize(
    "code",
    [
        "import anas_zoo",
        "import anas_zoo; dir(anas_zoo)",
        "import anas_zoo.space",
        "import anas_zoo; anas_zoo.list_models()",
        "from anas_zoo.cli import main; assert main(['--help']) == 0",
        "from anas_zoo.cli import main; assert main(['--version']) == 0",
        "from anas_zoo.cli import main; assert main(['list']) == 0",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code: str, tmp_path: Path) -> None:
    assert heavy_modules_after(code, tmp_path) == set()


def test_heavy_modules_are_seen_by_the_check(tmp_path: Path) -> None:
    assert heavy_modules_after("import sklearn", tmp_path) == {"sklearn"}
