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
from anas_zoo.core.schema import Schema, parse, read_json
from anas_zoo.core.text import quoted
from anas_zoo.profiling.latency_error import Bars, ErrorReport, bars_of, restless_level
from anas_zoo.profiling.machine import Fingerprint, fingerprint
from anas_zoo.profiling.sweep import Timing, yardsticks_among
from anas_zoo.profiling.work import WORK, block_work, head_work, stem_work
from anas_zoo.space import Architecture, SearchSpace, SpaceConfig
from anas_zoo.space.tables import PartTables

__all__ = ["LatencyModel", "LatencyRecord", "Measured"]

FORMAT: Literal["anas latency model 1"] = "anas latency model 1"

Coefficient = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Measured(Schema):
    """One measured subnet: a part of the evidence.

    Attributes:
        arch: the architecture, as :meth:`Architecture.to_dict` writes it.
        part: whether the coefficients were fitted on it, or only judged by it.
        timing: its measured latency.
        predicted_ms: what the model says.
    """

    arch: dict[str, Any]
    part: Literal["fit", "held out"]
    timing: Timing
    predicted_ms: float


class LatencyRecord(Schema):
    """The file of a latency model.

    Attributes:
        format: what kind of file it is.
        space: the whole space, so that the file explains itself.
        num_classes: outputs of the classifier.
        fingerprint: the machine, runtime and threads that were measured.
        clock: "cpu" for the CPU time of one thread, "wall" for several (see the stopwatch).
        seed: of the choice of subnets.
        repeats: measured calls of each file that were asked for.
        level_pct: how much the machine itself changed its speed during the measurement (see the sweep).
        unrest: what was wrong with the machine while it was measured, in words; None where nothing was.
        penalty: of the fit, chosen by cross-validation.
        coefficients: milliseconds per unit of each kind of work (:data:`anas_zoo.profiling.work.WORK`).
        error: on the held-out subnets.
        measured: every subnet measured.
    """

    format: Literal["anas latency model 1"] = FORMAT
    space: SpaceConfig
    num_classes: int = Field(ge=1)
    fingerprint: Fingerprint
    clock: Literal["cpu", "wall"]
    seed: int
    repeats: int
    level_pct: float
    unrest: str | None = None
    penalty: float
    coefficients: dict[str, Coefficient]
    error: ErrorReport
    measured: tuple[Measured, ...]

    @model_validator(mode="after")
    def _has_every_coefficient(self) -> Self:
        for name in self.coefficients:
            if name not in WORK:
                raise ValueError(f"unknown kind of work {name!r}{nearest(name, WORK)}")
        missing = [name for name in WORK if name not in self.coefficients]
        if missing:
            raise ValueError(f"no coefficient for {', '.join(missing)}")
        return self


class LatencyModel:
    """Latency in milliseconds of architectures of one space: a function of codes, for searches.

        latency_ms(arch) = Σ over kinds of work:  coefficient[kind] × work(arch)[kind]

    Work is a sum over the parts of a network, so what every possible part takes is tabulated once and an
    architecture costs a few look-ups.

    Attributes:
        record: everything the file says.
        space: the space it is for.
    """

    def __init__(self, record: LatencyRecord) -> None:
        self.record = record
        self.space = SearchSpace(record.space)

    @classmethod
    def load(cls, path: str | Path, space: SearchSpace | None = None) -> LatencyModel:
        """The model that :meth:`save` wrote; with ``space``, one that has to be for that space.

        Raises :class:`ConfigError` for a file that is missing, no latency model, or of another space.
        """
        path = Path(path)
        name = "attentive_nas" if space is None else space.name
        advice = f"make one on this machine: anas latency fit --space {quoted(name)} --out FILE.json"
        if not path.exists():
            raise ConfigError(f"no latency model at {path}; {advice}")
        data = read_json(path)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ConfigError(f"{path} is no latency model ({FORMAT!r}); {advice}")
        model = cls(parse(LatencyRecord, data, str(path)))
        if space is not None and model.space.id != space.id:
            raise ConfigError(
                f"{path} was fitted on the space {model.space.name!r} ({model.space.id}), "
                f"this is {space.name!r} ({space.id}); {advice}"
            )
        return model

    def save(self, path: Path) -> None:
        """Write the model as JSON; ``path`` holds either all of it or what it held before."""
        write_json(path, self.record.model_dump(mode="json"))

    def __call__(self, archs: Sequence[Architecture] | npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Milliseconds per image of architectures or codes (N, genes), (N,) float64.

        Raises :class:`SpaceError` for one outside the space.
        """
        tables = self._tables
        nothing = np.zeros(len(self.space.config.head.width))  # the head's row has the classifier already
        return tables.sum(self.space.codes(archs), 0, nothing)

    def with_classes(self, num_classes: int) -> LatencyModel:
        """The same machine's model for classifiers of another number of classes: their work is known."""
        return LatencyModel(self.record.model_copy(update={"num_classes": num_classes}))

    @property
    def error(self) -> ErrorReport:
        """The error on held-out subnets."""
        return self.record.error

    @functools.cached_property
    def scatter(self) -> Bars | None:
        """The bars by the held-out subnets alone, all measured while the machine was equally fast.

        None for a file that keeps no held-out measurements.
        """
        held_out = [one for one in self.record.measured if one.part == "held out"]
        if len(held_out) < 2:
            return None
        predicted = np.array([one.predicted_ms for one in held_out])
        return bars_of(predicted, np.array([one.timing.p50_ms for one in held_out]))

    @property
    def bars(self) -> Bars | None:
        """The bars of a prediction: those of :attr:`scatter`, wider by what the machine's speed changed."""
        return None if self.scatter is None else self.scatter.wider_by(self.record.level_pct)

    @property
    def unrest(self) -> str | None:
        """How busy the machine was that it was fitted on, in words; None for a quiet one."""
        return self.record.unrest or restless_level(self.record.level_pct)

    @functools.cached_property
    def yardsticks(self) -> tuple[Measured, ...]:
        """The small and the large subnet that the whole fit was measured beside; none in a bare file."""
        measured = self.record.measured
        if not measured:
            return ()
        archs = [Architecture.from_dict(one.arch) for one in measured]
        macs = self.space.macs(archs, self.record.num_classes)
        return tuple(measured[place] for place in yardsticks_among(macs))

    @property
    def fingerprint(self) -> Fingerprint:
        """The machine, runtime and threads that the model speaks of."""
        return self.record.fingerprint

    def foreign(self) -> str | None:
        """One line of warning when this is not the kind of machine or runtime it was fitted on, else None."""
        found = self.elsewhere()
        return None if found is None else f"{found}: its milliseconds are not true here; {self.fit_advice}"

    def elsewhere(self) -> str | None:
        """The part of :meth:`foreign` that says in what this machine or runtime is another."""
        found = self.fingerprint.differences(fingerprint(self.fingerprint.threads))
        return f"the latency model is of another machine or runtime ({'; '.join(found)})" if found else None

    @property
    def fit_advice(self) -> str:
        """What to type for a model of this machine."""
        return f"fit one here: anas latency fit --space {quoted(self.space.name)} --out FILE.json"

    @functools.cached_property
    def _tables(self) -> PartTables:
        weights = np.array([self.record.coefficients[name] for name in WORK])
        classes = self.record.num_classes
        return PartTables(
            self.record.space,
            self.space.genes,
            stem=lambda chs, kernel, side: (stem_work(chs, kernel, side) @ weights,),
            block=lambda block, side: (block_work(block, side) @ weights,),
            head=lambda chs, mid, out, side: (head_work(chs, mid, out, side, classes) @ weights,),
            dtype=np.float64,
        )
