"""A folder imports only from folders of a lower number, never sideways (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import anas_zoo

PACKAGE = Path(anas_zoo.__file__).parent

LAYERS = {
    "core": 0,
    "space": 1,
    "entry": 2,
    "nets": 3,
    "data": 3,
    "training": 4,
    "searching": 4,
    "profiling": 4,
    "exporting": 5,
    "zoo": 6,
    "pipeline": 7,
    "cli": 8,
    "_timm_hook": 9,  # a part of the public surface
}


def imports_of(tree: ast.Module, module: tuple[str, ...], is_package: bool) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of every import, wherever in the file; also import_module("...")."""
    base = module if is_package else module[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = base[: len(base) - node.level + 1] if node.level else ()
            source = ".".join((*start, *filter(None, [node.module])))
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            target = node.args[0]
            if called in ("import_module", "__import__") and isinstance(target, ast.Constant):
                yield node.lineno, str(target.value)


def breaches(package: Path) -> list[str]:
    """Every import in ``package`` that goes up, sideways, or to the package's public surface."""
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        if parts[1] == "__init__":
            continue  # the public surface gathers from everywhere, lazily
        is_package = parts[-1] == "__init__"
        module = parts[:-1] if is_package else parts
        place = module[1]
        if place not in LAYERS:
            found.append(f"{path.relative_to(package.parent)}: {place!r} has no layer; give it one here")
            continue
        layer = LAYERS[place]
        for line, name in imports_of(ast.parse(path.read_text(encoding="utf-8")), module, is_package):
            root, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if root != package.name or other == place:
                continue
            if LAYERS.get(other, 99) >= layer:
                found.append(f"{path.relative_to(package.parent)}:{line}: {place} imports {name}")
    return found


def test_imports_go_down_only() -> None:
    assert breaches(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        ("space/a.py", "from anas_zoo.nets import Subnet", "space imports anas_zoo.nets.Subnet"),
        ("training/a.py", "from anas_zoo.searching import x", "training imports anas_zoo.searching.x"),
        ("training/__init__.py", "from .. import searching", "training imports anas_zoo.searching"),
        ("zoo/a.py", "from anas_zoo import create_model", "zoo imports anas_zoo.create_model"),
        ("zoo/a.py", "import importlib as i\ni.import_module('anas_zoo.cli')", "zoo imports anas_zoo.cli"),
        ("novel/a.py", "import os", "'novel' has no layer"),
    ],
)
def test_the_checker_finds_a_breach(tmp_path: Path, file: str, line: str, said: str) -> None:
    path = tmp_path / "anas_zoo" / file
    path.parent.mkdir(parents=True)
    path.write_text(line + "\n")
    assert len(found := breaches(tmp_path / "anas_zoo")) == 1
    assert said in found[0]


def test_the_checker_lets_the_rest_pass(tmp_path: Path) -> None:
    for file, line in {
        "nets/a.py": "from anas_zoo.space import Architecture\nfrom anas_zoo.nets.b import c",
        "nets/__init__.py": "from .a import b\nfrom ..space import c",
        "cli/a.py": "from anas_zoo import zoo\nimport anas_zoo_other.cli",
        "__init__.py": "from anas_zoo.zoo import create_model",
    }.items():
        path = tmp_path / "anas_zoo" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line + "\n")
    assert breaches(tmp_path / "anas_zoo") == []
