"""How the tests run the JavaScript clients: the real files, in the node of the development tools."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from anas_zoo.core.resources import resource_folder
from anas_zoo.zoo.serving import node_program

CLIENTS = resource_folder("export") / "clients"
CASES = Path(__file__).with_name("run_cases.mjs")


def need_packages(client: str) -> None:
    """Fail in one line where npm's packages of ``client`` are not installed."""
    if not (CLIENTS / client / "node_modules" / ".package-lock.json").is_file():
        pytest.fail(
            f"the packages of export/clients/{client} are not installed; run: make setup", pytrace=False
        )


def _node(*args: str | Path) -> subprocess.CompletedProcess[str]:
    need_packages("node")
    command = [str(word) for word in (node_program(), *args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def classify(*args: str | Path) -> subprocess.CompletedProcess[str]:
    """Run ``node classify.mjs`` with ``args``."""
    return _node(CLIENTS / "node" / "classify.mjs", *args)


def run_cases(
    folder: Path, cases: Sequence[Mapping[str, Any]], images: Sequence[npt.NDArray[np.uint8]] = ()
) -> list[dict[str, Any]]:
    """What the client's functions make of each case, all in one process: see run_cases.mjs.

    Args:
        folder: an empty folder to work in.
        cases: for each ``do`` and its arguments; ``image`` is an index into ``images``.
        images: (height, width, 3) each.

    Returns results in the cases' order; arrays lie in the file that ``file`` names.
    """
    described = []
    for index, image in enumerate(images):
        (folder / f"image{index}").write_bytes(image.tobytes())
        described.append({"height": image.shape[0], "width": image.shape[1]})
    (folder / "cases.json").write_text(json.dumps({"images": described, "cases": list(cases)}))
    done = _node(CASES, CLIENTS, folder)
    assert done.returncode == 0, done.stderr
    results: list[dict[str, Any]] = json.loads((folder / "results.json").read_text())
    assert len(results) == len(cases)
    return results
