"""What predictors are fitted on and checked with: the measured architectures of an archive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anas_zoo.core.errors import SearchError
from anas_zoo.core.files import sha256_file
from anas_zoo.searching.archive import read_records
from anas_zoo.searching.evaluation import Evaluation
from anas_zoo.searching.predictor_file import fitted_arch_ids
from anas_zoo.searching.predictor_fit import mean_by_arch
from anas_zoo.searching.predictor_quality import PredictionQuality, measure_predictions
from anas_zoo.space import AccuracyPredictor, Architecture, SearchSpace

__all__ = ["MeasuredArchive", "PredictorCheck", "check_predictor", "read_measured"]


@dataclass(frozen=True)
class MeasuredArchive:
    """What an archive says of accuracies.

    Attributes:
        archs: architectures as they were evaluated, N.
        top1_pct: what was measured of them, in percent, N.
        failed: how many evaluations have no accuracy and are left out.
        sha256: of the archive's file.
    """

    archs: tuple[Architecture, ...]
    top1_pct: tuple[float, ...]
    failed: int
    sha256: str


@dataclass(frozen=True)
class PredictorCheck:
    """A predictor's quality on an archive, each architecture once.

    Attributes:
        all: on all architectures.
        unseen: on those that it was not fitted on; None without any, or where its file does not say.
        seen: on those that it was fitted on, which says little; None likewise.
        knows_its_archs: whether its file says what it was fitted on.
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
                f"outside it, {wrong[0]}; give its space with --space"
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
