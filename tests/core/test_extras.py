from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from anas_zoo.core.extras import EXTRAS, missing_package, skipped_without_extra

ROOT = Path(__file__).resolve().parents[2]


def absent(module: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"No module named {module!r}", name=module)


def test_every_module_belongs_to_an_extra_that_has_its_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = project["optional-dependencies"]
    extras = {name: {re.split(r"[>=\[]", one)[0] for one in listed[name]} for name in listed}
    core = {re.split(r"[>=]", one)[0] for one in project["dependencies"]}
    for package, extra in EXTRAS.values():
        assert package in extras[extra]
        assert package not in core


def test_the_extra_of_a_missing_module_is_named() -> None:
    assert str(missing_package(absent("sklearn.svm"))) == (
        "scikit-learn is not installed; run: pip install 'anas-zoo[train]'"
    )
    assert missing_package(absent("anas_zoo.nowhere")) is None
    assert missing_package(ImportError("cannot import name", name="sklearn")) is None


def test_a_picture_is_skipped_with_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    with skipped_without_extra("front.png"):
        raise absent("matplotlib.figure")
    said = capsys.readouterr().err
    assert said == "no front.png: matplotlib is not installed; run: pip install 'anas-zoo[report]'\n"
    with pytest.raises(ModuleNotFoundError), skipped_without_extra("front.png"):
        raise absent("nonsense")
