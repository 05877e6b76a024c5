"""A latency model: milliseconds of any architecture of a space, on the machine that it was fitted on."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from anas_zoo.core.errors import ConfigError, nearest
from anas_zoo.core.files import write_json
from anas_zoo.core.hints import Call
from anas_zoo.core.schema import Schema, parse, read_json
from anas_zoo.profiling.latency_trust import Bars, ErrorReport, bars_of, unrest_of
from anas_zoo.profiling.machine import Fingerprint, fingerprint
from anas_zoo.profiling.sweep import yardsticks_among
from anas_zoo.profiling.timing import Clock
from anas_zoo.profiling.work import NEWER, WORK, work_of
from anas_zoo.space import Architecture, SearchSpace, SpaceConfig
from anas_zoo.space.cost import CostTables

FORMAT: Literal["anas latency model 2"] = "anas latency model 2"

FLOAT_TARGET = "ort-cpu-fp32"  # what every entry has, and what every model was of before there was a choice

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Measured(Schema):
    """One measured subnet, on which the coefficients were fitted or only judged: part of the evidence."""

    arch: dict[str, Any]
    part: Literal["fit", "held out"]
    ms: Positive
    predicted_ms: NotNegative


class LatencyRecord(Schema):
    """The file of a latency model.

    Attributes:
        fingerprint: the machine, runtime and threads that were measured.
        level_pct, noise_pct: see :class:`anas_zoo.profiling.timing.Sweep`.
        coefficients: milliseconds per unit of each kind of work (:data:`anas_zoo.profiling.work.WORK`).
        error: on the held-out subnets.
        measured: every subnet measured, at least two of them held out of the fit.
        kit: the id of the latency kit by which another device was measured; None for the machine itself.
        target: that the measured files are of.
    """

    format: Literal["anas latency model 2"] = FORMAT
    space: SpaceConfig
    num_classes: int = Field(ge=1)
    fingerprint: Fingerprint
    clock: Clock
    level_pct: NotNegative
    noise_pct: NotNegative
    coefficients: dict[str, NotNegative]
    error: ErrorReport
    measured: tuple[Measured, ...]
    kit: str | None = None
    target: str = FLOAT_TARGET

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        for name in self.coefficients:
            if name not in WORK:
                raise ValueError(f"unknown kind of work {name!r}{nearest(name, WORK)}")
        missing = [name for name in WORK if name not in self.coefficients and name not in NEWER]
        if missing:
            raise ValueError(f"no coefficient for {', '.join(missing)}")
        if sum(one.part == "held out" for one in self.measured) < 2:
            raise ValueError("measured holds fewer than 2 held-out subnets, so its error is unknown")
        return self


class LatencyModel:
    """Latency in milliseconds of architectures of one space: a function of codes, for searches.

        latency_ms(arch) = Σ over kinds of work:  coefficient[kind] × work(arch)[kind]

    Work is a sum over layers, so it is looked up in tables just as costs are. ``num_classes`` are the
    outputs of the classifiers asked about; by default as measured.
    """

    def __init__(self, record: LatencyRecord, num_classes: int | None = None) -> None:
        self.record = record
        self.space = SearchSpace(record.space)
        self.num_classes = num_classes or record.num_classes

    @classmethod
    def load(
        cls, path: str | Path, space: SearchSpace | None = None, num_classes: int | None = None
    ) -> LatencyModel:
        """The model that :meth:`save` wrote; with ``space``, one that has to be for that space.

        Raises :class:`ConfigError` for a file that is missing, no latency model, or of another space.
        """
        path = Path(path)
        name = "attentive_nas" if space is None else space.name
        fit = Call("latency fit", space=name, out="FILE.json")
        if not path.exists():
            raise ConfigError(f"no latency model at {path}; make one on this machine: ", fit)
        data = read_json(path)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            old = isinstance(data, dict) and data.get("format") == "anas latency model 1"
            what = (
                "is a latency model of an earlier version" if old else f"is not a latency model ({FORMAT!r})"
            )
            raise ConfigError(f"{path} {what}; make one on this machine: ", fit)
        model = cls(parse(LatencyRecord, data, str(path)), num_classes)
        if space is not None and model.space.id != space.id:
            raise ConfigError(
                f"{path} was fitted on the space {model.space.name!r} ({model.space.id}), "
                f"this is {space.name!r} ({space.id}); make one on this machine: ",
                fit,
            )
        return model

    def save(self, path: Path) -> None:
        """Write the model as JSON; ``path`` holds either all of it or what it held before."""
        write_json(path, self.record.model_dump(mode="json"))

    def __call__(self, archs: Sequence[Architecture] | npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Milliseconds per image of architectures or codes (N, genes), (N,) float64.

        Raises :class:`SpaceError` for one outside the space.
        """
        return self._tables.sum(self.space.codes(archs), 0, self.num_classes)

    @property
    def error(self) -> ErrorReport:
        """The error on the held-out subnets."""
        return self.record.error

    @functools.cached_property
    def bars(self) -> Bars:
        """The bars of a prediction, by the held-out subnets, wider by what the machine's speed changed."""
        held_out = [one for one in self.record.measured if one.part == "held out"]
        predicted = np.array([one.predicted_ms for one in held_out])
        return bars_of(predicted, np.array([one.ms for one in held_out])).wider_by(self.record.level_pct)

    @property
    def unrest(self) -> str | None:
        """How busy the machine was that it was fitted on, in words; None for a quiet one."""
        return unrest_of(self.record.level_pct, self.record.noise_pct)

    @functools.cached_property
    def yardsticks(self) -> tuple[Measured, Measured]:
        """The small and the large subnet that the whole fit was measured beside."""
        measured = self.record.measured
        archs = [Architecture.from_dict(one.arch) for one in measured]
        places = yardsticks_among(self.space.macs(archs, self.record.num_classes))
        return measured[places[0]], measured[places[-1]]

    def foreign(self) -> str | None:
        """One line of warning when this is not the kind of machine or runtime it was fitted on, else None.

        A model that a kit has measured is meant for another machine.
        """
        there = self.record.fingerprint
        if self.record.kit is not None:
            return None
        found = there.differences(fingerprint(there.threads, there.provider))
        if not found:
            return None
        return f"the latency model is of another machine or runtime ({'; '.join(found)})"

    @functools.cached_property
    def _tables(self) -> CostTables:
        coefficients = np.array([self.record.coefficients.get(name, 0.0) for name in WORK])
        return CostTables(
            self.record.space, self.space.genes, lambda layers: (work_of(layers) @ coefficients,), np.float64
        )
