"""Latency stage: export subnets of a space, measure them here, fit a model and judge it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anas_zoo.core.errors import ConfigError, ProfileError
from anas_zoo.core.progress import stage, track
from anas_zoo.profiling.latency_fit import fit_coefficients, spread_codes
from anas_zoo.profiling.latency_model import FLOAT_TARGET, LatencyModel, LatencyRecord, Measured
from anas_zoo.profiling.latency_trust import ErrorReport, Here, YardstickTime, compare, judge, unrest_of
from anas_zoo.profiling.machine import CPU, XNNPACK, Fingerprint, fingerprint
from anas_zoo.profiling.sweep import check_numbers, measure_sweep, time_again, yardsticks_among
from anas_zoo.profiling.timing import Clock, Sweep, clock_of
from anas_zoo.profiling.work import WORK, work_of
from anas_zoo.space import Architecture, SearchSpace, network_layers

if TYPE_CHECKING:
    from torch import Tensor

    from anas_zoo.exporting import Target
    from anas_zoo.nets import Subnet

CALIBRATION_IMAGES = 4  # of noise; with fewer pixels in the last layers some statistics come out near zero


def fit_latency(
    space: SearchSpace,
    work: Path,
    *,
    num_classes: int = 1000,
    target: str = FLOAT_TARGET,
    threads: int = 1,
    subnets: int = 60,
    held_out: int = 30,
    repeats: int = 60,
    seed: int = 0,
) -> LatencyModel:
    """A latency model of this machine.

    Args:
        space: the search space.
        work: keeps the exported files, which the next fit of the same space uses again.
        num_classes: outputs of the classifiers.
        target: what the files are exported for; one that runs on this machine's CPU.
        threads: threads of the runtime.
        subnets: how many to fit on, the two ends of the space among them.
        held_out: how many others to judge by.
        repeats: measured calls of each file.
        seed: of the choice of subnets and the order of measuring.

    Raises :class:`ProfileError`, before any work, for numbers out of range, :class:`ConfigError` for a target
    that is not there or runs elsewhere.
    """
    check_numbers(threads, repeats)
    files = TimedFiles(space, num_classes, work, target)
    provider = files.provider
    archs = subnets_to_measure(space, num_classes, subnets=subnets, held_out=held_out, seed=seed)
    sweep = _measure(files, archs, threads, repeats, seed)
    return model_of_sweep(
        space,
        num_classes,
        archs,
        sweep,
        subnets=subnets,
        fingerprint=fingerprint(threads, provider),
        clock=clock_of(threads),
        target=target,
    )


def subnets_to_measure(
    space: SearchSpace, num_classes: int, *, subnets: int, held_out: int, seed: int
) -> list[Architecture]:
    """The architectures that a model is fitted on, the two ends of the space first, then those held out.

    Raises :class:`ProfileError` for numbers out of range.
    """
    if num_classes < 1:
        raise ProfileError(f"num_classes must be at least 1, got {num_classes}")
    ends = space.encode([space.smallest, space.largest])
    amounts = np.array([work_of(network_layers(space.structure, a, num_classes)) for a in space.decode(ends)])
    kinds = int((amounts.max(axis=0) > 0).sum())
    if subnets <= kinds:
        raise ProfileError(
            f"{subnets} subnets are too few for {kinds} kinds of work; give at least {kinds + 1} to fit on"
        )
    _check_held_out(held_out)
    rng = np.random.default_rng([seed, 0])
    fitted = np.concatenate([ends, spread_codes(space, subnets - 2, rng, apart_from=ends)])
    others = spread_codes(space, held_out, rng, apart_from=fitted)
    return space.decode(np.concatenate([fitted, others]))


def model_of_sweep(
    space: SearchSpace,
    num_classes: int,
    archs: Sequence[Architecture],
    sweep: Sweep,
    *,
    subnets: int,
    fingerprint: Fingerprint,
    clock: Clock,
    target: str,
    kit: str | None = None,
) -> LatencyModel:
    """The latency model that follows from what a sweep has measured.

    Args:
        space: the search space.
        num_classes: outputs of the classifiers.
        archs: what was measured, as :func:`subnets_to_measure` gives them.
        sweep: how long they took.
        subnets: how many of ``archs`` it is fitted on; it is judged by the others.
        fingerprint: of the machine that they were measured on.
        clock: that they were timed by.
        target: of their files.
        kit: the id of the kit that was taken to that machine; None where it is this one.
    """
    amounts = np.array([work_of(network_layers(space.structure, arch, num_classes)) for arch in archs])
    coefficients = fit_coefficients(amounts[:subnets], sweep.ms[:subnets])
    predicted_ms = amounts @ coefficients
    return LatencyModel(
        LatencyRecord(
            space=space.config,
            num_classes=num_classes,
            fingerprint=fingerprint,
            clock=clock,
            level_pct=sweep.level_pct,
            noise_pct=sweep.noise_pct,
            coefficients=dict(zip(WORK, coefficients.tolist(), strict=True)),
            error=judge(
                predicted_ms[subnets:],
                sweep.ms[subnets:],
                unrest=unrest_of(sweep.level_pct, sweep.noise_pct),
            ),
            measured=tuple(
                Measured(
                    arch=arch.to_dict(),
                    part="fit" if index < subnets else "held out",
                    ms=ms,
                    predicted_ms=predicted,
                )
                for index, (arch, ms, predicted) in enumerate(
                    zip(archs, sweep.ms.tolist(), predicted_ms.tolist(), strict=True)
                )
            ),
            kit=kit,
            target=target,
        )
    )


def check_latency(
    model: LatencyModel, subnets: int, work: Path, *, repeats: int = 60, seed: int = 1
) -> tuple[ErrorReport, list[Measured]]:
    """Measure ``subnets`` fresh ones here and compare the model's predictions with them.

    None of them was used for the model; ``seed`` chooses them. Raises as :func:`fit_latency`.
    """
    space, record = model.space, model.record
    if record.kit is not None:
        raise ProfileError(
            f"this model is of another device, {record.fingerprint.describe()}, measured by a kit; to check "
            "it, measure there again, with a kit of another seed"
        )
    threads = record.fingerprint.threads
    check_numbers(threads, repeats)
    _check_held_out(subnets)
    known = space.encode([Architecture.from_dict(one.arch) for one in record.measured])
    codes = spread_codes(space, subnets, np.random.default_rng([seed, 1]), apart_from=known)
    archs = space.decode(codes)
    files = TimedFiles(space, record.num_classes, work, record.target)
    sweep = _measure(files, archs, threads, repeats, seed)
    predicted = model(codes)
    found = [
        Measured(arch=arch.to_dict(), part="held out", ms=ms, predicted_ms=predicted_ms)
        for arch, ms, predicted_ms in zip(archs, sweep.ms.tolist(), predicted.tolist(), strict=True)
    ]
    unrest = unrest_of(sweep.level_pct, sweep.noise_pct) or model.unrest
    return judge(predicted, sweep.ms, unrest=unrest), found


def compare_here(model: LatencyModel) -> Here:
    """The model's two yardsticks, exported anew and timed here for some seconds.

    Those of a model that a kit has measured elsewhere are not: it is taken as it is.
    """
    if model.record.kit is not None:
        return Here(verdict="as fitted", bars=model.bars)
    archs = [Architecture.from_dict(one.arch) for one in model.yardsticks]
    record = model.record
    with tempfile.TemporaryDirectory(prefix="anas-latency-") as work:
        stage("compare the latency model with this machine")
        files = TimedFiles(model.space, record.num_classes, Path(work), record.target)
        times = time_again(files.of(archs), threads=record.fingerprint.threads)
    yardsticks = [
        YardstickTime(arch_id=arch.id, fit_ms=one.ms, here_ms=ms)
        for arch, one, ms in zip(archs, model.yardsticks, times, strict=True)
    ]
    return compare(yardsticks, model.bars)


def _check_held_out(count: int) -> None:
    if count < 2:
        raise ProfileError(f"an error needs at least 2 held-out subnets, got {count}")


def _measure(
    files: TimedFiles, archs: Sequence[Architecture], threads: int, repeats: int, seed: int
) -> Sweep:
    stage(f"export {len(archs)} subnets to {files.folder}")
    exported = files.of(archs)
    yardsticks = yardsticks_among(files.space.macs(archs, files.num_classes))
    rng = np.random.default_rng([seed, 2])
    stage(f"time {len(exported)} files, {threads} thread{'s' if threads > 1 else ''}")
    return measure_sweep(exported, yardsticks=yardsticks, rng=rng, threads=threads, repeats=repeats)


def noise_images(side: int) -> Tensor:
    """Of noise, (4, 3, side, side), the same ones every time."""
    import torch

    return torch.randn(CALIBRATION_IMAGES, 3, side, side, generator=torch.Generator().manual_seed(0))


def export_to_time(subnet: Subnet, file: Path, target: Target) -> None:
    """Write a calibrated subnet's file for ``target``, as fast as its own and of other values where int8.

    The ranges of int8 are those of a few images of noise, whatever the target asks for.
    """
    from anas_zoo.exporting import export_onnx

    if (how := target.quantization) is not None:
        few = how.model_copy(update={"min_images": CALIBRATION_IMAGES})
        target = target.model_copy(update={"quantization": few})
    side = subnet.arch.resolution
    images = noise_images(side)
    export_onnx(subnet, file, target=target, resolution=side, metadata={}, calibration_images=images)


@dataclass(frozen=True)
class TimedFiles:
    """Files of a space's subnets with random weights, which latency does not depend on.

    Attributes:
        space: the search space.
        num_classes: outputs of the classifiers.
        work: where they are kept. Files that are there already are used as they are: a file there is whole,
            and its folder's name tells the space, the classes, the target and the exporter.
        target: what they are exported for.
    """

    space: SearchSpace
    num_classes: int
    work: Path
    target: str = FLOAT_TARGET

    @property
    def folder(self) -> Path:
        """Where below ``work`` they lie, by architecture id."""
        from anas_zoo.exporting import EXPORTER

        return self.work / f"{self.space.name}-{self.space.id}-{self.num_classes}-{self.target}-{EXPORTER}"

    @property
    def provider(self) -> str:
        """What runs them here: onnxruntime's provider or LiteRT's delegate.

        Raises :class:`ConfigError` for a target that is not there, or that this machine's CPU does not run.
        """
        from anas_zoo.exporting.runtimes import is_for_the_cpu, targets_for_the_cpu

        target = self._loaded
        if not is_for_the_cpu(target):
            raise ConfigError(
                f"latency models are of files that onnxruntime or LiteRT run on the CPU, {target.name} is "
                f"{target.title}; give one of {', '.join(targets_for_the_cpu(CPU, XNNPACK))}"
            )
        return target.provider

    def of(self, archs: Sequence[Architecture]) -> list[Path]:
        """The file of each architecture, exported where it is not there yet."""
        import torch

        from anas_zoo.nets import Supernet, calibrate_bn

        target = self._loaded
        files = [self.folder / f"{arch.id}{target.suffix}" for arch in archs]
        missing = [(arch, file) for arch, file in zip(archs, files, strict=True) if not file.is_file()]
        if not missing:
            return files
        supernet = Supernet(self.space, self.num_classes, generator=torch.Generator().manual_seed(0))
        for arch, file in track(missing, "export"):
            subnet, side = supernet.extract(arch), arch.resolution
            # Statistics of its own activations at its own size, so that these stay of ordinary size through
            # all layers: numbers too small for the normal format would be slow.
            calibrate_bn(subnet, [noise_images(side)])
            export_to_time(subnet, file, target)
        return files

    @property
    def _loaded(self) -> Target:
        from anas_zoo.exporting import Target

        return Target.load(self.target)
