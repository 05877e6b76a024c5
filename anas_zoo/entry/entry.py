"""An entry: a folder whose parts are read and checked once, when they are first asked for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from anas_zoo.core.errors import EntryError
from anas_zoo.core.files import write_json
from anas_zoo.core.schema import parse, read_json
from anas_zoo.entry.config import EntryConfig, WeightsInfo, hub_licence
from anas_zoo.entry.folder import CheckedFolder
from anas_zoo.entry.manifest import CONFIG, GOLDEN, REPORT, WEIGHTS, what_is_meant
from anas_zoo.entry.report import EntryReport
from anas_zoo.entry.tensors import Golden, read_golden


def read_config(folder: Path) -> EntryConfig:
    """The validated config.json of ``folder``; raises :class:`EntryError` with every problem in it."""
    if not folder.is_dir():
        raise EntryError(f"{folder}: no such folder; an entry is a folder with a {CONFIG}")
    path = folder / CONFIG
    if not path.exists():
        raise EntryError(f"{path}: no such file", *what_is_meant(folder, CONFIG))
    return parse(EntryConfig, read_json(path, error=EntryError), str(path), error=EntryError)


def read_report(folder: Path) -> EntryReport:
    """The validated report.json of ``folder``; raises :class:`EntryError` with every problem in it."""
    path = folder / REPORT
    return parse(EntryReport, read_json(path, error=EntryError), str(path), error=EntryError)


def write_report(folder: Path, report: EntryReport) -> None:
    """Replace the report.json of a draft, atomically."""
    write_json(folder / REPORT, report.to_dict())


class Entry(CheckedFolder):
    """A draft or a published entry: what it is, what was measured, and what it holds.

    A stage that changes the folder continues with :meth:`updated`.
    """

    @cached_property
    def config(self) -> EntryConfig:
        """config.json."""
        return read_config(self.folder)

    @cached_property
    def report(self) -> EntryReport:
        """report.json."""
        return read_report(self.folder)

    @cached_property
    def golden(self) -> Golden:
        """golden.safetensors: images and the logits that they have to give."""
        return read_golden(self.folder / GOLDEN, self.config.resolution, self.config.num_classes)

    @property
    def name(self) -> str:
        """The entry's name as its config says it."""
        return self.config.anas.name

    @property
    def weights(self) -> WeightsInfo | None:
        """Where the weights come from; None for an entry without."""
        return self.config.anas.weights

    @property
    def own_files(self) -> tuple[str, ...]:
        """What is published of a draft; it may hold notes and leftovers besides."""
        return (CONFIG, REPORT, WEIGHTS, GOLDEN, *self.report.files)

    @property
    def has_weights(self) -> bool:
        """Whether the weights lie in the folder."""
        return WEIGHTS in self.files

    def _read_records(self) -> None:
        _ = self.report

    def with_config(self, config: EntryConfig) -> Entry:
        """This entry with another config than its folder holds so far."""
        changed = self.updated()
        changed.__dict__["config"] = config
        return changed

    def with_licence(self, licence: str) -> Entry:
        """This entry with its weights under ``licence``; its files stay as they are."""
        config, weights = self.config, self.weights
        if weights is None:
            return self
        weights = weights.model_copy(update={"licence": licence})
        own = config.anas.model_copy(update={"weights": weights})
        timms = config.pretrained_cfg.model_copy(update={"license": hub_licence(licence)})
        return self.with_config(config.model_copy(update={"anas": own, "pretrained_cfg": timms}))

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
