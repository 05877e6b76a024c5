"""Where the top-level data folders lie: in a checkout, in an installed wheel, in a torch.hub cache."""

from __future__ import annotations

import json
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Literal

from anas_zoo.core.errors import EntryError

ALIASES = "aliases.json"

_PACKAGE = Path(__file__).resolve().parents[1]


def resource_folder(name: Literal["models", "export"]) -> Path:
    """The shelf (``models``) or the deployment files (``export``) that belong to this very package.

    A wheel carries them inside the package; a checkout and a torch.hub cache (which is one) have them
    beside it. Raises :class:`EntryError` when neither is there.
    """
    for base in (_PACKAGE / "_resources", _PACKAGE.parent):
        # Beside an installed package lies site-packages, where a folder "models" would be a stranger's.
        if base == _PACKAGE.parent and not (base / "hubconf.py").is_file():
            continue
        if (base / name).is_dir():
            return base / name
    raise EntryError(f"this installation of anas-zoo lacks its {name!r} folder; install it again")


def shelf_aliases() -> dict[str, str]:
    """Further names of architectures on the shelf, and the entry that each leads to.

    AlphaNet trained the networks of AttentiveNAS a second time, so ``alphanet_a0`` is a name of
    ``attentive_nas_a0``'s architecture.
    """
    path = resource_folder("models") / ALIASES
    names: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return names


def install_command(extra: str | None = None) -> str:
    """What installs this package from its repository, with ``extra`` of pyproject.toml where one is given."""
    package = f"anas-zoo[{extra}]" if extra else "anas-zoo"
    return f'pip install "{package} @ git+{_repository()}"'


def _repository() -> str:
    """The repository's address, which pyproject.toml says once."""
    pyproject = _PACKAGE.parent / "pyproject.toml"
    if pyproject.is_file() and (_PACKAGE.parent / "hubconf.py").is_file():
        project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
        return str(project["urls"]["Repository"])
    urls = metadata.metadata("anas-zoo").get_all("Project-URL") or []
    return next(str(url).partition(", ")[2] for url in urls if url.startswith("Repository, "))
