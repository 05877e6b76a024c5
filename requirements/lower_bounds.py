"""Print constraints for pip: the oldest version that pyproject.toml allows of everything users install.

The tools of the tests are those of constraints.txt, since nobody installs them with the package.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

HERE = Path(__file__).parent


def main() -> None:
    """Print one line for each package."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [text for extra in project["optional-dependencies"].values() for text in extra]
    wanted = [Requirement(text) for text in (*project["dependencies"], *extras)]
    oldest = {
        one.name: specifier.version
        for one in wanted
        for specifier in one.specifier
        if specifier.operator == ">="
    }
    pins = [Requirement(line) for line in _lines(HERE / "constraints.txt")]
    for name, version in sorted(oldest.items()):
        print(f"{name}=={version}")
    for pin in pins:
        if pin.name not in oldest:
            print(pin)


def _lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


if __name__ == "__main__":
    main()
