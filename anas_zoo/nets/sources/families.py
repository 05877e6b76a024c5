"""Which import reads a checkpoint, by the names of its tensors: for whoever gave it to another one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from anas_zoo.core.hints import Call, Part


@dataclass(frozen=True)
class Family:
    """A kind of checkpoint: whose, how one is known, and the import that reads it."""

    whose: str
    sign: re.Pattern[str]
    call: str


FAMILIES = (
    Family("AttentiveNAS' or AlphaNet's", re.compile(r"^last_conv\."), "import attentive-nas"),
    Family("timm's", re.compile(r"^(conv_stem|conv_head)\."), "import timm"),
    Family("once-for-all's", re.compile(r"^(final_expand_layer|feature_mix_layer)\."), "import ofa"),
)


def which_import(names: Iterable[str], path: Path, *, but: str) -> tuple[Part, ...]:
    """Parts of a message that name the import for a checkpoint with tensors of ``names``; () for none.

    ``but`` is the kind of import that has just refused it.
    """
    found = list(names)
    for family in FAMILIES:
        if family.call != f"import {but}" and any(family.sign.search(name) for name in found):
            call = Call(family.call, path, out="SUPERNET")
            if family.call == "import timm":  # whose files do not say which network they are of
                call = Call(family.call, "NAME", checkpoint=path, out="SUPERNET")
            return f"; it looks like {family.whose} checkpoint: ", call
    return ()
