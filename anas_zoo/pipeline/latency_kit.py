"""Latency kits: the files and the program that measure a space on a device which has neither torch nor us."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from anas_zoo.core.errors import ConfigError
from anas_zoo.core.files import canonical_json, output_folder, sha256_bytes, write_json
from anas_zoo.core.progress import stage
from anas_zoo.core.resources import resource_folder
from anas_zoo.core.schema import Schema, Sparse, parse, read_json
from anas_zoo.pipeline.latency import TimedFiles, model_of_sweep, subnets_to_measure
from anas_zoo.profiling import device, timing
from anas_zoo.profiling.latency_model import FLOAT_TARGET, LatencyModel
from anas_zoo.profiling.machine import CPU, Fingerprint
from anas_zoo.profiling.sweep import yardsticks_among
from anas_zoo.profiling.timing import Clock, Sweep
from anas_zoo.space import Architecture, SearchSpace, SpaceConfig

KIT, MEASURE, README, MODELS = "kit.json", "measure.py", "README.txt", "models"
NEWEST_RESULTS: Literal["anas-zoo latency results 1"] = "anas-zoo latency results 1"
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class KitRecord(Sparse):
    """``kit.json``: what a kit measures. Its ``id`` is a hash of everything else.

    Attributes:
        target: that the files are exported for.
        archs: the architectures, first those to fit on, ``subnets`` of them, then those held out.
        files: the file of each within the kit.
        yardsticks: the numbers of those that are timed in every group.
    """

    LEFT_OUT: ClassVar = ("target",)  # kits of before there was a choice keep their id

    format: Literal["anas-zoo latency kit 1"] = "anas-zoo latency kit 1"
    id: str = ""
    space: SpaceConfig
    num_classes: int = Field(ge=1)
    target: str = FLOAT_TARGET
    seed: int = Field(ge=0)
    subnets: int = Field(ge=1)
    archs: tuple[dict[str, Any], ...]
    files: tuple[str, ...]
    yardsticks: tuple[int, ...]

    def hashed(self) -> str:
        """The id that belongs to the content."""
        content = self.model_copy(update={"id": ""}).model_dump(mode="json")
        return sha256_bytes(canonical_json(content).encode())[:16]


class KitResults(Schema):
    """``results.json``, as a kit's program writes it: the kit's record, the device, and milliseconds.

    Attributes:
        fingerprint: the device, its runtime and the threads.
        ms: of each file, in the kit's order.
        level_pct, noise_pct: see :class:`anas_zoo.profiling.timing.Sweep`.
        notes: what may have slowed the device meanwhile, in words.
    """

    format: Literal["anas-zoo latency results 1"]
    kit: KitRecord
    fingerprint: Fingerprint
    clock: Clock
    repeats: int = Field(ge=1)
    ms: tuple[Positive, ...]
    level_pct: NotNegative
    noise_pct: NotNegative
    seconds: NotNegative
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.kit.id != self.kit.hashed():
            raise ValueError("kit was changed after it was made: its id is not that of its content")
        if len(self.ms) != len(self.kit.archs):
            raise ValueError(f"ms has {len(self.ms)} values for the kit's {len(self.kit.archs)} networks")
        return self


def write_kit(
    space: SearchSpace,
    out: Path,
    *,
    num_classes: int = 1000,
    target: str = FLOAT_TARGET,
    subnets: int = 60,
    held_out: int = 30,
    seed: int = 0,
) -> KitRecord:
    """Write the folder ``out``, which measures ``space`` on a device with numpy and onnxruntime.

    Args:
        space: the search space.
        out: a folder that is not there yet.
        num_classes: outputs of the classifiers.
        target: what the files are exported for, one of onnxruntime's on CPUs.
        subnets: how many to fit on, the two ends of the space among them.
        held_out: how many others to judge by.
        seed: of the choice of subnets and the order of measuring.

    Raises :class:`ProfileError`, before any work, for numbers out of range, :class:`ConfigError` for a target
    of another runtime, and as
    :func:`anas_zoo.core.files.output_folder` does.
    """
    if TimedFiles(space, num_classes, out, target).provider != CPU:
        from anas_zoo.exporting.runtimes import targets_for_the_cpu

        possible = ", ".join(targets_for_the_cpu(CPU))
        raise ConfigError(f"a kit's {MEASURE} runs onnxruntime; give one of {possible}, not {target}")
    archs = subnets_to_measure(space, num_classes, subnets=subnets, held_out=held_out, seed=seed)
    with output_folder(out) as staging:
        stage(f"export {len(archs)} subnets to {out}")
        exported = TimedFiles(space, num_classes, staging / "work", target).of(archs)
        (staging / MODELS).mkdir()
        for file in exported:
            file.replace(staging / MODELS / file.name)
        shutil.rmtree(staging / "work")
        record = KitRecord(
            space=space.config,
            num_classes=num_classes,
            target=target,
            seed=seed,
            subnets=subnets,
            archs=tuple(arch.to_dict() for arch in archs),
            files=tuple(f"{MODELS}/{file.name}" for file in exported),
            yardsticks=tuple(yardsticks_among(space.macs(archs, num_classes))),
        )
        record = record.model_copy(update={"id": record.hashed()})
        write_json(staging / KIT, record.model_dump(mode="json"))
        brought = resource_folder("export") / "latency_kit"
        for program in (brought / MEASURE, _file(timing), _file(device)):
            shutil.copyfile(program, staging / program.name)
        about = (brought / README).read_text(encoding="utf-8").format(count=len(archs), space=space.name)
        (staging / README).write_text(about, encoding="utf-8")
    return record


def fit_measured(results: Path, space: SearchSpace | None = None) -> tuple[LatencyModel, KitResults]:
    """The latency model of the device that a kit's ``results`` were measured on, and the results.

    With ``space``, they have to be of that one. Raises :class:`ConfigError` for a file that is missing, no
    results of a kit, or of a kit of another space.
    """
    data = read_json(results)
    if not isinstance(data, dict) or data.get("format") != NEWEST_RESULTS:
        raise ConfigError(
            f"{results} has no results of a latency kit ({NEWEST_RESULTS!r}); they are what a kit's "
            f"{MEASURE} writes on the device"
        )
    found = parse(KitResults, data, str(results))
    kit = found.kit
    of_kit = SearchSpace(kit.space)
    if space is not None and space.id != of_kit.id:
        raise ConfigError(
            f"{results} is of a kit of the space {of_kit.name!r} ({of_kit.id}), "
            f"not of {space.name!r} ({space.id})"
        )
    model = model_of_sweep(
        of_kit,
        kit.num_classes,
        [Architecture.from_dict(arch) for arch in kit.archs],
        Sweep(np.array(found.ms), found.level_pct, found.noise_pct),
        subnets=kit.subnets,
        fingerprint=found.fingerprint,
        clock=found.clock,
        target=kit.target,
        kit=kit.id,
    )
    return model, found


def _file(module: Any) -> Path:
    return Path(module.__file__)
