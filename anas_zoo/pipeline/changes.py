"""Changes of a recipe that come from a command line."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from anas_zoo.core.errors import ConfigError
from anas_zoo.core.plain_data import PlainDataError, parse_yaml

__all__ = ["Settings", "with_changes"]

Settings: TypeAlias = Sequence[str] | Mapping[str, Any]


def with_changes(
    recipe: Mapping[str, Any], changes: Mapping[str, Any], settings: Settings | None = None
) -> dict[str, Any]:
    """Plain data of a recipe with other values; ``recipe`` stays as it is.

    Args:
        recipe: plain data, not yet validated.
        changes: dotted key -> value; None leaves a key as it is.
        settings: further changes, which win: text such as ``train.epochs=10``, or values by dotted keys.

    Raises :class:`ConfigError` for a setting that cannot be understood.
    """
    wanted = [(key, value) for key, value in changes.items() if value is not None]
    if isinstance(settings, Mapping):
        wanted += settings.items()
        settings = None
    for text in settings or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set {text!r}: give KEY=VALUE, such as train.epochs=10")
        try:
            wanted.append((key.strip(), parse_yaml(value)))
        except PlainDataError as exc:
            raise ConfigError(f"--set {text!r}: the value is not valid YAML") from exc
    found = copy.deepcopy(dict(recipe))
    for key, value in wanted:
        *path, last = key.split(".")
        part = found
        for name in path:
            if part.get(name) is None:
                part[name] = {}
            part = part[name]
            if not isinstance(part, dict):
                raise ConfigError(f"--set {key}: {name!r} has no keys below it")
        part[last] = value
    return found
