from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from anas_zoo.core.errors import ConfigError
from anas_zoo.searching.forest_onnx import convert_forest, predict_forest
from anas_zoo.searching.joblib_forest import read_joblib_forest
from anas_zoo.space import AccuracyPredictor, SearchSpace

GOLDEN = Path(__file__).parents[1] / "golden"
OLD_FOREST = GOLDEN / "forest_sklearn_0_23.joblib"
SPACE = SearchSpace.load("attentive_nas")
GENES = SPACE.genes.count


def todays_forest(trees: int = 5, **options: Any) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(0)
    codes = SPACE.sample_codes(rng, 150)
    top1 = 60 + codes[:, 0] / 30 + rng.normal(0, 0.2, len(codes))
    return RandomForestRegressor(trees, random_state=0, **options).fit(codes.astype(np.float32), top1)


def random_codes(count: int = 500) -> npt.NDArray[np.int64]:
    return SPACE.sample_codes(np.random.default_rng(7), count)


def test_a_forest_of_scikit_learn_0_23_answers_as_it_did_there(tmp_path: Path) -> None:
    golden = json.loads((GOLDEN / "forest_sklearn_0_23.json").read_text())
    codes = np.array(golden["codes"])
    trees = read_joblib_forest(OLD_FOREST, GENES)
    assert predict_forest(trees, codes) == pytest.approx(golden["predictions"], abs=1e-12)
    number, difference = convert_forest(OLD_FOREST, SPACE, tmp_path / "p.onnx")
    assert (number, difference < 1e-4) == (4, True)
    predictor = AccuracyPredictor(tmp_path / "p.onnx", SPACE)
    assert predictor(codes) == pytest.approx(golden["predictions"], abs=1e-4)
    assert (predictor.metadata["space_id"], predictor.metadata["model"]) == (SPACE.id, "random_forest")


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3)])
def test_a_forest_of_todays_scikit_learn(compress: Any, tmp_path: Path) -> None:
    forest = todays_forest()
    joblib.dump(forest, tmp_path / "f.joblib", compress=compress)
    trees = read_joblib_forest(tmp_path / "f.joblib", GENES)
    wanted = forest.predict(random_codes().astype(np.float32))
    assert predict_forest(trees, random_codes()) == pytest.approx(wanted, abs=1e-10)


def test_same_file_same_bytes(tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        convert_forest(OLD_FOREST, SPACE, tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


class Calls:
    """An object whose pickle calls a function when it is read."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.called = function, args

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.called


def test_nothing_of_a_hostile_file_is_run(tmp_path: Path) -> None:
    victim, file = tmp_path / "made", tmp_path / "f.joblib"
    for function, args in (
        (os.mkdir, (str(victim),)),
        (eval, (f"__import__('os').mkdir({str(victim)!r})",)),
        (getattr, ("text", "upper")),
    ):
        forest = todays_forest(2)
        forest.note = Calls(function, *args)
        for dump in (joblib.dump, lambda what, where: where.write_bytes(pickle.dumps(what))):
            dump(forest, file)
            with pytest.raises(ConfigError, match=r"it asks for .* \(nothing of it was run\)"):
                read_joblib_forest(file, GENES)
    assert not victim.exists()
    forest.note = np.array([Calls(os.mkdir, str(victim))], dtype=object)  # its pickle follows the main one
    joblib.dump(forest, file)
    with pytest.raises(ConfigError, match="it has an array of 'O8'"):
        read_joblib_forest(file, GENES)
    assert not victim.exists()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\x80\x04cposix\nsystem\nX\x02\x00\x00\x00id\x85R.", "it asks for posix.system"),
        (b"\x80\x04cnumpy\nndarray\n}b.", "it changes something"),  # the stand-in itself
        (b"\x80\x04X\x02\x00\x00\x00id)R.", "calls something that is no class"),
        (b"\x80\x04iposix\nsystem\n.", "no joblib file, or a damaged one"),
        (b"\x80\x04K\x01Q.", "no joblib file, or a damaged one"),
        (b"\x80\x04\x82\x01.", "no joblib file, or a damaged one"),
        (b"\x80\x04}.", "it holds something else"),
        (b"\x80\x04cnumpy\nndarray\n.", "it holds something else"),
        (b"", "no joblib file at all"),
        (b"PK\x03\x04", "no joblib file at all"),
        (b"x\x9c damaged", "no joblib file, or a damaged one"),
    ],
)
def test_hand_made_pickles_are_refused(body: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "f.joblib").write_bytes(body)
    with pytest.raises(ConfigError, match=said):
        read_joblib_forest(tmp_path / "f.joblib", GENES)


@pytest.mark.parametrize(
    ("field", "value"),
    [("left_child", 0), ("right_child", 10**6), ("right_child", -1), ("feature", 31), ("threshold", np.nan)],
)
def test_trees_that_lead_nowhere_are_refused(field: str, value: float, tmp_path: Path) -> None:
    forest = todays_forest(2)
    buffer = io.BytesIO()
    joblib.dump(forest, buffer)
    nodes = forest.estimators_[0].tree_.__getstate__()["nodes"]
    spoilt = nodes.copy()
    spoilt[0][field] = value
    content = buffer.getvalue()
    assert content.count(nodes.tobytes()) == 1
    (tmp_path / "f.joblib").write_bytes(content.replace(nodes.tobytes(), spoilt.tobytes()))
    with pytest.raises(ConfigError, match="a tree has nodes that lead nowhere"):
        read_joblib_forest(tmp_path / "f.joblib", GENES)


def test_what_is_no_such_forest_is_refused(tmp_path: Path) -> None:
    from sklearn.ensemble import GradientBoostingRegressor

    file = tmp_path / "f.joblib"
    with pytest.raises(ConfigError, match="cannot read"):
        read_joblib_forest(file, GENES)
    with pytest.raises(ConfigError, match="a tree has 31 inputs"):
        read_joblib_forest(OLD_FOREST, 15)
    joblib.dump(GradientBoostingRegressor(), file)
    with pytest.raises(ConfigError, match=r"it asks for sklearn\.ensemble\._gb\.GradientBoostingRegressor"):
        read_joblib_forest(file, GENES)
    joblib.dump(todays_forest(2), file, compress=("lzma", 3))
    with pytest.raises(ConfigError, match="compressed in another way"):
        read_joblib_forest(file, GENES)


@given(place=st.integers(0, OLD_FOREST.stat().st_size - 1), byte=st.integers(0, 255), is_cut=st.booleans())
@example(place=13, byte=10, is_cut=False)  # a name with a line feed in it
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_an_error_or_still_a_forest(
    place: int, byte: int, is_cut: bool, tmp_path: Path
) -> None:
    data = bytearray(OLD_FOREST.read_bytes())
    data[place] = byte
    (tmp_path / "f.joblib").write_bytes(data[:place] if is_cut else data)
    try:
        trees = read_joblib_forest(tmp_path / "f.joblib", GENES)
    except ConfigError as exc:
        assert "\n" not in str(exc)  # noqa: PT017
    else:
        assert np.isfinite(predict_forest(trees, random_codes(10))).all()
