"""A fitted predictor as one ONNX file, and how good a file is on the measured architectures of an archive."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import ConfigError, ParityError, SearchError
from anas_zoo.core.files import atomic_write, sha256_file
from anas_zoo.core.hints import Option
from anas_zoo.searching.archive import Evaluation, read_records
from anas_zoo.searching.predictor_fit import (
    FittedPredictor,
    PredictionQuality,
    mean_by_arch,
    measure_predictions,
)
from anas_zoo.space import AccuracyPredictor, Architecture, SearchSpace
from anas_zoo.space.predictor import SPACE_KEY

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
    from onnx import helper

    space, model = fitted.space, _converted(fitted)
    drawn = space.sample_codes(np.random.default_rng(fitted.seed), PARITY_ARCHS)
    codes = np.concatenate([drawn, space.encode([space.smallest, space.largest, *fitted.archs])])
    difference = _difference(model.SerializeToString(), space, codes, fitted(codes))
    said = {**about, **_provenance(fitted), "parity_pct": f"{difference:.1e}"}
    helper.set_model_props(model, dict(sorted(said.items())))
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


@dataclass(frozen=True)
class MeasuredArchive:
    """What an archive says of accuracies: architectures as they were evaluated, and their top-1 in percent.

    ``failed`` counts the evaluations without an accuracy, which are left out; ``sha256`` is of the archive's
    file.
    """

    archs: tuple[Architecture, ...]
    top1_pct: tuple[float, ...]
    failed: int
    sha256: str


@dataclass(frozen=True)
class PredictorCheck:
    """A predictor's quality on an archive, each architecture once.

    ``unseen`` is on those that it was not fitted on, ``seen`` on the others, which says little; both None
    where its file does not say what it was fitted on, or there are none.
    """

    all: PredictionQuality
    unseen: PredictionQuality | None
    seen: PredictionQuality | None
    knows_its_archs: bool


def read_measured(path: Path, space: SearchSpace) -> MeasuredArchive:
    """The measured architectures of an ``evaluations.jsonl``.

    Raises :class:`SearchError` when it cannot be read, has no accuracy at all, or is of another space.
    """
    records = read_records(path)
    measured = [record for record in records if isinstance(record, Evaluation)]
    if not measured:
        raise SearchError(f"{path} has no evaluation with an accuracy ({len(records)} without)")
    for item in measured:
        if wrong := space.violations(item.arch):
            raise SearchError(
                f"{path} is an archive of another space than {space.name!r}: architecture {item.arch.id} is "
                f"outside it, {wrong[0]}; give its ",
                Option("space"),
            )
    return MeasuredArchive(
        archs=tuple(item.arch for item in measured),
        top1_pct=tuple(item.top1_pct for item in measured),
        failed=len(records) - len(measured),
        sha256=sha256_file(path),
    )


def check_predictor(predictor: AccuracyPredictor, archive: MeasuredArchive) -> PredictorCheck:
    """Compare predictions with what was measured, apart for architectures that the predictor knew."""
    archs, measured = mean_by_arch(archive.archs, archive.top1_pct)
    predicted = predictor(archs)
    known = fitted_arch_ids(predictor)

    def quality(chosen: list[bool]) -> PredictionQuality | None:
        where = np.array(chosen)
        return measure_predictions(predicted[where], measured[where]) if where.any() else None

    return PredictorCheck(
        all=measure_predictions(predicted, measured),
        unseen=None if known is None else quality([arch.id not in known for arch in archs]),
        seen=None if known is None else quality([arch.id in known for arch in archs]),
        knows_its_archs=known is not None,
    )
