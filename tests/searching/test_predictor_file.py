from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from taught_archs import DIGITS, fitted, taught, write_archive

from anas_zoo.core.errors import ConfigError, ParityError, SearchError
from anas_zoo.searching import predictor_file
from anas_zoo.searching.predictor_file import (
    TOLERANCE_PCT,
    check_predictor,
    fitted_arch_ids,
    read_measured,
    write_predictor,
)
from anas_zoo.searching.predictor_fit import MODELS, FittedPredictor
from anas_zoo.space import AccuracyPredictor, SearchSpace


@pytest.fixture(scope="module")
def ridge() -> FittedPredictor:
    return fitted("ridge")


@pytest.mark.parametrize("model", MODELS)
def test_the_file_answers_as_scikit_learn_does(model: str, tmp_path: Path) -> None:
    difference = write_predictor(tmp_path / "p.onnx", fitted(model), about={})
    assert difference <= TOLERANCE_PCT
    codes = DIGITS.sample_codes(np.random.default_rng(5), 3000)
    found = AccuracyPredictor(tmp_path / "p.onnx", DIGITS)(codes)
    assert np.abs(found - fitted(model)(codes)).max() <= TOLERANCE_PCT
    assert np.ptp(found) > 1
    onnx.checker.check_model(onnx.load(tmp_path / "p.onnx"), full_check=True)


def test_the_file_says_where_it_comes_from(ridge: FittedPredictor, tmp_path: Path) -> None:
    write_predictor(tmp_path / "p.onnx", ridge, about={"archive_sha256": "abc"})
    predictor = AccuracyPredictor(tmp_path / "p.onnx", DIGITS)
    said = predictor.metadata
    assert (said["space_id"], said["space"], said["archive_sha256"]) == (DIGITS.id, "digits", "abc")
    assert (said["model"], said["seed"], said["held_out_archs"]) == ("ridge", "0", "12")
    assert float(said["held_out_kendall_tau"]) == pytest.approx(ridge.held_out.kendall_tau, abs=1e-4)
    assert float(said["held_out_rmse_pct"]) == pytest.approx(ridge.held_out.rmse_pct, abs=1e-4)
    assert {"scikit-learn", "skl2onnx", "anas-zoo"} <= set(said)
    assert fitted_arch_ids(predictor) == frozenset(arch.id for arch in ridge.archs)
    model = onnx.load(tmp_path / "p.onnx")
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 17), ("ai.onnx.ml", 3)]
    assert [one.name for one in (*model.graph.input, *model.graph.output)] == ["codes", "top1_pct"]


def test_a_conversion_that_is_not_faithful_writes_nothing(
    ridge: FittedPredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor_file, "TOLERANCE_PCT", -1.0)
    with pytest.raises(ParityError, match=r"converted predictor differs .* nothing was written"):
        write_predictor(tmp_path / "p.onnx", ridge, about={})
    assert list(tmp_path.iterdir()) == []


def test_a_predictor_of_another_space_is_refused(ridge: FittedPredictor, tmp_path: Path) -> None:
    write_predictor(tmp_path / "p.onnx", ridge, about={})
    data = DIGITS.to_dict()
    data["stem"]["stride"] = 2  # the same genes, another network
    with pytest.raises(ConfigError, match=f"was fitted on the space {DIGITS.id}, this is 'digits'"):
        AccuracyPredictor(tmp_path / "p.onnx", SearchSpace.from_dict(data))


def test_a_check_keeps_seen_and_unseen_apart(ridge: FittedPredictor, tmp_path: Path) -> None:
    write_predictor(tmp_path / "p.onnx", ridge, about={})
    predictor = AccuracyPredictor(tmp_path / "p.onnx", DIGITS)
    old, new = taught(60), taught(50, seed=8)
    archive = write_archive(tmp_path / "both.jsonl", old[0] + new[0], old[1] + new[1])
    checked = check_predictor(predictor, read_measured(archive, DIGITS))
    assert checked.knows_its_archs
    assert checked.seen is not None
    assert checked.unseen is not None
    assert (checked.seen.archs, checked.unseen.archs, checked.all.archs) == (60, 50, 110)
    assert checked.seen.rmse_pct < checked.unseen.rmse_pct
    only_old = check_predictor(predictor, read_measured(write_archive(tmp_path / "old", *old), DIGITS))
    assert only_old.unseen is None


def test_a_foreign_file_may_not_say_what_it_knew(ridge: FittedPredictor, tmp_path: Path) -> None:
    write_predictor(tmp_path / "p.onnx", ridge, about={})
    model = onnx.load(tmp_path / "p.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    predictor = AccuracyPredictor(tmp_path / "foreign.onnx", DIGITS)
    assert fitted_arch_ids(predictor) is None
    archive = write_archive(tmp_path / "archive", *taught(60))
    checked = check_predictor(predictor, read_measured(archive, DIGITS))
    assert (checked.knows_its_archs, checked.unseen, checked.seen) == (False, None, None)
    assert checked.all.archs == 60


def test_an_archive_of_another_space_or_without_accuracies_is_refused(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", *taught(5))
    with pytest.raises(SearchError, match=r"archive of another space than 'glyphs': architecture \w+ is out"):
        read_measured(archive, SearchSpace.load("glyphs"))
    archive.write_text("")
    with pytest.raises(SearchError, match="has no evaluation with an accuracy"):
        read_measured(archive, DIGITS)
