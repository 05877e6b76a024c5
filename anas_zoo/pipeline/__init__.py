"""The stages composed: from a recipe to published entries, and from the authors' files to entries."""

from anas_zoo.pipeline.recipe import Recipe
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.whole_way import RunResult, run_stages

__all__ = ["Recipe", "Run", "RunResult", "run_stages"]
