"""What kind of machine a measurement was taken on, without anything that names the machine itself."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from anas_zoo.core.schema import Schema, differences
from anas_zoo.profiling.session import runtime_version

CPUINFO = Path("/proc/cpuinfo")


class Fingerprint(Schema):
    """What a latency depends on beside the file: the machine's kind, the runtime and its threads.

    ``cores`` are those that the process may use; ``provider`` is onnxruntime's.
    """

    cpu: str
    cores: int
    system: str
    machine: str
    runtime: str
    provider: str
    threads: int

    def describe(self) -> str:
        """The machine's part of it in one line."""
        noun = "core" if self.cores == 1 else "cores"
        return f"{self.cpu}, {self.cores} {noun}, {self.system} {self.machine}"

    def differences(self, here: Fingerprint) -> list[str]:
        """Each part in which ``here`` is another, as "cores: 8 there, 2 here"."""
        return differences(self.model_dump(), here.model_dump())


def _cpu_model() -> str:
    if CPUINFO.is_file():
        for line in CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return " ".join(value.split())
    return platform.processor() or "unknown CPU"


def fingerprint(threads: int) -> Fingerprint:
    """The fingerprint of this machine and runtime with ``threads`` threads."""
    # A container or a batch system often grants fewer cores than the machine has.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Fingerprint(
        cpu=_cpu_model(),
        cores=cores,
        system=platform.system(),
        machine=platform.machine(),
        runtime=runtime_version(),
        provider="CPUExecutionProvider",
        threads=threads,
    )


def describe_machine() -> str:
    """CPU model, cores this process may use, system and instruction set; no host or user name."""
    return fingerprint(threads=1).describe()
