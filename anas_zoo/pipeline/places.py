"""Where the files that a run's recipe names lie, from whatever folder a stage is called."""

from __future__ import annotations

from pathlib import Path

from anas_zoo.core.schema import Schema
from anas_zoo.data.places import path_of_source, source_seen_from

__all__ = ["Places", "is_there"]


class Places(Schema):
    """What a run remembers of places. The recipe itself stays as it was typed.

    Attributes:
        began_in: the folder that the recipe's relative paths were meant in; None for a run of before, whose
            paths are meant in the current one.
        images: where the images are now, where that was said later (``--data``).
    """

    began_in: str | None = None
    images: str | None = None

    def source(self, data: str) -> str:
        """The source that a recipe's ``data`` means: where it was, else where the current folder has it."""
        if self.images is not None or self.began_in is None:
            return self.images or data
        began_in = Path(self.began_in)
        if not is_there(data, began_in) and is_there(data, Path.cwd()):
            return data
        return source_seen_from(data, began_in)

    def file(self, text: str) -> str:
        """A file that a recipe names, likewise; a preset's name stays as it is."""
        path = Path(text)
        if self.began_in is None or path.suffix == "" or not (Path(self.began_in) / path).exists():
            return text
        return str(Path(self.began_in) / path)


def is_there(data: str, folder: Path) -> bool:
    """Whether ``folder`` has what a source's name means there; of one without a path it is never doubted."""
    path = path_of_source(data, folder)
    return path is None or path.exists()
