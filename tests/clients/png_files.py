"""PNG files of every kind, for Pillow writes only some of them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["CHANNELS", "chunk", "write_png"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind: bytes, data: bytes) -> bytes:
    """One part of a PNG with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _filtered(row: bytes, above: bytes, step: int, kind: int) -> bytes:
    """``row`` after filter ``kind``, as the PNG specification has it."""
    result = bytearray([kind])
    for i, value in enumerate(row):
        left, corner = (row[i - step], above[i - step]) if i >= step else (0, 0)
        up = above[i]
        nearest = min((abs(left + up - corner - one), at) for at, one in enumerate((left, up, corner)))[1]
        guess = (0, left, up, (left + up) // 2, (left, up, corner)[nearest])[kind]
        result.append((value - guess) % 256)
    return bytes(result)


def _rows(samples: npt.NDArray[np.int64], depth: int) -> bytes:
    """Packed and filtered rows of samples (height, width, channels); the filters take turns."""
    height, width, channels = samples.shape
    step, packed = max(1, channels * depth // 8), b""
    above = bytes((width * channels * depth + 7) // 8)
    for y in range(height):
        bits = "".join(f"{value:0{depth}b}" for value in samples[y].ravel())
        row = int(bits.ljust(8 * len(above), "0"), 2).to_bytes(len(above), "big")
        packed += _filtered(row, above, step, y % 5)
        above = row
    return packed


def write_png(
    path: Path,
    samples: npt.NDArray[np.int64],
    *,
    depth: int,
    colour: int,
    interlaced: bool = False,
    extra: tuple[tuple[bytes, bytes], ...] = (),
) -> None:
    """Write samples (height, width, channels) of ``depth`` bits; ``extra`` chunks come before the pixels."""
    height, width, _ = samples.shape
    parts = ADAM7 if interlaced else ((0, 0, 1, 1),)
    cut = [samples[y::dy, x::dx] for x, y, dx, dy in parts]
    raw = b"".join(_rows(part, depth) for part in cut if part.size)
    data = zlib.compress(raw)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    middle = len(data) // 2  # two IDAT chunks: a reader has to join them
    chunks = [(b"IHDR", header), *extra, (b"IDAT", data[:middle]), (b"IDAT", data[middle:]), (b"IEND", b"")]
    path.write_bytes(SIGNATURE + b"".join(chunk(kind, content) for kind, content in chunks))
