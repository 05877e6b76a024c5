"""A catalog of real entries: what is known of each, which names mean one thing, selection and comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from catalog_entries import change, copy_entry

from anas_zoo.core.errors import EntryError
from anas_zoo.core.resources import resource_folder
from anas_zoo.entry import read_manifest
from anas_zoo.zoo import list_models
from anas_zoo.zoo.catalog import (
    CatalogModel,
    Index,
    check_names,
    compare,
    index_folder,
    known_names,
    read_folder,
    resolve_name,
    select,
)

SHELF = resource_folder("models")


@pytest.fixture(scope="module")
def shelf() -> list[CatalogModel]:
    return read_folder(SHELF)


def by_name(models: list[CatalogModel], name: str) -> CatalogModel:
    return next(model for model in models if model.name == name)


def test_every_entry_of_the_shelf_is_known_with_its_files(shelf: list[CatalogModel]) -> None:
    assert [model.name for model in shelf] == list_models()
    for model in shelf:
        assert model.files == read_manifest(SHELF / model.name).files
    a0 = by_name(shelf, "attentive_nas_a0")
    assert (a0.macs, a0.top1_pct, a0.top1_kind, a0.data) == (203_389_568, 77.3, "published", "ImageNet-1k")
    assert (a0.has_weights, a0.quickest, a0.licence) == (False, None, "cc-by-nc-4.0")
    small = by_name(shelf, "digits_s")
    assert (small.top1_kind, small.has_weights, small.licence) == ("measured", True, "apache-2.0")
    assert small.quickest is not None


def test_an_architecture_has_all_its_names_whatever_its_entry_is_called(
    tmp_path: Path, shelf: list[CatalogModel]
) -> None:
    assert by_name(shelf, "attentive_nas_a0").other_names == ("alphanet_a0", "smallest of attentive_nas")
    assert by_name(shelf, "alphanet_a5_small").other_names == ()
    copy_entry("attentive_nas_a0", tmp_path / "x" / "mine", config={"anas": {"name": "mine"}})
    copy_entry("attentive_nas_a0", tmp_path / "x" / "a0")
    first, second = read_folder(tmp_path / "x")
    assert first.other_names == ("mine", "alphanet_a0", "smallest of attentive_nas")
    assert second.other_names == ("attentive_nas_a0", "alphanet_a0", "smallest of attentive_nas")


def test_names_and_ids_lead_to_the_shelf() -> None:
    assert resolve_name("alphanet_a6") == "attentive_nas_a6"
    assert resolve_name("smallest of attentive_nas") == "attentive_nas_a0"
    assert resolve_name("2da0ac9b74d9") == "attentive_nas_a0"
    assert resolve_name("digits_m") == "digits_m"
    assert resolve_name("alphanet_a5") is None  # AlphaNet's two a5 are other networks than AttentiveNAS's
    assert sum("attentive_nas" in name for names in known_names().values() for name in names) == 11


def test_one_name_of_two_architectures_is_refused(tmp_path: Path) -> None:
    copy_entry("digits_s", tmp_path / "one")
    copy_entry("digits_m", tmp_path / "two", config={"anas": {"name": "digits_s"}})
    with pytest.raises(EntryError, match=r"'digits_s' names two architectures, \w+ in one and \w+ in two"):
        read_folder(tmp_path)


def test_one_choice_in_two_structures_is_two_architectures(tmp_path: Path, shelf: list[CatalogModel]) -> None:
    other = by_name(shelf, "digits_s").model_copy(update={"structure": "0" * 12, "location": "other"})
    with pytest.raises(EntryError, match="of the structure 000000000000 in other"):
        check_names([by_name(shelf, "digits_s"), other])


@pytest.fixture
def three(shelf: list[CatalogModel]) -> list[CatalogModel]:
    """One published model without weights, two measured ones of 10 and 20 MFLOPs, the latter timed."""
    a0, small = by_name(shelf, "attentive_nas_a0"), by_name(shelf, "digits_s")
    assert small.accuracy is not None
    slow = small.exported[0].latency[0].model_copy(update={"p50_ms": 2.0, "threads": 1, "batch_size": 1})
    timed = small.exported[0].model_copy(update={"latency": (slow,)})
    untimed = small.exported[0].model_copy(update={"latency": ()})
    good, bad = (small.accuracy.model_copy(update={"top1_pct": pct}) for pct in (90.0, 80.0))
    return [
        a0,
        small.model_copy(
            update={"name": "cheap", "macs": 10_000_000, "accuracy": bad, "exported": (untimed,)}
        ),
        small.model_copy(update={"name": "dear", "macs": 20_000_000, "accuracy": good, "exported": (timed,)}),
    ]


@pytest.mark.parametrize(
    ("limits", "names"),
    [
        ({}, ["dear", "cheap", "attentive_nas_a0"]),  # measured before published, the best first
        ({"filter": "*ea*"}, ["dear", "cheap"]),
        ({"filter": "cheap"}, ["cheap"]),
        ({"pretrained": True}, ["dear", "cheap"]),
        ({"max_mflops": 10.0}, ["cheap"]),
        ({"max_mflops": 9.9}, []),
        ({"min_top1_pct": 80.0}, ["dear", "cheap"]),
        ({"min_top1_pct": 77.3, "licence": "CC-BY-NC-4.0"}, ["attentive_nas_a0"]),
        ({"max_latency_ms": 2.0}, ["dear"]),
        ({"max_latency_ms": 1.9}, []),
    ],
)
def test_selection(limits: dict[str, Any], names: list[str], three: list[CatalogModel]) -> None:
    assert [model.name for model in select(three, **limits)] == names


def test_an_unknown_licence_is_an_error_with_the_known_ones(shelf: list[CatalogModel]) -> None:
    with pytest.raises(EntryError, match=r"'Apache' .*did you mean 'apache-2.0'.*: apache-2.0, cc-by-nc-4.0"):
        select(shelf, licence="Apache")


def test_what_differs_is_told_with_both_values(shelf: list[CatalogModel]) -> None:
    found = compare(by_name(shelf, "attentive_nas_a0"), by_name(shelf, "attentive_nas_a1"))
    told = {one.what: (one.a, one.b) for one in found}
    assert told["resolution"] == (192, 224)
    assert told["width[head]"] == (1792, 1984)
    assert told["kernel_size[5]"] == (3, 5)
    assert told["macs"] == (203_389_568, 279_238_816)
    assert told["top-1 %, published for ImageNet-1k validation (AlphaNet)"] == (77.87, 78.94)
    assert not {"num_classes", "space", "width[stem]", "depth[0]"} & set(told)
    assert {one.part for one in found} == {"architecture", "numbers", "files"}


def test_an_entry_differs_in_nothing_from_its_copy(tmp_path: Path, shelf: list[CatalogModel]) -> None:
    (copy,) = read_folder(copy_entry("digits_m", tmp_path / "copy"))
    ours = by_name(shelf, "digits_m").files
    differing = {one.what for one in compare(by_name(shelf, "digits_m"), copy)}
    assert differing == {name for name in copy.files if copy.files[name] != ours[name]}
    change(tmp_path / "copy", report={"files": {"model.onnx": {"latency": []}}})
    (untimed,) = read_folder(tmp_path / "copy")
    (latency,) = [one for one in compare(copy, untimed) if one.part == "numbers"]
    assert latency.what.startswith("model.onnx: latency p50 ms, 1 thread, batch 1, ")
    assert (type(latency.a), latency.b) == (float, None)


def test_the_index_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    index = index_folder(SHELF)
    assert Index.model_validate_json(index.model_dump_json()) == index
    assert (index.source, len(index.models), index.left_out) == ("models", len(list_models()), {})


def test_drafts_altered_entries_and_empty_folders_are_not_indexed(tmp_path: Path) -> None:
    with pytest.raises(EntryError, match="holds no entry"):
        index_folder(tmp_path)
    entry = copy_entry("digits_s", tmp_path / "digits_s")
    (entry / "model.onnx").write_bytes(b"other")
    with pytest.raises(EntryError, match=r"model\.onnx was altered"):
        index_folder(tmp_path)
    (entry / "manifest.json").unlink()
    with pytest.raises(EntryError, match="is a draft; publish it first"):
        index_folder(tmp_path)
