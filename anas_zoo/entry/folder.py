"""What an entry and a supernet have in common: a folder of files that are read and hashed once."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Self

from anas_zoo.core.files import sha256_file
from anas_zoo.entry.config import WeightsInfo
from anas_zoo.entry.manifest import MANIFEST, Manifest, check_manifest, read_manifest


class CheckedFolder:
    """A draft or a published thing: its files, their hashes, and the manifest of a published one.

    A value: what was read once is kept. Making one reads nothing yet, :meth:`read` reads and checks all
    that is JSON.

    Every part raises :class:`EntryError` that names the file and each problem found in it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._sha256: dict[str, str] = {}

    @classmethod
    def read(cls, folder: str | Path, *, check_hashes: bool = True) -> Self:
        """Read and validate ``folder``; a published one (with manifest.json) is compared with its hashes.

        Args:
            folder: what is published, or a draft of it.
            check_hashes: False skips hashing the files, for lists of many.
        """
        found = cls(folder)
        _ = found.name
        if check_hashes and (found.folder / MANIFEST).exists():
            found.check_hashes()
        found._read_records()
        return found

    def _read_records(self) -> None:
        """Read every JSON file that :attr:`name` did not."""

    @property
    def name(self) -> str:
        """Its name as its record says it."""
        raise NotImplementedError

    @property
    def weights(self) -> WeightsInfo | None:
        """Where its weights come from; None where it has none."""
        raise NotImplementedError

    @property
    def own_files(self) -> tuple[str, ...]:
        """What is published of a draft; it may hold notes and leftovers besides."""
        raise NotImplementedError

    def with_licence(self, licence: str) -> Self:
        """The same with its weights under ``licence``; the files stay as they are."""
        raise NotImplementedError

    @cached_property
    def manifest(self) -> Manifest:
        """manifest.json; a draft has none, which is an error."""
        return read_manifest(self.folder)

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Names of the files in the folder, sorted, without hidden ones."""
        return tuple(sorted(p.name for p in self.folder.iterdir() if not p.name.startswith(".")))

    @property
    def is_published(self) -> bool:
        """Whether it has a manifest, and so is complete and fixed."""
        return MANIFEST in self.files

    def sha256(self, name: str) -> str:
        """Hex hash of a file of the folder, which is read once for it."""
        if name not in self._sha256:
            self._sha256[name] = sha256_file(self.folder / name)
        return self._sha256[name]

    def check_hashes(self) -> Manifest:
        """Compare every file with the manifest; raises as :func:`check_manifest` does."""
        return check_manifest(self.folder, self.manifest, self.sha256)
