"""Where an archive of evaluations lies, and which space it is of, from whatever the user named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from anas_zoo.core.errors import ConfigError, SearchError
from anas_zoo.core.text import quoted

if TYPE_CHECKING:
    from anas_zoo.space import SearchSpace

__all__ = ["find_archive", "known_classes"]

EVALUATIONS = "evaluations.jsonl"
RECORDS = ("front.json", "search.json")  # either says of which space a search is


def find_archive(path: Path, space_name: str | None) -> tuple[Path, SearchSpace]:
    """The file of evaluations and their space.

    Args:
        path: an ``evaluations.jsonl``, or the folder of a search or of a run.
        space_name: the user's ``--space``; needed only where nothing beside the file tells the space.

    Raises :class:`SearchError` when there is no archive, its space is unknown, or ``--space`` is another one.
    """
    from anas_zoo.space import SearchSpace

    given = None if space_name is None else SearchSpace.load(space_name)
    if (path / "run.json").is_file():
        from anas_zoo.pipeline import Run

        run = Run.open(path)
        file = run.search_folder / EVALUATIONS
        if not file.is_file():
            raise SearchError(f"{path} has no search yet; first: anas search {quoted(path)}")
        return file, _agreed(file, {"name": run.space.name, "id": run.space.id}, given or run.space)
    file = path / EVALUATIONS if path.is_dir() else path
    if not file.is_file():
        raise SearchError(
            f"no archive at {path}; give an {EVALUATIONS}, or the folder of a search or of a run"
        )
    stated = next(filter(None, (_stated_space(file.with_name(name)) for name in RECORDS)), None)
    if given is None and stated is None:
        presets = ", ".join(SearchSpace.presets())
        raise SearchError(
            f"nothing beside {file} says of which space it is; give --space: {presets}, or a file"
        )
    if given is None:
        assert stated is not None
        try:
            given = SearchSpace.load(str(stated["name"]))
        except ConfigError as exc:
            raise SearchError(
                f"{file} is of the space {stated['name']!r}, which no preset is; give its file with --space"
            ) from exc
    return file, _agreed(file, stated, given)


def known_classes(path: Path) -> int | None:
    """How many classes the search of an archive, a search's or a run's folder was about, where it says so."""
    from anas_zoo.core.schema import read_json

    folder = path / "search" if (path / "run.json").is_file() else path if path.is_dir() else path.parent
    for name in RECORDS:
        if (folder / name).is_file():
            data = read_json(folder / name, error=SearchError)
            found = data.get("num_classes") if isinstance(data, dict) else None
            if isinstance(found, int):
                return found
    return None


def _stated_space(record: Path) -> dict[str, Any] | None:
    """Name and id of the space that a search wrote beside its evaluations, if there is one."""
    if not record.is_file():
        return None
    from anas_zoo.core.schema import read_json

    data = read_json(record, error=SearchError)
    space = data.get("space") if isinstance(data, dict) else None
    return space if isinstance(space, dict) and {"name", "id"} <= set(space) else None


def _agreed(file: Path, stated: dict[str, Any] | None, space: SearchSpace) -> SearchSpace:
    if stated is not None and stated["id"] != space.id:
        raise SearchError(
            f"{file} is an archive of the space {stated['name']!r} ({stated['id']}), not of {space.name!r} "
            f"({space.id}); give the space that it was made with as --space"
        )
    return space
