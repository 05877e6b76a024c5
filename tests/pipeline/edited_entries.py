"""Entries whose config says something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def edit_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """``folder`` with ``change`` made to its config.json."""
    file = folder / "config.json"
    config = json.loads(file.read_text())
    change(config)
    file.write_text(json.dumps(config))
    return folder


def as_reference(folder: Path) -> Path:
    """``folder`` as if its network had been made for the mode ``reference``."""
    edit_config(folder, lambda c: c["anas"]["preprocessing"].update(mode="reference", crop_pct=0.875))
    return edit_config(folder, lambda c: c["pretrained_cfg"].update(crop_pct=0.875))
