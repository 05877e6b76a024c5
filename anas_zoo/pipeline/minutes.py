"""How a run of so many minutes divides them: by what its parts take on this machine, written down once."""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from pydantic import Field

from anas_zoo.core.errors import OutputError
from anas_zoo.core.files import write_json
from anas_zoo.core.schema import Schema, parse, read_json
from anas_zoo.data import TrainData
from anas_zoo.nets import Subnet
from anas_zoo.space import SearchSpace
from anas_zoo.training import TrainRecipe
from anas_zoo.training.optimizer import make_optimizer
from anas_zoo.training.sampling import Moment
from anas_zoo.training.trainer import Step

Part = Literal["images", "flips", "supernet", "search", "winners", "models"]
PARTS: tuple[Part, ...] = get_args(Part)
# The supernet has to rank subnets, no more: their training as fixed networks decides how good they are,
# and sharing its weights gained nothing (docs/training.md). Exporting, checking and timing are "models".
SHARES: dict[Part, float] = {
    "images": 0.0,  # they take what they take
    "flips": 0.03,
    "supernet": 0.2,
    "search": 0.08,
    "winners": 0.61,
    "models": 0.08,
}
YARDSTICK = 0.1  # of all minutes at most, for a plain network beside the run
PAYS = 1.7  # times as fast
TRIED = 6
MEASURED_STEPS = 8
MEASURED_SECONDS = 4.0  # of steps that take longer, fewer are measured
WHOLE_EPOCHS = 10
SHORT_EPOCHS = 4
CHECKPOINT_SECONDS = 15.0
EVALUATIONS = 4  # of a training on the search split, the last one included
WARMUP = 0.1  # of the epochs at most


class MinutesFile(Schema):
    """``RUN/minutes.json``.

    Attributes:
        minutes: that the run may take.
        spent_s: wall-clock seconds that each part has taken, all calls together.
        decided: what was decided by measuring, by name; a call that resumes keeps to it.
    """

    minutes: float = Field(gt=0)
    spent_s: dict[Part, float] = Field(default_factory=dict)
    decided: dict[str, Any] = Field(default_factory=dict)


class Minutes:
    """The time of one run, and what was decided by it, in the run's folder.

    Args:
        file: ``RUN/minutes.json``.
        minutes: of the whole run.
    """

    def __init__(self, file: Path, minutes: float) -> None:
        self._file = file
        if file.is_file():
            self._content = parse(
                MinutesFile, read_json(file, error=OutputError), str(file), error=OutputError
            )
        else:
            self._content = MinutesFile(minutes=minutes)
        self._began: tuple[Part, float] | None = None

    @property
    def spent_s(self) -> dict[Part, float]:
        """Seconds that each part has taken so far."""
        spent = dict(self._content.spent_s)
        if self._began is not None:
            part, began = self._began
            spent[part] = spent.get(part, 0.0) + time.monotonic() - began
        return spent

    def seconds_for(self, part: Part, *, later_s: float | None = None) -> float:
        """What is left for ``part``: its share of what those before it have left, less what it has had.

        Where those after it are known to need no more than ``later_s``, it is all but that, if that is more.
        """
        spent = self.spent_s
        earlier = sum(seconds for name, seconds in spent.items() if PARTS.index(name) < PARTS.index(part))
        later = sum(SHARES[name] for name in PARTS[PARTS.index(part) :])
        left = max(0.0, self._content.minutes * 60 - earlier)
        share = left * SHARES[part] / later
        if later_s is not None:
            share = max(share, left - later_s)
        return max(0.0, share - spent.get(part, 0.0))

    @contextlib.contextmanager
    def spending(self, part: Part) -> Iterator[None]:
        """Count the seconds of the block to ``part``, also where it is interrupted."""
        self._began = (part, time.monotonic())
        try:
            yield
        finally:
            spent = self.spent_s
            self._began = None
            self._write(spent_s=spent)

    def known(self, name: str) -> Any:
        """What was decided under ``name``, None where nothing was."""
        return self._content.decided.get(name)

    def decided(self, name: str, decide: Callable[[], Any]) -> Any:
        """What was decided under ``name``, as plain data; ``decide`` says it the first time."""
        known = self._content.decided
        if name not in known:
            self._write(decided=known | {name: decide()})
        return self._content.decided[name]

    def _write(self, **changes: Any) -> None:
        self._content = self._content.model_copy(update=changes)
        write_json(self._file, self._content.model_dump(mode="json"))


def threads_that_pay(space: SearchSpace, batch_size: int, most: int) -> int:
    """1, or ``most`` threads where these train the space's largest subnet at least that much faster.

    Small networks gain little from more, and all lose much where the machine does something else meanwhile.
    """
    if most < 2:
        return 1
    subnet = Subnet(space.largest, space.structure).to(memory_format=torch.channels_last)
    side = space.largest.resolution
    images = torch.zeros(batch_size, 3, side, side).contiguous(memory_format=torch.channels_last)
    took = dict.fromkeys((1, most), math.inf)
    for _ in range(TRIED):  # by turns, the quickest of each: a moment in which others compute does not decide
        for threads in took:
            torch.set_num_threads(threads)
            began = time.perf_counter()
            subnet(images).sum().backward()
            took[threads] = min(took[threads], time.perf_counter() - began)
    return most if took[1] > PAYS * took[most] else 1


def seconds_per_step(step: Step, data: TrainData, recipe: TrainRecipe, seed: int) -> float:
    """Seconds of one step of the training ``recipe`` on this machine; weights and sampler of ``step`` stay.

    The first step, which is slower, is not counted. Passes of few steps are begun again.
    """
    before = {name: tensor.clone() for name, tensor in step.model.state_dict().items()}
    drawn = step.sampler.state()
    optimizer = make_optimizer(step.model, recipe)
    for group in optimizer.param_groups:
        group["lr"] = 0.0  # without a warm-up a step could go astray
    passes = itertools.chain.from_iterable(data.epoch((seed, 0), number) for number in itertools.count())
    began = 0.0
    for done, batches in enumerate(passes):
        if done == 1:
            began = time.perf_counter()
        step(batches, range(len(batches)), Moment((seed, 0), done, 10**6))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        took = time.perf_counter() - began
        if done and (done == MEASURED_STEPS or took > MEASURED_SECONDS):
            break
    step.sampler.restore(drawn)
    step.model.load_state_dict(before)
    return took / done


def seconds_per_epoch(
    step: Step, data: TrainData, recipe: TrainRecipe, seed: int, *, beside: int = 0
) -> float:
    """Seconds of one pass over the training images, by a few steps of it, ``beside`` as many trainings."""
    with busy_cores(beside):
        return seconds_per_step(step, data, recipe, seed) * data.steps_per_epoch()


@contextlib.contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """Keep so many cores busy with convolutions during the block: cores may share what they compute with."""
    done = threading.Event()

    def convolve() -> None:
        images, weights = torch.zeros(64, 32, 32, 32), torch.zeros(32, 32, 3, 3)
        while not done.is_set():
            torch.nn.functional.conv2d(images, weights)

    workers = [threading.Thread(target=convolve, daemon=True) for _ in range(count)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        done.set()
        for worker in workers:
            worker.join()


def epochs_within(recipe: TrainRecipe, *, epochs: float, epoch_s: float) -> TrainRecipe:
    """``recipe`` with so many epochs, each of which takes ``epoch_s``.

    They are whole ones; fewer than :data:`WHOLE_EPOCHS` become more that take a part of the images each.
    """
    whole, part = int(epochs), 1.0
    if whole < WHOLE_EPOCHS:
        whole = max(SHORT_EPOCHS, math.ceil(epochs))
        part = min(1.0, max(1, int(1000 * epochs / whole)) / 1000)
        epoch_s *= part
    watch = -(-whole // EVALUATIONS)
    between = max(1, round(CHECKPOINT_SECONDS / max(epoch_s, 1e-3)))
    return recipe.model_copy(
        update={
            "epochs": whole,
            "epoch_part": part,
            "warmup_epochs": min(recipe.warmup_epochs, WARMUP * whole),
            "evaluation": recipe.evaluation.model_copy(update={"every_epochs": watch}),
            "checkpoints": recipe.checkpoints.model_copy(update={"every_epochs": min(between, whole)}),
        }
    )
