"""Stage: what a search chose -> fixed networks, each trained alone, from drawn or from shared weights."""

from __future__ import annotations

import fcntl
import math
import os
import time
from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field

from anas_zoo.core.errors import OutputError
from anas_zoo.core.files import sha256_file, write_json
from anas_zoo.core.progress import Bar, note
from anas_zoo.core.schema import Schema, parse, read_json
from anas_zoo.data.batches import steps_of_part
from anas_zoo.entry import SUPERNET_WEIGHTS
from anas_zoo.nets import Subnet
from anas_zoo.pipeline.beside import LOOK_SECONDS, beside, free_cores
from anas_zoo.pipeline.fixed_training import (
    calibrated_on,
    drawn,
    innermost,
    load_trained,
    search_split_top1_pct,
    train_fixed,
)
from anas_zoo.pipeline.minutes import Minutes, epochs_within, seconds_per_epoch
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.search_folder import weighed_objectives
from anas_zoo.pipeline.search_scoring import make_evaluator
from anas_zoo.pipeline.train import HERE, open_train_data
from anas_zoo.pipeline.truncated import chosen_truncations, is_one_network, truncated_subnet
from anas_zoo.searching import Evaluation, pick_across, pick_subnets, read_evaluations
from anas_zoo.searching.archive import EVALUATIONS
from anas_zoo.space import Architecture
from anas_zoo.training import Processes, TrainRecipe, read_metrics
from anas_zoo.training.checkpoint import latest_step
from anas_zoo.training.step import FixedStep

WINNERS = "winners.json"
# Where fewer are left for each, fewer subnets are trained: so many epochs, of many images so many steps.
ENOUGH_EPOCHS, ENOUGH_STEPS = 8.0, 1500
FEWEST_EPOCHS = 4  # of a truncated network: fewer passes hardly move what it has learned
BEGIN_SECONDS = 6.0  # that a process takes until it reads its images
# What exporting, checking and timing a trained model take: for itself, and passes over the test images. Six
# models took 5 to 11 s in runs of 5 and 15 minutes, which is half of that.
MODEL_SECONDS, MODEL_PASSES = 2.0, 4


class Winner(Schema):
    """One subnet that is trained on: the name of its entry, its architecture and its training.

    ``train`` is None for a truncated network that stays with its linear probe. ``seconds`` are those that the
    training will take by what its epochs took.
    """

    name: str
    arch: dict[str, Any]
    train: TrainRecipe | None
    seconds: float = 1.0


class Winners(Schema):
    """``RUN/winners/winners.json``, written before any of them is trained.

    Attributes:
        winners: from small to large; the last one teaches the others.
    """

    winners: tuple[Winner, ...] = Field(min_length=1)

    @classmethod
    def of(cls, run: Run) -> Winners | None:
        """Those of ``run``, None where they have not been chosen yet."""
        file = run.winners_folder / WINNERS
        return (
            parse(cls, read_json(file, error=OutputError), str(file), error=OutputError)
            if file.is_file()
            else None
        )


def train_winners(
    run: Run, chosen: Sequence[Evaluation], minutes: Minutes | None, processes: Processes = HERE
) -> None:
    """Train the subnets ``chosen``, from small to large, into ``RUN/winners``; what is there already stays.

    On a CPU several are trained at a time, in processes of their own; where the largest teaches the others it
    is trained first. With ``minutes`` each gets its share of what is left, by the square root of what one of
    its epochs takes: large subnets need more time, small ones more epochs.

    Raises as :meth:`anas_zoo.training.Trainer.run` does, and :class:`TrainingError` for a process that fails.
    """
    assert run.recipe.winners is not None
    run.use_threads()
    if Winners.of(run) is None:
        run.winners_folder.mkdir(exist_ok=True)
        content = Winners(winners=_planned(run, chosen, minutes, processes))
        write_json(run.winners_folder / WINNERS, content.model_dump(mode="json"))
    winners = Winners.of(run)
    assert winners is not None
    *others, largest = winners.winners
    taught = f", taught by {largest.name}" if run.recipe.winners.distillation else ""
    if taught:
        _say(largest, "")
        trained_winner(run, largest.name, processes)
    else:
        others.append(largest)
    at_once = min(len(others), free_cores(processes))
    if at_once < 2:
        for winner in others:
            _say(winner, taught)
            trained_winner(run, winner.name, processes)
        return
    others = [winner for winner in others if winner.train is not None]
    with Bar("train the subnets", total=sum(_steps(run, winner) for winner in others)) as bar:
        _train_apart(run, others, at_once, taught, bar)


def chosen_winners(run: Run) -> list[Evaluation]:
    """The subnets of the finished search, or of the probes, that are trained on: from small to large."""
    chosen = chosen_truncations(run) if run.is_truncated else _searched(run)
    planned = Winners.of(run)
    if planned is None:
        return chosen
    trained = {Architecture.from_dict(winner.arch) for winner in planned.winners}
    return [evaluation for evaluation in chosen if evaluation.arch in trained]


def _searched(run: Run) -> list[Evaluation]:
    found = read_evaluations(run.search_folder / EVALUATIONS)
    objectives = weighed_objectives(run.search_folder, run.recipe.search)
    count = min(run.recipe.search.subnets, len(found))
    recipe = run.recipe.winners
    if recipe is not None and recipe.start == "scratch":
        return pick_across(found, count, objectives)
    return pick_subnets(found, count, objectives)


def winners_are_trained(run: Run) -> bool:
    """Whether all of them are chosen and trained to their end."""
    winners = Winners.of(run)
    return winners is not None and all(_is_trained(run, winner) for winner in winners.winners)


def _say(winner: Winner, how: str) -> None:
    if winner.train is None:
        note(f"  {winner.name} stays with its linear probe: there is no time for {FEWEST_EPOCHS} epochs")
    else:
        note(f"  {winner.name}: {winner.train.epochs} epochs{how}")


def _planned(
    run: Run, chosen: Sequence[Evaluation], minutes: Minutes | None, processes: Processes
) -> tuple[Winner, ...]:
    assert run.recipe.winners is not None
    recipe = run.recipe.winners.training(run.training)
    archs = [evaluation.arch for evaluation in chosen]
    if minutes is None:
        names = run.entry_names(len(archs))
        pairs = zip(names, archs, strict=True)
        return tuple(Winner(name=name, arch=arch.to_dict(), train=recipe) for name, arch in pairs)
    at_once = min(len(archs), free_cores(processes))
    epoch_s, read_s = _epoch_seconds(run, archs, recipe, at_once, processes)
    share = minutes.seconds_for("winners", later_s=_seconds_of_models(run, minutes, len(archs)))
    seconds = max(1.0, share - BEGIN_SECONDS - read_s)
    if run.is_truncated:
        epochs = _enough_or_none(seconds, epoch_s, at_once)
    else:
        enough = enough_epochs(len(run.split.train), recipe.batch_size)
        epochs = _of_smallest(seconds, epoch_s, at_once, enough, teacher=run.recipe.winners.distillation)
        if len(epochs) < len(archs):
            note(
                f"  {len(archs)} would get fewer than {enough:.3g} epochs each: the {len(epochs)} smallest "
                "are trained"
            )
    count = len(epochs)
    return tuple(
        Winner(
            name=name,
            arch=arch.to_dict(),
            train=epochs_within(recipe, epochs=some, epoch_s=one_s) if some else None,
            seconds=some * one_s,
        )
        for name, arch, one_s, some in zip(
            run.entry_names(count), archs[:count], epoch_s[:count], epochs, strict=True
        )
    )


def _seconds_of_models(run: Run, minutes: Minutes, count: int) -> float | None:
    """Seconds that so many models need after their training, by what a subnet took in the search.

    None where that is not known, or files of other targets are made too.
    """
    searched = minutes.known("search")
    if searched is None or run.recipe.targets:
        return None
    scored = len(run.split.search)
    image_s = float(searched["evaluation_s"]) / min(run.recipe.search.images or scored, scored)
    return count * (MODEL_SECONDS + MODEL_PASSES * image_s * len(run.split.test))


def enough_epochs(images: int, batch_size: int) -> float:
    """Passes over so many training images that a subnet needs at least, by epochs or by steps."""
    return max(FEWEST_EPOCHS, min(ENOUGH_EPOCHS, ENOUGH_STEPS / max(1, images // batch_size)))


def _of_smallest(
    seconds: float, epoch_s: Sequence[float], at_once: int, enough: float, *, teacher: bool
) -> list[float]:
    """Epochs of as many of the subnets, from the smallest on, as get ``enough`` in so many seconds.

    Two at least. What is larger needs longer to become better, and would take the time from the others.
    """
    for count in range(len(epoch_s), 0, -1):
        epochs = _divided(seconds, epoch_s[:count], min(at_once, count), teacher=teacher)
        if min(epochs) >= enough or count <= 2:
            return epochs
    raise AssertionError("some subnets are given")


def _divided(seconds: float, epoch_s: Sequence[float], at_once: int, *, teacher: bool = False) -> list[float]:
    """Epochs of each subnet in so many ``seconds``, ``at_once`` of them side by side.

    Each gets time by the square root of what one of its epochs takes, and none more than there is. A teacher,
    the last, is trained alone.
    """
    weights = [math.sqrt(one) for one in epoch_s]
    found = [0.0] * len(epoch_s)
    together = list(range(len(epoch_s)))
    if teacher:
        last = together.pop()
        others = max([sum(weights[:last]) / at_once, *weights[:last]])
        found[last] = seconds * weights[last] / (weights[last] + others)
        seconds -= found[last]
    left = seconds * at_once
    for place in sorted(together, key=lambda place: -weights[place]):
        still = sum(weights[other] for other in together if not found[other])
        found[place] = min(seconds, left * weights[place] / still)
        left -= found[place]
    return [spent / one_s for spent, one_s in zip(found, epoch_s, strict=True)]


def _enough_or_none(seconds: float, epoch_s: Sequence[float], at_once: int) -> list[float]:
    """As :func:`_divided`, among as many as get :data:`FEWEST_EPOCHS`, short epochs first; 0 of others."""
    order = sorted(range(len(epoch_s)), key=lambda place: epoch_s[place])
    found = [0.0] * len(epoch_s)
    for count in range(len(order), 0, -1):
        some = order[:count]
        epochs = _divided(seconds, [epoch_s[place] for place in some], min(at_once, count))
        if min(epochs) >= FEWEST_EPOCHS:
            for place, share in zip(some, epochs, strict=True):
                found[place] = share
            break
    return found


def _epoch_seconds(
    run: Run, archs: Sequence[Architecture], recipe: TrainRecipe, at_once: int, processes: Processes
) -> tuple[list[float], float]:
    """Seconds of one pass of each subnet over the training images, with the threads that it will have.

    And those that reading the images takes, which every process does.
    """
    began = time.perf_counter()
    data = open_train_data(run, processes, resolution=run.resolution, recipe=recipe)
    read_s = time.perf_counter() - began
    threads = torch.get_num_threads()
    if at_once > 1:
        torch.set_num_threads(_threads_each(at_once))
    frozen = run.is_truncated
    untrained = (_untrained(run, arch, processes) for arch in archs)
    steps = (FixedStep(subnet, recipe, processes, frozen_norms=frozen) for subnet in untrained)
    found = [seconds_per_epoch(step, data, recipe, run.recipe.seed, beside=at_once - 1) for step in steps]
    torch.set_num_threads(threads)
    return found, read_s


def _threads_each(at_once: int) -> int:
    """Threads of each of so many processes."""
    return max(1, free_cores(HERE) // at_once)


def _untrained(run: Run, arch: Architecture, processes: Processes) -> Subnet:
    """The subnet of ``arch`` before it is trained as a fixed network."""
    assert run.recipe.winners is not None
    if run.is_truncated:
        return innermost(truncated_subnet(run, arch), processes.device)
    if run.recipe.winners.start == "supernet":
        return innermost(run.supernet.extract(arch), processes.device)
    return drawn(run, arch, run.space.structure, processes.device)


def trained_winner(run: Run, name: str, processes: Processes = HERE) -> Subnet:
    """The subnet of that name, trained as far as it is not yet, on the device of ``processes``; calibrated.

    It is the supernet's as it was, or the truncated one with its linear probe, where training it on made it
    worse on the search split.

    Raises :class:`OutputError` for a name that is none of the run's, and as training does.
    """
    winners, recipe = Winners.of(run), run.recipe.winners
    found = {} if winners is None else {winner.name: winner for winner in winners.winners}
    if winners is None or recipe is None or name not in found:
        raise OutputError(f"{run.folder} trains no subnet called {name!r}; it has: {', '.join(found)}")
    winner, largest = found[name], winners.winners[-1]
    arch = Architecture.from_dict(winner.arch)
    subnet = _untrained(run, arch, processes)
    if winner.train is None:
        return subnet.eval()
    folder = run.winners_folder / name
    taught = recipe.distillation and name != largest.name
    identity = {
        "arch_id": arch.id,
        "supernet_sha256": _start_sha256(run, recipe.start),
        "teacher": largest.arch if taught else None,
    }
    search = run.recipe.search
    if _is_trained(run, winner):
        load_trained(run, subnet, winner.train, folder=folder, identity=identity)
    else:
        train_fixed(
            run,
            subnet,
            winner.train,
            folder=folder,
            identity=identity,
            calibration_batch_size=search.calibration_batch_size,
            teacher=trained_winner(run, largest.name, processes) if taught else None,
            processes=processes,
            frozen_norms=run.is_truncated,
        )
    subnet.eval()
    if not (run.is_truncated and is_one_network(run)):
        subnet = calibrated_on(subnet, run, search.calibration_images, search.calibration_batch_size)
    if recipe.start == "scratch":
        return subnet
    if run.is_truncated:
        as_found = _untrained(run, arch, processes)
    else:
        as_found = innermost(make_evaluator(run).calibrated(arch), processes.device)
    better = search_split_top1_pct(run, subnet) >= search_split_top1_pct(run, as_found)
    return subnet if better else as_found


def _start_sha256(run: Run, start: str) -> str | None:
    """Hash of the weights that the winners start from; None for drawn ones."""
    if run.is_truncated:
        return sha256_file(run.init_folder / SUPERNET_WEIGHTS)
    return sha256_file(run.supernet_file) if start == "supernet" else None


def _steps(run: Run, winner: Winner) -> int:
    if winner.train is None:
        return 0
    # Images that cannot be read are not trained on; before any step is logged they are not known.
    skipped = [record["skipped_images"] for record in _logged(run, winner) if record["kind"] == "train"]
    images = len(run.split.train) - max(skipped, default=0)
    whole = max(1, images // winner.train.batch_size)
    return winner.train.epochs * steps_of_part(whole, winner.train.epoch_part)


def _logged(run: Run, winner: Winner) -> list[dict[str, Any]]:
    folder = run.winners_folder / winner.name
    return read_metrics(folder) if (folder / "metrics.jsonl").is_file() else []


def _done(run: Run, winner: Winner) -> int:
    """Steps that the training of ``winner`` has logged."""
    return max((record["step"] for record in _logged(run, winner)), default=0)


def _is_trained(run: Run, winner: Winner) -> bool:
    # By the checkpoint: the last step is logged, and its network scored, before that is there.
    return latest_step(run.winners_folder / winner.name) >= _steps(run, winner)


def train_unclaimed(run: Run, names: Sequence[str]) -> None:
    """Train those of the subnets that no other process trains, one after the other.

    A process claims a subnet by a lock on its folder, which it keeps until it ends, however it ends.
    """
    planned = Winners.of(run)
    winners = {} if planned is None else {winner.name: winner for winner in planned.winners}
    for name in names:
        folder = run.winners_folder / name
        folder.mkdir(exist_ok=True)
        claim = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(claim)
            continue
        if not _is_trained(run, winners[name]):
            trained_winner(run, name)


def _train_apart(run: Run, winners: Sequence[Winner], at_once: int, taught: str, bar: Bar) -> None:
    """Train them in ``at_once`` processes, each of which takes the longest that is left."""
    waiting = [winner for winner in reversed(winners) if not _is_trained(run, winner)]
    for winner in waiting:
        _say(winner, taught)
    names = ",".join(winner.name for winner in sorted(waiting, key=lambda one: -one.seconds))
    shown = 0
    with beside(run) as running:
        for number in range(1, min(at_once, len(waiting)) + 1):
            running.start(f"the subnets in process {number}", _threads_each(at_once), "winners", names)
        while len(running):
            time.sleep(LOOK_SECONDS)
            running.look()
            done = sum(_done(run, winner) for winner in winners)
            bar.advance(done - shown)
            shown = done
