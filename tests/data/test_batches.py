from __future__ import annotations

import itertools
import re

import pytest
import torch
from global_generators import untouched
from hypothesis import assume, given
from hypothesis import strategies as st

from anas_zoo.core.errors import DataError
from anas_zoo.data import Share
from anas_zoo.data.batches import AUGMENTATION, DROPOUT, FAIR_ROUND, ORDER, SUBNETS, epoch_order, seeded

PARTS = st.integers(1, 12)


@given(processes=PARTS, accumulation=PARTS, size=st.integers(2, 9))
def test_micro_batches_cut_the_batch_into_equal_parts(processes: int, accumulation: int, size: int) -> None:
    batch_size = processes * accumulation * size
    shares = [Share(batch_size, processes, rank, accumulation) for rank in range(processes)]
    for share in shares:
        share.check()
        assert len(share.micro_batches()) == accumulation
    found = [part for share in shares for part in share.micro_batches()]
    assert [number for number, _ in found] == list(range(processes * accumulation))
    rows = [list(range(batch_size))[part] for _, part in found]
    assert {len(part) for part in rows} == {size}
    assert list(itertools.chain(*rows)) == list(range(batch_size))
    # How many processes there are changes who trains on a micro-batch, not what is in it.
    assert found == Share(batch_size, 1, 0, processes * accumulation).micro_batches()


@given(batch_size=st.integers(1, 300), processes=PARTS, accumulation=PARTS)
def test_what_cannot_be_cut_is_refused_with_a_size_that_can(
    batch_size: int, processes: int, accumulation: int
) -> None:
    parts = processes * accumulation
    share = Share(batch_size, processes, 0, accumulation)
    if batch_size in range(2 * parts, 301, parts):
        share.check()
        return
    with pytest.raises(DataError) as caught:
        share.check()
    message = str(caught.value)
    assert "\n" not in message
    given_size, suggested = map(int, re.findall(r"batch_size (\d+)", message))
    assert given_size == batch_size
    Share(suggested, processes, processes - 1, accumulation).check()
    assert suggested == 2 * parts or abs(suggested - batch_size) <= parts / 2


@given(
    images=st.integers(1, 300),
    seed=st.lists(st.integers(0, 2**63), min_size=2, max_size=2),
    epoch=st.integers(0, 2**31),
)
def test_the_order_of_a_pass_is_a_permutation_that_can_be_had_again(
    images: int, seed: list[int], epoch: int
) -> None:
    with untouched():
        order = epoch_order(images, seed, epoch)
    assert order.dtype == torch.int64
    assert sorted(order.tolist()) == list(range(images))
    assert torch.equal(order, epoch_order(images, tuple(seed), epoch))


def test_passes_and_seeds_have_orders_of_their_own() -> None:
    seeds = list(itertools.product(range(4), range(4), range(4)))
    orders = {tuple(epoch_order(30, (a, b), epoch).tolist()) for a, b, epoch in seeds}
    assert len(orders) == len(seeds)


def draws(*words: int) -> tuple[int, ...]:
    return tuple(torch.randint(2**31, (4,), generator=seeded(*words)).tolist())


@given(words=st.lists(st.integers(0, 2**40), min_size=1, max_size=6), place=st.integers(0, 5))
def test_every_word_of_a_seed_counts(words: list[int], place: int) -> None:
    assume(place < len(words))
    changed = [word + (number == place) for number, word in enumerate(words)]
    assert draws(*words) == draws(*words)
    assert draws(*words) != draws(*changed)


def test_the_uses_of_one_seed_do_not_meet() -> None:
    uses = (ORDER, AUGMENTATION, DROPOUT, SUBNETS, FAIR_ROUND)
    assert len(set(uses)) == 5
    assert 0 not in uses
    words = [
        (a, b, use, *rest) for a in range(3) for b in range(3) for use in uses for rest in [(1,), (1, 1)]
    ]
    assert len({draws(*each) for each in words}) == len(words)
    assert draws(1, 2) != draws(2, 1)
