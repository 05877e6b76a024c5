"""The latency model of a search, compared with this machine when the search begins and never again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import SearchError
from anas_zoo.core.progress import note, warn
from anas_zoo.core.schema import parse
from anas_zoo.pipeline.latency import compare_here
from anas_zoo.pipeline.search_processes import of_the_first
from anas_zoo.pipeline.train import HERE
from anas_zoo.profiling.latency_model import LatencyModel
from anas_zoo.profiling.latency_trust import Here
from anas_zoo.space import SearchSpace
from anas_zoo.training import Processes

LATENCY_HERE = "latency_here"  # of search.json


@dataclass(frozen=True)
class SearchLatency:
    """The latencies that a search works with.

    Attributes:
        model: for the search's number of classes.
        here: how this machine stood to the model when the search began.
    """

    model: LatencyModel
    here: Here

    def __call__(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Milliseconds of codes (N, genes), (N,)."""
        return self.model(codes) * self.here.factor

    @property
    def bars(self) -> tuple[float, float]:
        """Both ends of a latency's bars as factors of it."""
        return self.here.bars.factors

    def to_dict(self) -> dict[str, Any]:
        """How the machine stood to the model, as plain data."""
        return self.here.model_dump(mode="json")

    def in_words(self) -> str:
        """How far it can be trusted, in one line."""
        return self.here.in_words()


def latency_of_search(
    file: Path,
    space: SearchSpace,
    num_classes: int,
    kept: Mapping[str, Any] | None,
    processes: Processes = HERE,
) -> SearchLatency:
    """The latency that a search works with, with notes on how far it can be trusted here.

    Args:
        file: of the latency model.
        space: that it has to be for.
        num_classes: of the search's classifier.
        kept: the record of the search that is resumed, whose comparison with the machine stays, so that it
            ends the same; None for a new search, which times the model's yardsticks.
        processes: the processes of the search, of which the first one measures; each of them calls this.

    Raises :class:`ConfigError` for a file that is not a model of the space, :class:`SearchError`
    for a damaged record.
    """
    model = LatencyModel.load(file, space, num_classes)
    fitted = model.record.num_classes
    if fitted != num_classes:
        warn(
            f"{file} was fitted on classifiers of {fitted} classes; what the "
            f"classifier's part of {num_classes} takes is extrapolated"
        )
    if processes.first:
        note(f"  latency: milliseconds of {model.record.target} files")
    here: Here | None = None
    if kept is not None and LATENCY_HERE in kept:
        here = parse(Here, kept[LATENCY_HERE], f"search.json: {LATENCY_HERE}", error=SearchError)
        note(f"  latency: {here.in_words()} when the search began; that stays")
    elif processes.first:
        here = compare_here(model)
        _warn(model, here, file)
    here = of_the_first(here, processes)
    if here is None:
        raise SearchError("the first process did not say how this machine compares with the latency model")
    return SearchLatency(model, here)


def _warn(model: LatencyModel, here: Here, file: Path) -> None:
    """Say how the machine stands to the model; what makes it doubtful as warnings."""
    foreign = model.foreign()
    if here.verdict == "disagreeing":
        warn(
            f"{here.in_words()}. They disagree: neither milliseconds nor ratios of {file} can be "
            "relied on here; fit a model on a quieter machine"
        )
    else:
        note(f"  latency: {here.in_words()}")
    if foreign is not None:
        warn(f"{foreign}: its ratios may not hold here")
    if model.unrest is not None:
        warn(f"{file} was fitted on a busy machine ({model.unrest}), so its bars are wide")
