"""What to run or give next, as parts that read well both in Python and on the command line.

Stages are functions and commands of the same names and options, so one hint serves both readers.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

# Stages that are functions of anas_zoo; the others are commands only, in Python's messages too.
FUNCTIONS = frozenset(
    [
        *("evaluate", "export", "extract", "finetune", "profile", "publish"),
        *("pull", "run", "search", "train", "validate", "verify"),
    ]
)
Value: TypeAlias = "str | os.PathLike[str] | int | float | Iterable[str]"


@dataclass(frozen=True, init=False)
class Call:
    """A stage to run: ``Call("export", folder, target="ort-cpu-int8")``.

    Args:
        stage: name of the function and the command; of a group's command both words, ``"latency fit"``.
        arguments: the positional ones. Capitals, such as ``"DIR"``, stand for what the user fills in.
        options: by their Python names; True is a flag, a list is an option given several times, and None and
            False are left out.
    """

    stage: str
    arguments: tuple[str, ...]
    options: tuple[tuple[str, Value], ...]

    def __init__(self, stage: str, *arguments: Value, **options: Value | None) -> None:
        object.__setattr__(self, "stage", stage)
        object.__setattr__(self, "arguments", tuple(map(str, arguments)))
        given = tuple((k, v) for k, v in options.items() if v is not None and v is not False)
        object.__setattr__(self, "options", given)


@dataclass(frozen=True)
class Option:
    """An argument of the stage that runs, and a value to give it: ``Option("device", "cpu")``."""

    name: str
    value: Value | None = None


Part: TypeAlias = "str | Call | Option"


def _listed(value: Value) -> list[str]:
    return list(map(str, [value] if isinstance(value, (str, os.PathLike, int, float)) else value))


def _python(value: Value) -> str:
    if isinstance(value, (int, float)):
        return repr(value)
    return repr(str(value) if isinstance(value, (str, os.PathLike)) else _listed(value))


def _in_python(part: Part) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Option):
        return part.name if part.value is None else f"{part.name}={_python(part.value)}"
    if part.stage not in FUNCTIONS:
        return _in_command_line(part)
    given = [*map(repr, part.arguments), *(f"{name}={_python(value)}" for name, value in part.options)]
    return f"anas_zoo.{part.stage}({', '.join(given)})"


def _words(name: str, value: Value) -> list[str]:
    option = "--" + name.rstrip("_").replace("_", "-")
    if value is True:
        return [option]
    return [word for one in _listed(value) for word in (option, shlex.quote(one))]


def _in_command_line(part: Part) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Option):
        return " ".join(_words(part.name, True if part.value is None else part.value))
    words = ["anas", part.stage, *map(shlex.quote, part.arguments)]
    for name, value in part.options:
        words += _words(name, value)
    return " ".join(words)


def as_python(parts: Iterable[Part]) -> str:
    """The text for whoever calls functions: ``anas_zoo.export('runs/a')``, ``device='cpu'``."""
    return "".join(map(_in_python, parts))


def as_command_line(parts: Iterable[Part]) -> str:
    """The text for whoever types commands: ``anas export runs/a``, ``--device cpu``."""
    return "".join(map(_in_command_line, parts))
