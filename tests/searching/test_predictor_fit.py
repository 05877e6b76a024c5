from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from taught_archs import DIGITS, fitted, taught

from anas_zoo.core.errors import SearchError, SpaceError
from anas_zoo.searching import predictor_fit
from anas_zoo.searching.predictor_fit import (
    FOLDS,
    MODELS,
    fit_predictor,
    mean_by_arch,
    measure_predictions,
)
from anas_zoo.space import SearchSpace

PERCENTS = st.integers(0, 800).map(lambda eighths: eighths / 8)  # whose differences are exact


@pytest.mark.parametrize("model", MODELS)
def test_every_model_ranks_architectures_that_it_never_saw(model: str) -> None:
    found = fitted(model)
    assert (found.model, list(found.validation), found.held_out.archs) == (model, [model], 12)
    assert found.held_out.kendall_tau is not None
    assert found.held_out.kendall_tau > 0.5
    assert found.held_out.rmse_pct < 2
    archs, truth = taught(400, seed=9, noise_pct=0)
    quality = measure_predictions(found(DIGITS.encode(archs)), np.array(truth))
    assert quality.kendall_tau is not None
    assert quality.kendall_tau > 0.5


def test_auto_takes_the_best_of_the_cross_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor_fit, "MODELS", ("svr", "ridge"))
    found = fit_predictor(DIGITS, *taught(60))
    taus = {name: quality.kendall_tau or 0 for name, quality in found.validation.items()}
    assert list(taus) == ["svr", "ridge"]
    assert found.model == max(taus, key=lambda name: taus[name])
    assert all(quality.archs == 48 for quality in found.validation.values())


def test_the_held_out_part_is_seen_by_no_model_before_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accuracies are told apart by their values: what each fit was given is recorded."""
    from sklearn.linear_model import RidgeCV

    given_to: list[set[float]] = []
    fit = RidgeCV.fit

    def recorded(self: object, codes: object, measured: np.ndarray, *rest: object) -> object:
        given_to.append(set(measured.tolist()))
        return fit(self, codes, measured, *rest)

    monkeypatch.setattr(RidgeCV, "fit", recorded)
    archs, top1 = taught(60)
    found = fit_predictor(DIGITS, archs, top1, model="ridge")
    *folds, tested, final = given_to
    assert len(folds) == FOLDS
    assert final == set(mean_by_arch(archs, top1)[1].tolist())
    assert set().union(*folds) == tested < final
    held_out = sorted(final - tested)
    assert len(held_out) == found.held_out.archs
    # Spread over the accuracies: one in every twelfth of their order.
    order = sorted(final)
    assert [order.index(value) * len(held_out) // len(order) for value in held_out] == list(
        range(len(held_out))
    )


def test_same_archive_and_seed_same_predictor_in_any_order() -> None:
    archs, top1 = taught(60)
    codes = DIGITS.encode(archs)
    first = fit_predictor(DIGITS, archs, top1, model="ridge", seed=3)
    again = fit_predictor(DIGITS, archs[::-1], top1[::-1], model="ridge", seed=3)
    other = fit_predictor(DIGITS, archs, top1, model="ridge", seed=4)
    assert (first.held_out, first.validation) == (again.held_out, again.validation)
    assert first(codes).tolist() == again(codes).tolist()
    assert first.held_out != other.held_out


def test_an_architecture_evaluated_twice_counts_once_with_its_mean() -> None:
    archs, top1 = taught(30)
    unique, measured = mean_by_arch([*archs, archs[4]], [*top1, top1[4] + 1])
    assert len(unique) == len(set(archs))
    assert measured[unique.index(archs[4])] == pytest.approx(top1[4] + 0.5)
    assert [arch.id for arch in unique] == sorted(arch.id for arch in unique)


def test_too_few_architectures_or_a_wrong_share_are_refused() -> None:
    for fraction in (0.0, 0.51, math.nan):
        with pytest.raises(SearchError, match=r"above 0 and at most 0.5, not"):
            fit_predictor(DIGITS, *taught(40), held_out=fraction)
    archs, top1 = taught(19)
    with pytest.raises(SearchError, match=r"19 different architectures are too few .* takes 20"):
        fit_predictor(DIGITS, archs * 3, top1 * 3)  # it is not the number of lines that counts
    with pytest.raises(SearchError, match="it takes 29, of which 14 are held out"):
        fit_predictor(DIGITS, *taught(25), held_out=0.5)
    assert fit_predictor(DIGITS, *taught(20), model="ridge").held_out.archs == 5


def test_nothing_to_predict_is_refused() -> None:
    archs, _ = taught(40)
    with pytest.raises(SearchError, match="have the same top-1, 10 %"):
        fit_predictor(DIGITS, archs, [10.0] * 40)


@pytest.mark.parametrize("wrong", [math.nan, 100.5])
def test_an_accuracy_that_is_none_is_refused(wrong: float) -> None:
    archs, top1 = taught(40)
    with pytest.raises(SearchError, match=f"architecture {archs[7].id} has top-1"):
        fit_predictor(DIGITS, archs, [*top1[:7], wrong, *top1[8:]])


def test_an_unknown_model_and_architectures_of_another_space_are_refused() -> None:
    with pytest.raises(SearchError, match=r"did you mean 'random_forest'\?\); models: auto, random_forest"):
        fit_predictor(DIGITS, *taught(40), model="randomforest")
    other = SearchSpace.load("attentive_nas")
    archs = other.decode(other.sample_codes(np.random.default_rng(0), 40))
    with pytest.raises(SpaceError, match="outside the space 'digits'"):
        fit_predictor(DIGITS, archs, np.linspace(50, 60, 40).tolist())


def test_a_choice_that_the_archive_never_had_can_be_predicted() -> None:
    archs, top1 = taught(120)
    small = [index for index, arch in enumerate(archs) if arch.resolution < 12]
    found = fit_predictor(DIGITS, [archs[i] for i in small], [top1[i] for i in small], model="ridge")
    assert np.isfinite(found(DIGITS.encode([DIGITS.largest]))).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(PERCENTS, PERCENTS), min_size=1, max_size=30))
def test_quality_is_what_its_words_say(pairs: list[tuple[float, float]]) -> None:
    predicted, measured = np.array(pairs).T
    quality = measure_predictions(predicted, measured)
    assert quality.bias_pct == pytest.approx(predicted.mean() - measured.mean(), abs=1e-9)
    assert quality.rmse_pct >= abs(quality.bias_pct) - 1e-9
    assert (quality.kendall_tau is None) == (len(set(predicted)) == 1 or len(set(measured)) == 1)
    if quality.kendall_tau is not None:
        assert -1 - 1e-9 <= quality.kendall_tau <= 1 + 1e-9
        reverse = measure_predictions(100 - predicted, 100 - measured)
        assert reverse.kendall_tau == pytest.approx(quality.kendall_tau)


def test_quality_of_known_rankings() -> None:
    measured = np.array([1.0, 2.0, 3.0, 4.0])
    assert measure_predictions(measured + 2, measured).to_dict() == {
        "archs": 4,
        "kendall_tau": 1.0,
        "rmse_pct": 2.0,
        "bias_pct": 2.0,
    }
    assert measure_predictions(-measured, measured).kendall_tau == pytest.approx(-1)
    assert measure_predictions(np.array([1.0, 2.0, 4.0, 3.0]), measured).kendall_tau == pytest.approx(4 / 6)
