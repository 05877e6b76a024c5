"""Files from outside, before anything reads them: regular files only, of a size that was asked for."""

from __future__ import annotations

import mmap
import re
import stat
from pathlib import Path

from anas_zoo.core.errors import AnasError

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# A StringStringEntry whose key is "location", in every way that protocol buffers may write its tag and its
# length: an ONNX tensor that lies outside its file has one, and onnxruntime refuses an outside one without.
_LOCATION = re.compile(rb"(?:\x0a|\x8a\x80*\x00)(?:\x08|\x88\x80*\x00)location")


# How files begin that people give by mistake.
_BEGINNINGS = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"RIFF": "a WebP image, or another RIFF file",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip archive",
    b"PK\x03\x04": "a zip archive",
    b"\x80\x02": "a pickle",
    b"version https://git-lfs": "a pointer of Git LFS, without its content (git lfs pull)",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
}


def kind_of_file(path: Path) -> str:
    """What a file is by its first bytes, as 'a PNG image'; '' for one that is not known here."""
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except (OSError, ValueError):
        return ""
    kinds = [kind for beginning, kind in _BEGINNINGS.items() if head.startswith(beginning)]
    if kinds:
        return kinds[0]
    if head[8:10] == b'{"' and head[7:8] == b"\0":
        return "a safetensors file"
    return "" if not head or not head.isascii() or b"\0" in head else "a text file"


def refuse_irregular(path: Path, error: type[AnasError], *, most_bytes: int | None = None) -> None:
    """Raise ``error`` for anything but a regular file of at most ``most_bytes``.

    A pipe would keep its reader waiting for ever and a device has no end, so this comes before opening.
    A missing or unreadable file is left to the code that opens it.
    """
    try:
        found = path.stat()
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "no regular file")
        raise error(f"{path}: is {kind}, a file is needed")
    if most_bytes is not None and found.st_size > most_bytes:
        raise error(f"{path}: larger than {most_bytes} bytes, which no such file is")


def refuse_external_data(path: Path, error: type[AnasError]) -> None:
    """Raise ``error`` for an ONNX file with weights outside of it.

    Runtimes follow such a path while they open the file, and how far depends on their version; so
    the bytes are looked through before, without a parser that might read them differently.
    """
    refuse_irregular(path, error)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            outside = data.find(b"location") >= 0 and _LOCATION.search(data) is not None
    except (OSError, ValueError):  # absent or empty: reported when it is opened
        return
    if outside:
        raise error(f"{path}: some of its weights lie outside the file, which is never followed")
