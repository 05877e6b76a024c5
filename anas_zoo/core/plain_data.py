"""JSON and YAML from outside as plain values: limits are checked first, duplicate keys are refused.

What is refused is what two readers could understand differently (a key that is there twice, NaN), what grows
while it is read (aliases), what makes objects (tags), and what no file of ours needs (depth, size).
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import yaml

# The largest file of ours is a split of a million images with its held-out indices, 8 MB.
MAX_JSON_BYTES = 16 * 2**20
# Recipes, targets and spaces are under 3 kB; PyYAML reads some 100 kB a second.
MAX_YAML_BYTES = 2**18
MAX_NODES = 10_000  # of YAML, aliases written out; files of ours have some hundred
MAX_DEPTH = 32  # files of ours have 8 levels at most; Python's own parser gives up at about 1000

_NESTING = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")


class PlainDataError(ValueError):
    """Text that is not plain data; the message says why and, where there is one, at which line."""


def parse_json(text: str) -> Any:
    """The value that ``text`` says; raises :class:`PlainDataError`."""
    if len(text) > MAX_JSON_BYTES:
        raise PlainDataError(f"larger than {MAX_JSON_BYTES} bytes, which no such file is")
    depth = 0
    for found in _NESTING.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth > MAX_DEPTH:
            raise PlainDataError(f"not valid JSON (nested deeper than {MAX_DEPTH} levels)")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_each_key_once,
            parse_constant=_not_a_number,
            parse_float=lambda digits: _finite(float(digits), digits),
            parse_int=lambda digits: _of_64_bits(digits, 10),
        )
        if _HALF_CHARACTER.search(text):  # "\ud800": a text with it can be neither printed nor written
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as exc:
        raise PlainDataError("not valid JSON (it has a lone surrogate, \\ud800 to \\udfff)") from exc
    except (ValueError, RecursionError) as exc:
        raise PlainDataError(f"not valid JSON ({exc})") from exc
    return value


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        double = next(key for key in keys if keys.count(key) > 1)
        raise PlainDataError(f"the key {double!r} is there twice")
    return found


def _not_a_number(word: str) -> Any:
    raise PlainDataError(f"{word} is not a JSON number; only finite ones are allowed")


def _finite(value: float, given: str) -> float:
    if not math.isfinite(value):
        raise PlainDataError(f"the number {given[:40]} is not finite")
    return value


def _of_64_bits(digits: str, base: int) -> int:
    value = int(digits, base) if len(digits) < 100 else 2**64
    if not -(2**63) <= value < 2**63:
        raise PlainDataError(f"the number {digits[:40]} does not fit into 64 bits")
    return value


def parse_yaml(text: str) -> Any:
    """The value that ``text`` says, without tags and with few aliases; raises :class:`PlainDataError`."""
    if len(text) > MAX_YAML_BYTES:
        raise PlainDataError(f"larger than {MAX_YAML_BYTES} bytes, which no such file is")
    try:
        return yaml.load(text, Loader=_PlainLoader)
    # Beside YAMLError: what int(), date() and the like make of a scalar that only looks like one of theirs.
    except (yaml.YAMLError, ValueError, OverflowError, AttributeError, RecursionError) as exc:
        raise PlainDataError(f"not valid YAML ({' '.join(str(exc).split())})") from exc


class _PlainLoader(yaml.SafeLoader):
    """YAML's plain values only."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._nodes = 0
        self._sizes: dict[int, int] = {}  # nodes of what an alias may stand for, by its identity

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        line = f"line {event.start_mark.line + 1}"
        is_alias = isinstance(event, yaml.AliasEvent)
        if not is_alias and event.tag is not None:
            raise PlainDataError(f"{line}: the tag {event.tag!r} is not allowed, only plain values are")
        before, self._nodes, self._depth = self._nodes, self._nodes + 1, self._depth + 1
        if self._depth > MAX_DEPTH:
            raise PlainDataError(f"{line}: nested deeper than {MAX_DEPTH} levels")
        node = super().compose_node(parent, index)
        if is_alias and id(node) not in self._sizes:
            raise PlainDataError(f"{line}: an alias that contains itself")
        if is_alias:
            self._nodes += self._sizes[id(node)]
        if self._nodes > MAX_NODES:
            raise PlainDataError(f"{line}: more than {MAX_NODES} values, each alias counted as what it means")
        self._sizes.setdefault(id(node), self._nodes - before)
        self._depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        found: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        if len(found) != len(node.value):
            raise PlainDataError(f"line {node.start_mark.line + 1}: a key of this mapping is there twice")
        return found

    def construct_yaml_int(self, node: Any) -> int:
        value: int = super().construct_yaml_int(node)
        return _of_64_bits(str(value), 10)

    def construct_yaml_float(self, node: Any) -> float:
        return _finite(super().construct_yaml_float(node), str(node.value))


# SafeLoader's own table names SafeLoader's functions.
_PlainLoader.add_constructor("tag:yaml.org,2002:int", _PlainLoader.construct_yaml_int)
_PlainLoader.add_constructor("tag:yaml.org,2002:float", _PlainLoader.construct_yaml_float)
