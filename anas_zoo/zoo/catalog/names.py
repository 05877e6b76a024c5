"""Names by which an architecture is known beside its entry's own: the content decides, not the name."""

from __future__ import annotations

from functools import cache

from anas_zoo.core.resources import shelf_aliases
from anas_zoo.entry import read_config
from anas_zoo.space import Architecture, SearchSpace
from anas_zoo.zoo.catalog.model import content_key, structure_id
from anas_zoo.zoo.config_only import load_published
from anas_zoo.zoo.shelf import entry_folder, list_models

__all__ = ["known_names", "other_names", "resolve_name"]

Content = tuple[str, str]  # ids of architecture and structure


@cache
def known_names() -> dict[Content, tuple[str, ...]]:
    """Names of architectures that come with the package: published ones, and the ends of the spaces."""
    names: dict[Content, list[str]] = {}
    published, aliases = load_published(), shelf_aliases()
    structure = structure_id(SearchSpace.load(published.space).structure)
    for model in published.models:
        found = names.setdefault((Architecture.from_dict(model.arch).id, structure), [])
        found.append(model.name)
        found += [alias for alias, name in aliases.items() if name == model.name]
    for preset in SearchSpace.presets():
        space = SearchSpace.load(preset)
        for end, arch in (("smallest", space.smallest), ("largest", space.largest)):
            found = names.setdefault((arch.id, structure_id(space.structure)), [])
            found.append(f"{end} of {preset}")
    return {content: tuple(found) for content, found in names.items()}


def other_names(content: Content, name: str) -> tuple[str, ...]:
    """Those of :func:`known_names` that are not ``name``."""
    return tuple(other for other in known_names().get(content, ()) if other != name)


def resolve_name(text: str) -> str | None:
    """The shelf's entry of the architecture that ``text`` names or whose content id it is; None for neither.

    Of several entries the first in alphabetical order.
    """
    shelf = {name: content_key(read_config(entry_folder(name))) for name in list_models()}
    if text in shelf:
        return text
    wanted = {content for content, names in known_names().items() if text in names}
    found = (name for name, content in shelf.items() if content in wanted or content[0] == text)
    return next(found, None)
