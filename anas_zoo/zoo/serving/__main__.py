"""``python -m anas_zoo.zoo.serving FOLDER...``: npm's packages into those folders, for ``make setup``."""

from __future__ import annotations

import sys
from pathlib import Path

from anas_zoo.core.errors import ServeError
from anas_zoo.zoo.serving.node import install_packages

if __name__ == "__main__":
    for name in sys.argv[1:]:
        try:
            install_packages(Path(name))
        except ServeError as exc:
            raise SystemExit(f"make: {exc}") from None
