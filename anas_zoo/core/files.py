"""Files that are either whole or absent: atomic writes, output folders, hashes, canonical JSON."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from anas_zoo.core.errors import DiskFullError, OutputError
from anas_zoo.core.hints import Option
from anas_zoo.core.text import quoted


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, ASCII, no NaN; what content hashes are made of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_bytes(data: bytes) -> str:
    """Hex SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's content, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write ``target`` into errors a user can act on.

    Raises :class:`DiskFullError` when the device, the quota or the allowed file size is exhausted,
    :class:`OutputError` otherwise.
    """
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFullError(
                f"no space left while writing {target} ({exc.strerror}); "
                "free some space or write to another place"
            ) from exc
        if exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise OutputError(f"cannot write {target}: {exc.strerror}") from exc
        raise


@contextlib.contextmanager
def _no_such_place(target: Path) -> Iterator[None]:
    """Some file systems say that a folder does not exist where nothing may be made in it."""
    try:
        yield
    except FileNotFoundError as exc:
        raise OutputError(f"cannot write {target}: nothing can be made in {target.parent}") from exc


def atomic_write(path: Path, data: bytes | str) -> None:
    """Write ``data`` so that ``path`` holds either its old content or all of the new one."""
    content = data.encode("utf-8") if isinstance(data, str) else data
    with disk_errors(path):
        with _no_such_place(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)  # mkstemp's 0600 would survive into published folders
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON with sorted keys, atomically."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False)
    atomic_write(path, text + "\n")


def refuse_occupied(path: Path, option: str = "out") -> None:
    """Raise :class:`OutputError` when ``path`` is a file or a folder that holds something.

    ``option`` is the argument of the running stage that names ``path``.
    """
    if path.is_dir():
        count = sum(1 for _ in path.iterdir())
        if count:
            # Never the folder that the user works in, which '.' and '' name.
            ours = path.resolve() not in (Path.cwd(), *Path.cwd().parents)
            remove = f", or remove it first: rm -r {quoted(path)}" if ours else ""
            raise OutputError(
                f"{path} already holds {count} item{'s' if count > 1 else ''}; give another ",
                Option(option),
                remove,
            )
    elif path.exists() or path.is_symlink():
        raise OutputError(f"{path} is a file; give the name of a new folder as ", Option(option))


@contextlib.contextmanager
def output_folder(path: Path, option: str = "out") -> Iterator[Path]:
    """A folder to fill that becomes ``path`` only when the block ends well.

    The work happens in a hidden sibling, so that the last step is one rename; any exception, Ctrl-C
    included, removes the sibling and leaves ``path`` as it was. Raises as :func:`refuse_occupied` does, and
    :class:`DiskFullError` when the device is full.
    """
    refuse_occupied(path, option)
    with disk_errors(path):
        with _no_such_place(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        try:
            os.chmod(staging, 0o755)
            yield staging
            refuse_occupied(path, option)
            os.replace(staging, path)  # an empty folder at the target is replaced too
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
