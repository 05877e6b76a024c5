"""manifest.json: size and SHA-256 of every file of an entry, written last and checked first."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from anas_zoo.core.errors import EntryError
from anas_zoo.core.files import sha256_file, write_json
from anas_zoo.core.resources import resource_folder
from anas_zoo.core.schema import Schema, parse, read_json
from anas_zoo.core.text import printable
from anas_zoo.entry.config import Sha256
from anas_zoo.entry.nearby import what_is_meant

__all__ = [
    "MANIFEST",
    "MAX_FILES",
    "FileDigest",
    "Manifest",
    "check_files",
    "check_manifest",
    "read_manifest",
    "write_manifest",
]

MANIFEST = "manifest.json"


class FileDigest(Schema):
    """Size and hash of one file."""

    bytes: int = Field(ge=0)
    sha256: Sha256


MAX_FILES = 64  # one for each target, and seven others


def _plain_names(files: dict[str, FileDigest]) -> dict[str, FileDigest]:
    if len(files) > MAX_FILES:
        raise ValueError(f"{len(files)} files, at most {MAX_FILES} are in an entry")
    if len({name.lower() for name in files}) < len(files):
        raise ValueError("two names differ only in upper and lower case, which some disks cannot tell apart")
    bad = [name for name in files if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", name)]
    if bad:
        raise ValueError(f"not the plain name of a file in this folder: {', '.join(map(repr, bad))}")
    return files


class Manifest(Schema):
    """manifest.json: every file of the entry but itself. Names are plain: no path leads out of it."""

    format: Literal[1] = 1
    files: Annotated[dict[str, FileDigest], AfterValidator(_plain_names)]


# Formats that can run code when they are read. Nothing here opens one, but others might.
PICKLES = {
    *(".bin", ".ckpt", ".dill", ".h5", ".joblib", ".keras", ".mar", ".npy", ".npz", ".pickle", ".pkl", ".pt"),
    *(".pt2", ".pth", ".py", ".pyc", ".so", ".tar"),
}


def check_files(folder: Path) -> dict[str, Path]:
    """The files of an entry by name, after a look at what each of them is; nothing is opened.

    Hidden ones (.gitattributes, a download's cache) are not the entry's. Raises :class:`EntryError` naming
    what is a link, no regular file, or of a kind that can run code, and when there are far too many.
    """
    paths = list(itertools.islice(_visible(folder), MAX_FILES + 1))
    if len(paths) > MAX_FILES:
        raise EntryError(f"{folder} holds more than {MAX_FILES} files, which no entry does")
    for path in paths:
        shown = printable(str(path))
        if path.is_symlink():
            raise EntryError(f"{shown} is a symbolic link; an entry holds its files itself, so copy it there")
        if not path.is_file():
            raise EntryError(f"{shown} is no regular file; an entry is a flat folder of files, so remove it")
        if path.suffix.lower() in PICKLES:
            raise EntryError(
                f"{shown} is of a kind that can run code when it is read (a pickle or the like); an entry "
                "has none. It was not opened; remove it"
            )
        if path.stat().st_nlink > 1 and not _installed(folder):
            raise EntryError(
                f"{shown} is a hard link to a file that has another name elsewhere; an entry holds its files "
                "itself, so copy it there"
            )
    return {path.name: path for path in sorted(paths)}


def _visible(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if not path.name.startswith("."))


def _installed(folder: Path) -> bool:
    """Whether it is of the package's own shelf, which installers link from their caches."""
    return folder.resolve().parent == resource_folder("models").resolve()


def _files_of(folder: Path) -> dict[str, Path]:
    return {name: path for name, path in check_files(folder).items() if name != MANIFEST}


def write_manifest(folder: Path) -> Manifest:
    """Hash every file in ``folder`` and write manifest.json beside them.

    Raises :class:`EntryError` as :func:`check_files` does, and for a name that is not plain.
    """
    digests = {
        name: {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
        for name, path in _files_of(folder).items()
    }
    manifest = parse(Manifest, {"format": 1, "files": digests}, str(folder), error=EntryError)
    write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest of ``folder``; raises :class:`EntryError` when it is absent or not one."""
    path = folder / MANIFEST
    if path.is_symlink():
        raise EntryError(f"{path} is a symbolic link; an entry holds its files itself, so copy it there")
    if folder.is_dir() and not path.exists():
        raise EntryError(f"{path}: no such file{what_is_meant(folder)}")
    return parse(Manifest, read_json(path, error=EntryError), str(path), error=EntryError)


def check_manifest(folder: Path) -> Manifest:
    """Compare every file with the manifest.

    Raises :class:`EntryError` that names every file that is missing, altered or not listed.
    """
    manifest, found = read_manifest(folder), _files_of(folder)
    problems = [f"{name} is missing" for name in manifest.files if name not in found]
    problems += [f"{name} is not in the manifest" for name in found if name not in manifest.files]
    for name, digest in manifest.files.items():
        if name in found and not _same(found[name], digest):
            problems.append(f"{name} was altered (size or SHA-256 differs)")
    if problems:
        raise EntryError(f"{folder}: " + "; ".join(problems) + "; get the entry again from its source")
    return manifest


def _same(path: Path, digest: FileDigest) -> bool:
    return path.stat().st_size == digest.bytes and sha256_file(path) == digest.sha256
