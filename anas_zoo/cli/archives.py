"""Find an archive of evaluations, and what its search was about, from the path that the user gave."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anas_zoo.core.errors import ConfigError, SearchError
from anas_zoo.core.hints import Call, Option

if TYPE_CHECKING:
    from anas_zoo.space import SearchSpace

__all__ = ["FoundArchive", "find_archive"]

EVALUATIONS = "evaluations.jsonl"
RECORDS = ("front.json", "search.json")  # either says what a search is about


@dataclass(frozen=True)
class FoundArchive:
    """An archive of evaluations.

    Attributes:
        file: the ``evaluations.jsonl``.
        space: of its architectures.
        num_classes: of the search's classifier; None where nothing says it.
    """

    file: Path
    space: SearchSpace
    num_classes: int | None


def find_archive(path: Path, space_name: str | None) -> FoundArchive:
    """The archive at ``path``.

    Args:
        path: an ``evaluations.jsonl``, or the folder of a search or of a run.
        space_name: the user's ``--space``; needed only where nothing beside the file names the space.

    Raises :class:`SearchError` when there is no archive, its space is unknown, or ``--space`` is another one.
    """
    from anas_zoo.space import SearchSpace

    space = None if space_name is None else SearchSpace.load(space_name)
    if (path / "run.json").is_file():
        from anas_zoo.pipeline import Run

        run = Run.open(path)
        if not (run.search_folder / EVALUATIONS).is_file():
            raise SearchError(f"{path} has no search yet; first: ", Call("search", path))
        path, space = run.search_folder, space or run.space
    file = path / EVALUATIONS if path.is_dir() else path
    if not file.is_file():
        raise SearchError(
            f"no archive at {path}; give an {EVALUATIONS}, or the folder of a search or of a run"
        )
    about = next((_read(file.with_name(n)) for n in RECORDS if file.with_name(n).is_file()), {})
    stated = about.get("space")
    if not isinstance(stated, dict) or not {"name", "id"} <= set(stated):
        stated = None
    if space is None and stated is None:
        presets = ", ".join(SearchSpace.presets())
        raise SearchError(
            f"nothing beside {file} names its space; give ",
            Option("space"),
            f": {presets}, or a file",
        )
    if space is None:
        assert stated is not None
        try:
            space = SearchSpace.load(str(stated["name"]))
        except ConfigError as exc:
            raise SearchError(
                f"{file} is of the space {stated['name']!r}, which no preset is; give its file with ",
                Option("space"),
            ) from exc
    if stated is not None and stated["id"] != space.id:
        raise SearchError(
            f"{file} is an archive of the space {stated['name']!r} ({stated['id']}), not of {space.name!r} "
            f"({space.id}); give the space that it was made with as ",
            Option("space"),
        )
    classes = about.get("num_classes")
    return FoundArchive(file, space, classes if isinstance(classes, int) else None)


def _read(record: Path) -> dict[str, Any]:
    from anas_zoo.core.schema import read_json

    data = read_json(record, error=SearchError)
    return data if isinstance(data, dict) else {}
