"""Many entries at once: listed, compared, indexed, and shown as a page."""

from anas_zoo.zoo.catalog.comparing import Difference, compare
from anas_zoo.zoo.catalog.gallery import write_gallery
from anas_zoo.zoo.catalog.index import (
    Index,
    check_names,
    entries_in,
    index_folder,
    index_organisation,
    read_folder,
    select,
)
from anas_zoo.zoo.catalog.model import CatalogModel, model_of
from anas_zoo.zoo.catalog.names import known_names, resolve_name

__all__ = [
    "CatalogModel",
    "Difference",
    "Index",
    "check_names",
    "compare",
    "entries_in",
    "index_folder",
    "index_organisation",
    "known_names",
    "model_of",
    "read_folder",
    "resolve_name",
    "select",
    "write_gallery",
]
