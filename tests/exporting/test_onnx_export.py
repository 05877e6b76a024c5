from __future__ import annotations

import contextlib
import hashlib
import logging
import resource
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from exported_digits import SIDE, SPACE, TARGET, calibrated, file_bytes, images, proto, smallest, write_file
from torch import Tensor, nn

import anas_zoo
from anas_zoo.core.errors import (
    CalibrationError,
    ConstantOutputError,
    DiskFullError,
    ExportError,
    NonFiniteError,
    ParityError,
)
from anas_zoo.exporting import export_onnx, validate_onnx
from anas_zoo.exporting.graph import fold_batch_norm
from anas_zoo.nets import Subnet, Supernet, calibrate_bn
from anas_zoo.space import SearchSpace


def test_metadata_is_inside() -> None:
    found = {entry.key: entry.value for entry in proto().metadata_props}
    assert found == {
        "name": "digits_s",
        "anas.arch_id": SPACE.smallest.id,
        "anas.resolution": str(SIDE),
        "anas.target": "ort-cpu-fp32",
        "anas.input": "float32-nchw",
        "anas.torch": torch.__version__,
        "anas.onnx": onnx.__version__,
    }


def test_nothing_of_this_machine_is_inside() -> None:
    content = file_bytes()
    package = Path(anas_zoo.__file__).parent
    for trace in (str(package.parent), str(Path.home()), sys.prefix, "site-packages", "stack_trace", ".py"):
        assert trace.encode() not in content, trace


@pytest.mark.slow
def test_export_is_repeatable_reported_and_silent(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    subnet, path = smallest().train(), tmp_path / "deep" / "again.onnx"
    before = {name: value.clone() for name, value in subnet.state_dict().items()}
    file_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = export_onnx(subnet, path, target=TARGET, resolution=SIDE, metadata={"name": "digits_s"})
    content = path.read_bytes()
    assert content == file_bytes()
    assert report.model_dump() == {
        "target": "ort-cpu-fp32",
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "opset": 17,
        "input": "float32-nchw",
        "parity": None,
        "quantization": None,
        "latency": (),
    }
    assert [item.name for item in path.parent.iterdir()] == ["again.onnx"]
    assert subnet.training
    assert all(torch.equal(value, before[name]) for name, value in subnet.state_dict().items())
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["largest", "odd side"])
def test_other_architectures(tmp_path: Path, kind: str) -> None:
    arch = SPACE.largest if kind == "largest" else SPACE.sample(np.random.default_rng(3))
    side = 13 if kind == "odd side" else arch.resolution
    subnet, path = calibrated(arch), tmp_path / "a.onnx"
    export_onnx(subnet, path, target=TARGET, resolution=side, metadata={})
    report = validate_onnx(path, subnet, images(70, side), torch.zeros(70), target=TARGET)
    assert report.max_abs_logit_diff < 1e-5


@pytest.mark.slow
def test_a_real_size(tmp_path: Path) -> None:
    space = SearchSpace.load("attentive_nas")
    subnet = Supernet(space, 1000, generator=torch.Generator().manual_seed(0)).extract(space.smallest)
    calibrate_bn(subnet, [images(8, 192)])
    path = tmp_path / "a0.onnx"
    report = export_onnx(subnet, path, target=TARGET, resolution=192, metadata={})
    assert report.size_bytes < 36_500_000
    parity = validate_onnx(path, subnet, images(8, 192, 5), None, target=TARGET)
    assert parity.max_abs_logit_diff < 1e-4
    assert parity.top1_pct is None


def test_folding_is_exact_and_leaves_the_network() -> None:
    subnet = smallest().train()
    folded = fold_batch_norm(subnet, images(4))
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    assert [m for m in subnet.modules() if isinstance(m, nn.BatchNorm2d)]
    with torch.no_grad():
        torch.testing.assert_close(folded(images(4, seed=9)), subnet.eval()(images(4, seed=9)))


def test_folding_that_changes_the_result_is_refused() -> None:
    class Meddling(nn.BatchNorm2d):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input) * 1.01

    subnet = smallest()
    norm = subnet.get_submodule("stem.bn")
    assert isinstance(norm, nn.BatchNorm2d)
    meddling = Meddling(norm.num_features)
    meddling.load_state_dict(norm.state_dict())
    subnet.set_submodule("stem.bn", meddling)
    with pytest.raises(ExportError, match="folding batch norm changes the logits"):
        fold_batch_norm(subnet, images(2))


# --- refusals -------------------------------------------------------------------------------------


def not_finite(subnet: Subnet) -> None:
    with torch.no_grad():
        subnet.mix.weight[3, 0] = float("nan")


UNFIT: list[tuple[Callable[[Subnet], object], type[Exception], str]] = [
    (lambda subnet: subnet.train()(images(4)), CalibrationError, "calibrate_bn"),
    (not_finite, NonFiniteError, r"1 of \d+ values of mix.weight are not finite"),
    (lambda subnet: subnet.reset_classifier(0), ExportError, "no classifier"),
    (
        lambda subnet: setattr(subnet, "classifier", nn.GELU()),
        ExportError,
        "classifier: a GELU cannot be exported",
    ),
    (
        lambda subnet: subnet.reset_classifier(10, global_pool="max"),
        ExportError,
        "global pooling 'max' cannot be exported",
    ),
]


@pytest.mark.parametrize(("spoil", "error", "said"), UNFIT)
def test_what_cannot_be_exported_is_one_line_and_leaves_nothing(
    spoil: Callable[[Subnet], object], error: type[Exception], said: str, tmp_path: Path
) -> None:
    spoil(subnet := smallest())
    with pytest.raises(error, match=said) as caught:
        export_onnx(subnet, tmp_path / "a.onnx", target=TARGET, resolution=SIDE, metadata={})
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


# --- gates on the file ----------------------------------------------------------------------------


def test_logits_that_overflow_stop_the_export(tmp_path: Path) -> None:
    """Weights that are finite and still compute what is not."""
    subnet = smallest()
    with torch.no_grad():
        subnet.mix.weight.fill_(3e38)
    path = write_file(tmp_path / "a.onnx", b"the file of yesterday")
    with pytest.raises(NonFiniteError, match=r"not finite for \d of 8 images"):
        export_onnx(subnet, path, target=TARGET, resolution=SIDE, metadata={}, images=images(8))
    assert path.read_bytes() == b"the file of yesterday"
    assert list(tmp_path.iterdir()) == [path]


def test_dead_weights_stop_the_export(tmp_path: Path) -> None:
    subnet = smallest()
    with torch.no_grad():
        subnet.classifier.weight.zero_()  # type: ignore[operator]
    with pytest.raises(ConstantOutputError, match="the same for all 8 images"):
        export_onnx(
            subnet, tmp_path / "a.onnx", target=TARGET, resolution=SIDE, metadata={}, images=images(8)
        )
    assert list(tmp_path.iterdir()) == []


def test_a_gate_of_ones_own_stops_the_export(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def gate(file: Path) -> None:
        seen.append(file.read_bytes())
        raise ParityError("not good enough")

    with pytest.raises(ParityError, match="not good enough"):
        export_onnx(
            smallest(),
            tmp_path / "a.onnx",
            target=TARGET,
            resolution=SIDE,
            metadata={"name": "digits_s"},
            gate=gate,
        )
    assert seen == [file_bytes()]
    assert list(tmp_path.iterdir()) == []


def test_own_metadata_cannot_be_given(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"anas\.arch_id"):
        export_onnx(
            smallest(), tmp_path / "a.onnx", target=TARGET, resolution=SIDE, metadata={"anas.arch_id": "x"}
        )
    assert list(tmp_path.iterdir()) == []


@contextlib.contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """The operating system refuses to let a file grow beyond that, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.slow
def test_no_space_left(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.onnx", b"the file of yesterday")
    with files_of_at_most(50_000), pytest.raises(DiskFullError, match=r"no space left .*a\.onnx \("):
        export_onnx(smallest(), path, target=TARGET, resolution=SIDE, metadata={})
    assert path.read_bytes() == b"the file of yesterday"
    assert list(tmp_path.iterdir()) == [path]
