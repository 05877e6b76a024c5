"""Options that a command takes from the schema of its recipe, so that each is declared once.

A field gives the option's name, type, bounds and help (its ``description``). A limit of the search gives
a least and a most, such as ``--min-mflops`` and ``--max-mflops``, in the unit that people use.
The schema is imported when the command's own help is shown or the command runs, never for ``anas --help``.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from anas_zoo.searching.objectives import Objective


Command = TypeVar("Command", bound=Callable[..., None])
MARK = "_options_of"
METAVARS: dict[Any, str] = {int: "N", float: "X", str: "TEXT"}


def options_of(schema: str, **fields: str) -> Callable[[Command], Command]:
    """Give a command, which takes them as ``**options``, an option for each of ``fields``.

    Args:
        schema: where the schema lies, as ``"package.module:Class"``.
        fields: metavar of the option by the field's name; ``""`` for the one that fits the type.
    """

    def mark(command: Command) -> Command:
        setattr(command, MARK, (schema, fields))
        return command

    return mark


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """``command`` with a signature that has the options which :func:`options_of` promised."""
    if not hasattr(command, MARK):
        return command
    where, fields = getattr(command, MARK)
    module, _, name = where.partition(":")
    schema: type[BaseModel] = getattr(import_module(module), name)
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    derived = [
        option
        for key, metavar in fields.items()
        for option in _options(key, schema.model_fields[key], metavar)
    ]

    def run(**options: Any) -> None:
        command(**options)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = signature.replace(parameters=[*own, *derived])  # type: ignore[attr-defined]
    return run


def _options(name: str, field: FieldInfo, metavar: str) -> Iterator[inspect.Parameter]:
    kind = _without_none(field.annotation)
    if name == "limits":
        for limit, inner in kind.model_fields.items():
            yield from _limits(limit) if limit in _objectives() else _options(limit, inner, metavar)
    elif kind == tuple[int, ...]:
        yield _parameter(name, str, field, metavar="N,N", parser=_whole_numbers)
    else:
        yield _parameter(name, kind, field, metavar=metavar or METAVARS.get(kind), **_bounds(field))


def _limits(name: str) -> Iterator[inspect.Parameter]:
    """The options of one limit, such as ``--min-mflops`` and ``--max-mflops``; accuracy has no upper one."""
    objective = _objectives()[name]
    needs = " (needs --latency)" if name == "latency_ms" else ""
    option = {"min": 0, "metavar": "X"}
    yield _parameter(f"min_{objective.keyword}", float, f"Least {objective.title}{needs}.", **option)
    if not objective.maximise:
        most = f"Most {objective.title}{needs}; repeatable: the best under each is printed."
        yield _parameter(f"max_{objective.keyword}", list[float], most, **option)


def _objectives() -> Mapping[str, Objective]:
    from anas_zoo.searching.objectives import OBJECTIVES

    return OBJECTIVES


def _whole_numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise typer.BadParameter(f"{text!r}: give whole numbers, such as 224,256") from None


def _parameter(name: str, kind: Any, about: FieldInfo | str, **settings: Any) -> inspect.Parameter:
    help_text = about if isinstance(about, str) else about.description
    option = typer.Option("--" + name.replace("_", "-"), help=help_text, **settings)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _without_none(annotation: Any) -> Any:
    if typing.get_origin(annotation) in (Union, types.UnionType):
        (kind,) = [one for one in typing.get_args(annotation) if one is not type(None)]
        return kind
    return annotation


def _bounds(field: FieldInfo) -> dict[str, float]:
    """typer's ``min`` and ``max`` from the field's constraints."""
    found = {}
    for constraint in field.metadata:
        for bound, option in (("ge", "min"), ("gt", "min"), ("le", "max"), ("lt", "max")):
            if (value := getattr(constraint, bound, None)) is not None:
                found[option] = value
    return found
