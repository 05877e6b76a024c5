"""What kind of machine a measurement was taken on, without anything that names the machine itself."""

from __future__ import annotations

import platform

from anas_zoo.core.schema import Schema, differences
from anas_zoo.entry.report import Processor
from anas_zoo.profiling.device import CPUINFO, facts_of_device
from anas_zoo.profiling.litert_session import litert_version
from anas_zoo.profiling.session import runtime_version

CPU, XNNPACK = "CPUExecutionProvider", "XNNPACK"  # what runs a file: onnxruntime's provider, or LiteRT's


class Fingerprint(Schema):
    """What a latency depends on beside the file: the machine's kind, the runtime and its threads.

    ``cores`` are those that the process may use; ``provider`` is onnxruntime's, or LiteRT's delegate.
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


def fingerprint(threads: int, provider: str = CPU) -> Fingerprint:
    """The fingerprint of this machine with ``threads`` threads of onnxruntime, or of LiteRT with XNNPACK.

    Raises :class:`anas_zoo.core.extras.MissingPackageError` for the latter where it is not installed.
    """
    runtime = f"LiteRT {litert_version()}" if provider == XNNPACK else runtime_version()
    return Fingerprint.model_validate(facts_of_device(threads, runtime) | {"provider": provider})


def lacking_of(processor: Processor) -> str | None:
    """Why files for such a ``processor`` are wrong on this one, in words; None when they are right."""
    if processor == "any" or has_integer_dot_product():
        return None
    return "its processor has neither VNNI nor dotprod"


def has_integer_dot_product() -> bool:
    """Whether products of 8-bit integers are summed here without saturating: x86's VNNI, ARM's dotprod."""
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    words = CPUINFO.read_text(encoding="utf-8", errors="replace").split() if CPUINFO.is_file() else []
    return not {"avx512_vnni", "avx_vnni", "asimddp"}.isdisjoint(words)


def describe_machine() -> str:
    """CPU model, cores this process may use, system and instruction set; no host or user name."""
    return fingerprint(threads=1).describe()
