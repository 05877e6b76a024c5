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
from anas_zoo.pipeline.search_workers import of_the_first
from anas_zoo.pipeline.train import HERE
from anas_zoo.profiling.latency_model import LatencyModel
from anas_zoo.profiling.yardsticks import Here
from anas_zoo.space import SearchSpace
from anas_zoo.training import Processes

__all__ = ["LATENCY_HERE", "SearchLatency", "latency_of_search"]

LATENCY_HERE = "latency_here"  # of search.json


@dataclass(frozen=True)
class SearchLatency:
    """What a search takes an architecture's latency for.

    Attributes:
        model: for the search's number of classes.
        here: how this machine stood to the model when the search began; None for a search that was begun
            before that was recorded.
    """

    model: LatencyModel
    here: Here | None

    def __call__(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Milliseconds of codes (N, genes), (N,)."""
        found = self.model(codes)
        return found if self.here is None else found * self.here.factor

    @property
    def bars(self) -> tuple[float, float] | None:
        """Both ends of a latency's bars as factors of it; None where nothing is known of them."""
        bars = None if self.here is None else self.here.bars
        return None if bars is None else bars.factors

    def to_dict(self) -> dict[str, Any] | None:
        """How the machine stood to the model, for machines; None where that was not recorded."""
        return None if self.here is None else self.here.model_dump(mode="json")

    def in_words(self) -> str:
        """How far it can be trusted, in one line."""
        return "the model's, not compared with this machine" if self.here is None else _in_words(self.here)


def latency_of_search(
    file: Path,
    space: SearchSpace,
    num_classes: int,
    kept: Mapping[str, Any] | None,
    workers: Processes = HERE,
) -> SearchLatency:
    """The latency that a search works with, with notes on how far it can be trusted here.

    Args:
        file: of the latency model.
        space: that it has to be for.
        num_classes: of the search's classifier.
        kept: the record of the search that is resumed, whose comparison with the machine stays, so that it
            ends the same; None for a new search, which measures the model's yardsticks.
        workers: the processes of the search, of which the first one measures; each of them calls this.

    Raises :class:`ConfigError` for a file that is no model of the space, :class:`SearchError`
    for a damaged record.
    """
    model = LatencyModel.load(file, space)
    fitted = model.record.num_classes
    if fitted != num_classes:
        warn(
            f"{file} was fitted on classifiers of {fitted} classes; what the "
            f"classifier's part of {num_classes} takes is extrapolated"
        )
    here: Here | None = None
    if kept is not None:
        if kept.get(LATENCY_HERE) is not None:
            here = parse(Here, kept[LATENCY_HERE], f"search.json: {LATENCY_HERE}", error=SearchError)
            note(f"  latency: {_in_words(here)} when the search began; that stays")
        else:
            note(
                f"  latency: this search was begun without comparing {file.name} with the machine; that stays"
            )
    elif workers.first:
        here, reason = compare_here(model)
        _say(model, here, file, reason)
    return SearchLatency(model.with_classes(num_classes), of_the_first(here, workers))


def _in_words(here: Here) -> str:
    if here.verdict == "not measured":
        words = "the model was not compared with this machine"
    elif here.verdict == "as fitted":
        words = f"two yardsticks took {here.factors_in_words()} what they took at the fit"
    else:
        words = (
            f"two yardsticks took {here.factors_in_words()} what they took at the fit; all milliseconds are "
            f"scaled by {here.factor:.3g}"
        )
    return words + (f", with bars of {here.bars.in_words()}" if here.bars is not None else ", without bars")


def _say(model: LatencyModel, here: Here, file: Path, reason: str | None) -> None:
    """Notes on what was found of a model, those that shake it as warnings."""
    elsewhere, unrest = model.elsewhere(), model.unrest
    if here.verdict == "not measured":
        warn(
            f"{file} could not be compared with this machine ({reason}): its milliseconds are those "
            f"of its fit, true or not; {model.fit_advice}"
        )
    elif here.verdict == "disagreeing":
        warn(
            f"{_in_words(here)}. They disagree: neither milliseconds nor ratios of {file} can be "
            f"relied on here; {model.fit_advice}, on a quieter machine"
        )
    else:
        note(f"  latency: {_in_words(here)}")
    if elsewhere is not None:
        advice = "its ratios may not hold here" if here.verdict != "not measured" else "neither may hold here"
        warn(f"{elsewhere}: {advice}; {model.fit_advice}")
    if unrest is not None:
        warn(f"{file} was fitted on a busy machine ({unrest}), so its bars are wide")
    if here.bars is None:
        warn(f"{file} keeps no held-out measurements: its predictions have no bars")
