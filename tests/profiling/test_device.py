from __future__ import annotations

from pathlib import Path

import pytest

from anas_zoo.profiling import device
from anas_zoo.profiling.device import Watch, facts_of_device

HEAT, CLOCK = "class/thermal/thermal_zone0/temp", "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"
SLOWED = "devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"


def tell(system: Path, **texts: str) -> None:
    for name, text in texts.items():
        file = system / {"heat": HEAT, "clock": CLOCK, "slowed": SLOWED}[name]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(device, "SYSTEM", tmp_path)
    return tmp_path


def test_a_device_that_slows_down_is_told_of(system: Path) -> None:
    watch = Watch()
    tell(system, heat="48000\n", clock="1800000\n", slowed="3\n")
    watch.look()
    tell(system, heat="81500\n", clock="1200000\n", slowed="7\n")
    watch.look()
    slowed, clock, heat = watch.notes()
    assert slowed.startswith("the processor was slowed down for its heat 4 times")
    assert clock == "the clock moved between 1200 and 1800 MHz"
    assert heat == "48 °C at the beginning, 82 °C at most"


def test_a_device_that_stays_as_it_is_has_its_temperature_alone(system: Path) -> None:
    watch = Watch()
    for _ in range(3):
        tell(system, heat="50000", clock="1790000", slowed="3")
        watch.look()
    assert watch.notes() == ["50 °C at the beginning, 50 °C at most"]


def test_a_device_that_says_nothing(system: Path) -> None:
    tell(system, heat="not a number")
    watch = Watch()
    watch.look()
    assert watch.notes() == []


def test_a_board_is_called_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\nBogoMIPS : 108.00\n")
    (tmp_path / "model").write_text("Raspberry Pi 5 Model B Rev 1.0\0")
    monkeypatch.setattr(device, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(device, "BOARD", tmp_path / "model")
    assert facts_of_device(2, "onnxruntime 1")["cpu"] == "Raspberry Pi 5 Model B Rev 1.0"
    (tmp_path / "cpuinfo").write_text("model name\t: Some  CPU\n")
    assert facts_of_device(2, "onnxruntime 1")["cpu"] == "Some CPU"
    assert facts_of_device(2, "onnxruntime 1")["threads"] == 2
