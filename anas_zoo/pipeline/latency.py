"""Latency stage: export a designed set of subnets, measure them here, fit a model and judge it."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anas_zoo.core.errors import AnasError, ProfileError
from anas_zoo.core.progress import stage, track
from anas_zoo.profiling.design import designed_codes, held_out_codes
from anas_zoo.profiling.latency_error import ErrorReport, judge, unrest_of
from anas_zoo.profiling.latency_fit import fit_coefficients
from anas_zoo.profiling.latency_model import LatencyModel, LatencyRecord, Measured
from anas_zoo.profiling.machine import fingerprint
from anas_zoo.profiling.stopwatch import clock_name
from anas_zoo.profiling.sweep import Sweep, check_numbers, measure_sweep, yardsticks_among
from anas_zoo.profiling.work import WORK, work_of
from anas_zoo.profiling.yardsticks import Here, compare, time_yardsticks
from anas_zoo.space import Architecture, SearchSpace

__all__ = ["LatencyPlan", "check_latency", "compare_here", "export_folder", "fit_latency"]

CALIBRATION_IMAGES = 4  # of noise; with fewer pixels in the last layers some statistics come out near zero


@dataclass(frozen=True, kw_only=True)
class LatencyPlan:
    """What to measure.

    Attributes:
        space: the search space.
        num_classes: outputs of the classifiers.
        threads: threads of onnxruntime.
        subnets: designed subnets to fit on.
        held_out: others to judge by.
        repeats: measured calls of each file; wide bars get up to as many again.
        seed: of the choice of subnets, their weights and the order of measuring.
    """

    space: SearchSpace
    num_classes: int = 1000
    threads: int = 1
    subnets: int = 60
    held_out: int = 30
    repeats: int = 60
    seed: int = 0


def fit_latency(plan: LatencyPlan, work: Path) -> LatencyModel:
    """A latency model of this machine.

    The exported files are kept in ``work`` and used again by the next fit of the same space.
    Raises :class:`ProfileError`, before any work, for numbers that cannot be.
    """
    space, seed = plan.space, plan.seed
    check_numbers(plan.threads, plan.repeats)
    _check_classes(plan.num_classes)
    designed = designed_codes(space, plan.subnets, np.random.default_rng([seed, 0]))
    held_out = held_out_codes(space, plan.held_out, np.random.default_rng([seed, 1]), apart_from=designed)
    archs = space.decode(np.concatenate([designed, held_out]))
    amounts = np.array([work_of(space.structure, arch, plan.num_classes) for arch in archs])
    count = len(designed)
    kinds = int((amounts[:count].max(axis=0) > 0).sum())
    if count <= kinds:
        raise ProfileError(
            f"{count} subnets are too few for {kinds} kinds of work; give at least {kinds + 1} to fit on"
        )

    sweep = _measure(space, archs, plan.num_classes, plan.threads, plan.repeats, seed, work)
    timings = sweep.timings
    latency_ms = np.array([timing.p50_ms for timing in timings])
    coefficients, penalty = fit_coefficients(
        amounts[:count], latency_ms[:count], np.random.default_rng([seed, 2])
    )
    predicted = amounts @ coefficients
    unrest = unrest_of(sweep)
    rng = np.random.default_rng([seed, 3])
    error = judge(predicted[count:], timings[count:], rng, restless=unrest is not None)
    return LatencyModel(
        LatencyRecord(
            space=space.config,
            num_classes=plan.num_classes,
            fingerprint=fingerprint(plan.threads),
            clock=clock_name(plan.threads),
            seed=seed,
            repeats=plan.repeats,
            level_pct=sweep.level_pct,
            unrest=unrest,
            penalty=penalty,
            coefficients=dict(zip(WORK, coefficients.tolist(), strict=True)),
            error=error,
            measured=tuple(
                Measured(
                    arch=arch.to_dict(),
                    part="fit" if index < count else "held out",
                    timing=timing,
                    predicted_ms=float(predicted[index]),
                )
                for index, (arch, timing) in enumerate(zip(archs, timings, strict=True))
            ),
        )
    )


def check_latency(
    model: LatencyModel, subnets: int, work: Path, *, repeats: int = 60, seed: int = 1
) -> tuple[ErrorReport, list[Measured]]:
    """Measure ``subnets`` fresh ones here and compare the model's predictions with them.

    They are none of those that the model was made of; ``seed`` chooses them. Raises as :func:`fit_latency`.
    """
    space, record = model.space, model.record
    check_numbers(record.fingerprint.threads, repeats)
    known = space.encode([Architecture.from_dict(one.arch) for one in record.measured])
    codes = held_out_codes(space, subnets, np.random.default_rng([seed, 4]), apart_from=known)
    archs = space.decode(codes)
    sweep = _measure(space, archs, record.num_classes, record.fingerprint.threads, repeats, seed, work)
    predicted = model(codes)
    found = [
        Measured(arch=arch.to_dict(), part="held out", timing=timing, predicted_ms=float(ms))
        for arch, timing, ms in zip(archs, sweep.timings, predicted, strict=True)
    ]
    level_pct = math.hypot(record.level_pct, sweep.level_pct)
    return judge(predicted, sweep.timings, np.random.default_rng([seed, 3]), level_pct=level_pct), found


def compare_here(model: LatencyModel) -> tuple[Here, str | None]:
    """The model's two yardsticks, exported anew and timed here: seconds; and why that could not be done.

    Never raises for what cannot be measured: the predictions then stay as they were fitted.
    """
    as_fitted = Here(bars=model.bars)
    if not model.yardsticks:
        return as_fitted, "its file keeps no measurements to compare with"
    archs = [Architecture.from_dict(one.arch) for one in model.yardsticks]
    threads = model.fingerprint.threads
    try:
        with tempfile.TemporaryDirectory(prefix="anas-latency-") as work:
            files = export_random(model.space, archs, model.record.num_classes, Path(work), quiet=True)
            times = time_yardsticks(
                files,
                [arch.id for arch in archs],
                [one.timing.p50_ms for one in model.yardsticks],
                threads=threads,
            )
    except (AnasError, OSError) as exc:
        return as_fitted, str(exc)
    return compare(times, model.scatter, model.record.level_pct), None


def _check_classes(num_classes: int) -> None:
    if num_classes < 1:
        raise ProfileError(f"num_classes must be at least 1, got {num_classes}")


def _measure(
    space: SearchSpace,
    archs: Sequence[Architecture],
    num_classes: int,
    threads: int,
    repeats: int,
    seed: int,
    work: Path,
) -> Sweep:
    files = export_random(space, archs, num_classes, work)
    yardsticks = yardsticks_among(space.macs(archs, num_classes))
    rng = np.random.default_rng([seed, 5])
    stage(f"time {len(files)} files, {threads} thread{'s' if threads > 1 else ''}")
    return measure_sweep(files, yardsticks=yardsticks, rng=rng, threads=threads, repeats=repeats)


def export_folder(space: SearchSpace, num_classes: int, work: Path) -> Path:
    """Where below ``work`` the files of a space lie, by architecture id."""
    from anas_zoo.exporting import EXPORTER
    from anas_zoo.pipeline.exporting import DEFAULT_TARGET

    return work / f"{space.name}-{space.id}-{num_classes}-{DEFAULT_TARGET}-{EXPORTER}"


def export_random(
    space: SearchSpace, archs: Sequence[Architecture], num_classes: int, work: Path, *, quiet: bool = False
) -> list[Path]:
    """An ONNX file of each architecture with random weights, which latency does not depend on.

    Files that are in ``work`` already are taken as they are: a file there is whole, and its folder's name
    tells the space, the classes and the exporter.
    """
    import torch

    from anas_zoo.exporting import Target, export_onnx
    from anas_zoo.nets import Supernet, calibrate_bn
    from anas_zoo.pipeline.exporting import DEFAULT_TARGET

    folder = export_folder(space, num_classes, work)
    files = [folder / f"{arch.id}.onnx" for arch in archs]
    missing = [(arch, file) for arch, file in zip(archs, files, strict=True) if not file.is_file()]
    if missing:
        if not quiet:
            stage(f"export {len(missing)} of {len(archs)} subnets to {folder}")
        supernet = Supernet(space, num_classes, generator=torch.Generator().manual_seed(0))
        target = Target.load(DEFAULT_TARGET)
        for arch, file in track(missing, "export"):
            subnet = supernet.extract(arch)
            side = arch.resolution
            # Statistics of its own activations at its own size, so that these stay of ordinary size through
            # all layers: numbers too small for the normal format would be slow.
            images = torch.randn(
                CALIBRATION_IMAGES, 3, side, side, generator=torch.Generator().manual_seed(0)
            )
            calibrate_bn(subnet, [images])
            export_onnx(subnet, file, target=target, resolution=side, metadata={})
    return files
