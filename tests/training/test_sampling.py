from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from summing_predictor import write_predictor

from anas_zoo.core.errors import ConfigError, TrainingError
from anas_zoo.core.schema import parse
from anas_zoo.space import AccuracyPredictor, Architecture, SearchSpace
from anas_zoo.training import AttentiveSampler, FlopsPrior, SamplingRecipe, TrainRecipe, make_sampler
from anas_zoo.training.sampling import Draw, FairSampler, Moment
from anas_zoo.training.sampling.online import OnlineLoss

SPACE = SearchSpace.load("attentive_nas")
SMALL = SearchSpace.load("digits")
STRATEGIES = ("bestup", "worstup", "uniform", "spos", "gradient", "fairnas", "ofa")


def recipe(strategy: str, *, subnets: int = 4, **sampling: object) -> TrainRecipe:
    data = {"strategy": strategy, "prior_draws": 20_000, **sampling}
    return parse(TrainRecipe, {"subnets_per_step": subnets, "sampling": data}, "test")


def refuse(archs: Sequence[Architecture]) -> list[float]:
    raise AssertionError("quality is not needed")


def by_depth(archs: Sequence[Architecture]) -> list[float]:
    return [float(arch.width[-1] * 1000 + sum(arch.depth) + arch.resolution / 1000) for arch in archs]


def moment(step: int = 0, *, seed: int = 0, total: int = 100) -> Moment:
    return Moment((seed, 0), step, total)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_step_depends_on_seed_and_step_alone(strategy: str) -> None:
    """So a training that is resumed draws what an uninterrupted one draws."""
    first, _ = make_sampler(SPACE, recipe(strategy))
    other, _ = make_sampler(SPACE, recipe(strategy))
    draws = [first.draw(moment(step), by_depth) for step in (30, 31, 60, 90)]
    again = [other.draw(moment(step), by_depth) for step in (90, 60, 31, 30)]
    assert draws == again[::-1]
    assert draws[2] != first.draw(moment(60, seed=1), by_depth)
    assert draws[2] != first.draw(Moment((0, 1), 60, 100), by_depth)
    for draw in (draw for step in draws for draw in step):
        SPACE.validate(draw.arch)


@pytest.mark.parametrize("strategy", ["bestup", "worstup", "uniform"])
def test_the_sandwich_is_the_largest_first_and_the_smallest_last(strategy: str) -> None:
    sampler, _ = make_sampler(SPACE, recipe(strategy, subnets=5))
    draws = sampler.draw(moment(), by_depth)
    assert [draw.kind for draw in draws] == ["largest", "sampled", "sampled", "sampled", "smallest"]
    assert draws[0].arch == SPACE.largest
    assert draws[-1].arch == SPACE.smallest
    two, _ = make_sampler(SPACE, recipe(strategy, subnets=2))
    assert [draw.kind for draw in two.draw(moment(), refuse)] == ["largest", "smallest"]


def test_bestup_and_worstup_take_the_ends_of_the_same_candidates() -> None:
    def pick(strategy: str) -> tuple[list[Draw], list[Architecture]]:
        sampler, _ = make_sampler(SPACE, recipe(strategy, candidates=5))
        seen: list[Architecture] = []

        def quality(archs: Sequence[Architecture]) -> list[float]:
            assert not seen, "one question a step"
            seen.extend(archs)
            return by_depth(archs)

        return sampler.draw(moment(), quality), seen

    best, candidates = pick("bestup")
    worst, same = pick("worstup")
    assert candidates == same
    assert len(candidates) == 10
    for place, group in enumerate((candidates[:5], candidates[5:]), 1):
        macs = SPACE.macs(group)
        assert macs.max() - macs.min() < 26e6, "candidates of one draw have one FLOPs bin"
        assert by_depth([best[place].arch]) == [max(by_depth(group))]
        assert by_depth([worst[place].arch]) == [min(by_depth(group))]


def test_acceptance_is_counted_and_goes_on_after_a_restore() -> None:
    sampler, _ = make_sampler(SPACE, recipe("bestup"))
    sampler.draw(moment(0), by_depth)
    counters = sampler.state()
    assert counters["accepted"] == 6
    assert counters["tried"] > 6
    other, _ = make_sampler(SPACE, recipe("bestup"))
    other.restore(counters)
    other.draw(moment(1), by_depth)
    sampler.draw(moment(1), by_depth)
    assert other.state() == sampler.state()


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([SPACE, SMALL]), st.integers(1, 13), st.integers(0, 5))
def test_fairnas_trains_every_choice_equally_often_in_a_round(
    space: SearchSpace, subnets: int, seed: int
) -> None:
    sampler = FairSampler(space, subnets)
    length = sampler.round_length
    assert length == 12
    steps = length  # so many steps are `subnets` whole rounds, whatever the two have in common
    drawn = [draw.arch for step in range(steps) for draw in sampler.draw(moment(step, seed=seed), refuse)]
    rounds = [drawn[start : start + length] for start in range(0, len(drawn), length)]
    for archs in rounds:
        codes = space.encode(archs)
        for gene, choices in enumerate(space.genes.choices):
            counts = Counter(codes[:, gene].tolist())
            assert counts == dict.fromkeys(choices, length // len(choices))
    assert len(rounds) == subnets
    assert len({tuple(archs) for archs in rounds}) == subnets, "every round is another one"


def test_ofa_shrinks_kernel_then_depth_then_width() -> None:
    sampler, _ = make_sampler(SPACE, recipe("ofa"))
    width, depth, kernel_size, expand_ratio = SPACE.genes.parts
    largest = SPACE.encode([SPACE.largest])[0]

    def varying(steps: range) -> set[str]:
        draws = [d for step in steps for d in sampler.draw(moment(step), refuse)]
        codes = SPACE.encode([draw.arch for draw in draws])
        parts = {"resolution": slice(0, 1), "kernel_size": kernel_size, "depth": depth, "width": width}
        parts["expand_ratio"] = expand_ratio
        return {name for name, part in parts.items() if (codes[:, part] != largest[part]).any()}

    assert varying(range(25)) == {"resolution"}
    assert varying(range(25, 50)) == {"resolution", "kernel_size"}
    assert varying(range(50, 75)) == {"resolution", "kernel_size", "depth"}
    assert varying(range(75, 100)) == {"resolution", "kernel_size", "depth", "width", "expand_ratio"}
    assert [draw.kind for draw in sampler.draw(moment(0), refuse)] == ["largest"]
    late = sampler.draw(moment(99), refuse)
    assert [draw.kind for draw in late] == ["largest", "sampled", "sampled", "sampled"]
    assert late[0].arch == SPACE.largest


def test_hopeless_conditioning_ends_with_the_acceptance_rate() -> None:
    prior = FlopsPrior.draw(SPACE, draws=20_000, bins=1000)
    sampler = AttentiveSampler(prior, SamplingRecipe(candidates=100, max_tries=1), subnets=3)
    with pytest.raises(TrainingError, match=r"acceptance .* %"):
        sampler.draw(moment(), by_depth)


def test_quality_by_predictor_is_what_the_file_says(tmp_path: Path) -> None:
    file = write_predictor(tmp_path / "sum.onnx", SPACE.genes.count, space_id=SPACE.id)
    chosen = recipe("bestup", quality="predictor", predictor=str(file))
    sampler, predictor = make_sampler(SPACE, chosen)
    assert isinstance(predictor, AccuracyPredictor)
    archs = SPACE.decode(SPACE.sample_codes(np.random.default_rng(0), 5))
    assert predictor(archs).tolist() == [float(sum(arch.code)) for arch in archs]
    best = sampler.draw(moment(), lambda archs: predictor(archs).tolist())[1].arch
    worst = make_sampler(SPACE, recipe("worstup"))[0].draw(moment(), lambda a: predictor(a).tolist())[1].arch
    assert sum(best.code) > sum(worst.code)


def test_a_predictor_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    other = write_predictor(tmp_path / "other.onnx", SMALL.genes.count)
    foreign = write_predictor(tmp_path / "foreign.onnx", SPACE.genes.count, space_id="abc")
    for path, message in (
        (tmp_path / "none.onnx", "no predictor at"),
        (tmp_path / "text.onnx", "not an ONNX file"),
        (other, f"{SMALL.genes.count} genes, 'attentive_nas' has 31"),
        (foreign, "fitted on the space abc"),
    ):
        with pytest.raises(ConfigError, match=message):
            AccuracyPredictor(path, SPACE)


@pytest.mark.parametrize(("strategy", "choose"), [("bestup", min), ("worstup", max)])
def test_one_subnet_a_step_is_attended_by_what_was_learned_online(strategy: str, choose: Any) -> None:
    chosen = recipe(strategy, subnets=1, quality="online", candidates=8)
    sampler, _ = make_sampler(SPACE, chosen)
    rng, learned = np.random.default_rng(0), OnlineLoss(SPACE)
    for _ in range(30):
        archs = SPACE.decode(SPACE.sample_codes(rng, 3))
        draws = [Draw(SPACE.largest, "largest"), *(Draw(arch, "sampled") for arch in archs)]
        losses = [-value for value in by_depth(archs)]
        sampler.learn(draws, [1e9, *losses], 1.0)  # the largest's is no loss like theirs
        learned.learn(archs, losses)
    (draw,) = sampler.draw(moment(), refuse)
    assert draw.kind == "sampled"
    assert isinstance(sampler, AttentiveSampler)
    group = sampler._candidates(moment(), 0)
    expected = learned(group)
    assert expected[group.index(draw.arch)] == choose(expected)
    again, _ = make_sampler(SPACE, chosen)
    again.restore(json.loads(json.dumps(sampler.state())))
    assert again.draw(moment(1), refuse) == sampler.draw(moment(1), refuse)


def test_a_recipe_that_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ConfigError, match="subnets_per_step ≥ 2"):
        recipe("uniform", subnets=1)
    with pytest.raises(ConfigError, match=r"trial_part 0\.5 is of trials, which quality: loss has alone"):
        recipe("bestup", quality="online", trial_part=0.5)
    with pytest.raises(ConfigError, match="'spos' compares no candidates"):
        recipe("spos", quality="online")
    with pytest.raises(ConfigError, match="2 subnets_per_step are the largest and the smallest"):
        recipe("bestup", subnets=2, quality="online")
    with pytest.raises(ConfigError, match="needs predictor: FILE"):
        recipe("bestup", quality="predictor")
    with pytest.raises(ConfigError, match=r"add up to 1, they give 1\.25"):
        recipe("ofa", ofa_phases={"full": 0.5})
