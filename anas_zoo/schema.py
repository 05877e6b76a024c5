"""Validated schemas for every file that is read from outside: all problems at once, nearest key named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from anas_zoo.errors import AnasError, ConfigError, nearest

__all__ = ["Schema", "differences", "parse", "read_json", "read_yaml"]

MAX_CONFIG_BYTES = 16 * 2**20  # configs are a few kB; a larger file is not one of ours

S = TypeVar("S", bound="Schema")


class Schema(BaseModel):
    """Base of all file schemas: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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


def parse(model: type[S], data: Any, source: str, *, error: type[AnasError] = ConfigError) -> S:
    """Validate ``data`` (plain dicts and lists) as ``model``.

    Raises ``error`` with one line that names ``source`` and every problem found.
    """
    if not isinstance(data, dict):
        raise error(f"{source}: expected a mapping of keys to values, got {type(data).__name__}")
    try:
        return model.model_validate(data)
    except ValidationError as exc:
        problems = []
        for item in exc.errors():
            where = ".".join(str(part) for part in item["loc"])
            if item["type"] == "extra_forbidden":
                owner = _model_at(model, tuple(item["loc"][:-1]))
                known = sorted(owner.model_fields) if owner is not None else []
                hint = nearest(str(item["loc"][-1]), known)
                problems.append(f"unknown key {where!r}{hint or '; known: ' + ', '.join(known)}")
            elif item["type"] == "missing":
                problems.append(f"missing key {where!r}")
            else:
                given = repr(item["input"])
                given = given if len(given) <= 60 else given[:57] + "..."
                message = item["msg"].removeprefix("Value error, ")
                problems.append(f"{where or 'file'}: {message} (given {given})")
        raise error(f"{source}: " + "; ".join(problems)) from exc


def _read_text(path: Path, error: type[AnasError]) -> str:
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise error(f"{path}: larger than {MAX_CONFIG_BYTES} bytes, which no config is")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise error(f"{path}: no such file") from exc
    except IsADirectoryError as exc:
        raise error(f"{path}: is a folder, a file is needed") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise error(f"{path}: cannot be read ({exc})") from exc


def read_json(path: Path, *, error: type[AnasError] = ConfigError) -> Any:
    """The content of a JSON file; raises ``error`` with the line of the first mistake."""
    text = _read_text(path, error)
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as exc:
        raise error(f"{path}: not valid JSON ({exc})") from exc


def read_yaml(path: Path, *, error: type[AnasError] = ConfigError) -> Any:
    """The content of a YAML file of plain values (no tags); raises ``error`` with the place."""
    text = _read_text(path, error)
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as exc:
        raise error(f"{path}: not valid YAML ({' '.join(str(exc).split())})") from exc


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
