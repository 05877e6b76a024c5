"""Catalogs for tests: entries made from the shelf's real ones by changing what a test is about."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from anas_zoo.core.resources import resource_folder
from anas_zoo.entry import write_manifest

# An entry of release 0.1, in the first format, which drops transparency; a small, weak network.
FIRST_FORMAT = Path(__file__).parent / "golden" / "first_format" / "digits_s"
HOSTILE = '</script><img src=x onerror="window.hit=1">{{json}}&lt;\''


def copy_entry(entry: str | Path, folder: Path, **changes: Any) -> Path:
    """A copy of an entry, the shelf's where it is a name, at ``folder``; see :func:`change`."""
    shutil.copytree(resource_folder("models") / entry, folder)
    return change(folder, **changes)


def change(folder: Path, *, config: Any = None, report: Any = None) -> Path:
    """Change keys of the two files of an entry, nested ones by dictionaries, and renew its manifest."""
    for name, changes in (("config.json", config), ("report.json", report)):
        data = json.loads((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_text(json.dumps(_merged(data, changes or {})), encoding="utf-8")
    write_manifest(folder)
    return folder


def _merged(data: Any, changes: Any) -> Any:
    if not isinstance(changes, dict) or not isinstance(data, dict):
        return changes
    return data | {key: _merged(data.get(key), value) for key, value in changes.items()}


def hostile_catalog(folder: Path) -> Path:
    """Two sound entries whose free texts are markup and scripts."""
    copy_entry(
        FIRST_FORMAT,
        folder / "a 'folder' & <b>more<b>",
        config={
            "label_names": [f"{HOSTILE}{i}" for i in range(10)],
            "anas": {"weights": {"source": HOSTILE}, "space": {"name": HOSTILE}},
        },
        report={
            "accuracy": {
                "source": HOSTILE,
                "split": HOSTILE,
                "confusion": {"0": {"0": 347, "1": 12}},  # of the 359 images as many as the report says
            },
            "files": {"model.onnx": {"target": HOSTILE}},
            "refused": {"model.int8.onnx": HOSTILE},
        },
    )
    figure = {"top1_pct": 50.0, "dataset": HOSTILE, "source": HOSTILE, "weights": HOSTILE}
    copy_entry("attentive_nas_a0", folder / "a0", report={"published": figure})
    return folder
