"""Stage: a pretrained network -> its truncations at several resolutions, each with a linear probe.

    RUN/probes/evaluations.jsonl    each on the search split, with its costs
               classifiers.safetensors

A search without a supernet: no weight of the network changes, so that all its truncations of one resolution
cost one pass over the images.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save
from torch import Tensor

from anas_zoo.core.errors import SearchError
from anas_zoo.core.files import atomic_write, canonical_json, output_folder
from anas_zoo.core.progress import note, track
from anas_zoo.data import ImagesAt
from anas_zoo.data.chosen_images import images_in_memory
from anas_zoo.entry import Calibration
from anas_zoo.nets import Subnet, calibrate_bn, load_supernet, top1_pct
from anas_zoo.nets.linear_probe import first_stages, fit_linear_probe, stage_features
from anas_zoo.pipeline.fitting import useful_resolutions
from anas_zoo.pipeline.latency import export_to_time
from anas_zoo.pipeline.minutes import Minutes
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.run_search import timed_target, weighs_latency
from anas_zoo.profiling.sweep import measure_sweep, yardsticks_among
from anas_zoo.searching import Evaluation, Limits, Range, pareto_front, pick_by_area, read_evaluations
from anas_zoo.searching.archive import EVALUATIONS
from anas_zoo.searching.objectives import COSTS, OBJECTIVES
from anas_zoo.space import Architecture, SearchSpace
from anas_zoo.space.truncation import truncations

CLASSIFIERS = "classifiers.safetensors"
# Beside the supernet's own: half the side costs a quarter, and the probes tell what it loses.
RESOLUTIONS = (32, 48, 64, 96, 128, 160, 192, 224)
ENLARGED = 1.3  # more than elsewhere: what was pretrained has learned from larger images
WEIGHT_DECAYS = (0.01, 0.03, 0.1)
REPEATS = 40  # measured calls of each truncation
BATCH = 32
FEWEST_PER_CLASS = 10  # training images, however short the time is
TRIAL_IMAGES = 16
EXACT = ("macs", "params", "size_bytes")  # known before anything is probed or timed


def resolutions_of(run: Run) -> tuple[int, ...]:
    """Sides in pixels at which the pretrained network is looked at."""
    own = run.space.config.resolution
    choices = sorted({*own, *(side for side in RESOLUTIONS if side <= own[-1])})
    limited = run.recipe.search.limits.resolution
    return limited or useful_resolutions(choices, round(ENLARGED * (run.inspection.short_side_px or own[-1])))


def spaces_of(run: Run) -> list[SearchSpace]:
    """The truncations of the run's pretrained network, by their number of stages."""
    return truncations(run.space, run.space.largest, resolutions_of(run))


def space_of(run: Run, arch: Architecture) -> SearchSpace:
    """The one that ``arch`` is of."""
    return spaces_of(run)[len(arch.depth) - 1]


def check_truncations_reachable(run: Run) -> None:
    """Raise :class:`SearchError`, before anything is read, where none is within the limits of exact costs."""
    _within(list(_costs(run)), run.recipe.search.limits, pretrained_name(run))


def probe_truncations(run: Run, minutes: Minutes | None) -> None:
    """Fit a linear probe to each truncation and write ``RUN/probes``.

    With ``minutes`` on as many training images as there is time for, balanced over the classes.
    """
    run.use_threads()
    whole = _pretrained(run)
    train, search = _training_images(run, whole, minutes), run.scoring_images(None)
    labels, search_labels = torch.as_tensor(train.labels), torch.as_tensor(search.labels)
    note(f"  {len(spaces_of(run))} truncations at {', '.join(map(str, resolutions_of(run)))} pixels")
    classifiers: dict[str, Tensor] = {}
    scores: dict[str, float] = {}
    for side in track(resolutions_of(run), "probe at each resolution"):
        network = _at(run, whole, side)
        features = stage_features(network, _batches(train, side))
        on_search = stage_features(network, _batches(search, side))
        for space, of_train, of_search in zip(spaces_of(run), features, on_search, strict=True):
            arch = replace(space.largest, resolution=side)
            weight, bias = _best_probe(
                of_train, labels, of_search, search_labels, len(run.source.label_names)
            )
            classifiers |= {f"{arch.id}.weight": weight, f"{arch.id}.bias": bias}
            scores[arch.id] = top1_pct(F.linear(of_search, weight, bias), search_labels)
    found = [replace(one, top1_pct=scores[one.arch.id], images=len(search_labels)) for one in _costs(run)]
    with output_folder(run.probes_folder) as staging:
        atomic_write(staging / CLASSIFIERS, save(classifiers))
        lines = (canonical_json(one.to_dict()) for one in _timed(run, found))
        atomic_write(staging / EVALUATIONS, "".join(f"{line}\n" for line in lines))


def probed(run: Run) -> list[Evaluation]:
    """All truncations with their probes' accuracies, in the order in which they were made."""
    return read_evaluations(run.probes_folder / EVALUATIONS)


def chosen_truncations(run: Run) -> list[Evaluation]:
    """The ones that are trained on, from small to large: of the front within the limits those that tell most.

    Raises :class:`SearchError` where nothing is within them.
    """
    recipe = run.recipe.search
    found = _within(probed(run), recipe.limits, pretrained_name(run))
    front = pareto_front(found, recipe.objectives)
    return pick_by_area(front, recipe.subnets, recipe.objectives)


def truncated_subnet(run: Run, arch: Architecture) -> Subnet:
    """The truncated network of ``arch`` with its linear probe."""
    classifiers = load_file(run.probes_folder / CLASSIFIERS)
    weight, bias = (classifiers[f"{arch.id}.{part}"] for part in ("weight", "bias"))
    whole = _at(run, _pretrained(run), arch.resolution)
    return first_stages(whole, arch, space_of(run, arch).structure, weight, bias)


def pretrained_name(run: Run) -> str:
    """What the run starts from is called so."""
    assert run.init is not None
    return run.init.name


def _pretrained(run: Run) -> Subnet:
    """The largest network of what the run starts from."""
    return load_supernet(run.init_folder).extract(run.space.largest)


def is_one_network(run: Run) -> bool:
    """Whether the supernet was made of one pretrained network, whose batch norms have its statistics."""
    imported = run.init_supernet.config.trained.get("imported")
    return isinstance(imported, dict) and imported.get("kind") == "timm"


def _at(run: Run, whole: Subnet, side: int) -> Subnet:
    """``whole``, its batch norms as pretrained; or, of a real supernet, calibrated at that resolution.

    Where a network has statistics of the many images that it was pretrained on, those of some hundred tell
    less; training on by them is measured in benchmarks/truncation.py.
    """
    if is_one_network(run):
        whole.calibration = Calibration(kind="trained")
    else:
        search = run.recipe.search
        images = run.training_images(search.calibration_images)(side)
        calibrate_bn(whole, images.split(search.calibration_batch_size))
    return whole


def _batches(images: ImagesAt, side: int) -> Iterator[Tensor]:
    for part in images.batches(side):
        yield from part.split(BATCH)


def _training_images(run: Run, whole: Subnet, minutes: Minutes | None) -> ImagesAt:
    """Those of the training split that the probes are fitted to."""
    count = min(len(run.split.train), images_in_memory(run.resolution))
    if minutes is not None:
        seconds = minutes.seconds_for("supernet")
        count = min(count, minutes.decided("probes", lambda: _affordable(run, whole, seconds)))
    return run.training_images(count)


def _affordable(run: Run, whole: Subnet, seconds: float) -> int:
    """How many training images pass through the network in so many seconds, at all resolutions together.

    Those of the search split have to pass as well.
    """
    some = run.training_images(TRIAL_IMAGES)
    each = 0.0
    for side in resolutions_of(run):
        stage_features(whole, [some(side)[:2]])  # the first pass is slower
        began = time.perf_counter()
        images = ImagesAt(run.source, some.indices)  # which have to be read as well
        stage_features(whole, [images(side)])
        each += (time.perf_counter() - began) / len(images.labels)
    fewest = FEWEST_PER_CLASS * len(run.source.label_names)
    return max(fewest, int(seconds / each) - len(run.split.search))


def _best_probe(
    features: Tensor, labels: Tensor, on_search: Tensor, search_labels: Tensor, num_classes: int
) -> tuple[Tensor, Tensor]:
    """The probe whose weight decay has the lowest cross-entropy on the search split."""

    def fitted(weight_decay: float) -> tuple[float, Tensor, Tensor]:
        weight, bias = fit_linear_probe(features, labels, num_classes, weight_decay=weight_decay)
        loss = F.cross_entropy(F.linear(on_search, weight, bias), search_labels).item()
        return loss, weight, bias

    _, weight, bias = min(map(fitted, WEIGHT_DECAYS), key=lambda one: one[0])
    return weight, bias


def _costs(run: Run) -> Iterator[Evaluation]:
    """Every truncation with its exact costs, not scored yet: resolution by resolution."""
    classes, spaces = len(run.source.label_names), spaces_of(run)
    for side in resolutions_of(run):
        for space in spaces:
            arch = replace(space.largest, resolution=side)
            yield Evaluation(
                arch=arch,
                macs=int(space.macs([arch], classes)[0]),
                params=int(space.params([arch], classes)[0]),
                size_bytes=int(space.size_bytes([arch], classes)[0]),
                top1_pct=0.0,
                images=0,
            )


def _timed(run: Run, found: Sequence[Evaluation]) -> list[Evaluation]:
    """``found`` with the latency of each one's file on this machine, where the recipe weighs that."""
    if not weighs_latency(run.recipe.search):
        return list(found)
    whole = _at(run, _pretrained(run), resolutions_of(run)[0])
    target, classes = timed_target(run.recipe), len(run.source.label_names)
    spaces = spaces_of(run)
    with tempfile.TemporaryDirectory(prefix="anas-truncated-") as work:
        files = [Path(work) / f"{one.arch.id}{target.suffix}" for one in found]
        for one, file in track(list(zip(found, files, strict=True)), "export the truncations"):
            space = spaces[len(one.arch.depth) - 1]
            channels = space.config.head.width[0]
            classifier = torch.zeros(classes, channels), torch.zeros(classes)  # latency does not depend on it
            subnet = first_stages(whole, one.arch, space.structure, *classifier)
            export_to_time(subnet, file, target)
        sweep = measure_sweep(
            files,
            yardsticks=yardsticks_among(np.array([one.macs for one in found])),
            rng=np.random.default_rng([run.recipe.seed, 6]),
            repeats=REPEATS,
        )
    return [replace(one, latency_ms=ms) for one, ms in zip(found, sweep.ms.tolist(), strict=True)]


def _within(found: Sequence[Evaluation], limits: Limits, name: str) -> list[Evaluation]:
    """Those of ``found``, truncations of ``name``, within ``limits`` as far as values are known."""
    kept = list(found)
    for quantity in (*COSTS, "top1_pct"):
        limit = getattr(limits, quantity)
        known = [one for one in kept if one.images or quantity in EXACT]
        if limit.open or not known:
            continue
        kept = [one for one in known if _is_within(one.value(quantity), limit)]
        if not kept:
            values, show = [one.value(quantity) for one in known], OBJECTIVES[quantity].shown
            raise SearchError(
                f"no truncation of {name} is within {limits.in_words()}: {OBJECTIVES[quantity].title} goes "
                f"from {show(min(values))} to {show(max(values))} among those within the limits before it"
            )
    return kept


def _is_within(value: float, limit: Range) -> bool:
    low = -math.inf if limit.min is None else limit.min
    return low <= value <= (math.inf if limit.max is None else limit.max)
