"""The whole state of a training as one file: safetensors with plain JSON in its header, never a pickle.

Everything random follows from the seed and the step (see :class:`anas_zoo.training.sampling.Moment`), so
the generators' state is these numbers; what is not (weights, momentum, counters) is in the file.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from anas_zoo.core.errors import CheckpointError
from anas_zoo.core.files import atomic_write, canonical_json
from anas_zoo.core.plain_data import parse_json
from anas_zoo.core.progress import note
from anas_zoo.core.schema import differences

FORMAT = "anas-zoo training 1"
BEST = "best.safetensors"
CHECKPOINTS = "checkpoints"  # of a training's folder


@dataclass
class TrainState:
    """What a training knows beside its tensors; the position in the data follows from ``step``.

    ``rollbacks``, returns to an earlier checkpoint, is the second word of the seed; ``images`` counts those
    passed forward, trials included; ``counters`` are the sampler's state; ``best`` is the highest mean
    accuracy so far, in percent.
    """

    step: int = 0
    rollbacks: int = 0
    images: int = 0
    counters: dict[str, Any] = field(default_factory=dict)
    best: float | None = None


def latest_step(training: Path) -> int:
    """Step of the latest checkpoint of the training in that folder, 0 where there is none."""
    return max([0, *CheckpointFolder(training / CHECKPOINTS, {}, keep=1).steps()])


class CheckpointFolder:
    """The checkpoints of one training, the ``keep`` last and the best.

    Each appears in one rename: a process killed inside a write leaves at most a hidden file, removed here.
    ``identity``: what a training must have in common with a checkpoint to continue from it, as plain data.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], *, keep: int) -> None:
        self.folder, self._identity, self._keep = folder, dict(identity), keep

    def steps(self) -> list[int]:
        """Steps of the checkpoints that are there, ascending."""
        found = (re.fullmatch(r"step-(\d+)\.safetensors", path.name) for path in self._files())
        return sorted(int(match[1]) for match in found if match)

    def path(self, step: int) -> Path:
        """The file of a step."""
        return self.folder / f"step-{step:09d}.safetensors"

    def save(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, state: TrainState, *, best: bool
    ) -> None:
        """Write the state, also as the best if it is, and remove what is too old.

        Raises :class:`DiskFullError` with every earlier checkpoint still in place.
        """
        header = {"format": FORMAT, "identity": self._identity, "state": asdict(state)}
        tensors = _tensors_of(model, optimizer)
        content = save(tensors, {"anas": canonical_json(header)})
        atomic_write(self.path(state.step), content)
        if best:
            atomic_write(self.folder / BEST, content)
        for step in self.steps()[: -self._keep]:
            self.path(step).unlink(missing_ok=True)
        self.tidy()

    def load_latest(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> TrainState | None:
        """Restore the latest checkpoint that can be read; None when there is none at all.

        A damaged one is reported and the one before it taken. Raises :class:`CheckpointError` when all are
        damaged, or when one is of another training, naming the difference.
        """
        damaged = []
        for step in reversed(self.steps()):
            try:
                state, tensors = self._read(self.path(step))
            except _DamagedError as exc:
                damaged.append(str(exc))
                note(f"  {exc}; trying the one before it")
                continue
            _restore(model, optimizer, tensors, self.path(step))
            return state
        if damaged:
            raise CheckpointError(f"no checkpoint in {self.folder} can be read: " + "; ".join(damaged))
        return None

    def tidy(self) -> None:
        """Remove what a killed process left half-written."""
        for path in self._files():
            if re.fullmatch(r"\.(step-\d+|best)\.safetensors\..*", path.name):
                with contextlib.suppress(OSError):
                    path.unlink()

    def _files(self) -> list[Path]:
        return list(self.folder.iterdir()) if self.folder.is_dir() else []

    def _read(self, path: Path) -> tuple[TrainState, dict[str, Tensor]]:
        try:
            with safe_open(path, framework="pt") as file:
                header = parse_json((file.metadata() or {}).get("anas", "null"))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if header["format"] != FORMAT:
                raise CheckpointError(f"{path} is not a training checkpoint of this version of anas-zoo")
            state, identity = TrainState(**header["state"]), header["identity"]
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as exc:
            raise _DamagedError(f"{path.name} cannot be read ({exc})") from exc
        if identity != self._identity:
            raise CheckpointError(
                f"{path} is of another training: " + "; ".join(differences(identity, self._identity))
            )
        return state, tensors


class _DamagedError(CheckpointError):
    """A file that is not a whole checkpoint."""


def _tensors_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        momentum = optimizer.state.get(parameter, {}).get("momentum_buffer")
        if momentum is not None:
            tensors[f"momentum.{name}"] = momentum
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


@torch.no_grad()
def _restore(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], path: Path
) -> None:
    stored = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    try:
        model.load_state_dict(stored)
    except RuntimeError as exc:
        raise CheckpointError(f"{path} does not fit the network: {' '.join(str(exc).split())[:300]}") from exc
    optimizer.state.clear()
    for name, parameter in model.named_parameters():
        if f"momentum.{name}" in tensors:
            momentum = torch.empty_like(parameter).copy_(tensors[f"momentum.{name}"])
            optimizer.state[parameter]["momentum_buffer"] = momentum
