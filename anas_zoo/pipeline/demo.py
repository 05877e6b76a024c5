"""The whole way: split, train, search, extract, profile, export, validate, publish."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anas_zoo.core.errors import EntryError
from anas_zoo.core.extras import skipped_without_extra
from anas_zoo.core.files import write_json
from anas_zoo.core.hints import Call, Option, Part
from anas_zoo.core.progress import note, stage, track
from anas_zoo.core.schema import read_json
from anas_zoo.entry import Entry
from anas_zoo.exporting import DEFAULT_TARGET
from anas_zoo.pipeline.deploy import (
    publish_drafts,
    table_row,
    time_drafts,
    validate_on_test_images,
)
from anas_zoo.pipeline.export import export_entry, onnx_name
from anas_zoo.pipeline.extract import extract_stage
from anas_zoo.pipeline.recipe import Recipe, Settings, about_recipe, default_recipe
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.run_folder import MARKER, resumable_run
from anas_zoo.pipeline.search_scoring import evaluated_on
from anas_zoo.pipeline.search_stage import search_stage
from anas_zoo.pipeline.search_view.picture import draw_picture
from anas_zoo.pipeline.search_view.view import SearchView
from anas_zoo.pipeline.train import HERE, train_stage
from anas_zoo.searching import Evaluation
from anas_zoo.searching.archive import EVALUATIONS, FRONT, read_front, read_records
from anas_zoo.training import Processes, pick_device


@dataclass(frozen=True)
class DemoResult:
    """What a run published.

    Attributes:
        entries: folders of the entries, from small to large.
        picture: the front with the entries in it.
        rows: one dict per entry: name, top1_pct, macs, params, latency_ms, size_bytes, parity.
        seconds: wall-clock seconds of each stage that ran now.
    """

    entries: list[Path]
    picture: Path
    rows: list[dict[str, Any]]
    seconds: dict[str, float]


def demo(
    out: str | Path,
    *,
    recipe: str | Path | None = None,
    data: str | None = None,
    seed: int | None = None,
    sampling: str | None = None,
    set_: Settings | None = None,
    licence: str | None = None,
    device: str = "auto",
) -> DemoResult:
    """Train a supernet, search it, and publish verified models; what ``out`` holds already is not done again.

    Args:
        out: the run's folder; a run that was stopped in it resumes at its first unfinished stage.
        recipe: a bundled recipe's name or a YAML file; by default the run's own, for a new run the one that
            fits the images.
        data: a source of images (see :func:`anas_zoo.data.open_source`); by default the recipe's.
        seed: every random choice follows from it.
        sampling: strategy by which subnets are drawn, such as ``bestup``.
        set_: other values of the recipe, such as ``{"train.epochs": 10}`` or ``["train.epochs=10"]``.
        licence: SPDX name of the models' licence; without one publishing is refused.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises as :func:`run_demo` does, and :class:`ConfigError` for a recipe that cannot be.
    """
    changes = {"data": data, "seed": seed, "sampling": sampling, "settings": set_}
    return _whole_way("demo", Path(out), recipe, changes, licence, device)


def run(
    out: str | Path,
    *,
    init: str | Path | None = None,
    recipe: str | Path | None = None,
    data: str | None = None,
    seed: int | None = None,
    sampling: str | None = None,
    set_: Settings | None = None,
    licence: str | None = None,
    device: str = "auto",
) -> DemoResult:
    """The whole way for your own images, from a trained supernet's weights or from drawn ones.

    The arguments are those of :func:`demo`, and ``init``, a supernet to start from, as
    :func:`anas_zoo.pipeline.train.train` takes it. Raises as :func:`demo` does.
    """
    changes = {"data": data, "seed": seed, "sampling": sampling, "settings": set_}
    changes["init"] = None if init is None else str(init)
    return _whole_way("run", Path(out), recipe, changes, licence, device)


def _whole_way(
    command: str,
    out: Path,
    recipe: str | Path | None,
    changes: dict[str, Any],
    licence: str | None,
    device: str,
) -> DemoResult:
    chosen = default_recipe(changes["data"], changes["settings"], changes.get("init"))
    about: tuple[Part, ...] = ()
    if recipe is None and chosen != "digits" and not (out / MARKER).is_file():  # digits: without any option
        about = about_recipe(chosen)
    wanted = Run.recipe_for(out, None if recipe is None else str(recipe), **changes)
    with resumable_run(out, Call(command, out=out, licence=licence), "supernet"):
        return run_demo(
            out, wanted, Processes(pick_device(device)), licence=licence, about=about, command=command
        )


def run_demo(
    folder: Path,
    recipe: Recipe,
    processes: Processes = HERE,
    *,
    licence: str | None = None,
    about: Sequence[Part] = (),
    command: str = "demo",
) -> DemoResult:
    """Run every stage that ``folder`` does not hold yet; the training computes where ``processes`` says.

    The entries get ``licence``, by default the recipe's or that of the supernet it starts from; ``about`` is
    said once the run is there, and ``command`` is what repeats it.

    Raises :class:`OutputError` when the folder holds anything but an unfinished run of the
    same recipe, :class:`EntryError` before publishing without a licence, and the errors of
    the stages.
    """
    run = Run.start(folder, recipe)
    run.note_images()
    if about:
        note(*about)
    seconds: dict[str, float] = {}

    def do(number: int, title: str, made: Path, work: Callable[[], object], done: bool | None = None) -> None:
        if made.exists() if done is None else done:
            stage(f"{number}/6 {title}: already there, {made}")
            return
        stage(f"{number}/6 {title}")
        began = time.perf_counter()
        work()
        seconds[title] = round(time.perf_counter() - began, 1)

    parts = run.split
    note(f"  {len(parts.train)} train, {len(parts.search)} search, {len(parts.test)} test images")
    unlicensed = run.licence is None and licence is None
    if unlicensed:
        note("  no licence is chosen for the models yet: publishing will ask for ", Option("licence"))
    do(1, "train the supernet", run.supernet_folder, lambda: train_stage(run, processes, note_images=False))
    searched = run.search_folder / FRONT  # the last thing that a search writes
    do(2, "search the front on the search split", searched, lambda: search_stage(run, resume=True))
    do(3, "extract, calibrate, test and profile", run.drafts_folder, lambda: extract_stage(run))
    deployed = run.zoo_folder.exists() or _is_deployed(run)
    do(4, "export and validate ONNX, measure latency", run.drafts_folder, lambda: _deploy(run), deployed)
    if unlicensed and not run.zoo_folder.exists():
        raise EntryError(
            f"the models are ready in {run.drafts_folder}, but their weights have no licence; "
            "choose one that the images allow, such as CC-BY-4.0, with: ",
            Call(command, out=folder, licence="SPDX"),
        )
    do(5, "publish", run.zoo_folder, lambda: publish_drafts(run.drafts(), run.zoo_folder, licence))
    do(6, "report", run.summary_file, lambda: _report(run))
    entries = [run.zoo_folder / name for name in run.entry_order()]
    rows = read_json(run.summary_file)["entries"]
    return DemoResult(entries, run.folder / "front.png", rows, seconds)


def _is_deployed(run: Run) -> bool:
    """Whether every draft has what :func:`_deploy` leaves last."""
    reports = [Entry.read(draft).report for draft in run.drafts().values()]
    files = [report.files.get(onnx_name(DEFAULT_TARGET)) for report in reports]
    return all(file is not None and file.latency for file in files)


def _deploy(run: Run) -> None:
    """Export and validate every draft, on all test images; repeated as a whole after an interruption."""
    drafts = run.drafts()
    for draft in track(drafts.values(), "export to ONNX", total=len(drafts)):
        export_entry(draft)
    for draft in track(drafts.values(), "validate with onnxruntime", total=len(drafts)):
        validate_on_test_images(draft, run.test_images)
    time_drafts(drafts)


def _report(run: Run) -> None:
    rows = [table_row(run.zoo_folder / name) for name in run.entry_order()]
    records = read_records(run.search_folder / EVALUATIONS)
    evaluations = [record for record in records if isinstance(record, Evaluation)]
    view = SearchView(
        title=f"{run.recipe.name}: {len(records)} evaluated subnets, {len(rows)} published",
        objectives=run.recipe.search.objectives,
        evaluations=evaluations,
        front=read_front(run.search_folder / FRONT),
        failures=len(records) - len(evaluations),
        answers=[],
        baselines=[],
        scored_by=evaluated_on(run),
        tested={row["name"]: (row, row["top1_pct"]) for row in rows},
        about={},
    )
    with skipped_without_extra("front.png"):
        draw_picture(run.folder / "front.png", view)
    write_json(run.summary_file, {"entries": rows})
