"""A run's folder: where each stage finds what it needs and leaves what it made.

    RUN/run.json                    the recipe, every default filled in
        split.json                  which image is in which part
        supernet/                   supernet.safetensors, metrics.jsonl
        search/                     evaluations.jsonl, front.json, front.png
        subnets/NAME/               drafts: extracted, calibrated, tested, profiled, exported, validated
        zoo/NAME/                   published entries
        summary.json, front.png     what came out

Each of them appears in one rename when its stage has succeeded; a run that was stopped goes on with
the first one that is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anas_zoo.data import (
    AugmentationRecipe,
    ImageSource,
    Split,
    augment,
    draw_affine,
    eval_tensor,
    make_split,
    open_source,
)
from anas_zoo.errors import DataError, OutputError
from anas_zoo.files import refuse_occupied, write_json
from anas_zoo.nets import Supernet, load_supernet
from anas_zoo.pipeline.recipe import Recipe
from anas_zoo.schema import parse, read_json
from anas_zoo.space import SearchSpace

__all__ = ["ImagesAt", "Run"]

NAMES_OF_THREE = ("s", "m", "l")


class ImagesAt:
    """Some images of a source, preprocessed on demand at any resolution and kept."""

    def __init__(self, source: ImageSource, indices: Sequence[int]) -> None:
        self._source, self._indices = source, indices
        self._made: dict[int, Tensor] = {}
        self.labels = torch.from_numpy(source.labels[list(indices)])

    def __call__(self, resolution: int) -> Tensor:
        """(N, 3, R, R) float32."""
        if resolution not in self._made:
            source = self._source
            self._made[resolution] = eval_tensor(source, self._indices, source.preprocessing, resolution)
        return self._made[resolution]


class ViewsAt:
    """Images as they are and in further fixed augmented views, at any resolution.

    Every resolution gets the same views: they are rendered from the images at their largest one.
    """

    def __init__(
        self, images: ImagesAt, largest: int, augmentation: AugmentationRecipe, views: int, seed: int
    ) -> None:
        self._images, self._largest = images, largest
        generator = torch.Generator().manual_seed(seed)
        always = augmentation.model_copy(update={"probability": 1.0})
        count = len(images.labels)
        self._maps = [draw_affine(always, count, generator) for _ in range(views - 1)]
        self._made: dict[int, Tensor] = {}
        self.labels = images.labels.repeat(views)

    def __call__(self, resolution: int) -> Tensor:
        """(views · N, 3, R, R) float32; the first N are the images themselves."""
        if resolution not in self._made:
            base = self._images(self._largest)
            further = [augment(base, affine, resolution) for affine in self._maps]
            made = torch.cat([self._images(resolution), *further])
            self._made[resolution] = made.contiguous(memory_format=torch.channels_last)
        return self._made[resolution]


class Run:
    """One run's folder together with its recipe."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder, self.recipe = folder, recipe
        self.split_file = folder / "split.json"
        self.supernet_folder = folder / "supernet"
        self.supernet_file = self.supernet_folder / "supernet.safetensors"
        self.search_folder = folder / "search"
        self.drafts_folder = folder / "subnets"
        self.zoo_folder = folder / "zoo"
        self.summary_file = folder / "summary.json"

    @classmethod
    def start(cls, folder: Path, recipe: Recipe) -> Run:
        """A new run in ``folder``, or the unfinished one of the same recipe that is there.

        Raises :class:`OutputError` when the folder holds anything else, a finished run included.
        """
        marker = folder / "run.json"
        if not marker.is_file():
            refuse_occupied(folder)
            run = cls(folder, recipe)
            # Whatever is wrong with the space or the images shows before anything is written.
            _, split = run.space, run._make_split()
            write_json(marker, {"format": 1, "recipe": recipe.to_dict()})
            write_json(run.split_file, split.model_dump(mode="json"))
            return run
        run = cls.open(folder)
        if run.recipe != recipe:
            raise OutputError(
                f"{folder} holds a run of another recipe or seed; give another --out, or remove it first: "
                f"rm -r {folder}"
            )
        if run.summary_file.exists():
            raise OutputError(
                f"{folder} already holds this run, finished; its models are in {run.zoo_folder}; "
                f"give another --out, or remove it first: rm -r {folder}"
            )
        return run

    @classmethod
    def open(cls, folder: Path) -> Run:
        """The run that is in ``folder``. Raises :class:`OutputError` when there is none."""
        marker = folder / "run.json"
        if not marker.is_file():
            raise OutputError(f"{folder} is not the folder of a run (it has no run.json); see: anas train")
        data = read_json(marker, error=OutputError)
        recipe = data.get("recipe") if isinstance(data, dict) else None
        return cls(folder, parse(Recipe, recipe, f"{marker}: recipe", error=OutputError))

    @cached_property
    def space(self) -> SearchSpace:
        """The recipe's search space."""
        return SearchSpace.load(self.recipe.space)

    @cached_property
    def source(self) -> ImageSource:
        """The recipe's images."""
        return open_source(self.recipe.data)

    @cached_property
    def split(self) -> Split:
        """The split as it was written down when the run began.

        Raises :class:`DataError` when the images are no longer those that it was made for.
        """
        path = self.split_file
        split = parse(Split, read_json(path, error=DataError), str(path), error=DataError)
        if split.source_sha256 != self.source.fingerprint():
            raise DataError(
                f"the images of {self.recipe.data} have changed since {path} was made; start a new run"
            )
        return split

    def _make_split(self) -> Split:
        return make_split(
            self.source.labels,
            self.recipe.split,
            seed=self.recipe.seed,
            source=self.source.name,
            source_sha256=self.source.fingerprint(),
            class_names=self.source.label_names,
        )

    @cached_property
    def supernet(self) -> Supernet:
        """The trained supernet. Raises :class:`anas_zoo.errors.CheckpointError` when it is not there."""
        return load_supernet(self.supernet_file)

    @cached_property
    def calibration_images(self) -> ImagesAt:
        """The training images that every calibration uses: the same ones, evenly spread over the split."""
        train = self.split.train
        count = min(self.recipe.search.calibration_images, len(train))
        return ImagesAt(self.source, [train[i * len(train) // count] for i in range(count)])

    @cached_property
    def search_images(self) -> ViewsAt:
        """All images of the search split, in as many views as the recipe says."""
        return ViewsAt(
            ImagesAt(self.source, self.split.search),
            self.space.largest.resolution,
            self.recipe.train.augmentation,
            self.recipe.search.views,
            self.recipe.seed,
        )

    @cached_property
    def test_images(self) -> ImagesAt:
        """All images of the test split; only the final report asks for them."""
        return ImagesAt(self.source, self.split.test)

    def entry_names(self, count: int) -> list[str]:
        """Names of ``count`` entries from small to large: name_s, name_m, name_l when there are three."""
        suffixes = NAMES_OF_THREE if count == 3 else tuple(str(i) for i in range(count))
        return [f"{self.recipe.name}_{suffix}" for suffix in suffixes]

    def drafts(self) -> dict[str, Path]:
        """The drafts that the extraction left, by name."""
        if not self.drafts_folder.is_dir():
            raise OutputError(f"{self.folder} has no extracted subnets; run: anas extract {self.folder}")
        return {name: self.drafts_folder / name for name in self.entry_order()}

    def entry_order(self) -> list[str]:
        """Names of the extracted subnets from small to large."""
        order: Any = read_json(self.drafts_folder / "order.json", error=OutputError)
        return [str(name) for name in order]

    def use_threads(self) -> None:
        """Set torch's threads as the recipe says; results depend on their number in the last digits."""
        if self.recipe.threads:
            torch.set_num_threads(self.recipe.threads)
