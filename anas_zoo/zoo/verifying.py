"""Does an entry still do what it did when it was published? Hashes, schemas and golden logits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import EntryError
from anas_zoo.core.files import sha256_file
from anas_zoo.entry.entry import GOLDEN, WEIGHTS, Entry
from anas_zoo.entry.manifest import check_manifest
from anas_zoo.zoo.runtime import run_onnx

if TYPE_CHECKING:
    from anas_zoo.entry.report import ParityInfo

__all__ = ["Verification", "check_golden_torch", "check_onnx_files", "verify"]

Floats = npt.NDArray[np.float32]

# Another machine sums in another order; relative to the largest logit that is 1e-6 to 1e-5 in float32.
RELATIVE_TOLERANCE = 1e-4
# The recorded parity is the worst of many images; the golden ones are other images of the same kind.
PARITY_MARGIN = 2.0


@dataclass(frozen=True)
class Verification:
    """What :func:`verify` found right.

    Attributes:
        name: the entry's name.
        files: number of files whose hashes agree with the manifest.
        golden_images: number of golden images; 0 for an entry without weights.
        torch_max_abs_diff: largest difference of torch's logits from the golden ones.
        onnx_max_abs_diff: the same of each exported file in onnxruntime.
    """

    name: str
    files: int
    golden_images: int
    torch_max_abs_diff: float | None
    onnx_max_abs_diff: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for machines."""
        return asdict(self)


def _difference(got: Floats, golden: Floats, allowed: float, what: str) -> float:
    if got.shape != golden.shape:
        raise EntryError(f"{what} gives logits of shape {got.shape} where {golden.shape} are golden")
    largest = float(np.abs(got.astype(np.float64) - golden).max())
    if not largest <= allowed:  # also when it is not a number
        raise EntryError(
            f"{what} does not give the golden logits: largest difference {largest:.3g}, allowed {allowed:.3g}"
        )
    return largest


def _tolerance(golden: Floats, parity: ParityInfo | None = None) -> float:
    allowed = RELATIVE_TOLERANCE * max(1.0, float(np.abs(golden).max()))
    return allowed + (0.0 if parity is None else PARITY_MARGIN * parity.max_abs_logit_diff)


def check_golden_torch(folder: Path, entry: Entry) -> tuple[Floats, Floats, float]:
    """Golden images and logits, and how far torch is from them today.

    Raises :class:`EntryError` when that is too far, :class:`CheckpointError` when the
    weights do not load.
    """
    import torch

    from anas_zoo.zoo.draft import load_subnet, read_golden

    subnet = load_subnet(folder)
    images, golden = read_golden(folder, entry.config)
    with torch.no_grad():
        logits = subnet(images)
    expected = golden.numpy()
    largest = _difference(logits.numpy(), expected, _tolerance(expected), f"{WEIGHTS} in torch")
    return images.numpy(), expected, largest


def check_onnx_files(folder: Path, entry: Entry, images: Floats, golden: Floats) -> dict[str, float]:
    """Largest difference from the golden logits of every exported file in the report.

    Each is run with onnxruntime's graph optimizations and without them, and both have to agree.

    Raises :class:`EntryError` that names the file that is absent, altered or too far off.
    """
    from anas_zoo.exporting.optimizations import UNOPTIMIZED, optimization_gap

    differences = {}
    for name, info in entry.report.files.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise EntryError(f"{path}: no such file, but the report has its evidence")
        if info.sha256 != sha256_file(path):
            raise EntryError(f"{path}: SHA-256 is not the one in report.json; validate the file again")
        allowed = _tolerance(golden, info.parity)
        if info.input == "uint8-nhwc":
            inputs, expected = _raw(folder, entry, images)
        else:
            inputs, expected = images, golden
        ways = [run_onnx(path, inputs, optimize=optimize) for optimize in (True, False)]
        whats = [f"{name} in onnxruntime", f"{name} in onnxruntime {UNOPTIMIZED}"]
        differences[name] = max(
            _difference(got, expected, allowed, what) for got, what in zip(ways, whats, strict=True)
        )
        if problem := optimization_gap(ways[0], ways[1], expected).problem:
            raise EntryError(f"{name}: {problem}")
    return differences


def _raw(folder: Path, entry: Entry, images: Floats) -> tuple[npt.NDArray[Any], Floats]:
    """Raw images like the golden ones, and what torch says to them after the entry's preprocessing."""
    import torch

    from anas_zoo.exporting.raw_images import raw_and_reference
    from anas_zoo.zoo.draft import load_subnet

    preprocessing = entry.config.anas.preprocessing.to_preprocessing()
    pixels, reference = raw_and_reference(torch.from_numpy(images), preprocessing)
    with torch.no_grad():
        logits: Floats = load_subnet(folder)(reference).numpy()
    return pixels, logits


def verify(folder: str | Path) -> Verification:
    """Check a published entry: every file's hash, the schemas, the golden logits in torch and onnxruntime.

    Raises :class:`EntryError` (or :class:`CheckpointError`) that names the file that is
    not what was published.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise EntryError(f"{folder}: no such folder; give a published entry")
    manifest = check_manifest(folder)
    entry = Entry.read(folder, check_hashes=False)
    if entry.report.name != entry.name or entry.report.arch_id != entry.config.anas.arch_id:
        raise EntryError(f"{folder}: report.json is about another model than config.json")
    if entry.config.anas.weights is None:
        stray = [name for name in (WEIGHTS, GOLDEN) if name in entry.files]
        if stray:
            raise EntryError(f"{folder}: config.json states no weights, but {', '.join(stray)} is there")
        return Verification(entry.name, len(manifest.files), 0, None, {})
    images, golden, largest = check_golden_torch(folder, entry)
    differences = check_onnx_files(folder, entry, images, golden)
    return Verification(entry.name, len(manifest.files), len(images), largest, differences)
