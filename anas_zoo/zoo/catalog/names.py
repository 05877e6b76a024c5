"""What an architecture is called and known by: the content decides, not the name."""

from __future__ import annotations

from functools import cache

from anas_zoo.core.files import canonical_json, sha256_bytes
from anas_zoo.core.resources import shelf_aliases
from anas_zoo.entry import EntryConfig, read_config
from anas_zoo.space import SearchSpace, Structure
from anas_zoo.zoo.published import FAMILIES, load_published
from anas_zoo.zoo.shelf import entry_folder, list_models

Content = tuple[str, str]  # ids of architecture and structure


def kind_of(config: EntryConfig) -> str:
    """What stands in the place of space and structure where there are none."""
    return "own code" if config.is_own else "timm"


def content_key(config: EntryConfig) -> Content:
    """What makes an entry this network and no other, apart from weights and number of classes."""
    return config.anas.arch_id, _structure_id(config.structure) if config.is_subnet else kind_of(config)


def _structure_id(structure: Structure) -> str:
    """Short content hash of what an architecture's choices leave open: strides, activations, head."""
    return sha256_bytes(canonical_json(structure.model_dump(mode="json")).encode())[:12]


@cache
def known_names() -> dict[Content, tuple[str, ...]]:
    """Names of architectures that come with the package: published ones, and the ends of the spaces."""
    names: dict[Content, list[str]] = {}
    aliases = shelf_aliases()
    spaces = {preset: SearchSpace.load(preset) for preset in SearchSpace.presets()}
    structures = {preset: _structure_id(space.structure) for preset, space in spaces.items()}
    for published in map(load_published, FAMILIES):
        for model in published.models:
            found = names.setdefault((model.architecture.id, structures[published.space_of(model)]), [])
            found.append(model.name)
            found += [alias for alias, name in aliases.items() if name == model.name]
    for preset, space in spaces.items():
        for end, arch in (("smallest", space.smallest), ("largest", space.largest)):
            found = names.setdefault((arch.id, structures[preset]), [])
            found.append(f"{end} of {preset}")
    return {content: tuple(found) for content, found in names.items()}


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
