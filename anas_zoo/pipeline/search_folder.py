"""A search's folder: it grows while the search runs, and is finished when ``front.json`` is there.

search.json            what is searched, how, and with which weights; written first
evaluations.jsonl      one line per evaluation, durable when reported
front.json             what came out
front.png, front.html  the same to look at
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anas_zoo.core.errors import ConfigError, OutputError, SearchError
from anas_zoo.core.files import output_folder, refuse_occupied, write_json
from anas_zoo.core.hints import Call, Option
from anas_zoo.core.schema import read_json
from anas_zoo.pipeline.init_supernet import open_space
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.run_folder import in_words
from anas_zoo.searching import SearchRecipe
from anas_zoo.searching.archive import EVALUATIONS, FRONT
from anas_zoo.searching.objectives import COSTS
from anas_zoo.space import SearchSpace

MARKER = "search.json"
BEGUN_WITH = "begun_with"  # what may change when a search is resumed


def begin_search(
    folder: Path, identity: dict[str, Any], begun_with: dict[str, Any], *, resume: bool, again: Call
) -> None:
    """Make ``folder`` for a new search, or check that the one in it can be resumed.

    Args:
        folder: the search's.
        identity: everything that decides what the search finds.
        begun_with: the budgets and the files that it was given, for resuming without naming them again;
            those of the latest call are kept.
        resume: whether to resume what is there; without anything there a search begins.
        again: what resumes it, for errors.

    Raises :class:`OutputError` when the folder is taken, :class:`SearchError` when what is there is of other
    weights, limits or seeds, naming what differs.
    """
    if not (folder / MARKER).is_file():
        refuse_occupied(folder)
        with output_folder(folder) as staging:
            write_json(staging / MARKER, identity | {BEGUN_WITH: begun_with})
            (staging / EVALUATIONS).touch()
        return
    name = shlex.quote(str(folder))
    if not resume:
        state = "finished search" if (folder / FRONT).is_file() else "search that was stopped"
        raise OutputError(
            f"{folder} holds a {state}; resume it (more ",
            Option("evaluations"),
            " extend it): ",
            again,
            "; or give another ",
            Option("out"),
            f"; or begin anew after: rm -r {name}",
        )
    there = _read(folder / MARKER)
    before = there.pop(BEGUN_WITH, None)
    if there != identity:
        raise SearchError(
            f"{folder} holds the evaluations of another search ({in_words(there, identity)}); give another ",
            Option("out"),
            f", or begin anew after: rm -r {name}",
        )
    if before != begun_with:
        write_json(folder / MARKER, identity | {BEGUN_WITH: begun_with})


def recorded_search(folder: Path) -> dict[str, Any] | None:
    """What the search in ``folder`` was begun with; None where there is none.

    Raises :class:`SearchError` for a damaged record.
    """
    if not (folder / MARKER).is_file():
        return None
    data = _read(folder / MARKER)
    kinds = {"settings": dict, "seed": int, "space": dict, BEGUN_WITH: dict}
    begun_with: Any = data.get(BEGUN_WITH)
    if not all(isinstance(data.get(key), kind) for key, kind in kinds.items()) or not all(
        isinstance(begun_with.get(key), str | None) for key in ("latency", "predictor")
    ):
        raise SearchError(f"{folder / MARKER}: not the record of a search")
    return data


def weighed_objectives(folder: Path, recipe: SearchRecipe) -> tuple[str, ...]:
    """What the search in ``folder`` weighs: as ``recipe`` says, or multiply-adds in the place of latency."""
    kept = recorded_search(folder)
    return recipe.objectives if kept is None else tuple(kept["settings"].get("objectives", recipe.objectives))


def recorded_budgets(kept: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The (cost, limit) of which a recorded search was asked the best; none in an old record.

    Raises :class:`SearchError` for what are no budgets.
    """
    found = kept[BEGUN_WITH].get("budgets", [])
    try:
        budgets = [(str(cost), float(limit)) for cost, limit in found]
    except (TypeError, ValueError):
        budgets = [("", 0.0)]
    if any(cost not in COSTS or not 0 <= limit < math.inf for cost, limit in budgets):
        raise SearchError(f"{MARKER}: its budgets are damaged: {found!r:.60}")
    return budgets


def _read(record: Path) -> dict[str, Any]:
    data = read_json(record, error=SearchError)
    if not isinstance(data, dict):
        raise SearchError(f"{record}: not the record of a search")
    return data


def finished_search(folder: Path, run: Path | str, out: Path | None) -> Path:
    """The evaluations of the finished search in ``folder``.

    ``run`` and ``out`` are what makes it, for errors.

    Raises :class:`SearchError` when there is none, or when it was stopped.
    """
    if not (folder / MARKER).is_file() or not (folder / FRONT).is_file():
        begun = (folder / MARKER).is_file()
        state = "a search that was stopped" if begun else "no search"
        raise SearchError(f"{folder} holds {state}; run: ", Call("search", run, out=out, resume=begun))
    return folder / EVALUATIONS


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
    space = None if space_name is None else open_space(space_name)[0]
    if (path / "run.json").is_file():
        run = Run.open(path)
        if not (run.search_folder / EVALUATIONS).is_file():
            raise SearchError(f"{path} has no search yet; first: ", Call("search", path))
        path, space = run.search_folder, space or run.space
    file = path / EVALUATIONS if path.is_dir() else path
    if not file.is_file():
        raise SearchError(
            f"no archive at {path}; give an {EVALUATIONS}, or the folder of a search or of a run"
        )
    about = next((_read(file.with_name(n)) for n in (FRONT, MARKER) if file.with_name(n).is_file()), {})
    stated = about.get("space")
    if not isinstance(stated, dict) or not {"name", "id"} <= set(stated):
        stated = None
    if space is None and stated is None:
        presets = ", ".join(SearchSpace.presets())
        raise SearchError(
            f"nothing beside {file} names its space; give ",
            Option("space"),
            f": {presets}, a file, or the supernet",
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
