"""Limits of the models of a run: several at once, and those that nothing keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_recipe import write_recipe

from anas_zoo.core.errors import ConfigError, SearchError
from anas_zoo.core.schema import read_json
from anas_zoo.pipeline import Recipe
from anas_zoo.pipeline.whole_way import run, with_limits

LIMITS = {
    "search.limits.latency_ms.max": 0.3,
    "search.limits.size_bytes.max": 1.1 * 1e6,
    "search.limits.macs.max": 123456.789 * 1e6,
    "search.limits.params.max": None,
}


@pytest.mark.parametrize("settings", [None, {"seed": 3}, ["seed=3"]])
def test_limits_are_settings_of_the_recipe_in_every_form(settings: Any) -> None:
    recipe = Recipe.load("own_images", data="digits", settings=with_limits(settings, LIMITS))
    limits = recipe.search.limits
    assert limits.latency_ms.max == pytest.approx(0.3)
    assert limits.size_bytes.max == pytest.approx(1.1e6)
    assert limits.macs.max == pytest.approx(123456.789e6, rel=1e-12)
    assert limits.params.max is None
    assert recipe.seed == (0 if settings is None else 3)


def test_limits_that_nothing_keeps_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    recipe, out = write_recipe(tmp_path / "tiny.yaml"), tmp_path / "run"
    with pytest.raises(SearchError) as failed:
        run(out, recipe=recipe, max_size_mb=100, max_mflops=0.0001, device="cpu")
    assert "\n" not in str(failed.value)
    assert not (out / "training").exists()
    # It gives way to the same run with other limits.
    with pytest.raises(SearchError):
        run(out, recipe=recipe, max_mparams=0.000001, device="cpu")
    assert read_json(out / "run.json")["recipe"]["search"]["limits"]["macs"]["max"] is None


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
def test_minutes_have_to_be_some(tmp_path: Path, minutes: float) -> None:
    with pytest.raises(ConfigError, match="minutes"):
        run(tmp_path / "run", data="digits", minutes=minutes)
    assert not (tmp_path / "run").exists()


def test_a_plain_network_is_trained_as_winners_are(tmp_path: Path) -> None:
    for key in ("yardstick", "try_flips"):
        with pytest.raises(ConfigError, match="give winners, or leave them out"):
            run(tmp_path / "run", recipe=write_recipe(tmp_path / "tiny.yaml", **{key: True}))
    assert not (tmp_path / "run").exists()
