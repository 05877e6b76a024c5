"""Every recipe that comes along parses, and those of papers say what the papers say."""

from __future__ import annotations

import pytest

from anas_zoo.pipeline import Recipe
from anas_zoo.space import SearchSpace

OF_USERS = ("own_images", "pretrained")


@pytest.mark.parametrize("name", Recipe.presets())
def test_every_shipped_recipe_parses(name: str) -> None:
    recipe = Recipe.load(name)
    assert recipe.name == ("mine" if name in OF_USERS else name)  # those are to be renamed by their users
    if name not in OF_USERS:  # whose space is that of the images, or of the supernet
        assert SearchSpace.load(recipe.own_space()).size > 1000
    assert (recipe.licence is None) == (recipe.data is None)  # the licence is for images that are known
    assert Recipe.model_validate(recipe.to_dict()) == recipe


def test_only_the_built_in_images_need_no_data() -> None:
    own = {name: Recipe.load(name).data for name in Recipe.presets()}
    assert own.keys() >= {"imagenet_attentivenas", "imagenet_alphanet", "imagenet_1gpu", "own_images"}
    assert {name: data for name, data in own.items() if data} == {"digits": "digits", "glyphs": "glyphs"}


def test_imagenet_attentivenas_is_the_authors_recipe() -> None:
    recipe = Recipe.load("imagenet_attentivenas")
    train = recipe.train
    assert train.batch_size == 64 * 32
    assert train.learning_rate == pytest.approx(0.1 * max(1, train.batch_size // 256))
    assert (train.epochs, train.warmup_epochs, train.warmup_factor) == (360, 5, 0.001)
    assert (train.momentum, train.weight_decay, train.clip_value) == (0.9, 1e-5, 1.0)
    assert (train.label_smoothing, train.drop_rate, train.drop_path_rate) == (0.1, 0.2, 0.2)
    assert train.subnets_per_step == 4
    sampling = train.sampling
    assert (sampling.strategy, sampling.candidates, sampling.quality) == ("bestup", 3, "loss")
    assert sampling.max_tries == 100
    assert train.distillation.loss == "kl"
    assert (train.loader, train.stream.side, train.stream.auto_augment) == ("stream", 224, "v0")
    assert recipe.split.search_per_class == 200  # 200 k images of 1000 classes
    assert recipe.search.evaluations == 512 + 20 * 256
    space = SearchSpace.load("attentive_nas")
    low, high = space.macs([space.smallest, space.largest])
    assert (high - low) / sampling.prior_bins == pytest.approx(25e6, rel=0.02)


def test_imagenet_alphanet_differs_in_sampling_and_distillation_only() -> None:
    ours, theirs = (Recipe.load(n).to_dict() for n in ("imagenet_alphanet", "imagenet_attentivenas"))
    assert ours["train"]["sampling"]["strategy"] == "uniform"
    assert ours["train"]["distillation"] == {
        "loss": "alpha",
        "alpha_min": -1.0,
        "alpha_max": 1.0,
        "clip": 5.0,
    }
    for part in ("sampling", "distillation"):
        del ours["train"][part], theirs["train"][part]
    assert ours["train"] == theirs["train"]
    assert ours["search"] == theirs["search"]
