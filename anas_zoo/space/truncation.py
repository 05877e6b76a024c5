"""Truncated networks: the first stages of one network and a classifier, at any of some resolutions.

On few images of one's own the first stages of a network that was pretrained on many are worth more than a
smaller network without its weights: what is cut off is what was made for the other classes (the features of
Zeiler and Fergus, arXiv:1311.2901, get more specific from layer to layer).
"""

from __future__ import annotations

from collections.abc import Sequence

from anas_zoo.space.architecture import Architecture, of_blocks
from anas_zoo.space.config import HeadConfig, SpaceConfig, StageConfig, StemConfig
from anas_zoo.space.space import SearchSpace


def truncations(space: SearchSpace, arch: Architecture, resolution: Sequence[int]) -> list[SearchSpace]:
    """The space of each number of first stages of ``arch``, from one to all; only resolution is elastic.

    Behind the last of its stages a truncated network has its pool and the classifier; the whole one keeps
    its head. Raises :class:`SpaceError` for an ``arch`` that is not in ``space``.
    """
    space.validate(arch)
    stages = [_fixed(stage, arch, index) for index, stage in enumerate(space.config.stages)]
    stem = StemConfig(**(space.config.stem.model_dump() | {"width": arch.width[:1]}))
    head = HeadConfig(**(space.config.head.model_dump() | {"width": arch.width[-1:]}))
    found = []
    for count in range(1, len(stages) + 1):
        whole = count == len(stages)
        pool = HeadConfig(kind="pool", width=stages[count - 1].width, act=head.act)
        changes = {
            "name": space.name if whole else f"{space.name}_{count}_stages",
            "resolution": tuple(sorted(set(resolution))),
            "stem": stem,
            "stages": tuple(stages[:count]),
            "head": head if whole else pool,
            "kernel_transform": False,
        }
        data = space.config.model_copy(update=changes).model_dump()
        found.append(SearchSpace(SpaceConfig.model_validate(data)))
    return found


def _fixed(stage: StageConfig, arch: Architecture, index: int) -> StageConfig:
    """``stage`` with the choices of ``arch`` alone."""
    depth = arch.depth[index]
    choices = {
        "width": (arch.width[index + 1],),
        "depth": (depth,),
        "kernel_size": _per_block(of_blocks(arch.kernel_size[index], depth)),
        "expand_ratio": _per_block(of_blocks(arch.expand_ratio[index], depth)),
        "se": stage.se if isinstance(stage.se, bool) else stage.se[:depth],
    }
    return StageConfig.model_validate(stage.model_dump() | choices)


def _per_block(values: tuple[float, ...]) -> tuple[float, ...] | tuple[tuple[float, ...], ...]:
    """One choice of all blocks alike, or of each where they differ."""
    return values[:1] if len(set(values)) == 1 else tuple((value,) for value in values)
