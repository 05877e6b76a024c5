"""A training in a process of its own that kills itself, at a point of choice, with SIGKILL."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import torch
from training_parts import make_trainer, tiny

from anas_zoo.nets import save_supernet
from anas_zoo.training import StepReport, SupernetStep
from anas_zoo.training.metrics import MetricsWriter

CHECKPOINTS = {"every_steps": 3}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingStep:
    """A step that ends the process at its ``number``-th call: before it, or when its gradients are there."""

    def __init__(self, step: SupernetStep, number: int, *, after: bool) -> None:
        self.model, self.sampler = step.model, step.sampler
        self._step, self._left, self._after = step, number, after

    def __call__(self, *args: Any) -> StepReport:
        self._left -= 1
        if self._left == 0 and not self._after:
            die()
        report = self._step(*args)
        if self._left == 0:
            die()
        return report


def die_on_file(call: str, number: int) -> None:
    """End the process at the ``number``-th sync or rename of a checkpoint."""
    real, left = getattr(os, call), number

    def dying(*args: Any) -> Any:
        nonlocal left
        name = str(args[1]) if call == "replace" else str(Path(f"/proc/self/fd/{args[0]}").readlink())
        if "step-" in name:
            left -= 1
            if left == 0:
                die()
        return real(*args)

    setattr(os, call, dying)


def die_in_metrics(number: int) -> None:
    """End the process with half of a line of metrics written."""
    real, left = MetricsWriter.add, number

    def dying(self: MetricsWriter, kind: str, step: int, values: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            self._file.write('{"kind":"train","st')
            self._file.flush()
            die()
        real(self, kind, step, values)

    MetricsWriter.add = dying  # type: ignore[method-assign]


def run(folder: Path, point: str) -> None:
    """Train in ``folder`` and die at ``point``, such as ``"step 5"``; to the end without one."""
    torch.set_num_threads(1)
    kind, _, number = point.partition(" ")
    wrap: Any = lambda step: step  # noqa: E731
    if kind in ("step", "gradients"):
        wrap = lambda step: DyingStep(step, int(number), after=kind == "gradients")  # noqa: E731
    elif kind in ("fsync", "replace"):
        die_on_file(kind, int(number))
    elif kind == "metrics":
        die_in_metrics(int(number))
    supernet, trainer = make_trainer(folder, tiny(checkpoints=CHECKPOINTS), wrap=wrap)
    trainer.run()
    save_supernet(folder, supernet, name="tiny", licence=None, source="a test")
