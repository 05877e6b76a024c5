"""manifest.json: size and SHA-256 of every file of an entry, written last and checked first."""

from __future__ import annotations

from pathlib import Path

from anas_zoo.errors import EntryError
from anas_zoo.files import sha256_file, write_json
from anas_zoo.schema import parse, read_json
from anas_zoo.zoo.evidence import FileDigest, Manifest

__all__ = ["MANIFEST", "check_manifest", "read_manifest", "write_manifest"]

MANIFEST = "manifest.json"


def _files_of(folder: Path) -> dict[str, Path]:
    """The files of a flat folder; hidden ones (.gitattributes, a download's cache) are not the entry's."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == MANIFEST:
            continue
        if path.is_symlink():
            raise EntryError(f"{path} is a symbolic link; an entry holds its files itself, so copy it there")
        if not path.is_file():
            raise EntryError(f"{path} is no regular file; an entry is a flat folder of files, so remove it")
        found[path.name] = path
    return found


def write_manifest(folder: Path) -> Manifest:
    """Hash every file in ``folder`` and write manifest.json beside them.

    Raises :class:`EntryError` for a symbolic link, a sub-folder or a name that is not plain.
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
