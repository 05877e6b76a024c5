"""The augmentations that a run tries, and the record of which one it uses."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from anas_zoo.core.errors import OutputError
from anas_zoo.core.schema import Schema, parse, read_json
from anas_zoo.data import AugmentationRecipe


class Trial(Schema):
    """One short training.

    Attributes:
        name: of the augmentation.
        augmentation: what it does.
        loss: mean cross-entropy on the search split.
        gain: how much lower it is than that of the recipe's augmentation, in standard errors of the
            difference, image by image; 0 for the recipe's own.
    """

    name: str
    augmentation: AugmentationRecipe
    loss: float
    gain: float


class AugmentationTrials(Schema):
    """``RUN/augmentation.json``: the trials, and the name of the augmentation that the run uses."""

    chosen: str
    trials: tuple[Trial, ...] = Field(min_length=1)

    @property
    def augmentation(self) -> AugmentationRecipe:
        """What the run uses."""
        return next(trial.augmentation for trial in self.trials if trial.name == self.chosen)

    @classmethod
    def read(cls, file: Path) -> AugmentationTrials:
        """The file's content. Raises :class:`OutputError`."""
        return parse(cls, read_json(file, error=OutputError), str(file), error=OutputError)


def candidates(recipe: AugmentationRecipe) -> dict[str, AugmentationRecipe]:
    """The recipe's augmentation first; the same with flips, which spoil letters and digits; and none."""
    unflipped = recipe.model_copy(update={"flip": False})
    return {
        "the recipe's": recipe,
        "none": AugmentationRecipe(),
        "without flips" if recipe.flip else "with flips": unflipped.model_copy(
            update={"flip": not recipe.flip}
        ),
    }
