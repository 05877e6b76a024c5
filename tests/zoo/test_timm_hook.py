"""Our models are timm's in whatever order anas_zoo and timm are imported."""

from __future__ import annotations

import subprocess
import sys

import pytest


def _python(code: str) -> None:
    """Run ``code`` in a fresh interpreter, where any warning is an error."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


USE = "assert timm.is_model('attentive_nas_a0') and len(timm.list_models('attentive_nas*')) >= 8\n"


def test_a_later_import_of_timm_registers_and_leaves_no_trace() -> None:
    _python(
        "import sys, importlib.resources, importlib.util\n"
        "from importlib.machinery import SourceFileLoader\n"
        "before = list(sys.meta_path)\n"
        "import anas_zoo\n"
        "assert 'timm' not in sys.modules\n"
        "importlib.util.find_spec('timm')\n"  # asking changes nothing
        "from timm.models import create_model\n"
        "import timm\n"
        f"{USE}"
        "assert sys.meta_path == before, sys.meta_path\n"
        "assert type(timm.__loader__) is type(timm.__spec__.loader) is SourceFileLoader\n"
        "assert 'exec_module' not in vars(timm.__loader__)\n"
        "assert (importlib.resources.files('timm') / '__init__.py').is_file()\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("first", ["timm", "anas_zoo.nets"])
def test_other_orders(first: str) -> None:
    _python(f"import {first}, anas_zoo, timm\n{USE}")
