"""A recipe of fine-tuning: everything but the entry that it starts from. Only the images have no default."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from anas_zoo.core.errors import ConfigError
from anas_zoo.core.schema import Schema, parse, read_yaml
from anas_zoo.pipeline.changes import Settings, with_changes
from anas_zoo.pipeline.recipe import RunRecipe
from anas_zoo.training import EvaluationRecipe, TrainRecipe

__all__ = ["FinetuneRecipe"]

# What says how subnets share weights; a fixed network has none.
OF_SUPERNETS = ("subnets_per_step", "sampling", "distillation", "sync_batch_norm")


class FinetuneEvaluationRecipe(EvaluationRecipe):
    """How fine-tuning watches itself; ``sampled`` is for supernets."""

    every_epochs: int = Field(2, ge=1)


class FinetuneTrainRecipe(TrainRecipe):
    """Training of one fixed network; what only a supernet has keeps its default."""

    epochs: int = Field(20, ge=1)
    batch_size: int = Field(32, ge=2)
    learning_rate: float = Field(0.05, gt=0)
    warmup_epochs: float = Field(1.0, ge=0)
    drop_path_rate: float = Field(0.0, ge=0, lt=1)  # of the last block, as everywhere
    evaluation: FinetuneEvaluationRecipe = FinetuneEvaluationRecipe()

    @model_validator(mode="after")
    def _nothing_of_supernets(self) -> Self:
        given = _changed_of(self, OF_SUPERNETS)
        given += [f"evaluation.{key}" for key in _changed_of(self.evaluation, ("sampled",))]
        if given:
            raise ValueError(f"{', '.join(given)}: only for supernets; leave it out")
        return self


def _changed_of(recipe: Schema, keys: tuple[str, ...]) -> list[str]:
    # Compared by value: a recipe that was written down has every key.
    fields = type(recipe).model_fields
    return [key for key in keys if getattr(recipe, key) != fields[key].default]


class FinetuneRecipe(RunRecipe):
    """One fine-tuning.

    Attributes:
        name: of the new entry; None for the entry's with ``_finetuned``.
        licence: SPDX name of the licence of the new weights; None for the entry's.
        calibration_images: training images that the new batch norms are calibrated on.
        calibration_batch_size: images per batch of that.
    """

    name: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    licence: str | None = Field(None, min_length=1)
    train: FinetuneTrainRecipe = FinetuneTrainRecipe()
    calibration_images: int = Field(512, ge=2)
    calibration_batch_size: int = Field(128, ge=2)

    @classmethod
    def load(
        cls,
        path: Path | None = None,
        changes: Mapping[str, Any] | None = None,
        settings: Settings | None = None,
    ) -> FinetuneRecipe:
        """The recipe of a YAML file, or the defaults.

        Args:
            path: the file.
            changes: other values of keys, where they are not None.
            settings: further changes as text, such as ``train.epochs=10``.

        Raises :class:`ConfigError` that lists every problem, with the nearest valid key.
        """
        if path is None:
            return _parsed(with_changes({}, changes or {}, settings), "fine-tuning")
        data = read_yaml(path)
        return _parsed(
            with_changes(data, changes or {}, settings) if isinstance(data, dict) else data, str(path)
        )

    def changed(self, changes: Mapping[str, Any], settings: Settings | None = None) -> FinetuneRecipe:
        """This recipe with the changes that :meth:`load` takes. Raises :class:`ConfigError`."""
        return _parsed(with_changes(self.to_dict(), changes, settings), "fine-tuning")


def _parsed(data: Any, source: str) -> FinetuneRecipe:
    if isinstance(data, dict) and data.get("data") is None:
        raise ConfigError("no images to fine-tune on; give --data DIR, with one sub-folder per class")
    return parse(FinetuneRecipe, data, source)
