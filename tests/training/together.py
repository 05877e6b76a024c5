"""Trainings in several processes of this machine, for the tests of working together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from killing import join_as
from training_parts import make_trainer, tiny

from anas_zoo.nets import save_supernet
from anas_zoo.training import join_processes


def run(folder: Path, rank: int, count: int, port: int, changes: dict[str, Any]) -> None:
    """Train as process ``rank`` of ``count``; the first leaves the weights, each its count of exchanges."""
    torch.set_num_threads(1)
    join_as(rank, count, port)
    sizes: list[int] = []
    with join_processes("cpu") as processes:
        real = dist.all_reduce

        def counted(values: torch.Tensor, *args: Any, **options: Any) -> Any:
            sizes.append(values.numel())
            return real(values, *args, **options)

        if count > 1:
            dist.all_reduce = counted  # type: ignore[assignment]
        supernet, trainer = make_trainer(folder, tiny(**changes), processes=processes)
        trainer.run()
        if processes.first:
            save_supernet(folder, supernet, name="tiny", licence=None, source="a test")
    (folder / f"exchanges-{rank}.json").write_text(json.dumps(sizes))
