"""The stages composed: from a recipe to published entries, and from the authors' files to entries."""

from anas_zoo.pipeline.demo import DemoResult, run_demo
from anas_zoo.pipeline.recipe import Recipe
from anas_zoo.pipeline.run import Run

__all__ = ["DemoResult", "Recipe", "Run", "run_demo"]
