"""From a foreign state dict to the tensors of a network here, with an account of every one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from anas_zoo.core.errors import CheckpointError
from anas_zoo.core.hints import Part
from anas_zoo.entry.config import MAX_CLASSES
from anas_zoo.nets.sources.families import which_import

LISTED = 10  # names listed per kind of problem; the rest is counted
COUNTERS = "counters of batches"
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class KeyCoverage:
    """What became of every tensor of a checkpoint. Of those that are needed none is missing.

    Attributes:
        used: the file's names of the tensors that were taken.
        unused: those that no architecture uses, by the reason.
        absent: tensors that such a file usually has, that no architecture uses, and that are not there.
        other: what the file holds beside its tensors; it was not looked at.
    """

    used: tuple[str, ...]
    unused: dict[str, tuple[str, ...]]
    absent: tuple[str, ...] = ()
    other: tuple[str, ...] = ()

    def describe(self) -> str:
        """One line for people."""
        reasons = ", ".join(f"{len(names)} {reason}" for reason, names in self.unused.items() if names)
        unused = sum(map(len, self.unused.values()))
        return (
            f"{len(self.used) + unused} tensors in the file: {len(self.used)} used, {unused} not used"
            f"{f' ({reasons})' if reasons else ''}, 0 missing"
        )

    def counts(self) -> dict[str, int]:
        """How many tensors were used, how many were not by the reason, and how many were missing."""
        unused = {f"not used, {reason}": len(names) for reason, names in self.unused.items() if names}
        return {"used": len(self.used), **unused, "missing": 0}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for machines."""
        return {
            "used": list(self.used),
            "unused": {reason: list(names) for reason, names in self.unused.items()},
            "missing": [],
            "absent_and_not_needed": list(self.absent),
            "other": list(self.other),
        }


@dataclass(frozen=True)
class ForeignTensors:
    """A checkpoint's tensors by its own names, and what is known about such files.

    Attributes:
        path: the file.
        tensors: its state dict, of which nothing is known yet.
        beside: what the file holds beside its tensors.
        kind: the kind of import that reads such files, as in ``anas import KIND``.
        network: what such a file holds, for errors: "the AttentiveNAS supernet".
        unused: patterns of the names that are there for nothing, by the reason.
    """

    path: Path
    tensors: Mapping[str, Any]
    beside: tuple[str, ...]
    kind: str
    network: str
    unused: Mapping[str, re.Pattern[str]]

    def fill(
        self, network: nn.Module, names: Mapping[str, str], *, expected: Iterable[str] = ()
    ) -> KeyCoverage:
        """Give ``network`` (made on the device ``meta``) the file's tensors, as float32, and zero counters.

        Args:
            network: its every parameter and buffer but the batch counters is in the values of ``names``.
            names: the network's name of each of the file's tensors that it needs.
            expected: names of tensors that no architecture uses, but that such a file usually has.

        Raises :class:`CheckpointError` when the file does not hold exactly these tensors: every missing,
        misshapen, unexpected and non-finite one is listed by the file's name.
        """
        wanted = network.state_dict()
        self.check({theirs: wanted[ours].shape for theirs, ours in names.items()})
        state = {
            name: torch.zeros_like(value, device="cpu")
            for name, value in wanted.items()
            if name.endswith(_COUNTER)
        }
        for theirs, ours in names.items():
            state[ours] = self.tensors[theirs].detach().to(torch.float32, copy=True).contiguous()
        network.load_state_dict(state, assign=True)
        unused: dict[str, list[str]] = {reason: [] for reason in self.unused}
        for name in self.tensors:
            if name not in names:
                unused[next(reason for reason, of in self.unused.items() if of.search(name))].append(name)
        return KeyCoverage(
            used=tuple(names),
            unused={reason: tuple(found) for reason, found in unused.items()},
            absent=tuple(name for name in expected if name not in self.tensors),
            other=self.beside,
        )

    def check(self, shapes: Mapping[str, torch.Size]) -> None:
        """Raise one CheckpointError with everything by which the tensors differ from ``shapes``."""
        missing = [name for name in shapes if name not in self.tensors]
        if missing and (len(missing) == len(shapes) or self._fitting_import()):
            raise self.of_another_network()
        unexpected = [
            name
            for name in self.tensors
            if name not in shapes and not any(reason.search(name) for reason in self.unused.values())
        ]
        misshapen, foreign, infinite = [], [], []
        for name, shape in shapes.items():
            value = self.tensors.get(name)
            if value is None and name not in self.tensors:
                continue
            if not isinstance(value, Tensor) or value.layout != torch.strided or value.device.type != "cpu":
                foreign.append(f"{name} ({type(value).__name__})")
            elif not value.is_floating_point():
                foreign.append(f"{name} ({value.dtype})")
            elif value.shape != shape:
                misshapen.append(f"{name} is {tuple(value.shape)}, needed {tuple(shape)}")
            elif not torch.isfinite(value).all():
                infinite.append(name)
        kinds: list[tuple[str, list[str]]] = [
            ("missing", missing),
            ("of wrong shape", misshapen),
            ("not dense floating-point tensors", foreign),
            ("unexpected", unexpected),
            ("not finite", infinite),
        ]
        problems = [f"{len(names)} {kind}: {listed(names)}" for kind, names in kinds if names]
        if problems:
            raise CheckpointError(f"{self.path}: not {self.network}; " + "; ".join(problems))

    def of_another_network(self) -> CheckpointError:
        """The error about a file of another network; it names the import that fits, where one does."""
        found = listed([repr(name) for name in self.tensors]) or "nothing"
        return CheckpointError(
            f"{self.path}: holds another network than {self.network}; it has {found}",
            *self._fitting_import(),
        )

    def _fitting_import(self) -> tuple[Part, ...]:
        return which_import(self.tensors, self.path, but=self.kind)

    def count_classes(self, bias: str, wanted: int | None = None) -> int:
        """The number of classes by the classifier's ``bias``; raises CheckpointError if not ``wanted``.

        Of a file without such a bias it is ``wanted`` or 1000: the check of all tensors reports it.
        """
        shape = self.shape(bias)
        if shape is None or len(shape) != 1 or shape[0] == 0:
            return wanted or 1000
        if shape[0] > MAX_CLASSES:
            raise CheckpointError(
                f"{self.path}: its classifier has {shape[0]} classes, at most {MAX_CLASSES} are"
            )
        if wanted is not None and wanted != shape[0]:
            raise CheckpointError(
                f"{self.path}: its classifier has {shape[0]} classes, {wanted} were asked for"
            )
        return shape[0]

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of a tensor; None where ``name`` is missing or no tensor."""
        value = self.tensors.get(name)
        return tuple(value.shape) if isinstance(value, Tensor) else None


def listed(names: list[str]) -> str:
    """The first names in words, and how many more there are."""
    rest = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {rest} more" if rest > 0 else "")
