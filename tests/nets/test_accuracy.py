"""What is said of predictions, against counts by hand and scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import confusion_matrix, top_k_accuracy_score
from torch import Tensor

from anas_zoo.entry import Accuracy
from anas_zoo.nets import Predictions, top1_pct

CLASSES = 7


def drawn(seed: int, images: int = 90) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (images,), generator=generator)
    logits = torch.randn(images, CLASSES, generator=generator)
    logits[torch.arange(images), labels] += 1.5
    return logits, labels


def record(logits: Tensor, labels: Tensor, top5: bool = True) -> Accuracy:
    numbers = range(1000, 1000 + len(labels))
    found = Predictions.of(logits, labels)
    return found.accuracy(
        numbers, num_classes=CLASSES, source="x", split="test", preprocessing="native", top5=top5
    )


@given(seed=st.integers(0, 2**31))
def test_the_record_is_what_scikit_learn_counts(seed: int) -> None:
    logits, labels = drawn(seed)
    found = record(logits, labels)
    assert found.top1_pct == top1_pct(logits, labels)
    assert found.top5_pct == pytest.approx(
        100 * top_k_accuracy_score(labels.numpy(), logits.numpy(), k=5, labels=range(CLASSES))
    )
    cells = found.confusion or {}
    matrix = [[cells.get(row, {}).get(column, 0) for column in range(CLASSES)] for row in range(CLASSES)]
    assert matrix == confusion_matrix(labels, logits.argmax(1), labels=range(CLASSES)).tolist()
    assert all(count for row in cells.values() for count in row.values())
    assert Accuracy.model_validate_json(found.model_dump_json()) == found


def by_hand(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Equation 3 of Guo et al., bin by bin."""
    total = 0.0
    for number in range(15):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    return 100.0 * total


@given(seed=st.integers(0, 2**31))
def test_calibration_error_is_the_papers(seed: int) -> None:
    logits, labels = drawn(seed)
    shares = logits.double().softmax(1).numpy()
    expected = by_hand(shares.max(1), shares.argmax(1) == labels.numpy())
    assert record(logits, labels).ece_pct == pytest.approx(expected)


def test_calibration_error_of_known_confidence() -> None:
    def with_confidence(share: float, right: list[bool]) -> float | None:
        logits = torch.tensor([[share, 1 - share]]).log().repeat(len(right), 1)
        return record(logits, torch.tensor([0 if hit else 1 for hit in right]), top5=False).ece_pct

    assert with_confidence(0.75, [True, True, True, False]) == pytest.approx(0, abs=1e-5)
    assert with_confidence(0.75, [True] * 4) == pytest.approx(25, abs=1e-5)
    assert with_confidence(0.95, [False] * 4) == pytest.approx(95, abs=1e-5)
    logits = torch.full((2, 2), torch.nan)
    assert record(logits, torch.tensor([0, 1])).ece_pct is not None  # a broken network is still measured


def test_parts_join_to_the_whole() -> None:
    logits, labels = drawn(1)
    parts = [Predictions.of(a, b) for a, b in zip(logits.split(32), labels.split(32), strict=True)]
    whole, joined = Predictions.of(logits, labels), Predictions.joined(parts)
    for column in ("labels", "predicted", "confidence", "in_top5"):
        assert torch.equal(getattr(whole, column), getattr(joined, column))


def test_the_surest_mistakes_come_first_by_number() -> None:
    logits, labels = drawn(2)
    shares = logits.double().softmax(1)
    wrong = [i for i in range(len(labels)) if shares[i].argmax() != labels[i]]
    wrong.sort(key=lambda i: -float(shares[i].max()))
    found = record(logits, labels).mistakes
    assert [one.image for one in found] == [1000 + i for i in wrong[:16]]
    assert [one.label for one in found] == labels[wrong[:16]].tolist()
    assert found[0].confidence_pct == pytest.approx(100 * float(shares[wrong[0]].max()))


def test_too_few_images_give_no_confusion_matrix() -> None:
    logits, labels = drawn(3, images=2 * CLASSES - 1)
    few = record(logits, labels)
    assert (few.confusion, few.classes, few.by_class, few.confusions) == (None, [], [], [])


def test_classes_and_confusions_are_ordered() -> None:
    found = Accuracy.model_validate(
        {
            "source": "x",
            "split": "test",
            "images": 12,
            "top1_pct": 50.0,
            "confusion": {"0": {"0": 1, "1": 2, "3": 2}, "1": {"1": 4}, "2": {"2": 1, "0": 2}},
        }
    )
    assert found.classes == [0, 1, 2, 3]
    assert [(one.label, one.images, one.correct, one.taken_for) for one in found.by_class] == [
        (0, 5, 1, (1, 2)),
        (2, 3, 1, (0, 2)),
        (1, 4, 4, None),
    ]
    assert found.confusions == [(0, 1, 2), (0, 3, 2), (2, 0, 2)]


@pytest.mark.parametrize("confusion", [{"0": {"0": 9}}, {"0": {"0": 4, "1": 6}}, {"0": {"0": 0}}])
def test_a_matrix_of_other_images_is_refused(confusion: dict[str, dict[str, int]]) -> None:
    plain = {"source": "x", "split": "test", "images": 10, "top1_pct": 50.0}
    with pytest.raises(ValidationError, match=r"is not 50\.00 % of 10|greater than or equal to 1"):
        Accuracy.model_validate(plain | {"confusion": confusion})
