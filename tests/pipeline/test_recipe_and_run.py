from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from tiny_recipe import TINY, tiny_recipe, write_recipe

from anas_zoo.core.errors import ConfigError, DataError, OutputError
from anas_zoo.core.files import write_json
from anas_zoo.data import AugmentationRecipe, DigitsSource, eval_tensor
from anas_zoo.pipeline import Recipe, Run
from anas_zoo.pipeline.recipe import default_recipe


def test_no_run_begins_without_images(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no images of its own; give data='DIR'"):
        Run.start(tmp_path / "run", Recipe.load("own_images"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("data", "settings", "name"),
    [
        (None, None, "digits"),
        ("digits", None, "digits"),
        ("glyphs", None, "glyphs"),
        ("path/to/images", None, "own_images"),
        ("hfds/mnist", ["seed=1"], "own_images"),
        (None, ["data=path/to/images"], "own_images"),
    ],
)
def test_the_recipe_without_a_recipe_is_one_for_the_images(
    data: str | None, settings: list[str] | None, name: str
) -> None:
    assert default_recipe(data, settings) == name


def test_the_recipe_for_a_supernet_is_chosen_with_one() -> None:
    assert default_recipe("path/to/images", None, "SUPERNET") == "pretrained"
    assert default_recipe("digits", ["init=SUPERNET"]) == "pretrained"


def test_what_is_new_in_a_recipe_is_not_written_while_it_is_not_used() -> None:
    """Runs and checkpoints of version 0.2 are known by a text without it."""
    data = Recipe.load("digits").to_dict()
    assert "init" not in data
    assert "classifier_rate_factor" not in data["train"]
    used = Recipe.load("digits", settings=["train.classifier_rate_factor=2"])
    assert used.to_dict()["train"]["classifier_rate_factor"] == 2
    assert Recipe.model_validate(used.to_dict()) == used


def test_no_preset_chooses_a_licence_for_images_that_are_not_its_own() -> None:
    for name in Recipe.presets():
        assert Recipe.load(name, data="path/to/images").licence is None
        assert Recipe.load(name, settings=["data=path/to/images"]).licence is None
        chosen = Recipe.load(name, data="path/to/images", settings=["licence=Apache-2.0"])
        assert chosen.licence == "Apache-2.0"
    assert [Recipe.load(name).licence for name in ("digits", "glyphs")] == ["Apache-2.0"] * 2
    assert Recipe.load("digits", data="digits").licence == "Apache-2.0"


def test_a_licence_in_ones_own_recipe_is_a_choice(tmp_path: Path) -> None:
    assert Recipe.load(write_recipe(tmp_path / "r.yaml"), data="path/to/images").licence == "Apache-2.0"
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({k: v for k, v in TINY.items() if k != "licence"}))
    assert Recipe.load(tmp_path / "r.yaml").licence is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trian": {}}, r"unknown key 'trian' \(did you mean 'train'\?\)"),
        ({"train": {"epoch": 3}}, r"unknown key 'train.epoch' \(did you mean 'epochs'\?\)"),
        ({"search": {"rounds": -1}}, "search.rounds"),
        ({"licence": ""}, "licence"),
    ],
)
def test_a_wrong_recipe_is_refused_in_one_line(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = write_recipe(tmp_path / "r.yaml", **change)
    with pytest.raises(ConfigError, match=message):
        Recipe.load(path)


def test_an_unknown_recipe_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'digits'"):
        Recipe.load("digit")
    with pytest.raises(ConfigError, match="no such file"):
        Recipe.load(tmp_path / "none.yaml")


def test_changes_replace_top_level_keys(tmp_path: Path) -> None:
    path = write_recipe(tmp_path / "r.yaml")
    assert Recipe.load(path, seed=7, data=None).seed == 7
    assert Recipe.load(path, seed=None).seed == TINY["seed"]


def test_the_sampling_is_an_option() -> None:
    train = Recipe.load("digits").train
    bestup = Recipe.load("digits", sampling="bestup").train
    assert (train.sampling.strategy, bestup.sampling.strategy) == ("uniform", "bestup")
    assert bestup.model_copy(update={"sampling": train.sampling}) == train
    with pytest.raises(ConfigError, match=r"'bestup', 'worstup', .* or 'ofa' \(given 'best'\)"):
        Recipe.load("digits", sampling="best")


def test_a_run_starts_in_a_new_folder_and_goes_on_in_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = Run.start(folder, tiny_recipe())
    split = run.split
    again = Run.start(folder, tiny_recipe())
    assert again.split == split
    assert Run.open(folder).recipe == tiny_recipe()
    run.training_folder.mkdir()
    with pytest.raises(OutputError, match=r"another recipe \(seed: 0 there, 1 here\)"):
        Run.start(folder, tiny_recipe(seed=1))
    write_json(run.summary_file, {})
    assert Run.start(folder, tiny_recipe()).recipe == tiny_recipe(), "its models may still be published"
    run.zoo_folder.mkdir()
    with pytest.raises(OutputError, match="finished"):
        Run.start(folder, tiny_recipe())


def test_a_folder_of_somebody_else_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(OutputError, match="already holds 1 item"):
        Run.start(tmp_path, tiny_recipe())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(OutputError, match="not the folder of a run"):
        Run.open(tmp_path)


def test_calibration_and_search_never_see_the_test_split(tmp_path: Path) -> None:
    run = Run.start(tmp_path / "run", tiny_recipe())
    seen: list[int] = []
    real = run.source.image

    def image(index: int) -> Image.Image:
        seen.append(index)
        return real(index)

    run.source.image = image  # type: ignore[method-assign]
    run.calibration_images(8)
    calibration = set(seen)
    seen.clear()
    run.search_images()(8)
    searched = set(seen)
    seen.clear()
    run.test_images(8)
    assert calibration < set(run.split.train)
    assert searched == set(run.split.search)
    assert set(seen) == set(run.split.test)
    assert not (calibration | searched) & set(seen)


def test_the_same_seed_takes_the_same_few_images_balanced_and_nested(tmp_path: Path) -> None:
    run = Run.start(tmp_path / "run", tiny_recipe())
    few, more = (run.search_images(run.recipe.search.changed(images=n)) for n in (20, 50))
    assert few.labels.bincount().tolist() == [2] * 10
    assert more.labels.bincount().tolist() == [5] * 10
    assert torch.equal(few(8), more(8)[:20])
    assert torch.equal(
        few(8), Run.open(tmp_path / "run").search_images(run.recipe.search.changed(images=20))(8)
    )
    other = Run.start(tmp_path / "other", tiny_recipe(seed=1))
    assert not torch.equal(few(8), other.search_images(run.recipe.search.changed(images=20))(8))


def test_changed_images_end_a_run(tmp_path: Path) -> None:
    root = tmp_path / "images"
    source = DigitsSource()
    for label in range(2):
        (root / str(label)).mkdir(parents=True)
        for index in [i for i in range(60) if source.labels[i] == label][:4]:
            source.image(index).save(root / str(label) / f"{index}.png")
    recipe = tiny_recipe(data=str(root))
    assert Run.start(tmp_path / "run", recipe).split
    next((root / "1").iterdir()).unlink()
    with pytest.raises(DataError, match="have changed"):
        _ = Run.start(tmp_path / "run", recipe).split


def test_search_views_are_fixed_and_begin_with_the_images_themselves(tmp_path: Path) -> None:
    recipe = tiny_recipe(search=TINY["search"] | {"views": 3})
    recipe = recipe.model_copy(
        update={
            "train": recipe.train.model_copy(update={"augmentation": AugmentationRecipe(rotation_deg=20)})
        }
    )
    run = Run.start(tmp_path / "run", recipe)
    count = len(run.split.search)
    views = run.search_images()
    images, labels = views(8), views.labels
    assert images.shape == (3 * count, 3, 8, 8)
    assert torch.equal(labels, labels[:count].repeat(3))
    plain = eval_tensor(run.source, run.split.search, run.source.preprocessing, 8)
    assert {image.numpy().tobytes() for image in images[:count]} == {i.numpy().tobytes() for i in plain}
    assert not torch.equal(images[count : 2 * count], images[:count])
    assert torch.equal(images, Run.open(tmp_path / "run").search_images()(8))
