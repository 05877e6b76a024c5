"""What a hostile or damaged file looks like: valid ones, changed at random by bytes or by structure."""

from __future__ import annotations

import copy
import json
import random
import struct
from typing import Any

import yaml

__all__ = ["damaged_bytes", "damaged_json", "damaged_lines", "damaged_safetensors", "damaged_yaml"]

NASTY_TEXTS = (
    *(
        "",
        "../../etc/passwd",
        "/etc/passwd",
        "a\x1b[31mb",
        "\u202egnp.exe",
        "a\x00b",
        "a\nb",
        "\ud800",
        "x" * 5000,
    ),
    *("<script>alert(1)</script>", "`|[x](javascript:1)", "CON", "nan", "1e999", "model.onnx", "\U000e0041"),
)
NASTY_NUMBERS = (
    *(0, -1, 1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**400, 0.5, -0.5, 1e-320, 1e308, 1e19),
    *(float("nan"), float("inf"), float("-inf"), True, False, None),
)
NASTY_INTEGERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)


def damaged_bytes(seed: bytes, rng: random.Random) -> bytes:
    """One to four changes: flipped bits, cut or doubled pieces, sizes out of range."""
    data = bytearray(seed)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(data)) if data else 0
        if rng.random() < 0.4:  # what says something lies at the beginning or the end
            place = (
                min(place, rng.randrange(200)) if rng.random() < 0.7 else max(0, len(data) - place % 200 - 1)
            )
        match rng.randrange(6):
            case 0 if data:
                data[place] ^= 1 << rng.randrange(8)
            case 1:
                del data[place:]
            case 2:
                del data[place : place + rng.choice((1, 4, 64, 1000))]
            case 3:
                piece = data[place : place + rng.choice((1, 8, 64, 1000))]
                data[place:place] = piece * rng.choice((1, 3))
            case 4:
                width = rng.choice((1, 4, 8))
                value = rng.choice(NASTY_INTEGERS) % 256**width
                data[place : place + width] = value.to_bytes(width, rng.choice(("little", "big")))
            case _:
                data[place:place] = rng.randbytes(rng.choice((1, 4, 16)))
    return bytes(data)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key or index) of everything in plain data."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        part = waiting.pop()
        keys = list(part) if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
        for key in keys:
            found.append((part, key))
            waiting.append(part[key])
    return found


def _nasty(rng: random.Random) -> Any:
    match rng.randrange(6):
        case 0:
            return rng.choice(NASTY_TEXTS)
        case 1:
            return rng.choice(([], {}, [[]], {"a": 1}, [None], ["a", 1]))
        case 2:
            nested: Any = rng.choice((1, "x"))
            for _ in range(rng.choice((3, 40, 200))):
                nested = [nested] if rng.random() < 0.5 else {"a": nested}
            return nested
        case 3:
            return [rng.choice((0, "a"))] * rng.choice((2, 70, 3000))
        case _:
            return rng.choice(NASTY_NUMBERS)


def _damaged_value(seed: Any, rng: random.Random) -> Any:
    value = copy.deepcopy(seed)
    for _ in range(rng.randint(1, 3)):
        places = _places(value)
        if not places:
            return _nasty(rng)
        part, key = rng.choice(places)
        match rng.randrange(5):
            case 0:
                del part[key]
            case 1 if isinstance(part, dict):
                part[rng.choice(NASTY_TEXTS)] = part[key]
            case 2:
                other, there = rng.choice(places)
                if there in other if isinstance(other, dict) else there < len(other):
                    part[key] = copy.deepcopy(other[there])
            case _:
                part[key] = _nasty(rng)
    return value


def damaged_json(seed: bytes, rng: random.Random) -> bytes:
    """Plain data with other values, types, keys and depths; sometimes no JSON, or said twice."""
    if rng.random() < 0.3:
        return damaged_bytes(seed, rng)
    text = json.dumps(_damaged_value(json.loads(seed), rng), indent=rng.choice((None, 1)))
    if rng.random() < 0.1 and text.startswith("{"):
        text = "{" + text[1:-1] + ", " + text[1:]
    return text.encode("utf-8")


def damaged_yaml(seed: bytes, rng: random.Random) -> bytes:
    """The same in YAML, with tags and aliases."""
    if rng.random() < 0.3:
        return damaged_bytes(seed, rng)
    value = _damaged_value(yaml.safe_load(seed), rng)
    try:
        text = yaml.dump(value, allow_unicode=False)
    except RecursionError:  # PyYAML's own writer; what JSON writes is YAML too
        text = json.dumps(value)
    match rng.randrange(6):
        case 0:
            text = text.replace(
                ": ", rng.choice((": !!python/name:os.system ", ": !x ", ": &a ", ": *a ")), 1
            )
        case 1:
            text += "z: " + rng.choice(
                ("2001-99-99", "0b2", "1:99:99:99", "._", "0x", ".inf", "!!binary x", "[" * 99)
            )
        case 2:
            lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
            lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
            text += "\n".join(lines)
    return text.encode("utf-8", "surrogatepass")


def damaged_lines(seed: bytes, rng: random.Random) -> bytes:
    """JSON lines, one of them damaged, doubled or cut."""
    lines = seed.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    lines[place] = damaged_json(lines[place].strip(), rng).replace(b"\n", b" ") + b"\n"
    return b"".join(lines) if rng.random() < 0.9 else damaged_bytes(seed, rng)


def damaged_safetensors(seed: bytes, rng: random.Random) -> bytes:
    """Another header over the same tensors: shapes, types and offsets that lie."""
    if rng.random() < 0.3:
        return damaged_bytes(seed, rng)
    (length,) = struct.unpack("<Q", seed[:8])
    header, body = json.loads(seed[8 : 8 + length]), seed[8 + length :]
    name = rng.choice([key for key in header if key != "__metadata__"])
    match rng.randrange(7):
        case 0:
            header[name]["data_offsets"] = [
                rng.choice((0, 1, len(body), 2**63)),
                rng.choice((0, len(body), 2**64)),
            ]
        case 1:
            header[name]["shape"] = [rng.choice((0, 1, 2**31, 2**62, -1)) for _ in range(rng.randrange(5))]
        case 2:
            header[name]["dtype"] = rng.choice(
                ("F64", "I64", "I32", "BOOL", "F16", "BF16", "F8_E4M3", "C64", "X", 1)
            )
        case 3:
            header[name] = header[rng.choice(list(header))]
        case 4:
            header[rng.choice(NASTY_TEXTS)] = header.pop(name)
        case _:
            header = _damaged_value(header, rng)
    if rng.random() < 0.2:
        body = rng.choice((body[:-1], body + b"\0" * 8, b""))
    text = json.dumps(header).encode()
    if rng.random() < 0.5:
        text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body
