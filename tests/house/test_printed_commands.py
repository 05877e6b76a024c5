"""Every command and option that a message, a note or a docstring names exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from anas_zoo.cli import app

PACKAGE = Path(app.__file__).parents[1]
FILES = sorted(PACKAGE.rglob("*.py"))
HOLE = "\0"  # stands for what a message fills in
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
# Options of other programs: torchrun, Python's web server, pip, tar, npm, docker.
FOREIGN = {"--nproc-per-node", "--bind", "--directory", "--force-reinstall", "--dereference"}
FOREIGN |= {"--ignore-scripts", "--loglevel", "--no-audit", "--no-fund", "--prefix", "--no-cache"}
FOREIGN |= {"--help", "--shm-size"}
PROSE = {"and", "or", "is", "that", "to", "for", "shows", "checks", "with"}


@cache
def options() -> dict[tuple[str, ...], set[str]]:
    """The options of each command, by its words."""

    def of(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], set[str]]]:
        yield words, {name for parameter in command.params for name in parameter.opts}
        for name, inner in getattr(command, "commands", {}).items():
            yield from of(inner, (*words, name))

    return dict(of(typer.main.get_command(app.make_app()), ()))


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, text) of every string, with :data:`HOLE` for what is filled in."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else HOLE for part in node.values]
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.lineno, node.value


def problems_of(text: str) -> list[str]:
    """What is wrong with the commands that ``text`` names."""
    found = []
    for match in re.finditer(r"\banas ([a-z]+)\b(?!:)([^;\n]*)", text):
        words: tuple[str, ...] = (match[1],)
        if match[1] in PROSE:
            continue
        if words not in options():
            found.append(f"no command 'anas {match[1]}'")
            continue
        rest = match[2].split("anas ")[0]
        second = re.match(r" ([a-z]+(?:-[a-z]+)*)\b", rest)
        if match[1] in app.GROUPS and second and (*words, second[1]) in options():
            words = (*words, second[1])
        found += [
            f"'anas {' '.join(words)}' has no {option}"
            for option in OPTION.findall(re.split(r"[,()`]| or ", rest)[0])
            if option not in options()[words] | FOREIGN
        ]
    return found


def problems_of_hints(tree: ast.AST) -> Iterator[str]:
    """What is wrong with the ``Call``s and ``Option``s of a module: unknown commands and options."""
    for node in ast.walk(tree):
        name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
        if not isinstance(node, ast.Call) or name not in ("Call", "Option") or not node.args:
            continue
        first = node.args[0]
        if not isinstance(first, ast.Constant):
            continue  # an option that is passed in
        if name == "Option":
            wanted, of = [str(first.value)], set().union(*options().values())
        else:
            words = tuple(str(first.value).split())
            if words not in options():
                yield f"{node.lineno}: no command 'anas {' '.join(words)}'"
                continue
            wanted, of = [keyword.arg or "" for keyword in node.keywords], options()[words]
        for option in wanted:
            if option and "--" + option.rstrip("_").replace("_", "-") not in of:
                yield f"{node.lineno}: {first.value!r} has no option of the name {option!r}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_commands_exist(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [f"{line}: {problem}" for line, text in strings(tree) for problem in problems_of(text)]
    assert [*found, *problems_of_hints(tree)] == []


@pytest.mark.parametrize(
    ("code", "problems"),
    [
        ("Call('extract', run, arch=[1])", []),
        ("Call('latency fit', space='x')", []),
        ("Call('extrct', run)", ["1: no command 'anas extrct'"]),
        ("Call('extract', run, arhc=1)", ["1: 'extract' has no option of the name 'arhc'"]),
        ("Option('nothing')", ["1: 'nothing' has no option of the name 'nothing'"]),
        ("Option(option)", []),
    ],
)
def test_wrong_hints_are_seen(code: str, problems: list[str]) -> None:
    assert list(problems_of_hints(ast.parse(code))) == problems


# Texts for people, which name commands on purpose: cards and pages.
DOCUMENTS = {"zoo/card.py", "zoo/catalog/gallery.py", "entry/licence.py"}
OPTION_OR_COMMAND = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+|\banas (?!latency model \d)[a-z]+")


def strings_of_messages(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, text) of every string that is no docstring."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
    for line, text in strings(tree):
        if text not in docs:
            yield line, text


def named_in(code: str) -> list[str]:
    """The options and commands that the messages of a module name, each with its line."""
    return [
        f"{line}: {match[0]}"
        for line, text in strings_of_messages(ast.parse(code))
        for match in OPTION_OR_COMMAND.finditer(text)
        if match[0] not in FOREIGN and match[0].partition(" ")[2] not in PROSE
    ]


BELOW_THE_COMMAND_LINE = [
    path
    for path in FILES
    if (place := path.relative_to(PACKAGE)).parts[0] != "cli" and str(place) not in DOCUMENTS
]


def test_no_layer_below_cli_writes_commands_or_options() -> None:
    found = {str(p.relative_to(PACKAGE)): named_in(p.read_text("utf-8")) for p in BELOW_THE_COMMAND_LINE}
    assert {file: names for file, names in found.items() if names} == {}


def test_only_the_command_line_prints() -> None:
    prints = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in BELOW_THE_COMMAND_LINE
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    # The line that the command line prints with; the others are programs of their own.
    programs = {"core/progress.py", "pipeline/side_process.py", "zoo/config_only.py"}
    assert {name.partition(":")[0] for name in prints} <= programs


def test_commands_and_options_in_messages_are_seen() -> None:
    assert named_in('"""Run anas search."""\nraise E(f"run: anas search {x}")') == ["2: anas search"]
    assert named_in('raise E("give another --out; see npm --force-reinstall")') == ["1: --out"]


def test_every_option_that_is_named_exists() -> None:
    known = set().union(*options().values()) | FOREIGN
    found = {
        option: f"{path.relative_to(PACKAGE)}:{line}"
        for path in FILES
        for line, text in strings(ast.parse(path.read_text(encoding="utf-8")))
        for option in OPTION.findall(text)
        if option not in known
    }
    assert found == {}


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("run: anas extract RUN --max-mflops 5", []),
        ("run: anas extract RUN --out DIR; give --out", ["'anas extract' has no --out"]),
        ("run: anas extrct RUN", ["no command 'anas extrct'"]),
        ("first: anas latency fit --space NAME --out FILE", []),
        ("first: anas latency fit --sapce NAME", ["'anas latency fit' has no --sapce"]),
    ],
)
def test_wrong_commands_are_seen(text: str, problems: list[str]) -> None:
    assert problems_of(text) == problems
