"""``anas latency``: fit a model of this machine's latencies, check it, ask it."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anas_zoo.cli.groups import UsageError, make_group
from anas_zoo.cli.options import JsonOption
from anas_zoo.cli.output import print_json, print_lines, print_pairs, print_table
from anas_zoo.core.text import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anas_zoo.profiling.latency_model import LatencyModel, LatencyRecord
    from anas_zoo.profiling.latency_trust import ErrorReport


HELP = "Models of the latency on this machine, or by a kit on another device: fit, check, predict."

ModelArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A latency model (see: anas latency fit).")
]
WorkOption = Annotated[
    Path | None,
    typer.Option("--work", metavar="DIR", help="Keep the exported files here and reuse them."),
]
RepeatsOption = Annotated[int, typer.Option("--repeats", metavar="N", help="Measured calls of each file.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, metavar="S", help="Seed of all choices.")]
SpaceOption = Annotated[
    str | None,
    typer.Option(
        "--space",
        metavar="NAME|FILE",
        help="A bundled search space, a .yaml file, or a supernet or run whose space is meant. Default: "
        "attentive_nas.",
    ),
]
ClassesOption = Annotated[
    int | None,
    typer.Option(
        "--num-classes", metavar="N", help="Outputs of the classifiers. Default: the supernet's, or 1000."
    ),
]
TargetOption = Annotated[
    str,
    typer.Option(
        "--target",
        metavar="NAME",
        help="What the files are exported for: a target that onnxruntime or LiteRT runs on a CPU.",
    ),
]
SubnetsOption = Annotated[int, typer.Option("--subnets", metavar="N", help="Subnets to measure and fit on.")]
HeldOutOption = Annotated[
    int,
    typer.Option("--held-out", metavar="N", help="Held-out subnets to measure and judge the model by."),
]
DEFAULT_SPACE, DEFAULT_TARGET = "attentive_nas", "ort-cpu-fp32"
# What its kit has decided where results are brought back.
OF_A_KIT = ("num_classes", "target", "threads", "subnets", "held_out", "repeats", "seed", "work")


def latency() -> typer.Typer:
    """The group of commands."""
    return make_group(HELP, {"fit": fit, "check": check, "predict": predict, "kit": kit})


def fit(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The .json file to write.")],
    measured: Annotated[
        Path | None,
        typer.Option(
            "--measured",
            metavar="FILE",
            help="results.json of a kit: fit the model of the device that it comes from.",
        ),
    ] = None,
    space: SpaceOption = None,
    num_classes: ClassesOption = None,
    target: TargetOption = DEFAULT_TARGET,
    threads: Annotated[int, typer.Option("--threads", metavar="N", help="Threads of the runtime.")] = 1,
    subnets: SubnetsOption = 60,
    held_out: HeldOutOption = 30,
    repeats: RepeatsOption = 60,
    seed: SeedOption = 0,
    work: WorkOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure subnets of a space on this machine and fit a model that predicts the latency of all others.

    Every subnet is exported (some seconds each) and timed on the CPU, one image a call.
    The exported files stay in --work, by default a folder beside the model's file; it may be removed.
    With --measured, nothing is measured here: the model is of the device that a kit was taken to.
    """
    from anas_zoo.core.errors import OutputError
    from anas_zoo.core.stopping import resumable
    from anas_zoo.pipeline.init_supernet import open_space
    from anas_zoo.pipeline.latency import fit_latency

    if out.exists():
        raise OutputError(f"{out} exists already; give another --out, or remove it first")
    if measured is not None:
        _refuse_those_of_a_kit(context)
        _fit_measured(measured, space, out, as_json)
        return
    found, classes = open_space(space or DEFAULT_SPACE)
    folder = work or out.with_name(f"{out.stem}-onnx")
    with resumable(lambda: [f"repeat the command: files that were exported to {folder} are used again"]):
        model = fit_latency(
            found,
            folder,
            num_classes=classes or 1000 if num_classes is None else num_classes,
            target=target,
            threads=threads,
            subnets=subnets,
            held_out=held_out,
            repeats=repeats,
            seed=seed,
        )
    model.save(out)
    _warn(model)
    _print_fit(model, out, as_json)
    if not as_json:
        print_lines(f"  check it later: anas latency check {quoted(out)}")


def kit(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write.")],
    space: SpaceOption = None,
    num_classes: ClassesOption = None,
    target: TargetOption = DEFAULT_TARGET,
    subnets: SubnetsOption = 60,
    held_out: HeldOutOption = 30,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Write a folder that measures subnets of a space on a device with nothing but Python and onnxruntime.

    Copy it there, run its measure.py, and bring back results.json: anas latency fit --measured makes the
    latency model of that device, for anas search --latency.
    """
    from anas_zoo.pipeline.init_supernet import open_space
    from anas_zoo.pipeline.latency_kit import write_kit

    found, classes = open_space(space or DEFAULT_SPACE)
    classes = classes or 1000 if num_classes is None else num_classes
    record = write_kit(
        found, out, num_classes=classes, target=target, subnets=subnets, held_out=held_out, seed=seed
    )
    if as_json:
        print_json({"folder": str(out), "id": record.id, "subnets": len(record.archs)})
        return
    print_lines(
        f"{out}: {len(record.archs)} subnets of {found.name}; copy it to the device, and there",
        "  pip install numpy onnxruntime",
        "  python measure.py",
        "then take its results.json back, and",
        "  anas latency fit --measured results.json --out latency.json",
    )


def _refuse_those_of_a_kit(context: typer.Context) -> None:
    """Raise :class:`UsageError` where an option was typed that the kit has decided when it was written."""
    sources = {name: context.get_parameter_source(name) for name in OF_A_KIT}
    typed = [
        f"--{name}".replace("_", "-")
        for name, source in sources.items()
        if source is not None and source.name == "COMMANDLINE"
    ]
    if typed:
        raise UsageError(
            f"{', '.join(typed)}: measured results have their own, from the kit and its measure.py; with "
            "--measured, leave this out"
        )


def _fit_measured(results: Path, space: str | None, out: Path, as_json: bool) -> None:
    from anas_zoo.core.progress import warn
    from anas_zoo.pipeline.init_supernet import open_space
    from anas_zoo.pipeline.latency_kit import fit_measured

    model, found = fit_measured(results, None if space is None else open_space(space)[0])
    model.save(out)
    for note in found.notes:
        warn(f"while it was measured: {note}")
    _warn(model)
    _print_fit(model, out, as_json)


def _print_fit(model: LatencyModel, out: Path, as_json: bool) -> None:
    """What was fitted, how good it is and where it lies."""
    from anas_zoo.profiling.work import WORK

    if as_json:
        print_json({"file": str(out), "error": model.error.model_dump(mode="json")} | _trust_of(model))
        return
    used = {name: ms for name, ms in model.record.coefficients.items() if ms > 0}
    print_table(
        ["work", "ms per unit", "unit (in millions, where it is not a count)"],
        [[name, f"{ms:.4f}", WORK[name]] for name, ms in used.items()],
    )
    _print_error(model.error, model.record)
    print_lines("", f"latency model: {out}", f"  {_trust(model)}")


def check(
    file: ModelArgument,
    subnets: Annotated[
        int, typer.Option("--subnets", metavar="N", help="Fresh subnets to measure and compare.")
    ] = 10,
    repeats: RepeatsOption = 60,
    seed: SeedOption = 1,
    work: WorkOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a few fresh subnets here and compare them with what the model predicts."""
    from anas_zoo.pipeline.latency import check_latency
    from anas_zoo.profiling.latency_model import LatencyModel
    from anas_zoo.space import Architecture

    model = LatencyModel.load(file)
    with _folder(work) as folder:
        error, measured = check_latency(model, subnets, folder, repeats=repeats, seed=seed)
    warning = _warn(model)
    if as_json:
        rows = [one.model_dump(mode="json") for one in measured]
        found = {"error": error.model_dump(mode="json"), "measured": rows, "warning": warning}
        print_json(found | _trust_of(model))
        return
    print_table(
        ["architecture", "measured ms", "predicted ms", "from", "to", "error %"],
        [
            [
                Architecture.from_dict(one.arch).id,
                *(f"{ms:.3f}" for ms in (one.ms, one.predicted_ms, *_ends(model, one.predicted_ms))),
                f"{100 * (one.predicted_ms / one.ms - 1):+.1f}",
            ]
            for one in sorted(measured, key=lambda one: one.ms)
        ],
    )
    _print_error(error, model.record)


def predict(
    file: ModelArgument,
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="ENTRY|ARCH...", help="Shelf models, entries, or .json files of architectures."
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Predict the latency of entries or architectures; nothing is measured."""
    from anas_zoo.core.schema import read_json
    from anas_zoo.entry import Entry
    from anas_zoo.profiling.latency_model import LatencyModel
    from anas_zoo.space import Architecture
    from anas_zoo.zoo.shelf import locate

    model = LatencyModel.load(file)
    archs = [
        Architecture.from_dict(read_json(Path(text)))
        if text.endswith(".json")
        else Entry.read(locate(text)).config.arch
        for text in what
    ]
    for arch in archs:
        model.space.validate(arch)
    found = dict(zip(what, model(archs).tolist(), strict=True))
    warning = _warn(model)
    if as_json:
        ends = {name: _ends(model, ms) for name, ms in found.items()}
        said = {"latency_ms": found, "latency_bar_ms": ends, "error_pct": model.error.median_abs_pct}
        print_json(said | {"warning": warning} | _trust_of(model))
        return
    print_table(
        ["what", "latency ms", "from", "to"],
        [[name, *(f"{value:.3f}" for value in (ms, *_ends(model, ms)))] for name, ms in found.items()],
    )
    print_lines(_trust(model))


@contextmanager
def _folder(work: Path | None) -> Iterator[Path]:
    """``work``, or a temporary folder."""
    from tempfile import TemporaryDirectory

    if work is not None:
        yield work
        return
    with TemporaryDirectory(prefix="anas-latency-") as name:
        yield Path(name)


def _warn(model: LatencyModel) -> str | None:
    from anas_zoo.core.progress import warn

    found = []
    if foreign := model.foreign():
        advice = f"anas latency fit --space {quoted(model.space.name)} --out FILE.json"
        found.append(f"{foreign}: its milliseconds are not true here; fit one here: {advice}")
    if model.unrest is not None:
        found.append(
            f"the machine was busy while the latency model was fitted ({model.unrest}): its "
            "milliseconds are those of that time, and its bars wide; fit it again on a quieter machine"
        )
    warning = "; ".join(found) or None
    if warning is not None:
        warn(warning)
    return warning


def _ends(model: LatencyModel, ms: float) -> list[float]:
    """Both ends of the bars of a prediction."""
    return [ms * factor for factor in model.bars.factors]


def _trust_of(model: LatencyModel) -> dict[str, object]:
    """How far the predictions can be trusted, for machines."""
    return {"bars": model.bars.model_dump(mode="json"), "unrest": model.unrest}


def _trust(model: LatencyModel) -> str:
    """The same for people."""
    from anas_zoo.profiling.latency_trust import SHARE_PCT

    return (
        f"true milliseconds are within {model.bars.in_words()} of a prediction: {SHARE_PCT:g} % of the "
        f"held-out subnets' errors, and the ±{model.record.level_pct:.0f} % by which the machine's speed "
        "changed during the fit"
    )


def _print_error(error: ErrorReport, record: LatencyRecord) -> None:
    from anas_zoo.profiling.latency_trust import TARGET_ERROR_PCT, TARGET_TAU

    print_pairs(
        f"error on {error.subnets} subnets that the fit has not seen",
        {
            "median |error|": f"{error.median_abs_pct:.2f} %",
            "bias": f"{error.bias_pct:+.2f} % (a large one: the machine has become slower or faster)",
            "Kendall's tau": f"{error.kendall_tau:.3f}",
            "target": f"at most {TARGET_ERROR_PCT:g} % and at least {TARGET_TAU:g}: {error.verdict}",
            "measured on": f"{record.fingerprint.describe()}; {record.fingerprint.runtime}, {record.target}",
        },
    )
