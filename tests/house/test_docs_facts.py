"""What documents and docstrings say of the code is so: names, files, options, keys of recipes, numbers."""

from __future__ import annotations

import ast
import builtins
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest
from documents import ROOT, documents
from pydantic import BaseModel
from test_printed_commands import FILES, FOREIGN, OPTION, PACKAGE, options, problems_of

from anas_zoo.core import errors, images, plain_data
from anas_zoo.data import tar_index
from anas_zoo.entry import manifest, tensors
from anas_zoo.entry.config import MAX_CLASSES
from anas_zoo.exporting import list_targets
from anas_zoo.nets.sources import torch_file
from anas_zoo.pipeline import Recipe
from anas_zoo.space import architecture
from anas_zoo.zoo import list_models
from anas_zoo.zoo.serving import node_program

DOCUMENTS = [*documents(), "CONTRIBUTING.md", "export/clients/README.md", "models/README.md"]
ROLE = re.compile(r":(?:func|class|meth|mod|data|attr|exc):`~?([\w.]+)`")
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
FOLDERS = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}  # docs/security.md begins with them
PLACES = "|".join({"anas_zoo", "benchmarks", "docs", "export", "models", "requirements", "tests"} | FOLDERS)
PATHS = re.compile(rf"(?<![\w/.-])((?:{PLACES})/[\w./-]*[\w/])")


def module_of(path: Path) -> ModuleType:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))


def exists(name: str, module: ModuleType) -> bool:
    """Whether a name of a docstring is there: of the module, of a class in it, of its folder, or dotted."""
    folder = importlib.import_module(module.__name__.rpartition(".")[0] or module.__name__)
    classes = [value for value in vars(module).values() if isinstance(value, type)]
    homes = [module, folder, builtins, errors, *classes]
    return any(has(home, name.split(".")) for home in homes) or ("." in name and resolves(name))


def has(home: object, names: list[str]) -> bool:
    if not names:
        return True
    fields = {**getattr(home, "model_fields", {}), **getattr(home, "__annotations__", {})}
    if hasattr(home, names[0]):
        return has(getattr(home, names[0]), names[1:])
    return names[0] in fields and len(names) == 1


def resolves(name: str) -> bool:
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            return has(importlib.import_module(".".join(parts[:end])), parts[end:])
        except ModuleNotFoundError:
            continue
    return False


def docstrings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


@pytest.mark.filterwarnings("ignore::FutureWarning")  # fvcore's import
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_names_in_docstrings_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    module, tree = module_of(path), ast.parse(text)
    # What is imported for types alone, or inside a function, counts as well.
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            source = importlib.import_module(node.module)
            for alias in node.names:
                name = alias.asname or alias.name
                if hasattr(source, alias.name) and not hasattr(module, name):
                    setattr(module, name, getattr(source, alias.name))
    wrong = [name for doc in docstrings(tree) for name in ROLE.findall(doc) if not exists(name, module)]
    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_that_the_code_names_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    comments = "\n".join(line.partition("# ")[2] for line in text.splitlines())
    named = "\n".join([comments, *docstrings(ast.parse(text))])
    assert missing(named) == []


def missing(text: str) -> list[str]:
    """The files of the repository that ``text`` names and that are not there; NAME stands for any name."""
    named = [path for path in PATHS.findall(text) if not re.search(r"[A-Z]{3}", path.replace("README", ""))]
    return [path for path in named if not ((ROOT / path).exists() or (PACKAGE / path).exists())]


@cache
def recipe_keys() -> set[str]:
    """Every dotted key of a recipe, also without its first part, as within a section of a document."""

    def of(model: type[BaseModel], before: tuple[str, ...]) -> Iterator[str]:
        for name, field in model.model_fields.items():
            for start in range(len(before) + 1):
                yield ".".join((*before[start:], name))
            for one in (field.annotation, *get_args(field.annotation)):
                if isinstance(one, type) and issubclass(one, BaseModel):
                    yield from of(one, (*before, name))

    return set(of(Recipe, ()))


@pytest.mark.parametrize("file", DOCUMENTS)
def test_what_a_document_names_exists(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    wrong = missing(prose)
    for code in CODE.findall(prose):
        wrong += problems_of(code)
        if re.fullmatch(r"anas_zoo(?:\.\w+)+", code) and not resolves(code):
            wrong.append(code)
        key = re.fullmatch(r"(?:train|search|split)(?:\.[a-z_]+)+(?<!\.json)", code)
        if key and code not in recipe_keys():
            wrong.append(f"no key {code} in a recipe")
        if (option := OPTION.match(code)) and not option[0].endswith("-"):  # --max-…
            known = set().union(*options().values(), client_options()) | FOREIGN
            wrong += [f"no option {option[0]}"] * (option[0] not in known)
    assert wrong == []


@cache
def client_options() -> set[str]:
    """The options of the clients, which are programs of their own, as they print them."""
    clients = ROOT / "export" / "clients"
    programs = [
        [sys.executable, str(clients / "python" / "classify.py"), "--help"],
        [str(node_program()), str(clients / "node" / "classify.mjs"), "--help"],
    ]
    helps = [subprocess.run(words, capture_output=True, text=True, check=True) for words in programs]
    return {option for done in helps for option in OPTION.findall(done.stdout)}


def facts() -> list[tuple[str, object]]:
    """(pattern with a figure of docs/security.md in it, what the code has)."""
    return [
        (r"more than (\d+) files", manifest.MAX_FILES),
        (r"JSON \| over (\d+) MB", plain_data.MAX_JSON_BYTES // 2**20),
        (r"YAML \| over (\d+) kB", plain_data.MAX_YAML_BYTES // 2**10),
        (r"nested deeper than (\d+)", plain_data.MAX_DEPTH),
        (
            r"aliases that mean more than ([\d ]+) values",
            f"{plain_data.MAX_NODES:,}".replace(",", " "),
        ),
        (r"classes over ([\d ]+) \|", f"{MAX_CLASSES:,}".replace(",", " ")),
        (r"depth over (\d+)", architecture.MAX_PARTS),
        (r"over (\d+) golden images", tensors.MAX_GOLDEN),
        (r"overlapping zips; over (\d+) GB", torch_file.MAX_BYTES // 2**30),
        (r"images \| over (\d+) million", images.MAX_PIXELS // 10**6),
        (r"labels over (\d+) MB", tar_index.MAX_LABEL_BYTES // 2**20),
    ]


def test_the_limits_of_the_security_page_are_those_of_the_code() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    found = {pattern: re.search(pattern, text) for pattern, _ in facts()}
    assert {pattern: match and match[1] for pattern, match in found.items()} == {
        pattern: str(expected) for pattern, expected in facts()
    }


def test_the_documents_name_every_target_recipe_and_command() -> None:
    from anas_zoo.cli.app import COMMANDS, GROUPS

    export = (ROOT / "docs/export.md").read_text(encoding="utf-8")
    training = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    assert [name for name in list_targets() if f"`{name}`" not in export] == []
    assert [name for name in Recipe.presets() if f"`{name}`" not in training] == []
    everything = "\n".join((ROOT / file).read_text(encoding="utf-8") for file in documents())
    assert [name for name in (*COMMANDS, *GROUPS) if f"anas {name}" not in everything] == []
    shelf = (ROOT / "models/README.md").read_text(encoding="utf-8")
    assert [name for name in list_models() if f"[{name}]" not in shelf] == []
