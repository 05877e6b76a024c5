"""`import anas_zoo` is light, and its models are timm's in whatever order the two are imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

import anas_zoo


def _python(code: str) -> str:
    """What a fresh interpreter prints; any warning is an error there."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_public_surface() -> None:
    assert anas_zoo.__all__ == [
        "AnasError",
        "Architecture",
        "SearchSpace",
        "__version__",
        "create_model",
        "list_models",
    ]
    assert set(anas_zoo.__all__) <= set(dir(anas_zoo))
    for name in anas_zoo.__all__:
        assert getattr(anas_zoo, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        anas_zoo.nothing  # noqa: B018 - the access is what is tested


def test_importing_is_light() -> None:
    heavy = "torch timm numpy pydantic onnx onnxruntime huggingface_hub"
    code = f"import sys, anas_zoo; print([m for m in {heavy.split()} if m in sys.modules])"
    assert _python(code) == "[]"
    code = "import sys, anas_zoo; anas_zoo.SearchSpace.load('digits'); print('torch' in sys.modules)"
    assert _python(code) == "False"


USE = "print(timm.is_model('attentive_nas_a0'), len(timm.list_models('attentive_nas*')))"
ORDERS = {
    "ours first": f"import anas_zoo, timm; {USE}",
    "timm first": f"import timm, anas_zoo; {USE}",
    "a part of timm first": f"import anas_zoo; from timm.models import create_model; import timm; {USE}",
    "our networks first": f"import anas_zoo.nets; import timm; {USE}",
    "spec asked for in between": (
        f"import anas_zoo, importlib.util as u; u.find_spec('timm'); u.find_spec('timm'); import timm; {USE}"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
def test_any_order_registers(order: str) -> None:
    known, count = _python(ORDERS[order]).split()
    assert known == "True"
    assert int(count) >= 8


@pytest.mark.slow
def test_the_hook_leaves_no_trace() -> None:
    code = (
        "import sys; before = list(sys.meta_path); import anas_zoo, timm, importlib.resources as r; "
        "from importlib.machinery import SourceFileLoader as L; "
        "assert sys.meta_path == before, sys.meta_path; "
        "assert type(timm.__loader__) is type(timm.__spec__.loader) is L; "
        "print((r.files('timm') / '__init__.py').is_file())"
    )
    assert _python(code) == "True"
