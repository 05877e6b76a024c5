"""Runs that start from a supernet: searched as it is, or trained on with a new head."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import small_supernets
import torch
from small_supernets import QUICK, drawn, other_space, pretrained, write, write_digits

import anas_zoo
from anas_zoo.core.errors import ConfigError, DataError, EntryError, OutputError, SearchError
from anas_zoo.core.schema import read_json
from anas_zoo.data import open_source
from anas_zoo.entry import Entry, SupernetFolder
from anas_zoo.nets import calibrate_bn, load_supernet, logits_of, top1_pct
from anas_zoo.pipeline import Recipe, Run
from anas_zoo.pipeline.extract import extract_more
from anas_zoo.pipeline.finetune import starting_network
from anas_zoo.pipeline.matched_classes import _descriptions
from anas_zoo.pipeline.recipe import FinetuneRecipe
from anas_zoo.pipeline.run import FinetuneRun
from anas_zoo.pipeline.search_scoring import make_evaluator
from anas_zoo.pipeline.search_stage import search_stage
from anas_zoo.pipeline.train import train_stage
from anas_zoo.pipeline.whole_way import run as whole_way
from anas_zoo.space import Architecture
from anas_zoo.training.checkpoint import CheckpointFolder
from anas_zoo.zoo import load_subnet

SEARCH = {"algorithm": "random", "evaluations": 4, "device": "cpu"}
THREE = {3: "3", 8: "8", 5: "5"}


@pytest.fixture(scope="module")
def supernet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the ten digits, trained for a few seconds, under Apache-2.0."""
    folder = tmp_path_factory.mktemp("supernets") / "digits"
    data = write_digits(folder.with_name("all"), {digit: str(digit) for digit in range(10)}, per_class=100)
    init = write(folder.with_name("drawn"))
    settings = [
        "train.epochs=6",
        "train.batch_size=32",
        "train.learning_rate=0.2",
        "train.augmentation.flip=false",
    ]
    run = Run.start(folder.with_name("run"), pretrained(init, data, *settings, "train.subnets_per_step=2"))
    train_stage(run)
    config = SupernetFolder.read(run.supernet_folder).config
    write(folder, run.supernet, name="ten-digits", label_names=config.label_names)
    return folder


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("images") / "three", THREE)


def test_subnets_are_scored_among_all_classes_of_the_supernet(
    supernet: Path, three: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = anas_zoo.search(supernet, data=str(three), out=tmp_path / "run", **SEARCH)  # type: ignore[arg-type]
    assert found is not None
    assert "90 images in 3 classes" in (said := capsys.readouterr().err)
    assert "3 of the 10 classes of ten-digits, matched by the names of its labels" in said
    run = Run.open(tmp_path / "run")
    assert run.recipe.name == "ten_digits"
    assert run.supernet_file.read_bytes() == (supernet / "supernet.safetensors").read_bytes()
    marker = read_json(run.folder / "run.json")
    assert marker["init"]["matched"]["classes"] == [3, 5, 8]
    assert marker["init"]["weights_sha256"] == SupernetFolder(supernet).weights.sha256
    assert run.source.preprocessing == SupernetFolder(supernet).config.preprocessing
    assert run.split.search
    assert not {*run.split.search} & {*run.split.test, *run.split.train}

    # By hand: calibrated on training images, the true class first among all ten.
    best = found.front[-1]
    subnet = load_supernet(supernet).extract(best.arch)
    calibration = run.calibration_images(best.arch.resolution)
    calibrate_bn(subnet, calibration.split(run.recipe.search.calibration_batch_size))
    images = [open_source(three).labels[index] for index in run.split.search]
    wanted = torch.tensor([[3, 5, 8][label] for label in images])
    logits = logits_of(subnet, run.search_images()(best.arch.resolution))
    order = [list(run.split.search).index(index) for index in run._some(run.split.search, None, 12)]
    assert logits.shape[1] == 10
    assert best.top1_pct == pytest.approx(top1_pct(logits, wanted[order]))
    assert make_evaluator(run).top1_pct(run.space.largest) > 25  # chance is 10


def test_drafts_say_whose_weights_they_are_and_under_which_licence(
    supernet: Path, three: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(supernet, tmp_path / "nc"))
    labels, older = SupernetFolder(supernet).config.label_names, [small_ancestor()]
    write(folder, load_supernet(supernet), licence="CC-BY-NC-4.0", lineage=older, label_names=labels)
    run = Run.start(tmp_path / "run", pretrained(folder, three), as_it_is=True)
    (name,) = extract_more(run, [run.space.smallest])
    entry = Entry.read(run.drafts_folder / name)
    weights, record = entry.config.anas.weights, SupernetFolder(folder)
    assert weights is not None
    assert weights.licence == "CC-BY-NC-4.0"
    assert [one.name for one in weights.lineage] == ["older", "digits"]
    assert weights.lineage[1].sha256 == weights.source_sha256 == record.weights.sha256
    assert f"the supernet digits (weights sha256 {record.weights.sha256}); batch norm" in weights.source
    assert entry.config.num_classes == 10
    assert entry.report.accuracy is not None
    assert entry.report.accuracy.images == len(run.split.test)
    anas_zoo.export(entry.folder)
    anas_zoo.validate(entry.folder)
    with pytest.raises(EntryError, match=r"made from digits, which is under CC-BY-NC-4\.0"):
        anas_zoo.publish(entry.folder, tmp_path / "zoo", licence="MIT")
    assert anas_zoo.publish(entry.folder, tmp_path / "zoo").folder is not None


def small_ancestor() -> object:
    from anas_zoo.entry import Ancestor

    return Ancestor(name="older", sha256="2" * 64, licence="CC-BY-NC-4.0")


def test_imagenets_classes_are_found_by_wordnet_id(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    supernet = write(tmp_path / "imagenet", drawn(other_space(), 1000))
    data = write_digits(tmp_path / "images", {1: "n02099601", 2: "n01440764"}, per_class=12)
    run = Run.start(tmp_path / "run", pretrained(supernet, data), as_it_is=True)
    assert run.init is not None
    assert run.init.matched is not None
    assert run.init.matched.by == "WordNet ids"
    assert run.source.label_names == tuple(_descriptions())
    assert set(run.source.labels.tolist()) == {0, 207}
    run.note_images()
    assert "calibrated on images of 2 of 1,000 classes" in capsys.readouterr().err
    outcome = search_stage(run, recipe=run.recipe.search.without_latency().changed(algorithm="random"))
    assert outcome is not None
    assert {type(size) for item in outcome.result.evaluations for size in item.arch.kernel_size} >= {int}
    (name,) = extract_more(run, [run.space.largest])
    config = Entry.read(run.drafts_folder / name).config
    assert config.label_names == tuple(_descriptions())
    assert config.num_classes == 1000


def test_a_test_part_of_the_images_own_is_kept_to(supernet: Path, tmp_path: Path) -> None:
    data = tmp_path / "images"
    write_digits(data / "train", THREE, per_class=12)
    write_digits(data / "val", THREE, per_class=7)
    run = Run.start(tmp_path / "run", pretrained(supernet, data), as_it_is=True)
    assert list(run.split.test) == list(range(36, 57))
    assert max(run.split.search) < 36
    assert len(run.test_images.labels) == 21
    assert set(run.test_images.labels.tolist()) == {3, 5, 8}


def test_a_run_needs_its_source_no_more(supernet: Path, three: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(supernet, tmp_path / "source"))
    out = tmp_path / "run"
    first = anas_zoo.search(source, data=str(three), out=out, **SEARCH)  # type: ignore[arg-type]
    shutil.rmtree(source)
    (out / "search" / "front.json").unlink()  # as if it had been stopped at its end
    again = anas_zoo.search(out, resume=True, device="cpu")
    assert first is not None
    assert again is not None
    assert again.front == first.front
    with pytest.raises(SearchError, match="is neither the folder of a run"):
        anas_zoo.search(source, data=str(three), out=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_same_words_resume_and_another_supernet_is_refused(
    supernet: Path, three: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = {"data": str(three), "out": out, **SEARCH}
    first = anas_zoo.search(supernet, **words)  # type: ignore[arg-type]
    with pytest.raises(OutputError, match="holds a finished search; resume it"):
        anas_zoo.search(supernet, **words)  # type: ignore[arg-type]
    more = anas_zoo.search(supernet, resume=True, **(words | {"evaluations": 6}))  # type: ignore[arg-type]
    assert first is not None
    assert more is not None
    assert (first.result.count, more.result.count) == (4, 6)
    other = write(tmp_path / "other", drawn(seed=3), label_names=[str(digit) for digit in range(10)])
    with pytest.raises(OutputError, match=r"another recipe \(init\.name: 'ten-digits' there, 'digits' here"):
        anas_zoo.search(other, **words)  # type: ignore[arg-type]
    copy = shutil.copytree(supernet, tmp_path / "copy")  # the same one at another place is the same
    assert anas_zoo.search(copy, resume=True, **words) is not None  # type: ignore[arg-type]


def test_a_run_that_made_nothing_gives_way(supernet: Path, three: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    Run.start(out, pretrained(supernet, three), as_it_is=True)
    other = write(tmp_path / "other", drawn(seed=3), label_names=[str(digit) for digit in range(10)])
    run = Run.start(out, pretrained(other, three))
    assert not run.as_it_is
    assert sorted(path.name for path in out.iterdir()) == ["images.json", "init", "run.json", "split.json"]
    Run.start(out, pretrained(supernet, three), as_it_is=True)
    assert sorted(path.name for path in out.iterdir()) == [
        "images.json",
        "run.json",
        "split.json",
        "supernet",
    ]


def test_a_copy_that_was_changed_is_not_trained_on(supernet: Path, three: Path, tmp_path: Path) -> None:
    run = Run.start(tmp_path / "run", pretrained(supernet, three))
    path = run.init_folder / "supernet.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(EntryError, match="is not the file that"):
        train_stage(Run.open(run.folder))


def test_a_training_begins_with_the_supernets_weights_and_a_new_classifier(
    supernet: Path, three: Path, tmp_path: Path
) -> None:
    run = Run.start(tmp_path / "run", pretrained(supernet, three, "train.checkpoints.keep=9"))
    before = torch.get_rng_state()
    train_stage(run)
    assert torch.equal(before, torch.get_rng_state())
    trained = load_supernet(supernet).state_dict()
    from safetensors.torch import load_file

    folder = CheckpointFolder(run.training_folder / "checkpoints", {}, keep=1)
    start = {
        name.removeprefix("model."): tensor
        for name, tensor in load_file(folder.path(0)).items()
        if name.startswith("model.")
    }
    for name, tensor in start.items():
        if not name.startswith("classifier"):
            assert torch.equal(tensor, trained[name]), name
    assert start["classifier.weight"].shape == (3, trained["classifier.weight"].shape[1])
    assert 0.005 < float(start["classifier.weight"].std()) < 0.02
    assert not start["classifier.bias"].any()

    record = SupernetFolder.read(run.supernet_folder)
    assert record.config.label_names == ("3", "5", "8")
    assert record.weights.licence == "Apache-2.0"
    assert [one.name for one in record.weights.lineage] == ["ten-digits"]
    after = run.supernet.state_dict()
    moved = [name for name in after if not torch.equal(after[name], start[name])]
    assert len(moved) > 0.5 * len([name for name in after if name.endswith("weight")])
    (name,) = extract_more(run, [run.space.largest])
    weights = Entry.read(run.drafts_folder / name).config.anas.weights
    assert weights is not None
    assert (weights.licence, [one.name for one in weights.lineage]) == ("Apache-2.0", ["ten-digits"])


@pytest.mark.slow
def test_a_supernet_of_another_structure_goes_the_whole_way(tmp_path: Path) -> None:
    supernet = write(tmp_path / "other", drawn(other_space(), 7), licence="MIT")
    data = write_digits(tmp_path / "images", {1: "one", 2: "two"}, per_class=25)
    result = whole_way(
        tmp_path / "run", init=supernet, data=str(data), set_=[*QUICK, "search.subnets=2"], device="cpu"
    )
    entry = Entry.read(result.entries[-1])
    assert entry.config.structure.shortcut == "identity"
    assert entry.config.anas.weights is not None
    assert entry.config.anas.weights.licence == "MIT"
    assert entry.config.label_names == ("one", "two")
    finetuned = anas_zoo.finetune(
        entry,
        tmp_path / "finetuned",
        data=str(write_digits(tmp_path / "more", {5: "five", 6: "six"}, per_class=25)),
        set_=["train.epochs=2", "train.batch_size=8", "train.warmup_epochs=0.5", "threads=1"],
        device="cpu",
    )
    assert finetuned is not None
    found = Entry.read(finetuned.draft)
    assert found.config.arch == entry.config.arch
    assert found.config.structure == entry.config.structure
    assert found.config.anas.weights is not None
    assert [one.name for one in found.config.anas.weights.lineage] == ["digits", entry.name]


def test_a_draft_is_fine_tuned_on_its_own_images_with_their_split_and_its_classifier(
    supernet: Path, three: Path, tmp_path: Path
) -> None:
    run = Run.start(tmp_path / "run", pretrained(supernet, three), as_it_is=True)
    (name,) = extract_more(run, [run.space.smallest])
    draft = run.drafts_folder / name
    labels = Entry.read(draft).config.label_names
    again = FinetuneRun.start(tmp_path / "again", FinetuneRecipe(data=str(three), seed=7), Entry.read(draft))
    assert again.split == run.split
    assert again.source.label_names != labels  # three of the ten
    new = starting_network(again, draft).state_dict()
    assert new["classifier.weight"].shape[0] == 3

    trained = Run.start(tmp_path / "trained", pretrained(supernet, three, *small_supernets.QUICK))
    train_stage(trained)
    (name,) = extract_more(trained, [trained.space.smallest])
    entry = Entry.read(trained.drafts_folder / name)
    more = FinetuneRun.start(tmp_path / "more", FinetuneRecipe(data=str(three), seed=7), entry)
    kept, own = starting_network(more, entry.folder).state_dict(), load_subnet(entry).state_dict()
    assert all(torch.equal(kept[key], own[key]) for key in own)

    others = write_digits(tmp_path / "others", THREE, per_class=20)
    elsewhere = FinetuneRun.start(tmp_path / "else", FinetuneRecipe(data=str(others), seed=7), entry)
    assert len(elsewhere.split.test) != len(run.split.test)


def test_a_recipe_has_a_space_or_a_supernet(supernet: Path, three: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the space is that of init"):
        Recipe.load("digits", init=str(supernet))
    with pytest.raises(ConfigError, match="no search space of its own; give init='SUPERNET'"):
        Run.start(tmp_path / "run", Recipe.load("pretrained", data=str(three)))
    assert "init" not in Recipe.load("digits").to_dict()
    assert "space" not in pretrained(supernet, three).to_dict()
    assert not (tmp_path / "run").exists()


def test_what_a_run_cannot_start_from_is_refused_and_nothing_is_written(
    supernet: Path, three: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    draft = write(tmp_path / "draft", drawn(), licence=None, label_names=None)
    with pytest.raises(EntryError, match=r"has no licence yet, .* publish it first: anas_zoo\.publish"):
        anas_zoo.train(out, init=draft, data=str(three))
    strict = write(tmp_path / "nc", licence="CC-BY-NC-4.0")
    with pytest.raises(EntryError, match=r"under CC-BY-NC-4\.0, so what is .* cannot be under MIT"):
        anas_zoo.train(out, init=strict, data=str(three), set_={"licence": "MIT"})
    two = write_digits(tmp_path / "two", {1: "n0", 2: "n1"}, per_class=8)
    write(draft, drawn(), label_names=None)
    with pytest.raises(DataError, match=r"has 2 classes \('n0', 'n1'\) .* 10 without names; give") as failed:
        anas_zoo.search(draft, data=str(two), out=out)
    assert "train(init=" in str(failed.value)
    assert "\n" not in str(failed.value)
    with pytest.raises(SearchError, match="which is searched on your images; give data='DIR'"):
        anas_zoo.search(supernet, out=out)
    with pytest.raises(SearchError, match="whose search begins a run; name its folder: out='RUN'"):
        anas_zoo.search(supernet, data=str(three))
    with pytest.raises(SearchError, match="is neither the folder of a run"):
        anas_zoo.search(three, data=str(three), out=out)
    with pytest.raises(SearchError, match="has its own space"):
        anas_zoo.search(supernet, data=str(three), out=out, space="digits")
    assert not out.exists()


def test_a_record_that_was_damaged_is_one_line(supernet: Path, three: Path, tmp_path: Path) -> None:
    run = Run.start(tmp_path / "run", pretrained(supernet, three), as_it_is=True)
    marker = read_json(run.folder / "run.json")
    marker["init"]["matched"]["classes"] = [3, 3, 8]
    (run.folder / "run.json").write_text(json.dumps(marker))
    with pytest.raises(OutputError, match=r"run\.json: init: matched: classes must be different ones"):
        Run.open(run.folder)
    del marker["init"]
    (run.folder / "run.json").write_text(json.dumps(marker))
    with pytest.raises(OutputError, match=r"run\.json: init: expected a mapping"):
        Run.open(run.folder)


def test_architectures_of_each_block_are_scored_as_their_fixed_networks(tmp_path: Path) -> None:
    """Kernel transforms are folded, padding and shortcuts are those of the structure."""
    supernet = write(tmp_path / "other", drawn(other_space(), 2), label_names=["one", "two"])
    data = write_digits(tmp_path / "images", {1: "one", 2: "two"}, per_class=20)
    run = Run.start(tmp_path / "run", pretrained(supernet, data), as_it_is=True)
    arch: Architecture = run.space.sample(np.random.default_rng(1))
    evaluator = make_evaluator(run)
    subnet = evaluator.calibrated(arch)
    images = run.scoring_images(None)
    expected = top1_pct(logits_of(subnet, images(arch.resolution)), images.labels)
    assert evaluator.top1_pct(arch) == pytest.approx(expected)
    assert small_supernets.other_space().id == run.space.id
