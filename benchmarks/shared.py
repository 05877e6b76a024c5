"""What several benchmarks need: options, files, sessions, evaluators, and cells that run side by side."""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import onnxruntime

from anas_zoo.core.files import atomic_write
from anas_zoo.data import ImagesAt
from anas_zoo.pipeline import Run
from anas_zoo.profiling.device import CPUINFO
from anas_zoo.profiling.machine import describe_machine
from anas_zoo.searching import SubnetEvaluator

RESULTS = Path(__file__).parent / "results"
CONFIDENCE = 0.95
FLAGS = {"avx2": "AVX2", "avx512f": "AVX-512F", "avx512_vnni": "AVX-512 VNNI", "avx_vnni": "AVX-VNNI"}


def options(doc: str | None, *, out: Path | None = None) -> argparse.ArgumentParser:
    """A parser with the script's docstring as its help, and ``--out``, required where it has no default."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=doc, formatter_class=raw)
    parser.add_argument("--out", type=Path, default=out, required=out is None, help="folder of the results")
    return parser


def write(file: Path, lines: Iterable[str]) -> None:
    """Write and print the text of ``lines``."""
    text = "\n".join(lines)
    atomic_write(file, text + "\n")
    print(text)


def machine_in_words() -> str:
    """This machine, and those of its processor's instruction sets that latency depends on."""
    text = CPUINFO.read_text(encoding="utf-8", errors="replace") if CPUINFO.is_file() else ""
    (flags, *_) = [line.split() for line in text.splitlines() if line.startswith("flags")] or [[]]
    known = ", ".join(name for flag, name in FLAGS.items() if flag in flags) or "instruction sets unknown"
    return f"{describe_machine()} ({known})"


def session_of(model: bytes) -> Any:
    """A session of one thread on the content of an ONNX file."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])


def evaluator_of(run: Run, images: ImagesAt, calibration: ImagesAt | None = None) -> SubnetEvaluator:
    """Scores subnets of a run's supernet on ``images``, calibrated as its search does or on others."""
    calibration = calibration or run.calibration_images
    return SubnetEvaluator(
        run.supernet,
        calibration=calibration,
        calibration_images=len(calibration.labels),
        images=images,
        labels=images.labels,
        batch_size=run.recipe.search.calibration_batch_size,
    )


def spread_of(values: Sequence[float], digits: int) -> str:
    """The mean, and the standard deviation of more than one."""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{deviation}"


def interval_of(values: Sequence[float], digits: int) -> str:
    """The mean, and its 95 % interval by Student's t, with a mark where that has no zero in it."""
    from scipy.stats import t as student_t  # not of the base install

    mean, error = statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))
    reach = float(student_t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    text = f"{mean:+.{digits}f} ({mean - reach:+.{digits}f} to {mean + reach:+.{digits}f})"
    return f"{text} †" if abs(mean) > reach else text


def run_cells(script: str, cells: Mapping[str, Path], jobs: int) -> None:
    """Run ``script --cell NAME`` for every cell whose file is not there, ``jobs`` at a time."""

    def call(cell: str) -> None:
        if not cells[cell].exists():
            print("begins", cell, flush=True)
            subprocess.run([sys.executable, script, *sys.argv[1:], "--cell", cell], check=True)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(call, cells))
