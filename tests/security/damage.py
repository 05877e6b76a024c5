"""Valid files, damaged at random: by bytes, or by the values and keys of plain data."""

from __future__ import annotations

import copy
import json
import random
import struct
from typing import Any

NASTY: tuple[Any, ...] = (
    *("", "../../etc/passwd", "a\x1b[31mb", "\u202egnp.exe", "a\x00b", "\ud800", "x" * 5000, "nan", "1e999"),
    *(0, -1, 2**31, 2**63, 2**64, 10**400, -0.5, 1e308, True, None, float("nan"), float("inf")),
    *([], {}, [[]], {"a": 1}, ["a", 1], [0] * 3000),
)
NASTY_INTEGERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)


def damaged_bytes(seed: bytes, rng: random.Random) -> bytes:
    """One to four changes: flipped bits, cut or doubled pieces, sizes out of range."""
    data = bytearray(seed)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(data)) if data else 0
        if rng.random() < 0.4:  # what says something lies at the beginning
            place = min(place, rng.randrange(200))
        match rng.randrange(5):
            case 0 if data:
                data[place] ^= 1 << rng.randrange(8)
            case 1:
                del data[place:]
            case 2:
                del data[place : place + rng.choice((1, 4, 64, 1000))]
            case 3:
                data[place:place] = data[place : place + rng.choice((1, 8, 64, 1000))]
            case _:
                width = rng.choice((1, 4, 8))
                value = rng.choice(NASTY_INTEGERS) % 256**width
                data[place : place + width] = value.to_bytes(width, rng.choice(("little", "big")))
    return bytes(data)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key or index) of everything in plain data."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in ((value, key), *_places(value[key]))]


def _damaged_value(seed: Any, rng: random.Random) -> Any:
    value = copy.deepcopy(seed)
    for _ in range(rng.randint(1, 3)):
        if not (places := _places(value)):
            break
        part, key = rng.choice(places)
        match rng.randrange(4):
            case 0:
                del part[key]
            case 1 if isinstance(part, dict):
                part[str(rng.choice(NASTY))] = part[key]
            case 2:
                for _ in range(rng.choice((3, 200))):
                    part[key] = [part[key]]
            case _:
                part[key] = copy.deepcopy(rng.choice(NASTY))
    return value


def damaged_json(seed: bytes, rng: random.Random) -> bytes:
    """Plain data (JSON is YAML too) with other values, keys and depths; sometimes other bytes."""
    if rng.random() < 0.3:
        return damaged_bytes(seed, rng)
    return json.dumps(_damaged_value(json.loads(seed), rng)).encode()


def damaged_lines(seed: bytes, rng: random.Random) -> bytes:
    """JSON lines, one of them damaged."""
    lines = seed.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    lines[place] = damaged_json(lines[place].strip(), rng).replace(b"\n", b" ") + b"\n"
    return b"".join(lines)


def damaged_safetensors(seed: bytes, rng: random.Random) -> bytes:
    """Another header over the same tensors: shapes, types and offsets that lie."""
    if rng.random() < 0.3:
        return damaged_bytes(seed, rng)
    (length,) = struct.unpack("<Q", seed[:8])
    text = json.dumps(_damaged_value(json.loads(seed[8 : 8 + length]), rng)).encode()
    return struct.pack("<Q", len(text)) + text + seed[8 + length :]
