"""What kind of machine a measurement was taken on, without anything that names the machine itself."""

from __future__ import annotations

import os
import platform
from pathlib import Path

__all__ = ["describe_machine"]

CPUINFO = Path("/proc/cpuinfo")


def _cpu_model() -> str:
    if CPUINFO.is_file():
        for line in CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return " ".join(value.split())
    return platform.processor() or "unknown CPU"


def describe_machine() -> str:
    """CPU model, cores this process may use, system and instruction set; no host or user name."""
    # A container or a batch system often grants fewer cores than the machine has.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    noun = "core" if cores == 1 else "cores"
    return f"{_cpu_model()}, {cores} {noun}, {platform.system()} {platform.machine()}"
