from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from anas_zoo.core.extras import EXTRAS, missing_package, skipped_without_extra
from anas_zoo.core.resources import install_command

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
PROJECT = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
REPOSITORY = PROJECT["urls"]["Repository"]


def absent(module: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"No module named {module!r}", name=module)


def test_every_module_belongs_to_an_extra_that_has_its_package() -> None:
    listed = PROJECT["optional-dependencies"]
    extras = {name: {re.split(r"[>=\[]", one)[0] for one in listed[name]} for name in listed}
    core = {re.split(r"[>=]", one)[0] for one in PROJECT["dependencies"]}
    for package, extra in EXTRAS.values():
        assert package in extras[extra]
        assert package not in core


def test_the_extra_of_a_missing_module_is_named() -> None:
    assert str(missing_package(absent("sklearn.svm"))) == (
        f'scikit-learn is not installed; run: pip install "anas-zoo[train] @ git+{REPOSITORY}"'
    )
    assert missing_package(absent("anas_zoo.nowhere")) is None
    assert missing_package(ImportError("cannot import name", name="sklearn")) is None


def test_a_picture_is_skipped_with_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    with skipped_without_extra("front.png"):
        raise absent("matplotlib.figure")
    said = capsys.readouterr().err
    assert said == f"no front.png: matplotlib is not installed; run: {install_command('report')}\n"
    with pytest.raises(ModuleNotFoundError), skipped_without_extra("front.png"):
        raise absent("nonsense")
