"""Pretrained weights that lie on this machine already: a run on photographs starts from them unasked."""

from __future__ import annotations

import statistics

from anas_zoo.core.errors import DataError
from anas_zoo.core.hints import Call
from anas_zoo.core.progress import note
from anas_zoo.data import open_source
from anas_zoo.pipeline.fitting import OF_PHOTOGRAPHS, SPACES
from anas_zoo.pipeline.init_supernet import OF_TIMM
from anas_zoo.pipeline.recipe import FOR_OWN_IMAGES

FILES = ("model.safetensors", "pytorch_model.bin")  # as timm's repositories on the Hub have them
LOOKED_AT = 32  # images


def weights_at_hand(data: str) -> str | None:
    """The ``init`` of a run on the images ``data``, where they are larger than drawn characters and timm's
    weights of :data:`~anas_zoo.pipeline.fitting.OF_PHOTOGRAPHS` lie in the cache of ``huggingface_hub``.

    A note says so, and how to do without. Raises :class:`DataError` for images that cannot be found.
    """
    if not _is_cached(OF_PHOTOGRAPHS) or _short_side(data) <= SPACES["tiny"]:
        return None
    note(
        f"  timm's weights of {OF_PHOTOGRAPHS} are on this machine: the run starts from them; to draw them: ",
        Call("run", data=data, recipe=FOR_OWN_IMAGES, out="RUN"),
    )
    return OF_TIMM + OF_PHOTOGRAPHS


def _is_cached(network: str) -> bool:
    from huggingface_hub import try_to_load_from_cache
    from timm.models import get_pretrained_cfg

    config = get_pretrained_cfg(network)
    repository = None if config is None else config.hf_hub_id
    if not repository:
        return False
    return any(isinstance(try_to_load_from_cache(repository, file), str) for file in FILES)


def _short_side(data: str) -> float:
    """The median in pixels over a few images, spread over all; 0 where none can be read."""
    source = open_source(data)
    sides = []
    count = len(source.labels)
    for index in range(0, count, max(1, count // LOOKED_AT)):
        try:
            sides.append(min(source.image(index).size))
        except DataError:  # what cannot be read is told when the run begins
            continue
    return statistics.median(sides) if sides else 0.0
