"""A whole run from pretrained weights: probes of truncations, and what becomes of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import small_supernets
import torch

from anas_zoo import create_model
from anas_zoo.core.errors import SearchError
from anas_zoo.data import ImagesAt
from anas_zoo.entry import Entry
from anas_zoo.pipeline import Run, run_stages, winners
from anas_zoo.pipeline.fixed_training import train_fixed
from anas_zoo.pipeline.minutes import Minutes
from anas_zoo.pipeline.train import HERE
from anas_zoo.pipeline.truncated import (
    chosen_truncations,
    probe_truncations,
    probed,
    resolutions_of,
    spaces_of,
    truncated_subnet,
)
from anas_zoo.pipeline.winners import Winners, trained_winner
from anas_zoo.zoo import verify

SETTINGS = ["yardstick=false", "try_flips=false", "search.subnets=3", "licence=CC0-1.0"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_supernets.write_digits(tmp_path_factory.mktemp("images") / "mine", {0: "O", 1: "I", 8: "B"})


@pytest.fixture(scope="module")
def init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_supernets.write(tmp_path_factory.mktemp("init") / "init")


def begun(folder: Path, init: Path, data: Path, *settings: str) -> Run:
    return Run.start(folder, small_supernets.pretrained(init, data, *SETTINGS, *settings))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, init: Path, data: Path) -> Run:
    run = begun(tmp_path_factory.mktemp("probed") / "run", init, data)
    probe_truncations(run, None)
    return run


def test_every_truncation_is_scored_priced_and_timed(run: Run) -> None:
    found = probed(run)
    assert len(found) == len(spaces_of(run)) * len(resolutions_of(run))
    assert len({one.arch.id for one in found}) == len(found)
    for one in found:
        assert one.images == len(run.split.search)
        assert one.latency_ms is not None
        assert one.latency_ms > 0
        space = spaces_of(run)[len(one.arch.depth) - 1]
        space.validate(one.arch)
        assert one.macs == space.macs([one.arch], 3)[0]
        network = truncated_subnet(run, one.arch)
        assert network.num_classes == 3
        images = run.scoring_images(None)
        logits = network(images(one.arch.resolution)).argmax(1)
        assert 100 * float((logits == images.labels).float().mean()) == pytest.approx(one.top1_pct, abs=1.7)
    # Drawn features already tell a 0 from a 1 and an 8.
    assert max(one.top1_pct for one in found) > 60


def test_those_that_are_chosen_are_on_the_front_and_within_the_limits(
    run: Run, init: Path, data: Path, tmp_path: Path
) -> None:
    chosen = chosen_truncations(run)
    assert 1 <= len(chosen) <= 3
    latencies = [one.value("latency_ms") for one in chosen]
    assert latencies == sorted(latencies)
    accuracies = [one.top1_pct for one in chosen]
    assert accuracies == sorted(accuracies), "on the front what takes longer is better"
    run.recipe = run.recipe.changed(settings=[f"search.limits.latency_ms.max={latencies[0]}"])
    assert [one.arch for one in chosen_truncations(run)] == [chosen[0].arch]
    run.recipe = run.recipe.changed(settings=["search.limits.latency_ms.max=null"])


def test_limits_that_nothing_keeps_are_refused_before_anything_is_read(
    init: Path, data: Path, tmp_path: Path
) -> None:
    recipe = small_supernets.pretrained(init, data, *SETTINGS, "search.limits.macs.max=10")
    with pytest.raises(SearchError, match=r"no truncation of .* is within .* at most 1e-05") as failed:
        run_stages(tmp_path / "run", recipe)
    assert "\n" not in str(failed.value)
    assert not (tmp_path / "run" / "probes").exists()


def test_in_few_minutes_fewer_images_are_probed(
    init: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anas_zoo.pipeline.truncated._affordable", lambda *_: 12)
    run = begun(tmp_path / "run", init, data)
    asked: list[int] = []
    images_of = run.training_images

    def noted(count: int) -> ImagesAt:
        asked.append(count)
        return images_of(count)

    monkeypatch.setattr(run, "training_images", noted)
    probe_truncations(run, Minutes(run.minutes_file, 1))
    assert 12 in asked
    assert len(probed(run)) == len(spaces_of(run)) * len(resolutions_of(run))


def test_time_that_is_too_short_leaves_the_probe(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    epoch_s = [0.1, 1.0, 100.0]
    assert winners._enough_or_none(1e6, epoch_s, 2) == winners._divided(1e6, epoch_s, 2)
    small, middle, large = winners._enough_or_none(60.0, epoch_s, 2)
    assert large == 0.0
    assert min(small, middle) >= winners.FEWEST_EPOCHS
    assert winners._enough_or_none(0.1, epoch_s, 2) == [0.0] * 3


@pytest.mark.usefixtures("one_core")
def test_a_whole_run_publishes_truncated_networks(init: Path, data: Path, tmp_path: Path) -> None:
    recipe = small_supernets.pretrained(init, data, *SETTINGS)
    result = run_stages(tmp_path / "run", recipe)
    assert next(iter(result.seconds)).startswith("probe the first stages of ")
    run = Run.open(tmp_path / "run")
    assert not run.supernet_folder.exists()
    found = Winners.of(run)
    assert found is not None
    stages = set()
    for winner, path in zip(found.winners, result.entries, strict=True):
        verify(path)
        config = Entry.read(path).config
        stages.add(len(config.arch.depth))
        assert config.arch.to_dict() == winner.arch
        assert config.anas.weights is not None
        assert "first" in config.anas.weights.source
        model = create_model(str(path), pretrained=True).eval()
        images = run.scoring_images(None)(config.arch.resolution)[:4]
        logits, untempered = model(images), trained_winner(run, winner.name)(images)
        (temperature,) = re.findall(r"; temperature ([0-9.]+), ", config.anas.weights.source)
        torch.testing.assert_close(logits * float(temperature), untempered, rtol=2e-2, atol=1e-3)
    assert result.picture.is_file()
    with pytest.raises(Exception, match="finished"):
        run_stages(tmp_path / "run", recipe)


def test_training_on_keeps_the_statistics_of_batch_norms(run: Run) -> None:
    chosen = chosen_truncations(run)
    before = truncated_subnet(run, chosen[0].arch).state_dict()
    recipe = run.recipe.winners
    assert recipe is not None
    network = winners._untrained(run, chosen[0].arch, HERE)
    train_fixed(
        run,
        network,
        recipe.training(run.training),
        folder=run.folder / "trial",
        identity={},
        calibration_batch_size=16,
        frozen_norms=True,
    )
    after = network.state_dict()
    for name, tensor in before.items():
        if "running" in name:
            assert torch.equal(after[name], tensor)
    assert not torch.equal(after["stem.conv.weight"], before["stem.conv.weight"])


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winners, "free_cores", lambda processes: 1)
    monkeypatch.setattr("anas_zoo.pipeline.whole_way.free_cores", lambda processes: 1)
