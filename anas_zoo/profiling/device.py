"""What a device says of itself: its kind, and how hot and how fast it is. Nothing that names it.

It needs the standard library alone: a latency kit carries this file (pipeline/latency_kit.py).
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
BOARD = Path("/proc/device-tree/model")  # where processors of boards and phones have no name of their own
SYSTEM = Path("/sys")
FELL = 0.9  # of the clock at the beginning: below it is said


def facts_of_device(threads: int, runtime: str) -> dict[str, str | int]:
    """What a latency depends on beside the file, as :class:`anas_zoo.profiling.machine.Fingerprint` has it.

    Args:
        threads: of the runtime.
        runtime: its name and version.
    """
    # A container or a batch system often grants fewer cores than the machine has.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "cpu": _cpu_model(),
        "cores": cores,
        "system": platform.system(),
        "machine": platform.machine(),
        "runtime": runtime,
        "provider": "CPUExecutionProvider",
        "threads": threads,
    }


def _cpu_model() -> str:
    for line in _text(CPUINFO).splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return " ".join(value.split())
    board = _text(BOARD).strip("\0 \n")
    return board or platform.processor() or "unknown CPU"


@dataclass
class Watch:
    """How hot and how fast a device was while it was measured, as far as its system tells.

    Attributes:
        temperatures_c: the hottest part, at each :meth:`look`.
        clocks_mhz: the fastest core, likewise.
        throttled: how often cores have been slowed down since the device started, likewise.
    """

    temperatures_c: list[float] = field(default_factory=list)
    clocks_mhz: list[float] = field(default_factory=list)
    throttled: list[int] = field(default_factory=list)

    def look(self) -> None:
        """Look once more; what the system does not tell is left out."""
        heat = _numbers("class/thermal/thermal_zone*/temp")
        clocks = _numbers("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")
        slowed = _numbers("devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")
        if heat:
            self.temperatures_c.append(max(heat) / 1000)
        if clocks:
            self.clocks_mhz.append(max(clocks) / 1000)
        if slowed:
            self.throttled.append(sum(slowed))

    def notes(self) -> list[str]:
        """What may have slowed the device, in words; nothing of a device that says nothing."""
        found = []
        if self.throttled and self.throttled[-1] > self.throttled[0]:
            times = self.throttled[-1] - self.throttled[0]
            found.append(f"the processor was slowed down for its heat {times} times: cool it, and repeat")
        if len(self.clocks_mhz) > 1 and min(self.clocks_mhz[1:]) < FELL * max(self.clocks_mhz):
            low, high = min(self.clocks_mhz[1:]), max(self.clocks_mhz)
            found.append(f"the clock moved between {low:.0f} and {high:.0f} MHz")
        if self.temperatures_c:
            first, most = self.temperatures_c[0], max(self.temperatures_c)
            found.append(f"{first:.0f} °C at the beginning, {most:.0f} °C at most")
        return found


def _numbers(pattern: str) -> list[int]:
    found = []
    for path in sorted(SYSTEM.glob(pattern)):
        text = _text(path).strip()
        if text.lstrip("-").isdigit():
            found.append(int(text))
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
