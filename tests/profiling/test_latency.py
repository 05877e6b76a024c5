from __future__ import annotations

import json
import platform
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from anas_zoo.core.errors import ExportError, ProfileError
from anas_zoo.entry import Latency
from anas_zoo.profiling import measure_latency, open_session
from anas_zoo.profiling.machine import describe_machine


def tiny_file(path: Path, shape: tuple[str | int, ...] = ("batch", 3, 8, 8), kind: int = 1) -> Path:
    """An ONNX file of a single ReLU."""
    value = [helper.make_tensor_value_info(name, kind, shape) for name in ("image", "logits")]
    graph = helper.make_graph([helper.make_node("Relu", ["image"], ["logits"])], "g", value[:1], value[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, str(path))
    return path


def test_reports_are_sane(tmp_path: Path) -> None:
    files = {"a": tiny_file(tmp_path / "a.onnx"), "b": tiny_file(tmp_path / "b.onnx", ("batch", 3, 16, 16))}
    reports = measure_latency(files, repeats=20, warmup=2, batch_size=4)
    assert list(reports) == ["a", "b"]
    for report, side in zip(reports.values(), (8, 16), strict=True):
        assert 0 < report.min_ms <= report.p50_ms <= report.p95_ms
        assert report.min_ms <= report.mean_ms
        assert report.noise_pct >= 0
        assert (report.repeats, report.warmup, report.threads, report.batch_size) == (20, 2, 1, 4)
        assert report.input_shape == (4, 3, side, side)
        assert report.provider == "CPUExecutionProvider"
        assert report.runtime.startswith("onnxruntime 1.")
        assert Latency.model_validate(json.loads(json.dumps(report.to_dict()))) == report


def test_the_machine_is_described_but_not_named() -> None:
    text = describe_machine()
    assert "core" in text
    assert platform.machine() in text
    assert platform.node() not in text


FREE = ("batch", 3, 8, 8)


@pytest.mark.parametrize(
    ("shape", "kind", "options", "said"),
    [
        (FREE, TensorProto.FLOAT, {"threads": 0}, "threads must be at least 1"),
        (FREE, TensorProto.FLOAT, {"repeats": 0}, "repeats must be at least 1"),
        (FREE, TensorProto.FLOAT, {"warmup": -1}, "warmup must not be negative"),
        ((1, 3, 8, 8), TensorProto.FLOAT, {"batch_size": 2}, "frozen at 1"),
        (("batch", 3, "side", "side"), TensorProto.FLOAT, {}, "more than the batch open"),
        (FREE, TensorProto.FLOAT16, {}, "float32 input"),
    ],
)
def test_what_cannot_be_timed(
    tmp_path: Path, shape: tuple[str | int, ...], kind: int, options: dict[str, int], said: str
) -> None:
    with pytest.raises(ProfileError, match=said):
        measure_latency({"a": tiny_file(tmp_path / "a.onnx", shape, kind)}, **options)


def test_a_session_runs_quietly(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    session = open_session(tiny_file(tmp_path / "a.onnx"), threads=2)
    images = np.full((5, 3, 8, 8), -1.0, dtype=np.float32)
    (logits,) = session.run(None, {"image": images})
    assert logits.shape == images.shape
    assert not logits.any()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("content", [b"", b"not an onnx file at all", None])
def test_what_is_no_onnx_file_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bad.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ExportError, match=r"bad\.onnx") as caught:
        open_session(path)
    assert "\n" not in str(caught.value)


def test_a_provider_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"no NovelProvider; it has: .*CPUExecutionProvider"):
        open_session(tiny_file(tmp_path / "a.onnx"), provider="NovelProvider")
