"""A fitted predictor as one ONNX file: converted, checked against scikit-learn, told where it comes from."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import ConfigError, ParityError
from anas_zoo.core.files import atomic_write
from anas_zoo.searching.predictor_fit import FittedPredictor
from anas_zoo.space import AccuracyPredictor, SearchSpace
from anas_zoo.space.predictor import SPACE_KEY

__all__ = [
    "OPSETS",
    "PARITY_ARCHS",
    "TOLERANCE_PCT",
    "fitted_arch_ids",
    "write_checked",
    "write_predictor",
]

FITTED_KEY = "fitted_arch_ids"  # separated by spaces: what a later check must not count as unseen

OPSETS = {"": 17, "ai.onnx.ml": 3}  # of onnx 1.12 (2022), so that older runtimes read the file as well
PARITY_ARCHS = 2000
# In points of top-1. ONNX's trees and sums are float32, in which one step at 70 % is 8e-6; measured over
# models and spaces: up to 2e-4 (a forest adds up 200 of them).
TOLERANCE_PCT = 1e-3


def write_predictor(path: Path, fitted: FittedPredictor, *, about: dict[str, str]) -> float:
    """Write ``fitted`` to ``path`` as ONNX: input ``codes`` (N, genes) float32, output ``top1_pct`` (N, 1).

    The file's metadata has the space, the architectures fitted on, the quality on held-out ones, tool
    versions, and ``about``. Same arguments and versions, same bytes.

    Returns the largest difference between the file's answers and scikit-learn's, in points of top-1.
    Raises :class:`ParityError`, and writes nothing, when it is above :data:`TOLERANCE_PCT`.
    """
    space = fitted.space
    known = space.encode([space.smallest, space.largest, *fitted.archs])
    drawn = space.sample_codes(np.random.default_rng(fitted.seed), PARITY_ARCHS)
    return write_checked(
        path,
        _converted(fitted),
        space,
        codes=np.concatenate([drawn, known]),
        reference=fitted,
        about={**about, **_provenance(fitted)},
    )


def write_checked(
    path: Path,
    model: Any,
    space: SearchSpace,
    *,
    codes: npt.NDArray[np.int64],
    reference: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]],
    about: dict[str, str],
) -> float:
    """Write an ONNX ``model`` of ``space`` with ``about`` in its metadata, if it agrees with ``reference``.

    Args:
        path: where to.
        model: an ONNX model of one input and one output.
        space: which space it is of.
        codes: the architectures to compare on, (N, genes).
        reference: the right answers to codes, in percent, (N,).
        about: the metadata.

    Returns the largest difference on ``codes``, in points of top-1.
    Raises :class:`ParityError`, and writes nothing, when it is above :data:`TOLERANCE_PCT`.
    """
    difference = _difference(model.SerializeToString(), space, codes, reference(codes))
    _describe(model, {**about, "parity_pct": f"{difference:.1e}"})
    atomic_write(path, model.SerializeToString())
    return difference


def fitted_arch_ids(predictor: AccuracyPredictor) -> frozenset[str] | None:
    """Ids of the architectures that a predictor's file was fitted on; None where the file does not say."""
    text = predictor.metadata.get(FITTED_KEY)
    return None if text is None else frozenset(text.split())


def _converted(fitted: FittedPredictor) -> Any:
    """The ONNX model of the regressor, without metadata."""
    from onnx import helper
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    genes = fitted.space.genes.count
    model = convert_sklearn(
        fitted.regressor,
        name="accuracy_predictor",
        initial_types=[("codes", FloatTensorType([None, genes]))],
        final_types=[("top1_pct", FloatTensorType([None, 1]))],
        target_opset=OPSETS,
    )
    # skl2onnx may name a domain twice, or with a version below the one asked for.
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in OPSETS.items())
    return model


def _difference(
    content: bytes, space: SearchSpace, codes: npt.NDArray[np.int64], wanted: npt.NDArray[np.float64]
) -> float:
    """Largest difference between what the file ``content`` answers to ``codes`` and ``wanted``."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "predictor.onnx")
        file.write_bytes(content)
        try:
            answered = AccuracyPredictor(file, space)(codes)
        except ConfigError as exc:
            raise ParityError(f"the converted predictor does not run: {exc}") from exc
    difference = float(np.abs(answered - wanted).max())
    if not difference <= TOLERANCE_PCT:
        raise ParityError(
            f"the converted predictor differs from the original by {difference:.2g} points of top-1, "
            f"{TOLERANCE_PCT:g} are allowed; nothing was written"
        )
    return difference


def _provenance(fitted: FittedPredictor) -> dict[str, str]:
    quality = fitted.held_out
    tau = "undefined" if quality.kendall_tau is None else f"{quality.kendall_tau:.4f}"
    return {
        SPACE_KEY: fitted.space.id,
        "space": fitted.space.name,
        "model": fitted.model,
        "seed": str(fitted.seed),
        "fitted_archs": str(len(fitted.archs)),
        FITTED_KEY: " ".join(arch.id for arch in fitted.archs),
        "held_out_archs": str(quality.archs),
        "held_out_kendall_tau": tau,
        "held_out_rmse_pct": f"{quality.rmse_pct:.4f}",
        "held_out_bias_pct": f"{quality.bias_pct:.4f}",
        **{name: metadata.version(name) for name in ("anas-zoo", "scikit-learn", "skl2onnx")},
    }


def _describe(model: Any, about: dict[str, str]) -> None:
    """Add ``about`` to the model's metadata."""
    for key, value in sorted(about.items()):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
