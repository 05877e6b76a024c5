"""Proof that an ONNX file computes what the torch network computes, on the file as it lies on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anas_zoo.errors import DataError, ParityError
from anas_zoo.export.checks import INPUT, OUTPUT
from anas_zoo.export.target import Target
from anas_zoo.nets import Subnet
from anas_zoo.profiling.session import open_session, runtime_version
from anas_zoo.progress import track
from anas_zoo.schema import Schema

__all__ = ["ParityReport", "validate_onnx"]

BATCH_SIZE = 64  # images per call of the pass over all of them

Logits = npt.NDArray[np.float32]


class ParityReport(Schema):
    """How closely the ONNX file follows the torch network.

    Attributes:
        target: name of the target whose tolerances were kept.
        runtime: name and version of what ran the file.
        images: number of images compared, all that were given.
        batch_sizes: further sizes of batch that gave the same logits.
        max_abs_logit_diff: largest difference of any logit of any image in any batch size.
        top1_agreement_pct: images for which both name the same class first.
        top1_pct: accuracy of the ONNX file; null without labels.
        torch_top1_pct: accuracy of the torch network on the same images; null without labels.
    """

    target: str
    runtime: str
    images: int
    batch_sizes: tuple[int, ...]
    max_abs_logit_diff: float
    top1_agreement_pct: float
    top1_pct: float | None
    torch_top1_pct: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return self.model_dump(mode="json")


def validate_onnx(
    path: Path,
    subnet: Subnet,
    images: Tensor,
    labels: Tensor | None,
    *,
    target: Target,
    batch_sizes: Sequence[int] = (1, 2, 7),
) -> ParityReport:
    """Run the file on all ``images`` and compare it with ``subnet``, logit by logit.

    Args:
        path: the ONNX file.
        subnet: the network that it was made from; its mode is restored.
        images: preprocessed, (N, C, R, R) float32, N at least 1.
        labels: true classes, (N,) integers, or None when they are not known.
        target: brings the tolerances.
        batch_sizes: sizes of batch to try beside the pass over all images.

    Raises :class:`ParityError` for a difference beyond the tolerances, wrong names or shapes, a frozen
    batch, logits that are not finite or the same for all images; :class:`anas_zoo.errors.ExportError`
    for a file that onnxruntime cannot load; :class:`DataError` for images or labels that do not fit.
    """
    _check_data(images, labels, batch_sizes)
    session = open_session(path, threads=torch.get_num_threads(), provider=target.provider)
    want = _torch_logits(subnet, images)
    _check_interface(path, session, tuple(images.shape[1:]), want.shape[1])

    pixels = np.ascontiguousarray(images.detach().cpu().numpy())
    starts = range(0, len(pixels), BATCH_SIZE)
    parts = [_run(path, session, pixels[i : i + BATCH_SIZE]) for i in track(starts, "running onnxruntime")]
    got = np.concatenate(parts)
    if not np.isfinite(got).all():
        bad = int((~np.isfinite(got).all(axis=1)).sum())
        raise ParityError(f"{path}: its logits are not finite for {bad} of {len(got)} images")
    tolerances = target.tolerances
    limit = tolerances.max_abs_logit_diff.value
    if (pixels != pixels[0]).any() and float(np.ptp(got, axis=0).max()) <= limit:
        raise ParityError(f"{path}: its logits are the same for all {len(got)} images, within {limit:g}")

    differences = {f"batches of {BATCH_SIZE}": float(np.abs(got - want).max())}
    for size in batch_sizes:
        chosen = np.arange(size) % len(pixels)  # fewer images than that are used again
        again = _run(path, session, pixels[chosen])
        # NaN compares false with everything, so it is made an infinite difference.
        gap = np.nan_to_num(np.abs(again - want[chosen]), nan=np.inf)
        differences[f"a batch of {size}"] = float(gap.max())
    agreement_pct = 100.0 * float((got.argmax(1) == want.argmax(1)).mean())

    problems = [
        f"logits differ by {difference:.3g} in {where}, at most {limit:g} is allowed"
        for where, difference in differences.items()
        if difference > limit
    ]
    needed_pct = tolerances.min_top1_agreement_pct.value
    if agreement_pct < needed_pct:
        problems.append(f"top-1 agrees for {agreement_pct:.2f} % of the images, {needed_pct:g} % is needed")
    if problems:
        raise ParityError(f"{path}: not what torch computes (target {target.name}): " + "; ".join(problems))
    return ParityReport(
        target=target.name,
        runtime=runtime_version(),
        images=len(got),
        batch_sizes=tuple(batch_sizes),
        max_abs_logit_diff=max(differences.values()),
        top1_agreement_pct=agreement_pct,
        top1_pct=_top1_pct(got, labels),
        torch_top1_pct=_top1_pct(want, labels),
    )


def _check_data(images: Tensor, labels: Tensor | None, batch_sizes: Sequence[int]) -> None:
    if images.ndim != 4 or len(images) == 0 or images.dtype != torch.float32:
        found = f"{images.dtype} of shape {tuple(images.shape)}"
        raise DataError(f"parity needs images (N, C, R, R) in float32, at least one; got {found}")
    if labels is not None and labels.shape != (len(images),):
        raise DataError(f"{len(images)} images need as many labels, got shape {tuple(labels.shape)}")
    if any(size < 1 for size in batch_sizes):
        raise DataError(f"batch sizes are at least 1, got {list(batch_sizes)}")


def _torch_logits(subnet: Subnet, images: Tensor) -> Logits:
    """(N, classes) in evaluation mode."""
    training = {module: module.training for module in subnet.modules()}
    device = next(subnet.parameters()).device
    subnet.eval()
    try:
        with torch.no_grad():
            batches = track(torch.split(images, BATCH_SIZE), "running torch")
            parts = [subnet(batch.to(device)).cpu() for batch in batches]
    finally:
        for module, mode in training.items():
            module.training = mode
    logits: Logits = torch.cat(parts).numpy()
    return logits


def _check_interface(path: Path, session: Any, image: tuple[int, ...], classes: int) -> None:
    for kind, name, values, rest in (
        ("input", INPUT, session.get_inputs(), image),
        ("output", OUTPUT, session.get_outputs(), (classes,)),
    ):
        names = [value.name for value in values]
        if names != [name]:
            raise ParityError(f"{path}: its {kind}s are {names}, needed is {[name]}")
        batch, *found = values[0].shape
        if isinstance(batch, int):
            raise ParityError(f"{path}: the batch of its {kind} is frozen at {batch}")
        if tuple(found) != rest:
            raise ParityError(f"{path}: its {kind} is {found} per image, the network's is {list(rest)}")


def _run(path: Path, session: Any, pixels: Logits) -> Logits:
    try:
        logits: Logits = session.run([OUTPUT], {INPUT: pixels})[0]
    except Exception as exc:  # onnxruntime has fifteen unrelated exception types
        reason = " ".join(str(exc).split())[:300]
        raise ParityError(f"{path}: onnxruntime cannot run a batch of {len(pixels)} ({reason})") from exc
    if len(logits) != len(pixels):
        raise ParityError(f"{path}: a batch of {len(pixels)} gives {len(logits)} rows of logits")
    return logits


def _top1_pct(logits: Logits, labels: Tensor | None) -> float | None:
    if labels is None:
        return None
    return 100.0 * float((logits.argmax(1) == labels.detach().cpu().numpy()).mean())
