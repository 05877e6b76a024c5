"""What ``anas predictor`` shows of a predictor: what it says over its space, and how good it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anas_zoo.cli.output import print_lines, print_table

if TYPE_CHECKING:
    from anas_zoo.searching.predictor_fit import PredictionQuality
    from anas_zoo.space import AccuracyPredictor

__all__ = ["predicted_range", "print_qualities", "print_range"]

SAMPLED = 2000  # random architectures that describe what a predictor says


def predicted_range(found: AccuracyPredictor) -> dict[str, Any]:
    """What the file says of itself, and what it predicts for the ends and for random architectures."""
    import numpy as np

    from anas_zoo.core.files import sha256_file

    space = found.space
    drawn = found(space.sample_codes(np.random.default_rng(0), SAMPLED))
    smallest, largest = found([space.smallest, space.largest]).tolist()
    return {
        "file": str(found.path),
        "sha256": sha256_file(found.path),
        "space": {"name": space.name, "id": space.id},
        "metadata": {key: value for key, value in found.metadata.items() if key != "fitted_arch_ids"},
        "predicted_pct": {
            "smallest": smallest,
            "largest": largest,
            "random_archs": SAMPLED,
            "random_min": float(drawn.min()),
            "random_median": float(np.median(drawn)),
            "random_max": float(drawn.max()),
        },
    }


def print_range(result: dict[str, Any]) -> None:
    """Print what :func:`predicted_range` found."""
    said, about = result["predicted_pct"], result["metadata"]
    origin = "the file says nothing about its origin"
    if "converted_from_sha256" in about:
        origin = f"{about.get('model', '?')}, converted from the file {about['converted_from_sha256'][:12]}"
    elif "model" in about:
        origin = (
            f"{about['model']}, fitted on {about.get('fitted_archs', '?')} architectures; "
            f"held-out Kendall tau {about.get('held_out_kendall_tau', '?')}"
        )
    print_lines(
        f"{result['file']}: {origin}",
        f"  predicts {said['smallest']:.2f} % for the smallest of {result['space']['name']}, "
        f"{said['largest']:.2f} % for the largest,",
        f"  {said['random_min']:.2f} to {said['random_max']:.2f} % (median {said['random_median']:.2f} %) "
        f"for {said['random_archs']} random architectures",
    )


def print_qualities(rows: list[tuple[str, PredictionQuality]]) -> None:
    """Print qualities as a table, one title each."""
    print_table(
        ["architectures", "number", "Kendall tau", "RMSE (points)", "bias (points)"],
        [
            [
                title,
                str(quality.archs),
                "undefined" if quality.kendall_tau is None else f"{quality.kendall_tau:.3f}",
                f"{quality.rmse_pct:.3f}",
                f"{quality.bias_pct:+.3f}",
            ]
            for title, quality in rows
        ],
    )
