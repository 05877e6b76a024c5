"""A recipe: everything that decides what a run does, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from anas_zoo.core.errors import ConfigError, nearest
from anas_zoo.core.hints import Option, Part
from anas_zoo.core.schema import Schema, parse, read_yaml
from anas_zoo.data import SplitRecipe
from anas_zoo.pipeline.changes import Settings, with_changes
from anas_zoo.searching import SearchRecipe
from anas_zoo.training import TrainRecipe

__all__ = ["Recipe", "RunRecipe", "about_recipe", "default_recipe"]

RECIPES = Path(__file__).parent / "recipes"
OF_A_SOURCE = ("digits", "glyphs")  # sources of images that have a recipe of the same name
FOR_OWN_IMAGES = "small_images"


def default_recipe(data: str | None, settings: Settings | None = None) -> str:
    """Name of the recipe where none was asked for: one that was made for the images.

    Args:
        data: the source of images that was asked for, if any.
        settings: further changes as text, such as ``data=DIR``.
    """
    wanted = with_changes({}, {"data": data}, settings).get("data")
    if wanted is None:
        return OF_A_SOURCE[0]
    return wanted if wanted in OF_A_SOURCE else FOR_OWN_IMAGES


class RunRecipe(Schema):
    """What the recipes of all kinds of runs have in common.

    Attributes:
        data: a source of images (see :func:`anas_zoo.data.open_source`); None in a recipe that waits for
            its user's, which no run begins without.
        seed: every random choice follows from it.
        threads: threads of torch, 0 for torch's own choice.
    """

    data: str | None = None
    seed: int = Field(0, ge=0)
    threads: int = Field(0, ge=0)
    split: SplitRecipe = SplitRecipe()
    train: TrainRecipe

    def images(self) -> str:
        """The source of images. Raises :class:`ConfigError` when nobody has named one."""
        if self.data is None:
            raise ConfigError(
                "this recipe has no images of its own; give --data DIR, a folder with one sub-folder of "
                "images per class (or hfds/NAME, wds/DIR)"
            )
        return self.data

    def to_dict(self) -> dict[str, Any]:
        """Plain data, every default filled in."""
        return self.model_dump(mode="json")


class Recipe(RunRecipe):
    """One run from images to entries.

    Attributes:
        name: the entries are called name_s, name_m, name_l.
        space: a preset's name or a YAML file of a search space.
        licence: SPDX name of the licence that the trained weights get. It is never defaulted: without one
            everything works but publishing, which asks for it.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$")
    space: str
    licence: str | None = Field(None, min_length=1)
    search: SearchRecipe

    @classmethod
    def load(cls, source: str | Path, **changes: Any) -> Recipe:
        """The recipe of a preset's name or of a YAML file, with the ``changes`` that :meth:`changed` takes.

        A preset's licence is for the preset's images: on others there is none until somebody chooses it.

        Raises :class:`ConfigError` that lists every problem, with the nearest valid key.
        """
        path, label = Path(source), str(source)
        if path.suffix not in (".yaml", ".yml"):
            known = cls.presets()
            if str(source) not in known:
                raise ConfigError(
                    f"no recipe named {str(source)!r}{nearest(str(source), known)}; recipes: "
                    f"{', '.join(known)}; or give a .yaml file"
                )
            path, label = RECIPES / f"{source}.yaml", f"recipe {source}"
        data = read_yaml(path)
        if not isinstance(data, dict):
            return parse(cls, data, label)
        wanted = _changed(data, **changes)
        if path.parent == RECIPES and wanted.get("data") != data.get("data"):
            wanted = _changed({key: value for key, value in data.items() if key != "licence"}, **changes)
        return parse(cls, wanted, label)

    def changed(
        self,
        *,
        data: str | None = None,
        seed: int | None = None,
        sampling: str | None = None,
        settings: Settings | None = None,
    ) -> Recipe:
        """This recipe with other images, seed or strategy of ``train.sampling``, where they are not None.

        ``settings`` are further changes as text, such as ``train.epochs=10``. Raises :class:`ConfigError`.
        """
        plain = _changed(self.to_dict(), data=data, seed=seed, sampling=sampling, settings=settings)
        return parse(Recipe, plain, f"recipe {self.name}")

    @staticmethod
    def presets() -> list[str]:
        """Names of the recipes that come with the package."""
        return sorted(path.stem for path in RECIPES.glob("*.yaml"))


_ABOUT: dict[str, tuple[Part, ...]] = {
    "digits": ("on the digits of scikit-learn; for your own images give ", Option("data", "DIR")),
    "glyphs": ("on characters drawn from matplotlib's fonts",),
    "small_images": ("for pictures of 32 to 64 pixels; larger ones are resized",),
}


def about_recipe(name: str) -> tuple[Part, ...]:
    """A line that says which recipe it is, of those that nobody has to name."""
    others = ", ".join(other for other in Recipe.presets() if other != name)
    end = f" (others: {others}, or FILE.yaml)"
    return ("  no ", Option("recipe"), f" given, so it is {name}, ", *_ABOUT[name], end)


def _changed(
    recipe: dict[str, Any],
    *,
    data: str | None = None,
    seed: int | None = None,
    sampling: str | None = None,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Plain data of a recipe with the changes of a command line."""
    return with_changes(recipe, {"data": data, "seed": seed, "train.sampling.strategy": sampling}, settings)
