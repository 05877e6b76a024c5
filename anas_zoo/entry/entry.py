"""An entry: a folder with config.json and report.json, read and validated. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anas_zoo.core.errors import EntryError
from anas_zoo.core.schema import parse, read_json
from anas_zoo.entry.config import EntryConfig
from anas_zoo.entry.manifest import MANIFEST, check_manifest
from anas_zoo.entry.nearby import what_is_meant
from anas_zoo.entry.report import EntryReport

__all__ = [
    "CARD",
    "CONFIG",
    "GOLDEN",
    "REPORT",
    "WEIGHTS",
    "Entry",
    "EntryConfig",
    "EntryReport",
    "read_config",
    "read_report",
]

CONFIG, REPORT, CARD = "config.json", "report.json", "README.md"
WEIGHTS, GOLDEN = "model.safetensors", "golden.safetensors"


def read_config(folder: Path) -> EntryConfig:
    """The validated config.json of ``folder``; raises :class:`EntryError` with every problem in it."""
    if not folder.is_dir():
        raise EntryError(f"{folder}: no such folder; an entry is a folder with a {CONFIG}")
    path = folder / CONFIG
    if not path.exists():
        raise EntryError(f"{path}: no such file{what_is_meant(folder)}")
    return parse(EntryConfig, read_json(path, error=EntryError), str(path), error=EntryError)


def read_report(folder: Path) -> EntryReport:
    """The validated report.json of ``folder``; raises :class:`EntryError` with every problem in it."""
    path = folder / REPORT
    return parse(EntryReport, read_json(path, error=EntryError), str(path), error=EntryError)


@dataclass(frozen=True)
class Entry:
    """A folder that was read: what it is (``config``), what was measured (``report``), what it holds."""

    folder: Path
    config: EntryConfig
    report: EntryReport
    files: tuple[str, ...]

    @classmethod
    def read(cls, folder: str | Path, *, check_hashes: bool = True) -> Entry:
        """Read and validate ``folder``; a published one (with manifest.json) is compared with its hashes.

        Args:
            folder: an entry or a draft of one.
            check_hashes: False skips hashing the files, for lists of many entries.

        Raises :class:`EntryError` that names the file and every problem found in it.
        """
        folder = Path(folder)
        config = read_config(folder)
        if check_hashes and (folder / MANIFEST).exists():
            check_manifest(folder)
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        return cls(folder, config, read_report(folder), tuple(names))

    @property
    def name(self) -> str:
        """The entry's name as its config says it."""
        return self.config.anas.name

    @property
    def has_weights(self) -> bool:
        """Whether the weights lie in the folder."""
        return WEIGHTS in self.files
