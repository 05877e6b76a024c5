"""Which processors run which files right."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from anas_zoo.core.errors import ExportError
from anas_zoo.core.resources import resource_folder
from anas_zoo.exporting import Target
from anas_zoo.exporting.runtimes import refuse_other_processors
from anas_zoo.profiling import machine

EIGHT_BITS = [Target.load(name) for name in ("ort-vnni-int8", "openvino-int8")]


@pytest.fixture
def processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What /proc/cpuinfo says; to be written."""
    file = tmp_path / "cpuinfo"
    monkeypatch.setattr(machine, "CPUINFO", file)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    return file


@pytest.mark.parametrize(
    ("says", "has"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_vnni", True),
        ("flags\t\t: fpu avx2 avx_vnni fma", True),
        ("flags\t\t: fpu avx2 avx512f", False),
        ("Features\t: fp asimd asimddp", True),
        ("Features\t: fp asimd", False),
    ],
)
def test_who_sums_products_of_integers(processor: Path, says: str, has: bool) -> None:
    processor.write_text(f"processor\t: 0\n{says}\n")
    assert machine.has_integer_dot_product() is has
    assert all((machine.lacking_of(target.processor) is None) is has for target in EIGHT_BITS)
    assert machine.lacking_of(Target.load("ort-cpu-int8").processor) is None
    refuse_other_processors(Target.load("ort-cpu-int8"))
    for target in EIGHT_BITS:
        if has:
            refuse_other_processors(target)
            continue
        with pytest.raises(ExportError, match=r"need a processor with VNNI .* ort-cpu-int8") as failed:
            refuse_other_processors(target)
        assert target.name in str(failed.value)


def test_a_machine_that_says_nothing_has_none_but_an_apple_has(
    processor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not machine.has_integer_dot_product()
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert machine.has_integer_dot_product()
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert not machine.has_integer_dot_product()


@pytest.mark.parametrize("eight", EIGHT_BITS, ids=lambda target: str(target.name))
def test_it_is_the_other_target_with_weights_of_8_bits(eight: Target) -> None:
    seven = Target.load("ort-cpu-int8")
    assert seven.quantization is not None
    assert eight.quantization == seven.quantization.model_copy(update={"reduce_range": False})
    assert eight.tolerances == seven.tolerances


@pytest.mark.slow
def test_files_opened_in_openvino_leave_signals_alone() -> None:
    code = (
        "import gc, os, signal\n"
        "from pathlib import Path\n"
        "from anas_zoo.exporting import Target\n"
        "from anas_zoo.exporting.runtimes import open_runner\n"
        f"path = Path({str(resource_folder('models') / 'digits_s' / 'model.onnx')!r})\n"
        "target = Target.load('openvino-fp32')\n"
        "first = open_runner(path, target)\n"
        "assert first.title.startswith('openvino ')\n"
        "second = open_runner(path, target)\n"
        "del first\n"
        "gc.collect()\n"
        "del second\n"
        "gc.collect()\n"
        "signal.signal(signal.SIGUSR1, lambda *_: print('handled'))\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
