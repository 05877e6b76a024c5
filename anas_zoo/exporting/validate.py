"""Proof that an ONNX file computes what the torch network computes, on the file on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anas_zoo.core.errors import (
    AgreementError,
    ConstantOutputError,
    DataError,
    InterfaceError,
    NonFiniteError,
    ParityError,
)
from anas_zoo.core.progress import track
from anas_zoo.entry import Parity, Preprocessing
from anas_zoo.exporting.checks import Interface, check_file
from anas_zoo.exporting.runtimes import Runner, open_runner, padded
from anas_zoo.exporting.target import Target
from anas_zoo.nets import top1_pct

BATCH_SIZE = 64  # images per call of the pass over all of them
BATCH_SIZES = (1, 2, 3, 7, 32)  # tried beside it

# Images whose logits differ by less than this of the largest one are not told apart by the network.
CONSTANT = 1e-5

# onnxruntime's graph optimizations replace chains of operators by fused ones, and for int8 files some of
# these computed something else (onnxruntime #24711, #32132). A deployed file may run either way, so
# both have to be right, to within rounding.
UNOPTIMIZED = "without graph optimizations"

# A fused integer operator rounds at other places than the operators it replaces. Two roundings that have
# nothing to do with each other lie √2 times as far apart as each lies from torch; honest files showed 0.02 to
# 0.9 times (docs/export.md), operators that compute something else 25 times.
MAX_GAP_RATIO = 1.5
# Float files lie so close to torch that the ratio says nothing; their own tolerance holds both ways.
ALWAYS_ALLOWED_PCT = 1.0

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class OptimizationGap:
    """How far a file with graph optimizations is from the same file without them.

    Attributes:
        pct: root mean square difference of the logits, in percent of the standard deviation of torch's.
        allowed_pct: how much it may be: 1.5 times as far as the nearer one is from torch, or 1 %.
    """

    pct: float
    allowed_pct: float

    @property
    def problem(self) -> str:
        """What is wrong, for an error; empty when nothing is."""
        if self.pct <= self.allowed_pct:
            return ""
        return (
            f"onnxruntime's graph optimizations change its logits by {self.pct:.3g} % of their deviation, at "
            f"most {self.allowed_pct:.3g} % is rounding"
        )


def optimization_gap(optimized: Logits, plain: Logits, torch_logits: Logits) -> OptimizationGap:
    """Compare the logits (N, classes) of one file, run with and without graph optimizations."""
    exact = torch_logits.astype(np.float64)
    deviation = float(exact.std()) or float(np.abs(exact).max()) or 1.0  # a single logit deviates by nothing

    def distance_pct(a: Logits, b: Logits) -> float:
        return 100.0 * float(np.sqrt(np.square(a.astype(np.float64) - b).mean())) / deviation

    nearer_pct = min(distance_pct(optimized, torch_logits), distance_pct(plain, torch_logits))
    return OptimizationGap(
        distance_pct(optimized, plain), max(MAX_GAP_RATIO * nearer_pct, ALWAYS_ALLOWED_PCT)
    )


def validate_onnx(
    path: Path,
    network: nn.Module,
    images: Tensor,
    labels: Tensor | None,
    *,
    target: Target,
    preprocessing: Preprocessing | None = None,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    name: Path | None = None,
) -> Parity:
    """Check the file's structure, run it on all ``images`` and compare it with ``network``, logit by logit.

    onnxruntime runs it with its graph optimizations and without them; both have to be within the
    tolerances, and as close to each other as :func:`optimization_gap` says.

    A file that takes raw images is run on raw ones like ``images``, in more than one size; the network gets
    them prepared by the package's own preprocessing.

    Args:
        path: the ONNX file.
        network: that it was made from; its mode is restored.
        images: preprocessed, (N, C, R, R) float32, N at least 1.
        labels: true classes, (N,) integers, or None when they are not known.
        target: brings the tolerances and the runtime.
        preprocessing: of the images; needed where the file takes raw ones.
        batch_sizes: sizes of batch to try beside the pass over all images.
        name: what errors call the file, for one that is checked before it has its final name.

    Raises :class:`InterfaceError` for wrong names or shapes or a frozen batch; :class:`NonFiniteError` for
    logits that are not finite; :class:`ConstantOutputError` for logits that are the same for all images;
    :class:`ParityError` for logits beyond the tolerance, :class:`AgreementError` for other classes;
    :class:`ExportError` for a file of another structure or that the runtime cannot load;
    :class:`DataError` for images or labels that do not fit.
    """
    _check_data(images, labels, batch_sizes)
    name = name or path
    interface = check_file(path, target, name=name)
    runner = open_runner(path, target, threads=torch.get_num_threads())
    if isinstance(runner, str):
        raise ParityError(f"{name}: cannot be run on this machine ({runner}), so nothing is proven")
    if target.input == "uint8-nhwc":
        from anas_zoo.exporting.image_input import raw_and_reference

        if preprocessing is None:
            raise DataError(
                f"{name} takes raw images; give the preprocessing of the model to compare on them"
            )
        pixels, reference = raw_and_reference(images, preprocessing)
        want = _torch_logits(network, reference)
    else:
        pixels = np.ascontiguousarray(images.detach().cpu().numpy())
        want = _torch_logits(network, images)
    _check_shapes(name, interface, tuple(images.shape[1:]), want.shape[1], target)
    fixed = None if target.batch == "dynamic" else target.batch
    size = fixed or BATCH_SIZE

    got = logits_of_all(name, runner, pixels, fixed)
    ways, gap = {"": got}, None
    if runner.open_plain is not None:
        plain = Runner(f"{runner.title} {UNOPTIMIZED}", runner.not_run_here, runner.open_plain())
        ways[f" {UNOPTIMIZED}"] = logits_of_all(name, plain, pixels, fixed)
        gap = optimization_gap(got, ways[f" {UNOPTIMIZED}"], want)
    if (pixels != pixels[0]).any() and float(np.ptp(got, axis=0).max()) <= CONSTANT * float(
        np.abs(want).max()
    ):
        raise ConstantOutputError(f"{name}: its logits are the same for all {len(got)} images")

    differences = {f"batches of {size}{way}": float(np.abs(each - want).max()) for way, each in ways.items()}
    sizes = tuple(batch_sizes) if fixed is None else ()
    for count in sizes:
        chosen = np.arange(count) % len(pixels)  # fewer images than that are used again
        again = _run(name, runner, pixels[chosen])
        # NaN compares false with everything, so it is made an infinite difference.
        off = np.nan_to_num(np.abs(again - want[chosen]), nan=np.inf)
        differences[f"a batch of {count}"] = float(off.max())
    report = Parity(
        target=target.name,
        runtime=runner.title,
        not_run_here=runner.not_run_here,
        images=len(got),
        batch_sizes=sizes,
        max_abs_logit_diff=max(differences.values()),
        top1_agreement_pct=min(_agreement_pct(each, want) for each in ways.values()),
        top1_pct=_top1_pct(got, labels),
        torch_top1_pct=_top1_pct(want, labels),
        optimization_gap_pct=None if gap is None else gap.pct,
    )
    other = [text for way, each in ways.items() for text in _disagreements(way, each, want, labels, target)]
    _hold(name, differences, gap, other, target)
    return report


def _hold(
    name: Path, differences: dict[str, float], gap: OptimizationGap | None, other: list[str], target: Target
) -> None:
    """Raise what the tolerances of ``target`` do not allow."""
    limit = target.tolerances.max_abs_logit_diff.value
    far = [
        f"logits differ by {difference:.3g} in {where}, at most {limit:g} is allowed"
        for where, difference in differences.items()
        if difference > limit
    ]
    if gap is not None and gap.problem:
        far.append(gap.problem)
    if far or other:
        kind = ParityError if far else AgreementError
        raise kind(f"{name}: not what torch computes (target {target.name}): " + "; ".join(far + other))


def _disagreements(
    way: str, got: Logits, want: Logits, labels: Tensor | None, target: Target
) -> Iterator[str]:
    tolerances = target.tolerances
    agreement_pct, needed_pct = _agreement_pct(got, want), tolerances.min_top1_agreement_pct.value
    if agreement_pct < needed_pct:
        yield f"top-1 agrees for {agreement_pct:.2f} % of the images{way}, {needed_pct:g} % is needed"
    allowed = tolerances.max_top1_drop_pct
    file_top1_pct, torch_top1_pct = _top1_pct(got, labels), _top1_pct(want, labels)
    if allowed is None or file_top1_pct is None or torch_top1_pct is None:
        return
    if torch_top1_pct - file_top1_pct > allowed.value:
        yield (
            f"top-1 drops by {torch_top1_pct - file_top1_pct:.2f} points from {torch_top1_pct:.2f} %{way}, "
            f"at most {allowed.value:g} is allowed"
        )


def _check_data(images: Tensor, labels: Tensor | None, batch_sizes: Sequence[int]) -> None:
    if images.ndim != 4 or len(images) == 0 or images.dtype != torch.float32:
        found = f"{images.dtype} of shape {tuple(images.shape)}"
        raise DataError(f"parity needs images (N, C, R, R) in float32, at least one; got {found}")
    if labels is not None and labels.shape != (len(images),):
        raise DataError(f"{len(images)} images need as many labels, got shape {tuple(labels.shape)}")
    if any(size < 1 for size in batch_sizes):
        raise DataError(f"batch sizes are at least 1, got {list(batch_sizes)}")


def _torch_logits(network: nn.Module, images: Tensor) -> Logits:
    """(N, classes) in evaluation mode."""
    training = {module: module.training for module in network.modules()}
    device = next(network.parameters()).device
    network.eval()
    try:
        with torch.no_grad():
            batches = track(torch.split(images, BATCH_SIZE), "running torch")
            parts = [network(batch.to(device)).cpu() for batch in batches]
    finally:
        for module, mode in training.items():
            module.training = mode
    logits: Logits = torch.cat(parts).numpy()
    return logits


def _check_shapes(
    name: Path, interface: Interface, image: tuple[int, ...], classes: int, target: Target
) -> None:
    """The sizes that only the network tells; names and free dimensions are :func:`check_file`'s."""
    if target.input == "float32-nchw" and interface.image != image:
        found = list(interface.image)
        raise InterfaceError(f"{name}: its input is {found} per image, the network's is {list(image)}")
    if interface.classes != classes:
        raise InterfaceError(
            f"{name}: its output is {[interface.classes]} per image, the network's is {[classes]}"
        )


def logits_of_all(name: Path, runner: Runner, pixels: npt.NDArray[Any], fixed: int | None) -> Logits:
    """(N, classes), finite, in batches of the size that the file takes.

    Raises :class:`NonFiniteError`, :class:`InterfaceError` and :class:`ParityError` for a file, called
    ``name``, that does not give them.
    """
    size = fixed or BATCH_SIZE
    parts = [
        _run(name, runner, padded(pixels[start : start + size], fixed))
        for start in track(range(0, len(pixels), size), "running the file")
    ]
    logits = np.concatenate(parts)[: len(pixels)]
    if bad := int((~np.isfinite(logits).all(axis=1)).sum()):
        raise NonFiniteError(f"{name}: its logits are not finite for {bad} of {len(logits)} images")
    return logits


def _run(name: Path, runner: Runner, pixels: npt.NDArray[Any]) -> Logits:
    try:
        logits = runner.run(pixels)
    except Exception as exc:  # each runtime has its own unrelated exception types
        reason = " ".join(str(exc).split())[:300]
        raise ParityError(f"{name}: {runner.title} cannot run a batch of {len(pixels)} ({reason})") from exc
    if len(logits) != len(pixels):
        raise InterfaceError(f"{name}: a batch of {len(pixels)} gives {len(logits)} rows of logits")
    return logits


def _agreement_pct(got: Logits, want: Logits) -> float:
    return 100.0 * float((got.argmax(1) == want.argmax(1)).mean())


def _top1_pct(logits: Logits, labels: Tensor | None) -> float | None:
    if labels is None:
        return None
    return top1_pct(torch.from_numpy(logits), labels.detach().cpu())
