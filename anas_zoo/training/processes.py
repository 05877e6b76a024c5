"""The processes that train together: one, or as many as torchrun starts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from anas_zoo.core.errors import TrainingError
from anas_zoo.core.hints import Option

# The first process evaluates while the others wait for it.
PATIENCE = timedelta(hours=2)


class _Mean(torch.autograd.Function):
    """y = mean of x over all processes; since every process' loss depends on y, so is its gradient."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, count: int) -> Tensor:
        ctx.count = count
        total = values.detach().clone()
        dist.all_reduce(total)
        return total / count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total / ctx.count, None


@dataclass(frozen=True)
class Processes:
    """This process among all that train together; the first one alone writes files and speaks."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def mean_(self, values: Tensor) -> Tensor:
        """Replace ``values`` by their mean over all processes: one synchronisation."""
        if self.count > 1:
            dist.all_reduce(values)
            values /= self.count
        return values

    def differentiable_mean(self, values: Tensor) -> Tensor:
        """Mean of ``values`` over all processes, through which gradients flow back to all of them."""
        return _Mean.apply(values, self.count)  # type: ignore[no-any-return]

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.count > 1:
            dist.barrier()


def pick_device(wanted: str, local_rank: int = 0) -> torch.device:
    """The device of a name: ``cpu``, ``cuda``, or ``auto`` for a GPU if there is one.

    Raises :class:`TrainingError` when a GPU is asked for where none is, or where too few are.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise TrainingError(f"no device {wanted!r}; give auto, cpu or cuda as ", Option("device"))
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and not there):
        return torch.device("cpu")
    if not there:
        raise TrainingError("torch finds no GPU here; give ", Option("device", "cpu"))
    if local_rank >= there:
        raise TrainingError(
            f"process {local_rank + 1} of this machine has no GPU of its own, there are {there}; "
            f"give torchrun --nproc-per-node {there}, or ",
            Option("device", "cpu"),
        )
    return torch.device("cuda", local_rank)


@contextlib.contextmanager
def join_processes(device: str = "auto") -> Iterator[Processes]:
    """Take this process' place among those that torchrun started; alone without torchrun.

    Processes speak NCCL on GPUs and gloo on CPUs. Raises as :func:`pick_device` does.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    where = pick_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if where.type == "cuda":
        torch.cuda.set_device(where)
    if count == 1:
        yield Processes(where)
        return
    backend = "nccl" if where.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=PATIENCE, device_id=where if where.type == "cuda" else None)
    try:
        yield Processes(where, dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
