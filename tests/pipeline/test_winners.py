"""What a search chose is trained on: planned once, the same however it is trained, and resumed."""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_recipe import tiny_recipe

from anas_zoo.core.errors import OutputError, TrainingError
from anas_zoo.core.files import write_json
from anas_zoo.nets import Subnet, Supernet
from anas_zoo.pipeline import Run, winners
from anas_zoo.pipeline.beside import beside
from anas_zoo.pipeline.minutes import Minutes
from anas_zoo.pipeline.search_scoring import make_evaluator
from anas_zoo.pipeline.train import HERE
from anas_zoo.pipeline.winners import Winners, train_winners, trained_winner, winners_are_trained
from anas_zoo.searching import Evaluation
from anas_zoo.space import Architecture
from anas_zoo.training.checkpoint import CHECKPOINTS, CheckpointFolder, latest_step

NAMES = ["digits_s", "digits_m", "digits_l"]


def begun(folder: Path, epochs: int = 1, **changes: Any) -> Run:
    """A run of the digits whose supernet nobody trained."""
    train = {"epochs": 1, "batch_size": 256, "warmup_epochs": 0, "checkpoints": {"every_epochs": 1}}
    recipe = {"epochs": epochs, "warmup_epochs": 0, "learning_rate": 0.05} | changes
    run = Run.start(folder, tiny_recipe(train=train, winners=recipe))
    supernet = Supernet(run.space, 10, generator=torch.Generator().manual_seed(0))
    run.write_supernet(run.supernet_folder, supernet)
    return run


def chosen(run: Run) -> list[Evaluation]:
    """Three subnets, from small to large."""
    space = run.space
    between = space.smallest.to_dict() | {"width": list(space.largest.width)}
    archs = [space.smallest, Architecture.from_dict(between), space.largest]
    macs, params = space.macs(archs), space.params(archs)
    return [
        Evaluation(arch=arch, macs=int(macs[i]), params=int(params[i]), top1_pct=50.0 + i, images=10)
        for i, arch in enumerate(archs)
    ]


def weights(run: Run) -> dict[str, dict[str, torch.Tensor]]:
    return {name: trained_winner(run, name).state_dict() for name in NAMES}


def same(first: dict[str, dict[str, torch.Tensor]], second: dict[str, dict[str, torch.Tensor]]) -> bool:
    """Equal to the last bit."""
    return all(torch.equal(first[name][key], second[name][key]) for name in NAMES for key in first[name])


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winners, "free_cores", lambda processes: 1)


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("distillation", [False, True])
def test_minutes_are_dealt_out_by_the_root_of_an_epochs_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, distillation: bool
) -> None:
    run = begun(tmp_path / "run", distillation=distillation, start="scratch")
    epoch_s = [0.01, 0.04, 0.16]
    monkeypatch.setattr(winners, "free_cores", lambda processes: cores)
    monkeypatch.setattr(winners, "_epoch_seconds", lambda *_: (epoch_s, 0.0))
    minutes = Minutes(run.minutes_file, 5)
    planned = winners._planned(run, chosen(run), minutes, HERE)
    assert [winner.name for winner in planned] == NAMES
    epochs = [winner.train.epochs for winner in planned if winner.train is not None]
    seconds = [count * one for count, one in zip(epochs, epoch_s, strict=True)]
    # Side by side, the teacher alone, they fit into what there is, and leave little of it.
    alone = seconds[-1] if distillation else 0.0
    together = alone + (sum(seconds) - alone) / cores
    assert 0.75 * minutes.seconds_for("winners") < together <= minutes.seconds_for("winners")
    most = minutes.seconds_for("winners") - winners.BEGIN_SECONDS - alone
    for small, large in itertools.pairwise(seconds):
        if large != pytest.approx(most, rel=0.05):  # the root of an epoch's seconds, four times as many
            assert large / small == pytest.approx(2, rel=0.05)
        else:
            assert large / small <= 2.1, "what it cannot have is the others'"
    assert max(seconds[:-1] if distillation else seconds) <= 1.01 * most


def test_a_process_trains_what_no_other_has_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun(tmp_path / "run", start="scratch")
    planned = Winners(winners=winners._planned(run, chosen(run), None, HERE))
    run.winners_folder.mkdir()
    write_json(run.winners_folder / "winners.json", planned.model_dump(mode="json"))
    trained: list[str] = []
    monkeypatch.setattr(winners, "trained_winner", lambda run, name: trained.append(name))
    monkeypatch.setattr(winners, "_is_trained", lambda run, winner: winner.name == NAMES[2])
    (run.winners_folder / NAMES[1]).mkdir()
    other = os.open(run.winners_folder / NAMES[1], os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    winners.train_unclaimed(run, NAMES[::-1])
    assert trained == NAMES[:1]
    os.close(other)
    winners.train_unclaimed(run, NAMES)
    assert trained == [NAMES[0], NAMES[1]]


def test_where_there_is_time_for_few_epochs_the_largest_are_left_out() -> None:
    epoch_s = [1.0, 2.0, 4.0, 8.0, 16.0]
    assert winners._of_smallest(1e4, epoch_s, 2, 8, teacher=False) == winners._divided(1e4, epoch_s, 2)
    for enough, count in ((5, 5), (6, 4), (12, 4), (13, 3), (1000, 2)):
        epochs = winners._of_smallest(130.0, epoch_s, 2, enough, teacher=False)
        assert epochs == winners._divided(130.0, epoch_s[:count], 2)
        assert min(epochs) >= enough or count == 2
    assert len(winners._of_smallest(0.1, [1.0], 1, 8, teacher=False)) == 1


def test_of_many_images_steps_count_and_of_few_epochs() -> None:
    assert winners.enough_epochs(1000, 64) == 8
    assert winners.enough_epochs(16_000, 64) == 6
    assert winners.enough_epochs(100_000, 64) == winners.FEWEST_EPOCHS
    assert winners.enough_epochs(10, 64) == 8


@settings(deadline=None)
@given(
    st.lists(st.floats(0.01, 100), min_size=1, max_size=7),
    st.integers(1, 4),
    st.floats(1, 1e4),
    st.booleans(),
)
def test_the_time_of_all_processes_is_divided_and_none_gets_more_than_there_is(
    epoch_s: list[float], at_once: int, seconds: float, teacher: bool
) -> None:
    at_once = min(at_once, len(epoch_s))
    epochs = winners._divided(seconds, epoch_s, at_once, teacher=teacher)
    spent = [count * one for count, one in zip(epochs, epoch_s, strict=True)]
    alone = spent.pop() if teacher else 0.0
    assert sum(spent) == pytest.approx(min(at_once, len(spent)) * (seconds - alone))
    assert max([alone, *spent]) <= seconds * (1 + 1e-9)
    by_epoch = sorted(zip(epoch_s, spent, strict=False))
    assert all(one[1] <= other[1] * (1 + 1e-9) for one, other in itertools.pairwise(by_epoch))


def test_without_minutes_all_are_trained_as_the_recipe_says(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", epochs=3)
    planned = winners._planned(run, chosen(run), None, HERE)
    assert [winner.train and winner.train.epochs for winner in planned] == [3, 3, 3]
    assert [Architecture.from_dict(winner.arch) for winner in planned] == [e.arch for e in chosen(run)]


def test_they_start_from_the_supernets_weights_or_from_drawn_ones(tmp_path: Path) -> None:
    shared = begun(tmp_path / "shared", start="supernet")
    arch = shared.space.smallest
    started = winners._untrained(shared, arch, HERE).state_dict()
    extracted = shared.supernet.extract(arch).state_dict()
    assert all(torch.equal(started[name], extracted[name]) for name in started)
    drawn = begun(tmp_path / "drawn", start="scratch")
    before = torch.random.get_rng_state()
    found = winners._untrained(drawn, arch, HERE).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before), "the global generator stays as it was"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        by_hand = Subnet(arch, drawn.space.structure, num_classes=10).state_dict()
    assert all(torch.equal(found[name], by_hand[name]) for name in found)


@pytest.mark.usefixtures("one_core")
def test_a_subnet_stays_as_it_was_found_where_training_made_it_worse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(tmp_path / "run", distillation=False, start="supernet")
    train_winners(run, chosen(run), None)
    assert winners_are_trained(run)
    arch = run.space.smallest
    as_found = make_evaluator(run).calibrated(arch).state_dict()

    def with_scores(*scores: float) -> dict[str, torch.Tensor]:
        left = list(scores)
        monkeypatch.setattr(winners, "search_split_top1_pct", lambda run, subnet: left.pop(0))
        return trained_winner(run, NAMES[0]).state_dict()

    worse, better = with_scores(40.0, 50.0), with_scores(50.0, 40.0)
    assert all(torch.equal(worse[name], as_found[name]) for name in worse)
    assert not all(torch.equal(better[name], as_found[name]) for name in better)
    with pytest.raises(OutputError, match=r"no subnet called 'digits_x'; it has: digits_s, digits_m"):
        trained_winner(run, "digits_x")


@pytest.mark.usefixtures("one_core")
def test_a_subnet_is_not_trained_before_its_last_checkpoint_is_there(tmp_path: Path) -> None:
    """A process may be killed after the last step was logged, while its network is scored."""
    run = begun(tmp_path / "run", epochs=2, distillation=False, start="scratch")
    train_winners(run, chosen(run), None)
    whole = weights(run)
    training = run.winners_folder / NAMES[1]
    last = latest_step(training)
    CheckpointFolder(training / CHECKPOINTS, {}, keep=1).path(last).unlink()
    assert latest_step(training) < last
    assert not winners_are_trained(run)
    plan = (run.winners_folder / "winners.json").read_bytes()
    train_winners(run, chosen(run)[:1], None)
    assert (run.winners_folder / "winners.json").read_bytes() == plan, "what was decided stays"
    assert winners_are_trained(run)
    assert same(weights(run), whole)


@pytest.mark.usefixtures("one_core")
def test_the_largest_is_trained_first_and_teaches(tmp_path: Path) -> None:
    taught, alone = (begun(tmp_path / str(how), distillation=how, start="scratch") for how in (True, False))
    for run in (taught, alone):
        train_winners(run, chosen(run), None)
    found, others = weights(taught), weights(alone)
    assert all(torch.equal(found[NAMES[2]][key], others[NAMES[2]][key]) for key in found[NAMES[2]])
    assert not same(found, others), "those that are taught learn something else"
    content = Winners.of(taught)
    assert content is not None
    assert [winner.train and winner.train.distillation.loss for winner in content.winners] == ["kl"] * 3


@pytest.mark.slow
@pytest.mark.parametrize("distillation", [False, True])
def test_side_by_side_they_get_the_weights_that_they_get_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, distillation: bool
) -> None:
    runs = []
    for cores in (1, 2):
        monkeypatch.setattr(winners, "free_cores", lambda processes, cores=cores: cores)
        run = begun(tmp_path / str(cores), distillation=distillation, start="supernet")
        train_winners(run, chosen(run), None)
        assert winners_are_trained(run)
        runs.append(run)
    assert same(weights(runs[0]), weights(runs[1]))


@pytest.mark.slow
def test_a_process_that_fails_is_one_line_and_ends_the_others(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", epochs=1000, distillation=False, start="scratch")
    content = Winners(winners=winners._planned(run, chosen(run), None, HERE))
    run.winners_folder.mkdir()
    (run.winners_folder / "winners.json").write_text(content.model_dump_json())

    def two_beside() -> None:
        with beside(run) as running:
            running.start("a", 1, "winners", NAMES[0])
            running.start("b", 1, "winners", "digits_x")
            wait_until(running.look, seconds=120)

    with pytest.raises(TrainingError) as failed:
        two_beside()
    assert str(failed.value).startswith("training b failed: ")
    assert "digits_x" in str(failed.value)
    assert "\n" not in str(failed.value)
    assert not processes_of(run.folder)


PARENT = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from anas_zoo.pipeline import Run, winners
from test_winners import chosen
winners.free_cores = lambda processes: 2
run = Run.open(Path({folder!r}))
winners.train_winners(run, chosen(run), None)
"""


@pytest.mark.slow
def test_a_killed_run_leaves_no_process_behind_and_resumes_to_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winners, "free_cores", lambda processes: 1)
    whole = begun(tmp_path / "whole", epochs=12, distillation=False, start="scratch")
    train_winners(whole, chosen(whole), None)
    cut = begun(tmp_path / "cut", epochs=12, distillation=False, start="scratch")
    program = PARENT.format(here=str(Path(__file__).parent), folder=str(cut.folder))
    parent = subprocess.Popen([sys.executable, "-c", program], env=os.environ | path_here())

    def begun_to_train() -> bool:
        assert parent.poll() is None, "it ended by itself"
        return sum(latest_step(cut.winners_folder / name) for name in NAMES) > 0

    wait_until(begun_to_train, seconds=180)
    children = processes_of(cut.folder)
    assert children
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not processes_of(cut.folder), seconds=30)
    assert not winners_are_trained(cut)
    train_winners(cut, chosen(cut), None)
    assert same(weights(cut), weights(whole))


def path_here() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def wait_until(done: Any, *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def processes_of(folder: Path) -> Sequence[int]:
    """The ids of the processes that train for the run in ``folder``."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # it has just ended
            continue
        if b"anas_zoo.pipeline.side_process" in words and str(folder).encode() in words:
            found.append(int(path.parent.name))
    return found
