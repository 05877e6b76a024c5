"""A recipe: everything that decides what a run does, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from anas_zoo.data import SplitRecipe
from anas_zoo.errors import ConfigError, nearest
from anas_zoo.schema import Schema, parse, read_yaml
from anas_zoo.search import SearchRecipe
from anas_zoo.training import TrainRecipe

__all__ = ["Recipe"]

RECIPES = Path(__file__).parent / "recipes"


class Recipe(Schema):
    """One run from images to entries.

    Attributes:
        name: the entries are called name_s, name_m, name_l.
        space: a preset's name or a YAML file of a search space.
        data: "digits", or a folder with one sub-folder of images per class.
        licence: SPDX name of the licence that the trained weights get; it is never defaulted.
        seed: every random choice follows from it.
        threads: threads of torch, 0 for torch's own choice.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$")
    space: str
    data: str
    licence: str = Field(min_length=1)
    seed: int = Field(0, ge=0)
    threads: int = Field(0, ge=0)
    split: SplitRecipe = SplitRecipe()
    train: TrainRecipe
    search: SearchRecipe

    @classmethod
    def load(cls, source: str | Path, *, sampling: str | None = None, **changes: Any) -> Recipe:
        """The recipe of a preset's name or of a YAML file, with top-level ``changes`` that are not None.

        ``sampling`` replaces the strategy of ``train.sampling``.

        Raises :class:`ConfigError` that lists every problem, with the nearest valid key.
        """
        path = Path(source)
        if path.suffix not in (".yaml", ".yml"):
            known = cls.presets()
            if str(source) not in known:
                raise ConfigError(
                    f"no recipe named {str(source)!r}{nearest(str(source), known)}; recipes: "
                    f"{', '.join(known)}; or give a .yaml file"
                )
            path = RECIPES / f"{source}.yaml"
        data = read_yaml(path)
        if isinstance(data, dict):
            data |= {key: value for key, value in changes.items() if value is not None}
            train = data.get("train")
            if sampling is not None and isinstance(train, dict):
                train["sampling"] = (train.get("sampling") or {}) | {"strategy": sampling}
        return parse(cls, data, str(path))

    @staticmethod
    def presets() -> list[str]:
        """Names of the recipes that come with the package."""
        return sorted(path.stem for path in RECIPES.glob("*.yaml"))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, every default filled in."""
        return self.model_dump(mode="json")
