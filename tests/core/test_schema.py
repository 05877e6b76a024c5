from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from anas_zoo.core.errors import ConfigError, EntryError, nearest
from anas_zoo.core.schema import Schema, parse, read_json, read_yaml


class Optimizer(Schema):
    learning_rate: float = Field(0.1, gt=0)
    momentum: float = 0.9


class Recipe(Schema):
    epochs: int
    batch_size: int = Field(32, ge=1)
    optimizer: Optimizer = Optimizer()
    fallback: Optimizer | None = None
    stages: tuple[Optimizer, ...] = ()


def problem_of(data: object) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(Recipe, data, "recipe.yaml")
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("recipe.yaml: ")
    return text.removeprefix("recipe.yaml: ")


def test_parse_gives_an_immutable_value() -> None:
    recipe = parse(Recipe, {"epochs": 3, "optimizer": {"momentum": 0.5}}, "recipe.yaml")
    assert recipe.epochs == 3
    assert recipe.optimizer == Optimizer(momentum=0.5)
    with pytest.raises(ValidationError):
        setattr(recipe, "epochs", 4)  # noqa: B010  (mypy would rightly refuse the plain assignment)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"batchsize": 2}, "'batchsize' (did you mean 'batch_size'?)"),
        # within a section it is compared with that section
        ({"optimizer": {"learnin_rate": 1}}, "'optimizer.learnin_rate' (did you mean 'learning_rate'?)"),
        ({"fallback": {"learnin_rate": 1}}, "'fallback.learnin_rate' (did you mean 'learning_rate'?)"),
        ({"optimizer": {"zzz": 1}}, "'optimizer.zzz'; known: learning_rate, momentum"),
    ],
)
def test_an_unknown_key_names_the_nearest_or_all(data: dict[str, object], said: str) -> None:
    assert problem_of({"epochs": 1} | data) == f"unknown key {said}"


def test_all_problems_are_told_at_once() -> None:
    problems = problem_of({"batch_size": 0, "epoch": 3, "optimizer": {"learning_rate": "fast"}}).split("; ")
    assert len(problems) == 4
    assert "missing key 'epochs'" in problems
    assert "unknown key 'epoch' (did you mean 'epochs'?)" in problems
    assert any(p.startswith("batch_size: ") and p.endswith("(given 0)") for p in problems)
    assert any(p.startswith("optimizer.learning_rate: ") and p.endswith("(given 'fast')") for p in problems)

    assert len(problem_of({"epochs": "x" * 10_000})) < 200
    assert problem_of([1]) == "expected a mapping of keys to values, got list"


def test_the_caller_chooses_the_error() -> None:
    with pytest.raises(EntryError, match="missing key 'epochs'"):
        parse(Recipe, {}, "config.json", error=EntryError)


def test_read_json_and_yaml_round_trip(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"epochs": [1, 2]}))
    (tmp_path / "a.yaml").write_text("epochs: [1, 2]\n")
    assert read_json(tmp_path / "a.json") == read_yaml(tmp_path / "a.yaml") == {"epochs": [1, 2]}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", b'{"a": 1,\n "b": }', "not valid JSON"),
        ("a.json", b"[" * 100_000, "not valid JSON"),
        ("a.yaml", b"a: [1, 2\nb: 3", "not valid YAML"),
        ("a.yaml", b"!!python/object/apply:os.system ['true']", "not valid YAML"),
        ("a.yaml", b"\xff\xfe\x00bad", "cannot be read"),
        ("a.json", None, "no such file"),
    ],
)
def test_unreadable_files_are_told_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    read = read_json if path.suffix == ".json" else read_yaml
    with pytest.raises(EntryError) as caught:
        read(path, error=EntryError)
    assert str(caught.value).startswith(f"{path}: {said}")
    assert "\n" not in str(caught.value)


def test_a_folder_and_a_huge_file_are_no_configs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder, a file is needed"):
        read_json(tmp_path)
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(20 * 2**20)  # sparse: takes no space
    with pytest.raises(ConfigError, match="larger than"):
        read_json(huge)


def test_nearest() -> None:
    assert nearest("lst", ["list", "show"]) == " (did you mean 'list'?)"
    assert nearest("qqq", ["list", "show"]) == ""


class Inner(Schema):
    epochs: int = 1
    images: int = 1


class Outer(Schema):
    image: int = 1
    train: Inner = Inner()
    search: Inner = Inner()


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("epochs", "(did you mean 'train.epochs' or 'search.epochs'?)"),  # of another part
        ("epcohs", "(did you mean 'train.epochs' or 'search.epochs'?)"),
        ("imag", "(did you mean 'image'?)"),  # what is near here comes before what is near elsewhere
        ("qqq", "; known: image, search, train"),
    ],
)
def test_a_key_of_another_part_is_suggested_with_its_part(key: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(Outer, {key: 3}, "file")
    assert str(caught.value) == f"file: unknown key {key!r}{' ' if hint[0] == '(' else ''}{hint}"
