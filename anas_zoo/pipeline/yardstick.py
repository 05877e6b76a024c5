"""The yardstick: a plain network as one would write it by hand, trained on the images of a run."""

from __future__ import annotations

import math
from typing import Any

from anas_zoo.core.errors import OutputError
from anas_zoo.core.files import output_folder, write_json
from anas_zoo.core.progress import note
from anas_zoo.core.schema import parse, read_json
from anas_zoo.nets import Subnet
from anas_zoo.pipeline.fixed_training import calibrated_on, drawn, tempered, train_fixed
from anas_zoo.pipeline.minutes import epochs_within, seconds_per_epoch
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.tested_draft import write_tested_draft
from anas_zoo.pipeline.timm_beside import train_timm_network, untrained
from anas_zoo.pipeline.train import HERE, open_train_data
from anas_zoo.space import SearchSpace
from anas_zoo.training import Processes, TrainRecipe
from anas_zoo.training.step import FixedStep

PLAIN = "the plain network"  # no name of timm's
FIRST_WIDTH = 16
LAST_SIDE = 4  # of the last feature map, about
MOST_DOUBLINGS = 3
# Of the training from drawn weights in a run whose own models start from others: that of own_images.yaml.
DRAWN = {"optimizer": "muon", "learning_rate": 0.03, "classifier_rate_factor": 1.0}


def plain_space(resolution: int) -> SearchSpace:
    """A space of one architecture: 3×3 convolutions with batch norm and ReLU, each of stride 2.

    Their widths double from 16 to 128, and there are as many as leave a last feature map of about 4 pixels;
    below 24 pixels the first one has stride 1. Then a 1×1 convolution, the pool and the classifier. Such a
    network is quick to train and to run: benchmarks/results/own_images.md has it as conv3_w16.
    """
    stem_stride = 1 if resolution < 24 else 2
    stages = max(1, round(math.log2(resolution / stem_stride / LAST_SIDE)))
    widths = [FIRST_WIDTH * 2 ** min(place, MOST_DOUBLINGS) for place in range(stages + 1)]
    plain = {"block": "plain", "depth": [1], "kernel_size": [3], "expand_ratio": [1], "stride": 2}
    data: dict[str, Any] = {
        "name": "plain",
        "shortcut": "identity",
        "resolution": [resolution],
        "stem": {"width": widths[:1], "stride": stem_stride, "kernel_size": 3, "act": "relu"},
        "stages": [
            plain | {"name": f"conv{place + 2}", "width": [width], "se": False, "act": "relu"}
            for place, width in enumerate(widths[1:])
        ],
        "head": {"kind": "conv_pool", "width": [widths[-1]], "act": "relu"},
    }
    return SearchSpace.from_dict(data)


def train_yardstick(run: Run, seconds: float | None, processes: Processes = HERE) -> None:
    """Train the plain network into ``RUN/yardstick`` and make a draft of it, tested; both stay.

    It learns from drawn weights, by the training of the run's winners, for so many ``seconds``.
    """
    run.use_threads()
    subnet = drawn_plain_network(run, processes)
    recipe = _recipe(run, subnet, seconds, processes)
    folder = run.yardstick_folder
    note(f"  plain network of {subnet.arch.resolution} pixels: {recipe.epochs} epochs")
    batch_size = run.recipe.search.calibration_batch_size
    train_fixed(
        run,
        subnet,
        recipe,
        folder=folder / "training",
        identity={"yardstick": subnet.arch.id},
        calibration_batch_size=batch_size,
        processes=processes,
    )
    trained = calibrated_on(subnet.cpu(), run, run.recipe.search.calibration_images, batch_size)
    temperature, source = tempered(run, trained), run.source
    with output_folder(run.yardstick_draft) as staging:
        write_tested_draft(
            staging,
            trained,
            run.test_images,
            source,
            name=run.yardstick_draft.name,
            space=plain_space(run.yardstick_resolution),
            licence=run.licence,
            lineage=f"a plain network, trained from drawn weights by anas-zoo as the yardstick of the run "
            f"{run.recipe.name!r}, seed {run.recipe.seed}, on {source.title} (licence of the images: "
            f"{source.licence}); {temperature}",
            source_sha256=run.split_sha256,
        )


def train_beside(run: Run, name: str, seconds: float | None, processes: Processes = HERE) -> None:
    """Train what a run is compared with: the :data:`PLAIN` network, or the one of timm's of that name."""
    if name == PLAIN:
        train_yardstick(run, seconds, processes)
    else:
        train_timm_network(run, name, seconds, processes)


def untrained_beside(run: Run) -> list[str]:
    """The names of those that have not been trained, the plain network first."""
    plain = run.recipe.yardstick and not run.yardstick_draft.exists()
    return [*([PLAIN] if plain else []), *untrained(run)]


def drawn_plain_network(run: Run, processes: Processes) -> Subnet:
    """The plain network for the run's images with drawn weights, on the device of ``processes``."""
    space = plain_space(run.yardstick_resolution)
    return drawn(run, space.largest, space.structure, processes.device)


def plain_training(run: Run) -> TrainRecipe:
    """The training of a plain network: that of the run's winners where these begin with drawn weights too."""
    assert run.recipe.winners is not None
    recipe = run.recipe.winners.training(run.training)
    if run.recipe.winners.start == "scratch":
        return recipe
    return recipe.model_copy(update=DRAWN)


def _recipe(run: Run, subnet: Subnet, seconds: float | None, processes: Processes) -> TrainRecipe:
    """Its training: that of the winners, as many epochs as there is time for; decided once."""
    recipe = plain_training(run)
    if seconds is None:
        return recipe
    file = run.yardstick_folder / "training.json"
    if not file.is_file():
        data = open_train_data(run, processes, resolution=subnet.arch.resolution, recipe=recipe)
        epoch_s = seconds_per_epoch(FixedStep(subnet, recipe, processes), data, recipe, run.recipe.seed)
        run.yardstick_folder.mkdir(exist_ok=True)
        decided = epochs_within(recipe, epochs=seconds / epoch_s, epoch_s=epoch_s)
        write_json(file, decided.model_dump(mode="json"))
    return parse(TrainRecipe, read_json(file, error=OutputError), str(file), error=OutputError)
