"""Architectures and spaces: values, ids, codes, validation, drawing and variation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_spaces import space_configs

from anas_zoo.core.errors import ConfigError, SpaceError
from anas_zoo.space import Architecture, SearchSpace, SpaceConfig, crossover, mutate

REAL = SearchSpace.load("attentive_nas")
DIGITS = SearchSpace.load("digits")
A0 = {
    "resolution": 192,
    "width": [16, 16, 24, 32, 64, 112, 192, 216, 1792],
    "depth": [1, 3, 3, 3, 3, 3, 1],
    "kernel_size": [3, 3, 3, 3, 3, 3, 3],
    "expand_ratio": [1, 4, 4, 4, 4, 6, 6],
}
seeds = st.integers(0, 2**32 - 1)


def test_an_id_is_for_ever() -> None:
    # Published entries carry these; whoever changes the hash orphans them all.
    assert Architecture.from_dict(A0).id == "2da0ac9b74d9"
    assert REAL.id == "eaadc7c5d1f7"
    shuffled = dict(reversed(list(A0.items())))
    assert Architecture.from_dict(shuffled).id == "2da0ac9b74d9"


def test_an_architecture_is_a_value() -> None:
    arch = Architecture.from_dict(A0)
    assert arch.to_dict() == A0
    assert arch == REAL.smallest
    assert hash(arch) == hash(Architecture.from_dict(json.loads(json.dumps(A0))))
    assert len({arch, REAL.smallest, REAL.largest}) == 2
    with pytest.raises(AttributeError):
        arch.resolution = 224  # type: ignore[misc]


def test_from_dict_lists_all_that_is_wrong() -> None:
    with pytest.raises(SpaceError) as caught:
        Architecture.from_dict({"resolution": True, "widths": [1], "depth": ["3"], "kernel_size": 3})
    text = str(caught.value)
    for part in (
        "missing key 'width'",
        "missing key 'expand_ratio'",
        "unknown key 'widths' (did you mean 'width'?)",
        "resolution must be a positive integer up to 4096, got True",
        "depth must be a list of positive integers up to 64, got ['3']",
        "kernel_size must be a list of positive integers up to 63 (or lists of them, one value per block), "
        "got 3",
    ):
        assert part in text
    assert len(caught.value.violations) == 6
    with pytest.raises(SpaceError, match="got list"):
        Architecture.from_dict([1, 2])  # type: ignore[arg-type]


def test_smallest_and_largest() -> None:
    assert REAL.smallest.to_dict() == A0
    assert REAL.largest.to_dict() == {
        "resolution": 288,
        "width": [24, 24, 32, 40, 72, 128, 216, 224, 1984],
        "depth": [2, 5, 6, 6, 8, 8, 2],
        "kernel_size": [5] * 7,
        "expand_ratio": [1, 6, 6, 6, 6, 6, 6],
    }
    for space in (REAL, DIGITS):
        assert space.smallest.resolution == space.config.resolution[0]
        space.validate(space.smallest)
        space.validate(space.largest)


def test_validate_lists_every_violation_at_once() -> None:
    wrong = Architecture.from_dict(
        A0 | {"resolution": 200, "depth": [1, 9, 3, 3, 3, 3, 1], "kernel_size": [3, 3, 7, 3, 3, 3, 3]}
    )
    with pytest.raises(SpaceError) as caught:
        REAL.validate(wrong)
    assert caught.value.violations == (
        "resolution is 200, allowed: 192, 224, 256, 288",
        "depth of mb2 is 9, allowed: 3, 4, 5",
        "kernel_size of mb3 is 7, allowed: 3, 5",
    )
    assert "3 violations" in str(caught.value)
    assert "\n" not in str(caught.value)
    short = Architecture.from_dict(A0 | {"resolution": 1, "width": [16], "depth": [1]})
    assert REAL.violations(short) == [
        "resolution is 1, allowed: 192, 224, 256, 288",
        "width has 1 values, the space needs 9",
        "depth has 1 values, the space needs 7",
    ]


@given(seed=seeds)
@settings(max_examples=30, deadline=None, database=None)
def test_codes_round_trip(seed: int) -> None:
    for space in (REAL, DIGITS):
        rng = np.random.default_rng(seed)
        archs = [space.sample(rng) for _ in range(4)]
        codes = space.encode(archs)
        assert codes.shape == (4, space.genes.count)
        assert codes.dtype == np.int64
        assert space.decode(codes) == archs
        assert all(Architecture.from_dict(a.to_dict()) == a for a in archs)


@given(config=space_configs(), seed=seeds)
@settings(max_examples=40, deadline=None, database=None)
def test_draws_and_variations_stay_inside(config: SpaceConfig, seed: int) -> None:
    space, rng = SearchSpace(config), np.random.default_rng(seed)
    first, second = space.sample_codes(rng, 6), space.sample_codes(rng, 6)
    before = first.copy()
    children = (mutate(space, first, rng, probability=0.5), crossover(space, first, second, rng))
    assert (first == before).all()
    for codes in (first, *children):
        for arch in space.decode(codes):
            assert space.violations(arch) == []
    assert ((children[1] == first) | (children[1] == second)).all()
    assert (mutate(space, first, rng, probability=0.0) == first).all()
    again = SearchSpace.from_dict(space.to_dict())
    assert again.id == space.id


def test_the_generator_decides_every_draw() -> None:
    one, two, other = (np.random.default_rng(seed) for seed in (7, 7, 8))
    assert REAL.sample(one) == REAL.sample(two)
    assert REAL.sample(one) != REAL.sample(other)
    drawn = REAL.sample_codes(one, 2000)
    for gene, choices in enumerate(REAL.genes.choices):
        assert set(drawn[:, gene].tolist()) == set(choices)


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'attentive_nas'\?.*digits"):
        SearchSpace.load("atentive_nas")
    with pytest.raises(ConfigError, match="no such file"):
        SearchSpace.load("nowhere.yaml")


def test_a_space_file_with_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"

    def write(**changes: Any) -> None:
        """The digits space as a file; a key of ``stages`` replaces that key of every stage."""
        data = DIGITS.to_dict()
        for stage in data["stages"]:
            stage.update(changes.get("stages", {}))
        path.write_text(yaml.safe_dump(data | {k: v for k, v in changes.items() if k != "stages"}))

    write()
    assert SearchSpace.load(path).id == DIGITS.id

    write(stages={"kernal_size": [3]})
    nearest = r"unknown key 'stages\.0\.kernal_size' \(did you mean 'kernel_size'\?\)"
    with pytest.raises(ConfigError, match=nearest):
        SearchSpace.load(path)
    write(resolutions=[8])
    with pytest.raises(ConfigError, match=r"unknown key 'resolutions' \(did you mean 'resolution'\?\)"):
        SearchSpace.load(path)

    write(resolution=[16, 12], head={"width": []}, stages={"kernel_size": [4]})
    with pytest.raises(ConfigError) as caught:
        SearchSpace.load(path)
    assert "resolution: choices must be in ascending order" in str(caught.value)
    assert "head.width" in str(caught.value)
    assert "stages.2.kernel_size: kernel sizes must be odd" in str(caught.value)
    assert "\n" not in str(caught.value)

    write(stages={"expand_ratio": [1, 4]})
    with pytest.raises(ConfigError, match="expand ratio 1 cannot be mixed"):
        SearchSpace.load(path)
    path.write_text("resolution: [1\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        SearchSpace.load(path)


@given(config=space_configs())
@settings(max_examples=20, deadline=None, database=None)
def test_listed_codes_are_as_many_as_the_space_is_large(config: SpaceConfig) -> None:
    space = SearchSpace(config)
    assume(space.size <= 20_000)
    codes = space.every_code()
    assert len(np.unique(codes, axis=0)) == len(codes) == space.size
    assert len({arch.id for arch in space.decode(codes[:500])}) == min(500, space.size)


def test_a_small_space_can_be_listed_and_a_large_one_not() -> None:
    digits = SearchSpace.load("digits")
    codes = digits.every_code()
    assert codes.shape == (digits.size, digits.genes.count)
    assert len({arch.id for arch in digits.decode(codes[:2000])}) == 2000
    with pytest.raises(SpaceError, match="too many to list"):
        SearchSpace.load("attentive_nas").every_code()


def test_the_space_that_the_guide_prints_is_one(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "spaces.md").read_text(encoding="utf-8")
    file = tmp_path / "my_blocks.yaml"
    file.write_text(guide.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    space = SearchSpace.load(file)
    arch = Architecture.from_dict(
        {
            "resolution": 96,
            "width": [16, 16, 24, 40, 1280],
            "depth": [1, 2, 3],
            "kernel_size": [3, [3, 5], 5],
            "expand_ratio": [1, [6, 2.5], 3],
        }
    )
    assert space.decode(space.encode([arch])) == [arch]
    for preset in SearchSpace.presets():
        assert f"`{preset}`" in guide


def test_a_space_with_some_of_its_resolutions() -> None:
    space = SearchSpace.load("digits")
    some = space.at(space.config.resolution[:1] * 2)
    assert some.config.resolution == space.config.resolution[:1]
    assert some.size * len(space.config.resolution) == space.size
    assert (some.smallest, some.structure) == (space.smallest, space.structure)
    for wrong in ([], [7]):
        with pytest.raises(SpaceError, match=r"the resolutions of 'digits' are .*; got (none|7)"):
            space.at(wrong)


def test_a_simplified_structure_differs_in_activations_and_squeeze_and_excite_alone() -> None:
    structure = SearchSpace.load("attentive_nas").structure
    assert structure.simplified() == structure
    relu = structure.simplified(act="relu")
    assert {relu.stem.act, relu.head.act, *(stage.act for stage in relu.stages)} == {"relu"}
    assert relu.squeeze_excite == structure.squeeze_excite
    assert [stage.se for stage in relu.stages] == [stage.se for stage in structure.stages]
    plain = structure.simplified(se=False)
    assert not any(stage.se for stage in plain.stages)
    assert relu.simplified(act="silu") == structure  # all of it is SiLU
