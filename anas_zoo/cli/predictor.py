"""``anas predictor``: fit an accuracy predictor on an archive, or check one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anas_zoo.cli.groups import make_group
from anas_zoo.cli.options import JsonOption, SeedOption
from anas_zoo.cli.output import print_json, print_lines
from anas_zoo.cli.predictor_output import predicted_range, print_qualities, print_range
from anas_zoo.core.text import quoted

__all__ = ["predictor"]

ARCHIVE_HELP = "An evaluations.jsonl, or the folder of a search or of a run."
SpaceOption = Annotated[
    str | None,
    typer.Option(
        "--space",
        metavar="NAME|FILE",
        help="Space of the archive: a preset or a .yaml file. Default: as the folder says.",
    ),
]


def fit(
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help=ARCHIVE_HELP)],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.onnx", help="The predictor, a new file.")],
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
    from anas_zoo.cli.archives import find_archive, known_classes
    from anas_zoo.core.files import sha256_file
    from anas_zoo.searching.predictor_file import read_measured, write_predictor
    from anas_zoo.searching.predictor_fit import fit_predictor

    _refuse_taken(out)
    file, found_space = find_archive(archive, space)
    measured = read_measured(file, found_space)
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
    print_qualities([*rows, (f"{fitted.model}, held out", fitted.held_out)])
    known = known_classes(archive)
    classes = "" if known is None else f" --num-classes {known}"
    named = quoted(space or found_space.name)
    skipped = f" ({measured.failed} failed evaluations left out)" if measured.failed else ""
    print_lines(
        "",
        f"{fitted.model}, fitted on all {len(fitted.archs)} architectures{skipped}: {out}",
        f"  search by it: anas search --space {named} --predictor {quoted(out)}{classes}",
        f"  check it on others: anas predictor check {quoted(out)} ARCHIVE",
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
    from anas_zoo.cli.archives import find_archive
    from anas_zoo.cli.groups import UsageError
    from anas_zoo.searching.predictor_file import check_predictor, read_measured
    from anas_zoo.space import AccuracyPredictor, SearchSpace

    if archive is None and space is None:
        raise UsageError("give an ARCHIVE to compare with, or --space; see: anas predictor check --help")
    if archive is None:
        assert space is not None
        found = AccuracyPredictor(file, SearchSpace.load(space))
        result = predicted_range(found)
        if as_json:
            print_json(result)
        else:
            print_range(result)
        return
    evaluations, found_space = find_archive(archive, space)
    found = AccuracyPredictor(file, found_space)
    measured = read_measured(evaluations, found_space)
    checked = check_predictor(found, measured)
    parts = {"all": checked.all, "unseen": checked.unseen, "seen": checked.seen}
    result = predicted_range(found) | {
        "archive_sha256": measured.sha256,
        "failed_evaluations": measured.failed,
        "knows_its_archs": checked.knows_its_archs,
        **{name: None if part is None else part.to_dict() for name, part in parts.items()},
    }
    if as_json:
        print_json(result)
        return
    titles = {"all": "all", "unseen": "not fitted on", "seen": "fitted on"}
    print_qualities([(titles[name], part) for name, part in parts.items() if part is not None])
    if not checked.knows_its_archs:
        print_lines(
            "", "The file does not say which architectures it was fitted on; some may be among these."
        )
    elif checked.unseen is None:
        print_lines("", "It was fitted on all of them, so this is no test; check it on another archive.")
    print_lines("")
    print_range(result)


def _refuse_taken(out: Path) -> None:
    from anas_zoo.core.errors import OutputError

    if out.exists():
        raise OutputError(f"{out} is already there; give another --out, or remove it first")


predictor = make_group(
    "Fit an accuracy predictor on a search's evaluations, or check one.",
    {"fit": fit, "check": check},
)
