from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from anas_zoo.nets import Supernet, calibrate_bn
from anas_zoo.search import Archive, Evolution, SearchRecipe, SubnetEvaluator, run_search
from anas_zoo.space import SearchSpace

SPACE = SearchSpace.load("digits")


def images(count: int, seed: int) -> dict[int, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {r: torch.randn(count, 3, r, r, generator=generator) for r in SPACE.config.resolution}


def evaluator(supernet: Supernet) -> SubnetEvaluator:
    labels = torch.arange(20) % 10
    return SubnetEvaluator(
        supernet,
        calibration=images(16, 1).__getitem__,
        images=images(20, 2).__getitem__,
        labels=labels,
        batch_size=8,
    )


def test_an_evaluation_is_the_calibrated_subnet_on_the_search_images() -> None:
    supernet = Supernet(SPACE, 10, generator=torch.Generator().manual_seed(0))
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    arch = SPACE.sample(np.random.default_rng(0))
    found = evaluator(supernet)(arch)

    subnet = supernet.extract(arch)
    calibrate_bn(subnet, images(16, 1)[arch.resolution].split(8))
    with torch.no_grad():
        right = (subnet(images(20, 2)[arch.resolution]).argmax(1) == torch.arange(20) % 10).sum()
    assert found.top1_pct == 5.0 * int(right)
    assert found.images == 20
    assert found.macs == int(SPACE.macs([arch], 10)[0])
    assert found.params == sum(p.numel() for p in subnet.parameters())
    assert evaluator(supernet)(arch) == found
    assert all(torch.equal(before[name], tensor) for name, tensor in supernet.state_dict().items())


def test_a_search_writes_every_evaluation_down(tmp_path: Path) -> None:
    supernet = Supernet(SPACE, 10, generator=torch.Generator().manual_seed(0))
    recipe = SearchRecipe(initial=3, rounds=1, mutations=2, crossovers=0)
    algorithm = Evolution(SPACE, recipe, np.random.default_rng(0), num_classes=10)
    path = tmp_path / "evaluations.jsonl"
    with Archive(path) as archive:
        done = run_search(algorithm, evaluator(supernet), archive, total=recipe.evaluations)
    assert len(done) == 5
    assert len(path.read_text().splitlines()) == len({item.arch for item in done}) == 5
