"""An entry: a folder whose parts are read and checked once, when they are first asked for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from anas_zoo.core.errors import EntryError
from anas_zoo.core.files import sha256_file, write_json
from anas_zoo.core.schema import parse, read_json
from anas_zoo.entry.config import EntryConfig
from anas_zoo.entry.manifest import (
    CONFIG,
    GOLDEN,
    MANIFEST,
    REPORT,
    WEIGHTS,
    Manifest,
    check_manifest,
    read_manifest,
    what_is_meant,
)
from anas_zoo.entry.report import EntryReport
from anas_zoo.entry.tensors import Golden, read_golden


def read_config(folder: Path) -> EntryConfig:
    """The validated config.json of ``folder``; raises :class:`EntryError` with every problem in it."""
    if not folder.is_dir():
        raise EntryError(f"{folder}: no such folder; an entry is a folder with a {CONFIG}")
    path = folder / CONFIG
    if not path.exists():
        raise EntryError(f"{path}: no such file", *what_is_meant(folder))
    return parse(EntryConfig, read_json(path, error=EntryError), str(path), error=EntryError)


def read_report(folder: Path) -> EntryReport:
    """The validated report.json of ``folder``; raises :class:`EntryError` with every problem in it."""
    path = folder / REPORT
    return parse(EntryReport, read_json(path, error=EntryError), str(path), error=EntryError)


def write_report(folder: Path, report: EntryReport) -> None:
    """Replace the report.json of a draft, atomically."""
    write_json(folder / REPORT, report.to_dict())


class Entry:
    """A draft or a published entry: what it is, what was measured, and what it holds.

    A value: what was read once is kept, so a stage that changes the folder continues with :meth:`updated`.
    ``Entry(folder)`` reads nothing yet, :meth:`read` reads and checks all that is JSON.

    Every part raises :class:`EntryError` that names the file and each problem found in it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._sha256: dict[str, str] = {}

    @classmethod
    def read(cls, folder: str | Path, *, check_hashes: bool = True) -> Entry:
        """Read and validate ``folder``; a published one (with manifest.json) is compared with its hashes.

        Args:
            folder: an entry or a draft of one.
            check_hashes: False skips hashing the files, for lists of many entries.
        """
        entry = cls(folder)
        _ = entry.config
        if check_hashes and (entry.folder / MANIFEST).exists():
            entry.check_hashes()
        _ = entry.report
        return entry

    @cached_property
    def config(self) -> EntryConfig:
        """config.json."""
        return read_config(self.folder)

    @cached_property
    def report(self) -> EntryReport:
        """report.json."""
        return read_report(self.folder)

    @cached_property
    def manifest(self) -> Manifest:
        """manifest.json; a draft has none, which is an error."""
        return read_manifest(self.folder)

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Names of the files in the folder, sorted, without hidden ones."""
        return tuple(sorted(p.name for p in self.folder.iterdir() if not p.name.startswith(".")))

    @cached_property
    def golden(self) -> Golden:
        """golden.safetensors: images and the logits that they have to give."""
        return read_golden(self.folder / GOLDEN, self.config.arch.resolution, self.config.num_classes)

    @property
    def name(self) -> str:
        """The entry's name as its config says it."""
        return self.config.anas.name

    @property
    def is_published(self) -> bool:
        """Whether it has a manifest, and so is complete and fixed."""
        return MANIFEST in self.files

    @property
    def has_weights(self) -> bool:
        """Whether the weights lie in the folder."""
        return WEIGHTS in self.files

    def sha256(self, name: str) -> str:
        """Hex hash of a file of the folder, which is read once for it."""
        if name not in self._sha256:
            self._sha256[name] = sha256_file(self.folder / name)
        return self._sha256[name]

    def check_hashes(self) -> Manifest:
        """Compare every file with the manifest; raises as :func:`check_manifest` does."""
        return check_manifest(self.folder, self.manifest, self.sha256)

    def with_config(self, config: EntryConfig) -> Entry:
        """This entry with another config than its folder holds so far."""
        changed = self.updated()
        changed.__dict__["config"] = config
        return changed

    def updated(self, report: EntryReport | None = None, *, written: str | None = None) -> Entry:
        """The entry after a stage changed its folder; nothing else is read again.

        Args:
            report: replaces report.json.
            written: name of a file that was made or replaced.
        """
        changed = Entry(self.folder)
        changed.__dict__ |= {part: value for part, value in self.__dict__.items() if part != "files"}
        changed._sha256 = {k: v for k, v in self._sha256.items() if k not in (REPORT, written)}
        if report is not None:
            write_report(self.folder, report)
            changed.__dict__["report"] = report
        return changed
