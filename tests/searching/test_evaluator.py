from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from summing_predictor import write_predictor

from anas_zoo.nets import Supernet, calibrate_bn
from anas_zoo.searching import PredictorEvaluator, Score, SubnetEvaluator
from anas_zoo.space import AccuracyPredictor, SearchSpace

SPACE = SearchSpace.load("digits")


def images(count: int, seed: int) -> dict[int, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {r: torch.randn(count, 3, r, r, generator=generator) for r in SPACE.config.resolution}


def evaluator(supernet: Supernet, **changes: object) -> SubnetEvaluator:
    parts = {
        "calibration": images(16, 1).__getitem__,
        "calibration_images": 16,
        "images": images(20, 2).__getitem__,
        "labels": torch.arange(20) % 10,
        "batch_size": 8,
    }
    return SubnetEvaluator(supernet, **(parts | changes))  # type: ignore[arg-type]


def make_supernet() -> Supernet:
    return Supernet(SPACE, 10, generator=torch.Generator().manual_seed(0))


def test_a_score_is_the_calibrated_subnet_on_the_search_images() -> None:
    supernet = make_supernet()
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    arch = SPACE.sample(np.random.default_rng(0))
    found = evaluator(supernet)([arch])

    subnet = supernet.extract(arch)
    calibrate_bn(subnet, images(16, 1)[arch.resolution].split(8))
    with torch.no_grad():
        right = (subnet(images(20, 2)[arch.resolution]).argmax(1) == torch.arange(20) % 10).sum()
    assert found == [Score(5.0 * int(right))]
    assert evaluator(supernet)([arch]) == found
    assert (evaluator(supernet).images, evaluator(supernet).images_forwarded) == (20, 36)
    assert all(torch.equal(before[name], tensor) for name, tensor in supernet.state_dict().items())


def test_an_evaluation_that_runs_out_of_memory_is_a_score_without_top1() -> None:
    def too_many(resolution: int) -> torch.Tensor:
        return torch.empty(10**15)  # torch's own refusal

    archs = [SPACE.smallest, SPACE.largest]
    for changes in ({"calibration": too_many}, {"images": too_many}):
        for score in evaluator(make_supernet(), **changes)(archs):
            assert score.top1_pct is None
            assert score.error is not None
            assert "memory" in score.error
            assert "\n" not in score.error


def test_weights_that_diverged_fail_and_others_go_on() -> None:
    supernet = make_supernet()
    with torch.no_grad():  # a tensor that only deeper subnets use
        name = next(n for n in supernet.state_dict() if ".1." in n and n.endswith("weight"))
        supernet.state_dict()[name].fill_(float("nan"))
    scores = evaluator(supernet)([SPACE.smallest, SPACE.largest])
    assert scores[0].error is None
    assert scores[1].error is not None
    assert "non-finite" in scores[1].error


def test_a_predictors_word(tmp_path: Path) -> None:
    archs = [SPACE.smallest, SPACE.largest]
    predictor = AccuracyPredictor(write_predictor(tmp_path / "sum.onnx", SPACE.genes.count), SPACE)
    scores = PredictorEvaluator(predictor)(archs)
    assert [score.top1_pct for score in scores] == [float(sum(arch.code)) for arch in archs]
