from __future__ import annotations

import pytest

from anas_zoo.core.errors import ConfigError
from anas_zoo.core.schema import parse
from anas_zoo.entry import IMAGENET, Preprocessing


def test_reference_fixes_filter_and_crop() -> None:
    info = Preprocessing(mode="reference")
    assert (info.interpolation, info.crop_pct) == ("bilinear", 0.875)
    assert parse(Preprocessing, info.model_dump(mode="json"), "config") == info
    given = {"mode": "reference"}
    with pytest.raises(
        ConfigError, match="interpolation is 'bilinear' in the mode 'reference', not 'bicubic'"
    ):
        parse(Preprocessing, given | {"interpolation": "bicubic"}, "config")
    with pytest.raises(ConfigError, match=r"crop_pct is 0\.875 in the mode 'reference', not 1\.0") as caught:
        parse(Preprocessing, given | {"crop_pct": 1.0}, "config")
    assert "\n" not in str(caught.value)


def test_a_change_of_mode_keeps_the_normalisation() -> None:
    own = Preprocessing(interpolation="lanczos", crop_pct=1.0, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    there = own.in_mode("reference")
    assert there == Preprocessing(mode="reference", mean=own.mean, std=own.std)
    assert there.in_mode("native") == there.model_copy(update={"mode": "native"})
    assert own.in_mode("native") == own


def test_what_a_network_sees() -> None:
    assert IMAGENET.sides(192) == (219, 192)
    assert IMAGENET.in_mode("reference").sides(192) == (256, 224)
    assert IMAGENET.in_mode("reference").visible(192) == 0.875
