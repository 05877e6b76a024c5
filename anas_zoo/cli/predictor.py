"""``anas predictor``: fit an accuracy predictor on an archive, or check one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anas_zoo.cli.groups import make_group
from anas_zoo.cli.options import JsonOption, SeedOption
from anas_zoo.cli.output import print_json, print_lines, print_table
from anas_zoo.core.hints import Call, as_command_line

if TYPE_CHECKING:
    from anas_zoo.searching.predictor_fit import PredictionQuality
    from anas_zoo.space import AccuracyPredictor


SAMPLED = 2000  # random architectures that describe what a predictor says
ARCHIVE_HELP = "An evaluations.jsonl, or the folder of a search or of a run."
SpaceOption = Annotated[
    str | None,
    typer.Option(
        "--space",
        metavar="NAME|FILE",
        help="Space of the archive: a preset, a .yaml file, or a supernet. Default: as the folder says.",
    ),
]


def fit(
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help=ARCHIVE_HELP)],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.onnx", help="The new file of the predictor.")],
    space: SpaceOption = None,
    held_out: Annotated[
        float,
        typer.Option(
            "--held-out", metavar="FRACTION", help="Share of the architectures to test on, up to 0.5."
        ),
    ] = 0.2,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="random_forest, gradient_boosting, ridge, svr; auto takes the best in cross-validation.",
        ),
    ] = "auto",
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a predictor of top-1 on evaluated architectures, test it on held-out ones, write it as ONNX.

    The numbers reported are of architectures that the model had not seen; the file is the same model,
    fitted on all of them afterwards.
    """
    from anas_zoo.core.files import sha256_file
    from anas_zoo.pipeline.search_folder import find_archive
    from anas_zoo.searching.predictor_file import read_measured, write_predictor
    from anas_zoo.searching.predictor_fit import fit_predictor

    _refuse_taken(out)
    found = find_archive(archive, space)
    found_space = found.space
    measured = read_measured(found.file, found_space)
    fitted = fit_predictor(
        found_space, measured.archs, measured.top1_pct, held_out=held_out, model=model, seed=seed or 0
    )
    about = {"archive_sha256": measured.sha256, "failed_evaluations": str(measured.failed)}
    about["evaluations"] = str(len(measured.archs))
    parity_pct = write_predictor(out, fitted, about=about)
    result = {
        "file": str(out),
        "sha256": sha256_file(out),
        "size_bytes": out.stat().st_size,
        "space": {"name": found_space.name, "id": found_space.id},
        "archive_sha256": measured.sha256,
        "evaluations": len(measured.archs),
        "failed_evaluations": measured.failed,
        "model": fitted.model,
        "validation": {name: quality.to_dict() for name, quality in fitted.validation.items()},
        "held_out": fitted.held_out.to_dict(),
        "fitted_archs": len(fitted.archs),
        "parity_pct": parity_pct,
    }
    if as_json:
        print_json(result)
        return
    rows = [(f"{name}, cross-validation", quality) for name, quality in fitted.validation.items()]
    _print_qualities([*rows, (f"{fitted.model}, held out", fitted.held_out)])
    search = Call("search", space=space or found_space.name, predictor=out, num_classes=found.num_classes)
    skipped = f" ({measured.failed} failed evaluations left out)" if measured.failed else ""
    print_lines(
        "",
        f"{fitted.model}, fitted on all {len(fitted.archs)} architectures{skipped}: {out}",
        f"  search by it: {as_command_line([search])}",
        f"  check it on others: {as_command_line([Call('predictor check', out, 'ARCHIVE')])}",
    )


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A predictor, an ONNX file.")],
    archive: Annotated[
        Path | None, typer.Argument(metavar="[ARCHIVE]", help=f"{ARCHIVE_HELP} Or give only --space.")
    ] = None,
    space: SpaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a predictor with evaluated architectures, and say what it predicts over its space.

    Architectures that it was fitted on are counted apart, where its file says which they are.
    """
    from anas_zoo.cli.groups import UsageError
    from anas_zoo.pipeline.init_supernet import open_space
    from anas_zoo.pipeline.search_folder import find_archive
    from anas_zoo.searching.predictor_file import check_predictor, read_measured
    from anas_zoo.space import AccuracyPredictor

    if archive is None and space is None:
        raise UsageError("give an ARCHIVE to compare with, or --space; see: anas predictor check --help")
    if archive is None:
        assert space is not None
        found = AccuracyPredictor(file, open_space(space)[0])
        result = _predicted_range(found)
        if as_json:
            print_json(result)
        else:
            _print_range(result)
        return
    evaluations = find_archive(archive, space)
    found = AccuracyPredictor(file, evaluations.space)
    measured = read_measured(evaluations.file, evaluations.space)
    checked = check_predictor(found, measured)
    parts = {"all": checked.all, "unseen": checked.unseen, "seen": checked.seen}
    result = _predicted_range(found) | {
        "archive_sha256": measured.sha256,
        "failed_evaluations": measured.failed,
        "knows_its_archs": checked.knows_its_archs,
        **{name: None if part is None else part.to_dict() for name, part in parts.items()},
    }
    if as_json:
        print_json(result)
        return
    titles = {"all": "all", "unseen": "not fitted on", "seen": "fitted on"}
    _print_qualities([(titles[name], part) for name, part in parts.items() if part is not None])
    if not checked.knows_its_archs:
        print_lines(
            "", "The file does not say which architectures it was fitted on; some may be among these."
        )
    elif checked.unseen is None:
        print_lines("", "It was fitted on all of them, so this is not a test; check it on another archive.")
    print_lines("")
    _print_range(result)


def _predicted_range(found: AccuracyPredictor) -> dict[str, Any]:
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


def _print_range(result: dict[str, Any]) -> None:
    """Print what :func:`_predicted_range` found."""
    said, about = result["predicted_pct"], result["metadata"]
    origin = "the file says nothing about its origin"
    if "model" in about:
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


def _print_qualities(rows: list[tuple[str, PredictionQuality]]) -> None:
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


def _refuse_taken(out: Path) -> None:
    from anas_zoo.core.errors import OutputError

    if out.exists():
        raise OutputError(f"{out} is already there; give another --out, or remove it first")


predictor = make_group(
    "Fit an accuracy predictor on a search's evaluations, or check one.",
    {"fit": fit, "check": check},
)
