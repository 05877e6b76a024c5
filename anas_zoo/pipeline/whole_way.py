"""The whole way for a user's images: look, train, search, train on, export, validate, report, publish."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from anas_zoo.core.errors import ConfigError, QuantizationError
from anas_zoo.core.extras import skipped_without_extra
from anas_zoo.core.files import write_json
from anas_zoo.core.hints import Call, Option, Part
from anas_zoo.core.progress import note, stage, track
from anas_zoo.core.schema import read_json
from anas_zoo.data.sources import BUILT_IN
from anas_zoo.entry import Entry
from anas_zoo.exporting import DEFAULT_TARGET, Target, check_writable
from anas_zoo.exporting.runtimes import refuse_other_processors
from anas_zoo.pipeline.advice import advise, recommended, still_rising, with_front
from anas_zoo.pipeline.at_hand import weights_at_hand
from anas_zoo.pipeline.beside import beside, free_cores
from anas_zoo.pipeline.contact_sheet import draw_contact_sheet
from anas_zoo.pipeline.deploy import (
    file_top1_pct,
    publish_drafts,
    table_row,
    time_drafts,
    validate_on_test_images,
)
from anas_zoo.pipeline.export import DEFAULT_FILE, export_also, export_entry, file_name
from anas_zoo.pipeline.extract import extract_stage
from anas_zoo.pipeline.fixed_training import search_split_top1_pct
from anas_zoo.pipeline.flip_trial import try_flips
from anas_zoo.pipeline.minutes import YARDSTICK, Minutes, threads_that_pay
from anas_zoo.pipeline.minutes import Part as Spending
from anas_zoo.pipeline.recipe import FOR_OWN_IMAGES, FROM_A_SUPERNET, Recipe, Settings
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.run_folder import MARKER, resumable_run
from anas_zoo.pipeline.run_search import check_reachable, search_run, timed_target
from anas_zoo.pipeline.search_folder import weighed_objectives
from anas_zoo.pipeline.search_scoring import evaluated_on
from anas_zoo.pipeline.search_view.picture import draw_picture
from anas_zoo.pipeline.search_view.view import SearchView
from anas_zoo.pipeline.timm_beside import (
    are_finished,
    check_networks,
    files_to_time,
    note_latencies,
    rows_of,
)
from anas_zoo.pipeline.train import HERE, train_stage
from anas_zoo.pipeline.truncated import (
    check_truncations_reachable,
    pretrained_name,
    probe_truncations,
    probed,
)
from anas_zoo.pipeline.winners import Winners, chosen_winners, train_winners, winners_are_trained
from anas_zoo.pipeline.yardstick import train_beside, untrained_beside
from anas_zoo.searching import Evaluation, pareto_front
from anas_zoo.searching.archive import EVALUATIONS, FRONT, Record, read_front, read_records
from anas_zoo.training import Processes, pick_device, read_metrics
from anas_zoo.zoo import load_subnet


@dataclass(frozen=True)
class RunResult:
    """What a run made.

    Attributes:
        entries: folders of the published entries, from small to large; of the drafts where they have no
            licence yet.
        picture: the front with them in it.
        rows: one dict per model, and per network of timm's beside, which is no entry: name, top1_pct, macs,
            params, latency_ms, size_bytes, parity, on_front, and the target and name of the file that they
            are of.
        advice: which of them to take, in sentences.
        recommended: the folder of that one.
        seconds: wall-clock seconds of each stage that ran now.
        publish: what publishes the drafts; None where they are published.
    """

    entries: list[Path]
    picture: Path
    rows: list[dict[str, Any]]
    advice: list[tuple[Part, ...]]
    recommended: Path
    seconds: dict[str, float]
    publish: Call | None


def run(
    out: str | Path,
    *,
    data: str | None = None,
    init: str | Path | None = None,
    beside: Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    recipe: str | Path | None = None,
    minutes: float | None = None,
    max_latency_ms: float | None = None,
    max_size_mb: float | None = None,
    max_mflops: float | None = None,
    max_mparams: float | None = None,
    seed: int | None = None,
    set_: Settings | None = None,
    licence: str | None = None,
    device: str = "auto",
) -> RunResult:
    """From images to measured models, beside a plain network; what ``out`` holds already is not done again.

    Args:
        out: the run's folder; a run that was stopped in it resumes at its first unfinished stage.
        data: a source of images (see :func:`anas_zoo.data.open_source`); by default the recipe's.
        init: what to start from: the folder of a supernet, a run, ``hf-hub:org/name``, or ``timm/NAME``, a
            network of timm's with its pretrained weights. By default ``timm/efficientnet_lite0`` for images
            of more than 40 pixels where its weights are on this machine, else nothing.
        beside: networks of timm's to compare with, ``NAME`` from drawn weights or ``NAME:pretrained``; each
            is trained on the same images for a tenth of the minutes, and stands in the table and the picture.
        target: names of deployment targets that every model is exported for as well, such as ``litert-int8``
            (``export/targets``); where one fails, a warning says why. Of the first that this machine can time
            are the milliseconds that the run limits, searches by, measures and advises on, and the accuracies
            in its table.
        recipe: a bundled recipe's name or a YAML file; by default the run's own, for a new run the one that
            fits the images.
        minutes: that the whole run may take here; it divides them itself.
        max_latency_ms: most milliseconds that a model may take for one image on one thread of this machine.
        max_size_mb: most megabytes of its float32 weights.
        max_mflops: most million multiply-adds.
        max_mparams: most million parameters.
        seed: every random choice follows from it.
        set_: other values of the recipe, such as ``{"train.batch_size": 32}`` or ``["train.batch_size=32"]``.
        licence: SPDX name of the models' licence; without one nothing is published.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises :class:`ConfigError` for a recipe that cannot be, :class:`DataError` for images that cannot be read
    or trained on, :class:`OutputError` when the folder holds anything but an unfinished run of the same
    recipe, and the errors of the stages.
    """
    out = Path(out)
    limits = {
        "search.limits.latency_ms.max": max_latency_ms,
        "search.limits.size_bytes.max": None if max_size_mb is None else max_size_mb * 1e6,
        "search.limits.macs.max": None if max_mflops is None else max_mflops * 1e6,
        "search.limits.params.max": None if max_mparams is None else max_mparams * 1e6,
    }
    settings = with_limits(set_, limits)
    start = None if init is None else str(init)
    begun = (out / MARKER).is_file()
    if not begun and data is None and recipe is None and init is None:
        raise ConfigError(
            "which images? Give ",
            Option("data", "DIR"),
            ", a folder with one sub-folder of images per class (or digits, glyphs, hfds/NAME, wds/DIR)",
        )
    if recipe is None and not begun:
        own = {str(setting).split("=")[0].split(".")[0] for setting in settings}  # keys, or KEY=VALUE
        if start is None and data is not None and data not in BUILT_IN and "space" not in own:
            start = weights_at_hand(data)
        recipe = FOR_OWN_IMAGES if start is None else FROM_A_SUPERNET
    wanted = Run.recipe_for(
        out,
        None if recipe is None else str(recipe),
        data=data,
        seed=seed,
        settings=settings,
        init=start,
        minutes=minutes,
        beside=beside or None,
        targets=[target] if isinstance(target, str) else target or None,
    )
    with resumable_run(out, Call("run", out=out, licence=licence), "supernet"):
        return run_stages(out, wanted, Processes(pick_device(device)), licence=licence)


def with_limits(settings: Settings | None, limits: dict[str, float | None]) -> dict[str, Any] | list[str]:
    """``settings`` and, after them, the ``limits`` that are not None."""
    given = {key: value for key, value in limits.items() if value is not None}
    if settings is None or isinstance(settings, dict):
        return {**(settings or {}), **given}
    return [*settings, *(f"{key}={value!r}" for key, value in given.items())]


def run_stages(
    folder: Path,
    recipe: Recipe,
    processes: Processes = HERE,
    *,
    licence: str | None = None,
) -> RunResult:
    """Run every stage that ``folder`` does not hold yet; the training computes where ``processes`` says.

    The entries get ``licence``, by default the recipe's or that of the supernet it starts from; without one
    the drafts are not published.

    Raises :class:`OutputError` when the folder holds anything but an unfinished run of the same recipe, and
    the errors of the stages.
    """
    check_networks(recipe, folder)
    targets = [Target.load(name) for name in recipe.targets]
    for target in targets:
        check_writable(target)
        refuse_other_processors(target)
    run = Run.start(folder, recipe)
    run.note_images()
    parts = run.split
    note(f"  {len(parts.train)} train, {len(parts.search)} search, {len(parts.test)} test images")
    _check_enough_images(targets, len(parts.train))
    if run.is_truncated:
        check_truncations_reachable(run)
    else:
        check_reachable(run)
    minutes = None if run.recipe.minutes is None else Minutes(run.minutes_file, run.recipe.minutes)
    if not run.summary_file.exists():
        with nullcontext() if minutes is None else minutes.spending("images"):
            run.keep_decoded()
    if minutes is not None and run.recipe.threads == 0 and processes.device.type == "cpu":
        batch_size = run.recipe.train.batch_size
        # Truncated networks are probed beside the plain one, and trained on side by side; a core that the
        # plain network takes is not the supernet's.
        left = torch.get_num_threads() - (1 if untrained_beside(run) else 0)
        most = 1 if run.is_truncated else left
        threads = minutes.decided("threads", lambda: threads_that_pay(run.space, batch_size, most))
        torch.set_num_threads(threads)
    licensed = licence is not None or run.licence is not None
    stages = _Stages(minutes)
    if run.recipe.try_flips:
        stages.add(
            "try flipped images",
            "flips",
            run.flips_file,
            lambda: try_flips(run, None if minutes is None else minutes.seconds_for("flips"), processes),
        )
    if run.is_truncated:
        stages.add(
            f"probe the first stages of {pretrained_name(run)}{_trained_beside(run.recipe)}",
            "supernet",
            run.probes_folder,
            lambda: _with_others_beside(run, processes, lambda: _probe(run, minutes)),
            lambda: run.probes_folder.exists() and not untrained_beside(run),
        )
    else:
        stages.add(
            "train the supernet" + _named_beside(run.recipe),
            "supernet",
            run.supernet_folder,
            lambda: _with_others_beside(run, processes, lambda: _train(run, processes, minutes)),
            lambda: run.supernet_folder.exists() and not untrained_beside(run),
        )
        stages.add(
            "search the front on the search split",
            "search",
            run.search_folder / FRONT,  # the last thing that a search writes
            lambda: search_run(run, minutes, processes),
        )
    if run.recipe.winners is not None:
        stages.add(
            "train what was found, each as a fixed network",
            "winners",
            run.winners_folder,
            lambda: train_winners(run, chosen_winners(run), minutes, processes),
            lambda: run.drafts_folder.exists() or winners_are_trained(run),
        )
    stages.add("calibrate, test and profile", "models", run.drafts_folder, lambda: extract_stage(run))
    stages.add(
        "export and validate ONNX, measure latency",
        "models",
        run.drafts_folder,
        lambda: _deploy(run),
        lambda: run.zoo_folder.exists() or _is_deployed(run),
    )
    stages.add("report", "models", run.summary_file, lambda: _report(run))
    if licensed:
        stages.add(
            "publish",
            "models",
            run.zoo_folder,
            lambda: publish_drafts(_shipped(run), run.zoo_folder, licence),
        )
    else:
        note("  no licence is chosen for the models: they will be ready, but not published")
    seconds = stages.run()
    run.drop_decoded()
    published = run.zoo_folder.exists()
    home = run.zoo_folder if published else run.drafts_folder
    summary = read_json(run.summary_file)
    rows = summary["entries"]
    names = [row["name"] for row in rows if row["name"] in (_shipped(run) if published else run.drafts())]
    take = _recommended(run, rows)
    return RunResult(
        entries=[home / name for name in names],
        picture=run.folder / "front.png",
        rows=rows,
        advice=_advice(run, rows),
        recommended=home / take if take in names else _drafts(run)[take],
        seconds=seconds,
        publish=None if published else Call("run", out=folder, licence="SPDX"),
    )


def _check_enough_images(targets: Sequence[Target], images: int) -> None:
    """Raise :class:`QuantizationError`, before anything is trained, where int8 has too few of them."""
    for target in targets:
        how = target.quantization
        if how is not None and images < how.min_images:
            raise QuantizationError(
                f"ranges of {target.name} need at least {how.min_images} training images, and there are "
                f"{images}; leave out ",
                Option("target", target.name),
            )


def _recommended(run: Run, rows: Sequence[dict[str, Any]]) -> str:
    """The name of the model to take, be it the plain network."""
    drafts = _drafts(run)
    take, _ = recommended([row for row in rows if row["name"] in drafts], len(run.split.search))
    return str(take["name"])


def _advice(run: Run, rows: Sequence[dict[str, Any]]) -> list[tuple[Part, ...]]:
    recipe = run.recipe
    longer = None if recipe.minutes is None else 3 * recipe.minutes
    more = Call(
        "run",
        data=recipe.data,
        init=recipe.init,
        beside=recipe.beside or None,
        minutes=longer,
        out=f"{run.folder}_longer",
    )
    images, largest = len(run.split.search), None
    if (winners := Winners.of(run)) is not None:
        largest = winners.winners[-1].name
        folder = run.winners_folder / largest
        trained = read_metrics(folder) if folder.exists() else []  # not where it stays with its linear probe
        watched = [record for record in trained if record["kind"] == "evaluation"]
        if not still_rising([record["top1_pct"]["subnet"] for record in watched], images):
            largest = None
    return advise(rows, run.yardstick_draft.name, images, more, largest, files_to_time(run))


class _Stages:
    """The stages of a run, in order, of which those are done that have not left what they make."""

    def __init__(self, minutes: Minutes | None) -> None:
        self._minutes = minutes
        self._stages: list[tuple[str, Spending, Path, Callable[[], object], Callable[[], bool]]] = []

    def add(
        self,
        title: str,
        spending: Spending,
        made: Path,
        work: Callable[[], object],
        done: Callable[[], bool] | None = None,
    ) -> None:
        """A stage that makes ``made``; ``done`` says whether it has, where its being there does not."""
        self._stages.append((title, spending, made, work, done or made.exists))

    def run(self) -> dict[str, float]:
        """Do what is to be done; wall-clock seconds of each."""
        seconds: dict[str, float] = {}
        for number, (title, spending, made, work, done) in enumerate(self._stages, 1):
            if done():
                stage(f"{number}/{len(self._stages)} {title}: already there, {made}")
                continue
            stage(f"{number}/{len(self._stages)} {title}")
            began = time.perf_counter()
            with nullcontext() if self._minutes is None else self._minutes.spending(spending):
                work()
            seconds[title] = round(time.perf_counter() - began, 1)
        return seconds


def _train(run: Run, processes: Processes, minutes: Minutes | None) -> None:
    if not run.supernet_folder.exists():
        others = min(len(untrained_beside(run)), _cores_left(processes))
        train_stage(run, processes, note_images=False, minutes=minutes, others=others)


def _cores_left(processes: Processes) -> int:
    """Cores that the threads of this process leave to others."""
    return max(0, free_cores(processes) - torch.get_num_threads())


def _probe(run: Run, minutes: Minutes | None) -> None:
    if not run.probes_folder.exists():
        probe_truncations(run, minutes)


def _with_others_beside(run: Run, processes: Processes, work: Callable[[], None]) -> None:
    """Do ``work`` and, where there are cores for it at the same time, train what the run is compared with."""
    seconds = None if run.recipe.minutes is None else YARDSTICK * 60 * run.recipe.minutes
    names = untrained_beside(run)
    with beside(run) as running:
        if at_once := min(len(names), _cores_left(processes)):
            for place in range(at_once):
                mine = names[place::at_once]
                which = ",".join(["" if seconds is None else f"{seconds:.1f}", *mine])
                running.start(" and ".join(mine), 1, "yardsticks", which)
            names = []
        work()
        running.wait()
    for name in names:
        train_beside(run, name, seconds, processes)


def _named_beside(recipe: Recipe) -> str:
    """``", and a plain network and resnet10t beside it"``."""
    names = [*(["a plain network"] if recipe.yardstick else []), *recipe.beside]
    *first, last = names or [""]
    return f", and {', '.join(first)}{' and ' if first else ''}{last} beside it" if names else ""


def _trained_beside(recipe: Recipe) -> str:
    """``", and train a plain network beside it"``."""
    return _named_beside(recipe).replace(", and ", ", and train ", 1)


def _drafts(run: Run) -> dict[str, Path]:
    """The drafts of the run and the yardstick's."""
    plain = {run.yardstick_draft.name: run.yardstick_draft} if run.recipe.yardstick else {}
    return run.drafts() | plain


def _shipped(run: Run) -> dict[str, Path]:
    """The drafts that become entries: the run's, and the yardstick's where it is on their front."""
    plain, drafts = run.yardstick_draft.name, _drafts(run)
    ours = [row for row in read_json(run.summary_file)["entries"] if row["name"] in drafts]
    rows = {row["name"]: row for row in with_front(ours)}
    return {name: path for name, path in drafts.items() if name != plain or rows[name]["on_front"]}


def _is_deployed(run: Run) -> bool:
    """Whether every draft, and every network of timm's, has what :func:`_deploy` leaves last."""
    if not run.drafts_folder.exists() or not are_finished(run):
        return False
    reports = [Entry.read(draft).report for draft in _drafts(run).values()]
    files = [report.files.get(DEFAULT_FILE) for report in reports]
    return all(file is not None and file.latency for file in files)


def _deploy(run: Run) -> None:
    """Export and validate every draft, on all test images; repeated as a whole after an interruption."""
    drafts = _drafts(run)
    for draft in track(drafts.values(), "export to ONNX", total=len(drafts)):
        export_entry(draft)
    for draft in track(drafts.values(), "validate with onnxruntime", total=len(drafts)):
        validate_on_test_images(draft, run.test_images, only=DEFAULT_FILE)
    for name in run.recipe.targets:
        for draft in track(drafts.values(), f"export for {name}", total=len(drafts)):
            export_also(draft, name)
    note_latencies(run, time_drafts(drafts, files_to_time(run)))


def _row(run: Run, draft: Path, target: Target) -> dict[str, Any]:
    """The draft's numbers, and its accuracy on the search split, by which it is compared with the others.

    They are of its file for ``target``, where it has one; else of the default one, whose accuracy is that of
    the weights.
    """
    name = file_name(target)
    if name == DEFAULT_FILE or name not in Entry(draft).report.files:
        searched = search_split_top1_pct(run, load_subnet(draft))
        own = {"search_top1_pct": searched, "target": DEFAULT_TARGET, "file": DEFAULT_FILE}
        return table_row(draft) | own
    side = Entry(draft).config.resolution
    return table_row(draft, name) | {
        "top1_pct": file_top1_pct(draft / name, target, run.test_images, side),
        "search_top1_pct": file_top1_pct(draft / name, target, run.scoring_images(None), side),
        "target": target.name,
        "file": name,
    }


def _draw_mistakes(run: Run, name: str, entry: Entry) -> None:
    """``RUN/wrong/NAME.png``: it shows the user's images, so it is in no entry."""
    if entry.report.accuracy is not None:
        (run.folder / "wrong").mkdir(exist_ok=True)
        draw_contact_sheet(
            run.folder / "wrong" / f"{name}.png",
            entry.report.accuracy,
            run.source,
            run.source.label_names,
            name=name,
            transparency=run.source.preprocessing.transparency,
        )


def _report(run: Run) -> None:
    drafts = _drafts(run)
    target = timed_target(run.recipe)
    rows = with_front([*(_row(run, draft, target) for draft in drafts.values()), *rows_of(run)])
    for name, draft in drafts.items():
        _draw_mistakes(run, name, Entry(draft))
    objectives: Sequence[str]
    if run.is_truncated:
        objectives = run.recipe.search.objectives
        found = probed(run)
        records: Sequence[Record] = found
        front = pareto_front(found, objectives)
        what = "probed truncations"
    else:
        objectives = weighed_objectives(run.search_folder, run.recipe.search)
        records = read_records(run.search_folder / EVALUATIONS)
        front = read_front(run.search_folder / FRONT)
        what = "evaluated subnets"
    evaluations = [record for record in records if isinstance(record, Evaluation)]
    view = SearchView(
        title=f"{run.recipe.name}: {len(records)} {what}, {len(rows)} models",
        objectives=objectives,
        evaluations=evaluations,
        front=front,
        failures=len(records) - len(evaluations),
        answers=[],
        baselines=[],
        scored_by=evaluated_on(run),
        tested={row["name"]: (row, row["top1_pct"]) for row in rows if row["name"] in drafts},
        compared={row["name"]: (row, row["top1_pct"]) for row in rows if row["name"] not in drafts},
        about={},
    )
    with skipped_without_extra("front.png"):
        draw_picture(run.folder / "front.png", view)
    write_json(run.summary_file, {"entries": rows})
