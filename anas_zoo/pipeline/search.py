"""Stage: a trained supernet, or a predictor alone -> evaluations, the front, the best under budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from anas_zoo.core.errors import SearchError, nearest
from anas_zoo.core.hints import Call, Option
from anas_zoo.core.progress import note, silence
from anas_zoo.entry import SUPERNET
from anas_zoo.entry.manifest import what_is_meant
from anas_zoo.pipeline.init_supernet import means_supernet, open_space
from anas_zoo.pipeline.recipe import FROM_A_SUPERNET, Recipe
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.run_folder import MARKER
from anas_zoo.pipeline.run_search import weighs_latency
from anas_zoo.pipeline.search_folder import BEGUN_WITH, recorded_search
from anas_zoo.pipeline.search_stage import SearchOutcome, search_stage, search_with_predictor
from anas_zoo.searching import Limits, SearchRecipe
from anas_zoo.searching.objectives import COSTS, OBJECTIVES
from anas_zoo.searching.recipe import AlgorithmName
from anas_zoo.space import SearchSpace
from anas_zoo.training import join_processes

T = TypeVar("T")
_Asked: TypeAlias = "Mapping[str, tuple[float | None, list[float]]]"  # least and most, in the shown unit
# Of a search that resumes, where not given anew.
KEPT = ("evaluations", "images_forwarded", "patience", "images")
PREDICTED = {"algorithm": "nsga2", "evaluations": 10_000}  # defaults where nothing is measured
FILES = {"latency": "latency model", "predictor": "predictor"}


def search(
    run: str | Path | None = None,
    *,
    space: str | Path | None = None,
    predictor: str | Path | None = None,
    objective: str | Sequence[str] | None = None,
    num_classes: int | None = None,
    data: str | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    algorithm: AlgorithmName | None = None,
    min_mflops: float | None = None,
    max_mflops: float | Sequence[float] | None = None,
    min_mparams: float | None = None,
    max_mparams: float | Sequence[float] | None = None,
    min_size_mb: float | None = None,
    max_size_mb: float | Sequence[float] | None = None,
    min_latency_ms: float | None = None,
    max_latency_ms: float | Sequence[float] | None = None,
    min_top1_pct: float | None = None,
    resolution: int | Sequence[int] | None = None,
    latency: str | Path | None = None,
    evaluations: int | None = None,
    images_forwarded: int | None = None,
    patience: int | None = None,
    images: int | None = None,
) -> SearchOutcome | None:
    """Search the best subnets for any budget, by a supernet on held-out images or by a predictor.

    Give ``run``, or ``space`` and ``predictor``. What is not given is as the run's recipe says; of a search
    that resumes, as it was begun with. Started by torchrun, every process calls this; the first one searches
    and writes, the others evaluate for it and return None.

    A supernet that was trained elsewhere is searched as it is, on your images: that begins a run in ``out``,
    in which they are split and their classes are found among the supernet's by name.

    Args:
        run: the folder of a run with a trained supernet, or a supernet: a folder, or ``hf-hub:org/name``.
        space: a search space's name or YAML file, or a supernet whose space is meant, to search without
            weights or images.
        predictor: an ONNX file; its prediction takes the place of the supernet's accuracy.
        objective: what the front weighs top-1 against, one or several of ``macs``, ``params``,
            ``size_bytes`` and ``latency_ms``; by default what the run's recipe does, ``macs`` where that is
            latency and there is no model of it.
        num_classes: of the classifier, with ``space``; by default the supernet's, or 1000.
        data: with a supernet, a source of images (see :func:`anas_zoo.data.open_source`); with a run, where
            its images are now, if they moved; the run remembers it.
        seed: every random choice follows from it.
        out: the search's folder; by default ``RUN/search`` or ``SPACE_search``. Of a supernet, the run's.
        resume: resume the search that is in the folder, if any.
        device: ``auto``, ``cpu`` or ``cuda``.
        algorithm: ``surrogate`` (the default), ``evolution``, ``nsga2`` (the default with ``predictor``) or
            ``random``.
        min_mflops: least million multiply-adds.
        max_mflops: most million multiply-adds; of several, the best subnet under each is an answer. So it is
            with the other limits.
        min_mparams: least million parameters.
        max_mparams: most million parameters.
        min_size_mb: least megabytes of the float32 weights.
        max_size_mb: most megabytes of the float32 weights.
        min_latency_ms: least predicted milliseconds; needs ``latency``.
        max_latency_ms: most predicted milliseconds; needs ``latency``.
        min_top1_pct: least top-1 in percent.
        resolution: only these sides of the input, in pixels.
        latency: a latency model's file, where latency is an objective or limited; by default the run's.
        evaluations: subnets to score at most; by default 512, with ``predictor`` 10000.
        images_forwarded: images to pass through subnets at most, those of calibrations included.
        patience: stop after so many rounds in which the front has hardly moved; by default 0: never.
        images: images of the search split to score a subnet on; by default all.

    Raises :class:`SearchError` when nothing is within the limits, when the folder holds another search, or
    when evaluations keep failing; :class:`OutputError` when the folder is taken; :class:`ConfigError` for a
    space, a predictor or a latency model that cannot be used; :class:`CheckpointError` without a trained
    supernet; :class:`EntryError` for one that cannot be had; :class:`DataError` for images that do not fit.
    """
    found, classes = (None, None) if space is None else open_space(space)
    supernet = run if run is not None and means_supernet(run) else None
    if run is not None and supernet is None:
        _refuse_neither(Path(run))
    if supernet is not None:
        run, out = _run_of_supernet(supernet, data, out), None
    folder = _folder(run, found, out)
    kept = recorded_search(folder) if resume else None
    files = _files(kept, folder, {"latency": latency, "predictor": predictor})
    _check_subject(run, space, files["predictor"], num_classes=num_classes, data=data)
    limits = {
        "macs": (min_mflops, _several(max_mflops)),
        "params": (min_mparams, _several(max_mparams)),
        "size_bytes": (min_size_mb, _several(max_size_mb)),
        "latency_ms": (min_latency_ms, _several(max_latency_ms)),
        "top1_pct": (min_top1_pct, []),
    }
    _check_limits(limits)
    spent = {
        "evaluations": evaluations,
        "images_forwarded": images_forwarded,
        "patience": patience,
        "images": images,
    }

    def changed(recipe: SearchRecipe) -> SearchRecipe:
        if files["predictor"] is not None:
            recipe = recipe.changed(**PREDICTED)
        if kept is not None:
            recipe = recipe.changed(**{key: kept[BEGUN_WITH].get(key) for key in KEPT} | kept["settings"])
        return recipe.changed(
            algorithm=algorithm,
            objectives=_objectives(_several(objective)) or None,
            limits=_changed_limits(recipe.limits, limits, _several(resolution), resumed=kept is not None),
            latency=None if files["latency"] is None else str(files["latency"]),
            **spent,
        )

    if kept is not None and seed is None:
        seed = kept["seed"]
    budgets = [
        (name, y * OBJECTIVES[name].per_shown)
        for name, (_, most) in limits.items()
        for y in dict.fromkeys(most)
    ]
    if run is None:
        assert found is not None
        assert files["predictor"] is not None
        return search_with_predictor(
            found,
            files["predictor"],
            recipe=changed(SearchRecipe()),
            seed=seed or 0,
            out=folder,
            num_classes=num_classes or (kept["num_classes"] if kept is not None else classes or 1000),
            resume=resume,
            budgets=budgets,
            space_text=str(space),
        )
    with join_processes(device) as processes:
        if not processes.first:
            silence()
        if supernet is not None:
            if processes.first:
                _begin_run(Path(run), str(supernet), data, seed)
            processes.wait()  # the first process makes the folder
            data = None  # it is the run's
        opened = Run.open(Path(run), data, remember=processes.first)
        return search_stage(
            opened,
            recipe=_with_latency(opened, changed(opened.located.search), asked=objective is not None),
            seed=seed,
            out=None if out is None else folder,
            resume=resume,
            budgets=budgets,
            predictor=files["predictor"],
            processes=processes,
        )


def _with_latency(run: Run, recipe: SearchRecipe, *, asked: bool) -> SearchRecipe:
    """``recipe`` with the run's own latency model where latency counts and no other model is named.

    Without one, multiply-adds are weighed in its place, unless objectives were ``asked`` for.
    """
    if recipe.latency is not None or not weighs_latency(recipe):
        return recipe
    if run.latency_file.is_file():
        return recipe.changed(latency=str(run.latency_file))
    if asked or not recipe.limits.latency_ms.open:
        return recipe
    note(
        "  no latency model of this machine, so multiply-adds are weighed; to weigh latency give ",
        Option("latency", "FILE"),
    )
    return recipe.without_latency()


def _refuse_neither(folder: Path) -> None:
    """Raise :class:`SearchError` for what is not the folder of a run, nor in one, nor a supernet's."""
    if not any((place / MARKER).is_file() for place in (folder, *folder.resolve().parents[:2])):
        raise SearchError(
            f"{folder} is neither the folder of a run (it has no {MARKER}) nor a supernet (no {SUPERNET})",
            *what_is_meant(folder, SUPERNET),
        )


def _run_of_supernet(supernet: str | Path, data: str | None, out: str | Path | None) -> Path:
    """The folder of the run in which a supernet is searched; raises :class:`SearchError` for what lacks."""
    if out is None:
        raise SearchError(
            f"{supernet} is a supernet, whose search begins a run; name its folder: ", Option("out", "RUN")
        )
    if data is None and not (Path(out) / MARKER).is_file():
        raise SearchError(
            f"{supernet} is a supernet, which is searched on your images; give ",
            Option("data", "DIR"),
            ", a folder with one sub-folder of images per class",
        )
    return Path(out)


def _begin_run(folder: Path, supernet: str, data: str | None, seed: int | None) -> None:
    """Begin the run of a supernet that is taken as it is, or check that the one in ``folder`` is of it."""
    if (folder / MARKER).is_file():
        there = Run.open(folder)
        if not there.as_it_is:
            raise SearchError(
                f"{folder} holds a run that trained its own supernet; search that: ",
                Call("search", folder),
                ", or give another ",
                Option("out"),
            )
        run = Run.start(folder, there.recipe.changed(data=data, init=supernet), as_it_is=True)
    else:
        recipe = Recipe.load(FROM_A_SUPERNET, data=data, init=supernet, seed=seed)
        run = Run.start(folder, recipe, as_it_is=True)
    run.note_images()
    parts = run.split
    note(f"  {len(parts.train)} calibration, {len(parts.search)} search, {len(parts.test)} test images")


def _folder(run: str | Path | None, space: SearchSpace | None, out: str | Path | None) -> Path:
    if out is not None:
        return Path(out)
    if run is not None:
        return Path(run) / "search"
    return Path("search" if space is None else f"{space.name}_search")


def _files(
    kept: Mapping[str, Any] | None, folder: Path, given: Mapping[str, str | Path | None]
) -> dict[str, Path | None]:
    """The files of a search: what is ``given`` now, else what one that resumes was begun with."""
    files = {option: None if file is None else Path(file) for option, file in given.items()}
    for option, what in FILES.items():
        if kept is not None and files[option] is None and kept[BEGUN_WITH].get(option):
            files[option] = path = Path(kept[BEGUN_WITH][option])
            if not path.is_file():
                raise SearchError(
                    f"{path}, the {what} of the search in {folder}, is not there any more; say where it is "
                    "now: ",
                    Option(option, "FILE"),
                )
    return files


def _check_subject(
    run: str | Path | None,
    space: str | Path | None,
    predictor: Path | None,
    *,
    num_classes: int | None,
    data: str | None,
) -> None:
    """Raises :class:`SearchError` unless one thing is to be searched, with the options that go with it."""
    if run is None:
        if space is None or predictor is None:
            raise SearchError(
                "nothing to search: give the folder of a run, ",
                Call("search", "RUN"),
                ", a supernet and your images, ",
                Call("search", "SUPERNET", data="DIR", out="RUN"),
                ", or a space and a predictor, ",
                Call("search", space="attentive_nas", predictor="FILE"),
            )
        if data is not None:
            raise SearchError(
                "a predictor alone needs no images; ", Option("data"), " goes with the folder of a run"
            )
        return
    if space is not None:
        raise SearchError(
            f"{run} has its own space; give the folder or ", Option("space", space), ", not both"
        )
    if num_classes is not None:
        raise SearchError(
            f"{run} has its own classes; ", Option("num_classes"), " goes with ", Option("space")
        )


def _several(given: T | Sequence[T] | None) -> list[T]:
    """What may be given once or several times, as a list."""
    if given is None:
        return []
    return [given] if isinstance(given, (str, int, float)) else list(given)  # type: ignore[arg-type]


def _objectives(costs: Sequence[str]) -> list[str]:
    """The objectives of a front of top-1 and ``costs``; none of no costs, as the recipe says then."""
    for cost in costs:
        if cost not in COSTS:
            hint = nearest(cost, COSTS) or f"; costs: {', '.join(COSTS)}"
            raise SearchError(Option("objective", cost), f": no such cost{hint}")
    return ["top1_pct", *dict.fromkeys(costs)] if costs else []


def _check_limits(limits: _Asked) -> None:
    for name, (least, most) in limits.items():
        if least is not None and most and min(most) < least:
            title = OBJECTIVES[name].title
            raise SearchError(f"{title} at least {least:g} and at most {min(most):g}: no subnet has that")


def _changed_limits(
    before: Limits, asked: _Asked, resolution: Sequence[int], *, resumed: bool
) -> dict[str, Any]:
    """The limits of a recipe with what is asked; upper ones of a search that resumes stay as they were."""
    limits = before.model_dump()
    for name, (least, most) in asked.items():
        unit = OBJECTIVES[name].per_shown
        if least is not None:
            limits[name]["min"] = least * unit
        if most and not resumed:
            limits[name]["max"] = max(most) * unit
    if resolution:
        limits["resolution"] = tuple(resolution)
    return limits
