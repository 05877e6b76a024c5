"""The files of an entry or a supernet: names, what they may be, and manifest.json with all hashes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from anas_zoo.core.errors import EntryError
from anas_zoo.core.files import sha256_file, write_json
from anas_zoo.core.hints import Call, Part
from anas_zoo.core.schema import Schema, parse, read_json
from anas_zoo.core.text import printable, quoted
from anas_zoo.entry.config import Sha256

CONFIG, REPORT, CARD, MANIFEST = "config.json", "report.json", "README.md", "manifest.json"
WEIGHTS, GOLDEN = "model.safetensors", "golden.safetensors"
SUPERNET, SUPERNET_WEIGHTS = "supernet.json", "supernet.safetensors"
ONNX, LITERT = ".onnx", ".tflite"  # what exported files are, by the end of their names

MAX_FILES = 64  # one for each target, and seven others

# Formats that can run code when they are read. Nothing here opens one, but others might.
PICKLES = {
    *(".bin", ".ckpt", ".dill", ".h5", ".joblib", ".keras", ".mar", ".npy", ".npz", ".pickle", ".pkl", ".pt"),
    *(".pt2", ".pth", ".py", ".pyc", ".so", ".tar"),
}

# Where the entries of a run are, those that are published first.
PLACES = (".", "zoo", "subnets")
RUN, SUPERNET_PLACE = "run.json", "supernet"  # what says that a folder is one, and where its supernet is
LISTED = 4


class FileDigest(Schema):
    """Size and hash of one file."""

    bytes: int = Field(ge=0)
    sha256: Sha256


def _plain_names(files: dict[str, FileDigest]) -> dict[str, FileDigest]:
    if len(files) > MAX_FILES:
        raise ValueError(f"{len(files)} files, at most {MAX_FILES} are allowed")
    bad = [name for name in files if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", name)]
    if bad:
        raise ValueError(f"not the plain name of a file in this folder: {', '.join(map(repr, bad))}")
    return files


class Manifest(Schema):
    """manifest.json: every file of the folder but itself. Names are plain: no path leads out of it."""

    format: Literal[1] = 1
    files: Annotated[dict[str, FileDigest], AfterValidator(_plain_names)]


def check_files(folder: Path) -> dict[str, Path]:
    """The files of an entry or a supernet by name, after a look at what each of them is; nothing is opened.

    Hidden ones (.gitattributes, a download's cache) are not part of it. Raises :class:`EntryError` naming
    what is a symbolic link, no regular file, or of a kind that can run code, and for too many files.
    """
    visible = (path for path in folder.iterdir() if not path.name.startswith("."))
    paths = list(itertools.islice(visible, MAX_FILES + 1))
    if len(paths) > MAX_FILES:
        raise EntryError(f"{folder} holds more than {MAX_FILES} files, which no entry or supernet has")
    for path in paths:
        shown = printable(str(path))
        if path.is_symlink() and not _in_hub_cache(path):
            raise EntryError(f"{shown} is a symbolic link; put a copy of the file there instead")
        if not path.is_file():
            raise EntryError(f"{shown} is not a regular file, and only those can be published; remove it")
        if path.suffix.lower() in PICKLES:
            raise EntryError(
                f"{shown} is of a kind that can run code when it is read (a pickle or the like), and none "
                "is published. It was not opened; remove it"
            )
    return {path.name: path for path in sorted(paths)}


def _is_snapshot(folder: Path) -> bool:
    """Whether ``folder`` is one of the Hub's cache, CACHE/MODEL/snapshots/COMMIT."""
    return folder.resolve().parent.name == "snapshots"


def _in_hub_cache(link: Path) -> bool:
    """Whether ``link`` is of the Hub's cache: to a blob of its MODEL or of the whole CACHE."""
    if not _is_snapshot(link.parent):
        return False
    model = link.parent.resolve().parents[1]
    return any(link.resolve().is_relative_to(place / "blobs") for place in (model, model.parent))


def is_own_file(path: Path) -> bool:
    """Whether ``path`` is a file of its folder: no link, except those of the Hub's cache."""
    return path.is_file() and (not path.is_symlink() or _in_hub_cache(path))


def write_manifest(folder: Path) -> Manifest:
    """Hash every file in ``folder`` and write manifest.json beside them.

    Raises :class:`EntryError` as :func:`check_files` does, and for a name that is not plain.
    """
    digests = {
        name: {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
        for name, path in check_files(folder).items()
        if name != MANIFEST
    }
    manifest = parse(Manifest, {"format": 1, "files": digests}, str(folder), error=EntryError)
    write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest of ``folder``; raises :class:`EntryError` when it is absent or not one."""
    path = folder / MANIFEST
    if path.is_symlink() and not _in_hub_cache(path):
        raise EntryError(f"{path} is a symbolic link; put a copy of the file there instead")
    if folder.is_dir() and not path.exists():
        raise EntryError(f"{path}: no such file", *what_is_meant(folder, MANIFEST))
    return parse(Manifest, read_json(path, error=EntryError), str(path), error=EntryError)


def check_manifest(
    folder: Path,
    manifest: Manifest | None = None,
    sha256: Callable[[str], str] | None = None,
    *,
    names: Iterable[str] | None = None,
) -> Manifest:
    """Compare every file with the manifest.

    A file that is not listed is refused, except in a snapshot of the Hub's cache: a repository may hold more.

    Args:
        folder: of the entry.
        manifest: its manifest where that was read before.
        sha256: gives the hash of a file by its name; default is to read it.
        names: only these files of the manifest; default is all.

    Raises :class:`EntryError` that names every file that is missing, altered or not listed.
    """
    manifest = manifest or read_manifest(folder)
    found = {name: path for name, path in check_files(folder).items() if name != MANIFEST}
    wanted = manifest.files if names is None else {name: manifest.files[name] for name in names}
    problems = [f"{name} is missing" for name in wanted if name not in found]
    if names is None and not _is_snapshot(folder):
        problems += [f"{name} is not in the manifest" for name in found if name not in manifest.files]
    for name, digest in wanted.items():
        if name not in found:
            continue
        same = found[name].stat().st_size == digest.bytes
        if not same or (sha256(name) if sha256 else sha256_file(found[name])) != digest.sha256:
            problems.append(f"{name} was altered (size or SHA-256 differs)")
    if problems:
        raise EntryError(f"{folder}: " + "; ".join(problems) + "; get it again from its source")
    return manifest


def entries_nearby(folder: Path) -> list[Path]:
    """The entries in ``folder``, or of the run there: the published ones, else the drafts."""
    for place in PLACES:
        found = sorted(path.parent for path in (folder / place).glob(f"*/{CONFIG}"))
        if found := [path for path in found if not path.name.startswith(".")]:
            return found
    return []


def what_is_meant(folder: Path, lacks: str) -> tuple[Part, ...]:
    """The end of an error about ``folder``, which has no file ``lacks``; nothing where nothing is near.

    ``lacks`` is CONFIG, SUPERNET or MANIFEST.
    """
    is_entry, is_supernet = ((folder / record).is_file() for record in (CONFIG, SUPERNET))
    if lacks == MANIFEST and (is_entry or is_supernet):
        return "; this is a draft, so publish it first: ", Call("publish", folder, to="DIR")
    if lacks == CONFIG and is_supernet:
        return (
            f"; {folder} is a supernet, and entries are made of its subnets; search it: ",
            Call("search", folder, data="DIR", out="RUN"),
        )
    if not is_entry and (folder / SUPERNET_WEIGHTS).is_file():
        return (
            f"; {folder} has a supernet without its {SUPERNET}, as version 0.2 wrote it, which can be loaded "
            "and searched but not published",
        )
    own = folder / SUPERNET_PLACE
    has_supernet = (own / SUPERNET_WEIGHTS).is_file()
    if lacks == SUPERNET:
        if is_entry:
            return (f"; {folder} is an entry, a fixed network and not a supernet",)
        return (f"; the supernet of this run is {quoted(own)}",) if has_supernet else ()
    beside = f"; its supernet is {quoted(own)}" if has_supernet else ""
    if found := entries_nearby(folder):
        names = ", ".join(quoted(path) for path in found[:LISTED])
        more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
        return (f"; {folder} is not an entry, but these are: {names}{more}{beside}",)
    if (folder / RUN).is_file():
        return f"; {folder} is a run without subnets yet; make some: ", Call("extract", folder), beside
    return ()
