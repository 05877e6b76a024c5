"""Others' checkpoints as ``torch.save`` wrote them: read without running code from them.

Such a file is a pickle. torch's restricted unpickler reads it; a file that asks for anything but tensors
and plain containers is refused.
"""

from __future__ import annotations

import re
import zipfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from anas_zoo.core.errors import CheckpointError
from anas_zoo.core.outside import kind_of_file, refuse_irregular

MAX_BYTES = 4 * 2**30  # the largest known one has 0.2 GB


def read_torch_file(path: Path, what: str, *, inert: Sequence[str] = ()) -> Any:
    """What the file holds; torch's old format and its zip format, tensors on the CPU.

    Args:
        path: the file.
        what: the kind of checkpoint that is wanted, for errors: "the once-for-all authors' checkpoint".
        inert: full names of classes of which such files hold instances. An OrderedDict takes the place of
            each: it is the only mapping besides dict that the unpickler lets have both items and attributes.

    Raises :class:`CheckpointError` for everything that it cannot or will not read.
    """
    refuse_irregular(path, CheckpointError, most_bytes=MAX_BYTES)
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise CheckpointError(f"{path}: the file is empty; download the checkpoint again")
        _refuse_zip_bomb(path)
        with torch.serialization.safe_globals([(OrderedDict, name) for name in inert]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as exc:
        raise CheckpointError(f"{path}: no such file; give the path of {what}") from exc
    except CheckpointError:
        raise
    except Exception as exc:  # a damaged pickle fails in as many ways as there are operations in it
        text = " ".join(str(exc).split())
        refused = re.search(r"GLOBAL ([\w.<>]+)", text)
        if refused:
            allowed = " and ".join(["tensors", *inert])
            raise CheckpointError(
                f"{path}: refused, because reading it would need {refused[1]!r}, which is not plain data "
                f"(allowed: {allowed}); nothing of it was run"
            ) from exc
        kind = kind_of_file(path)
        begins = "" if kind in ("", "a zip archive", "a pickle") else f" ({kind})"  # as torch's own begin
        raise CheckpointError(
            f"{path}: not a checkpoint that torch can read; it is truncated or another kind of file{begins}; "
            f"give {what}, downloaded whole"
        ) from exc


def _refuse_zip_bomb(path: Path) -> None:
    """torch's zip format stores its parts as they are, so a file is never smaller than what it holds."""
    if not zipfile.is_zipfile(path):
        return  # torch's old format
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        raise CheckpointError(
            f"{path}: a compressed zip file, which torch never writes; nothing was unpacked"
        )
    if sum(part.file_size for part in parts) > path.stat().st_size:
        raise CheckpointError(f"{path}: a zip file whose parts overlap; nothing was unpacked")


def state_dict_of(content: Any, path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The state dict in ``content``, which may be one itself, and the names of what lies beside it.

    Names are without the ``module.`` that torch's data parallelism puts before them. Raises
    :class:`CheckpointError` where there is none.
    """
    inside = isinstance(content, Mapping) and "state_dict" in content
    state = content["state_dict"] if inside else content
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        raise CheckpointError(
            f"{path}: holds no state dict, but {type(state).__name__}; "
            "a checkpoint is a state dict or a dict with the key 'state_dict'"
        )
    beside = tuple(str(key) for key in content if key != "state_dict") if inside else ()
    return {key.removeprefix("module."): value for key, value in state.items()}, beside
