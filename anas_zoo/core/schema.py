"""Validated schemas for every file that is read from outside: all problems at once, nearest key named."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from anas_zoo.core.errors import AnasError, ConfigError, nearest
from anas_zoo.core.outside import kind_of_file, refuse_irregular
from anas_zoo.core.plain_data import MAX_JSON_BYTES, MAX_YAML_BYTES, PlainDataError, parse_json, parse_yaml
from anas_zoo.core.text import hidden_characters, printable

LISTED = 5  # hidden characters that are listed

S = TypeVar("S", bound="Schema")


class Schema(BaseModel):
    """Base of all file schemas: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Sparse(Schema):
    """A record that leaves some fields out while they say nothing, so that older files keep their bytes."""

    LEFT_OUT: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        # No name that needs an import: pydantic 2.10 looks it up in the module of each subclass.
        data: dict[str, Any] = serialise(self)
        fields = type(self).model_fields
        return {
            key: value
            for key, value in data.items()
            if key not in self.LEFT_OUT
            or not (value in (None, (), [], {}) or getattr(self, key) == fields[key].default)
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return self.model_dump(mode="json")


def _model_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The (sub)model whose fields the key at ``loc`` had to be chosen from."""
    current: type[BaseModel] | None = model
    for part in loc:
        if current is None or isinstance(part, int):
            continue
        field = current.model_fields.get(part)
        if field is None:
            return None
        options = [field.annotation, *getattr(field.annotation, "__args__", ())]
        current = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
    return current


def _keys_of(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """Every key of a schema and of the schemas in it, dotted."""
    for name in model.model_fields:
        yield f"{before}{name}"
        if (inner := _model_at(model, (name,))) is not None:
            yield from _keys_of(inner, f"{before}{name}.")


def _elsewhere(model: type[BaseModel], key: str, here: list[str]) -> str:
    """' (did you mean X?)' for a key that is, or nearly is, in another part than ``here``; else ''."""
    last, known = key.rpartition(".")[2], list(_keys_of(model))
    same = [other for other in known if other.rpartition(".")[2] == last]
    if not same and "." not in key and not difflib.get_close_matches(last, here, n=1, cutoff=0.8):
        names = {other.rpartition(".")[2] for other in known}
        close = difflib.get_close_matches(last, names, n=1, cutoff=0.8)
        same = [other for other in known if close and other.rpartition(".")[2] == close[0]]
    return f" (did you mean {' or '.join(repr(other) for other in same)}?)" if same else ""


def parse(model: type[S], data: Any, source: str, *, error: type[AnasError] = ConfigError) -> S:
    """Validate ``data`` (plain dicts and lists) as ``model``.

    Raises ``error`` with one line that names ``source`` and every problem found.
    """
    if not isinstance(data, dict):
        raise error(f"{source}: expected a mapping of keys to values, got {type(data).__name__}")
    if hidden := list(_hidden(data)):
        raise error(f"{source}: " + "; ".join(map(printable, hidden[:LISTED])))
    try:
        return model.model_validate(data)
    except ValidationError as exc:
        problems = []
        for item in exc.errors():
            where = ".".join(str(part) for part in item["loc"])
            if item["type"] == "extra_forbidden":
                owner = _model_at(model, tuple(item["loc"][:-1]))
                known = sorted(owner.model_fields) if owner is not None else []
                hint = _elsewhere(model, where, known) or nearest(str(item["loc"][-1]), known)
                problems.append(f"unknown key {where!r}{hint or '; known: ' + ', '.join(known)}")
            elif item["type"] == "missing":
                problems.append(f"missing key {where!r}")
            else:
                given = repr(item["input"])
                given = given if len(given) <= 60 else given[:57] + "..."
                message = item["msg"].removeprefix("Value error, ")
                problems.append(f"{where or 'file'}: {message} (given {given})")
        raise error(f"{source}: " + "; ".join(problems)) from exc


def _hidden(data: Any, where: str = "") -> Iterator[str]:
    """A problem for each key or text in plain data that has hidden characters."""
    if isinstance(data, str):
        if hidden := hidden_characters(data):
            yield f"{where or 'file'}: has hidden characters ({hidden}), which no name or text here may have"
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from _hidden(str(key), "a key")
            yield from _hidden(value, f"{where}.{key}" if where else str(key))
    elif isinstance(data, list | tuple):
        for place, value in enumerate(data):
            if not isinstance(value, int | float):  # a split has a million of them
                yield from _hidden(value, f"{where}[{place}]")


def _read(path: Path, parse_text: Callable[[str], Any], most_bytes: int, error: type[AnasError]) -> Any:
    refuse_irregular(path, error, most_bytes=most_bytes)
    try:
        return parse_text(path.read_text(encoding="utf-8"))
    except PlainDataError as exc:
        raise error(f"{path}: {exc}") from exc
    except FileNotFoundError as exc:
        raise error(f"{path}: no such file") from exc
    except UnicodeDecodeError as exc:
        kind = kind_of_file(path)
        raise error(f"{path}: cannot be read as text{f', it is {kind}' if kind else ' in UTF-8'}") from exc
    except (OSError, ValueError) as exc:  # ValueError: a path with a null byte
        raise error(f"{path}: cannot be read ({exc})") from exc


def read_json(path: Path, *, error: type[AnasError] = ConfigError) -> Any:
    """The content of a JSON file; raises ``error`` with the line of the first mistake."""
    return _read(path, parse_json, MAX_JSON_BYTES, error)


def read_yaml(path: Path, *, error: type[AnasError] = ConfigError) -> Any:
    """The content of a YAML file of plain values; raises ``error`` with the place."""
    return _read(path, parse_yaml, MAX_YAML_BYTES, error)


def differences(before: Any, now: Any, where: str = "") -> list[str]:
    """Each value in which two pieces of plain data differ, as "key: X there, Y here"."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        found = []
        for key in sorted({*before, *now}):
            inner = f"{where}.{key}" if where else str(key)
            found += differences(before.get(key), now.get(key), inner)
        return found
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [
            line
            for place, (a, b) in enumerate(zip(before, now, strict=True))
            for line in differences(a, b, f"{where}[{place}]")
        ]
    return [] if before == now else [f"{where}: {before!r} there, {now!r} here"]
