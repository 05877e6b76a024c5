"""Many entries at once: listed, compared, indexed, and shown as a page."""

from anas_zoo.zoo.catalog.collecting import check_names, read_folder
from anas_zoo.zoo.catalog.comparing import Difference, compare
from anas_zoo.zoo.catalog.gallery import write_gallery
from anas_zoo.zoo.catalog.index import Index, build_index, index_folder
from anas_zoo.zoo.catalog.model import CatalogModel, model_of
from anas_zoo.zoo.catalog.names import known_names, resolve_name
from anas_zoo.zoo.catalog.selection import select

__all__ = [
    "CatalogModel",
    "Difference",
    "Index",
    "build_index",
    "check_names",
    "compare",
    "index_folder",
    "known_names",
    "model_of",
    "read_folder",
    "resolve_name",
    "select",
    "write_gallery",
]
