"""Verify a published entry or supernet: hashes, schemas, and golden logits or those of two subnets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import EntryError
from anas_zoo.entry import GOLDEN, WEIGHTS, Entry, Parity, SupernetFolder, kind_of_folder
from anas_zoo.entry.manifest import LITERT
from anas_zoo.profiling.machine import lacking_of
from anas_zoo.zoo.predict import exported_file, run_onnx
from anas_zoo.zoo.supernets import load_supernet, try_subnets

if TYPE_CHECKING:
    from torch import nn


Floats = npt.NDArray[np.float32]

# Another machine sums in another order; relative to the largest logit that is 1e-6 to 1e-5 in float32.
RELATIVE_TOLERANCE = 1e-4
# The recorded parity is the worst of many images; the golden ones are other images of the same kind.
PARITY_MARGIN = 2.0


@dataclass(frozen=True)
class Verification:
    """What :func:`verify` found right.

    Attributes:
        name: of the entry or the supernet.
        files: number of files whose hashes agree with the manifest.
        golden_images: number of golden images; 0 for an entry without weights and for a supernet.
        torch_max_abs_diff: largest difference of torch's logits from the golden ones.
        onnx_max_abs_diff: the same of each exported file in onnxruntime.
        subnet_max_abs_logit: of a supernet, the largest absolute logit of the smallest and the largest subnet
            on random images, all of which are finite.
    """

    name: str
    files: int
    golden_images: int
    torch_max_abs_diff: float | None
    onnx_max_abs_diff: dict[str, float]
    subnet_max_abs_logit: dict[str, float] = field(default_factory=dict)

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


def _tolerance(golden: Floats, parity: Parity | None = None) -> float:
    allowed = RELATIVE_TOLERANCE * max(1.0, float(np.abs(golden).max()))
    return allowed + (0.0 if parity is None else PARITY_MARGIN * parity.max_abs_logit_diff)


def check_torch(entry: Entry, network: nn.Module) -> float:
    """Largest difference of the entry's network from its golden logits.

    Raises :class:`EntryError` when that is too far.
    """
    import torch

    golden = entry.golden
    with torch.no_grad():
        logits = network(torch.from_numpy(golden.images)).numpy()
    return _difference(logits, golden.logits, _tolerance(golden.logits), f"{WEIGHTS} in torch")


def network_at_hand(entry: Entry) -> nn.Module | None:
    """The network with its weights; None for one of code that is not here, whose weights are checked alone.

    Raises as :func:`anas_zoo.zoo.load_network` does.
    """
    from anas_zoo.zoo.draft import check_weights, load_network

    if entry.config.is_own:
        check_weights(entry)
        return None
    return load_network(entry)


def check_onnx_files(entry: Entry, network: nn.Module | None) -> dict[str, float]:
    """Largest difference from the golden logits of every exported ONNX file in the report.

    Of files for LiteRT the hash is checked alone: its loader trusts a file's offsets, and these may be from
    anywhere. They were run when they were exported and validated. So were files for other processors than
    this machine's, which would be wrong here.

    Each is run with onnxruntime's graph optimizations and without them, and both have to agree. A file that
    takes raw images gets ones like the golden images, and ``network`` says what is right for them, or where
    it is not at hand the file that takes preprocessed ones.

    Raises :class:`EntryError` that names the file that is absent, altered or too far off.
    """
    import torch

    from anas_zoo.exporting.image_input import raw_and_reference
    from anas_zoo.exporting.validate import UNOPTIMIZED, optimization_gap

    differences = {}
    for name, info in entry.report.files.items():
        path = exported_file(entry, name)
        if path.suffix == LITERT or lacking_of(info.processor):
            continue
        inputs: npt.NDArray[Any] = entry.golden.images
        expected = entry.golden.logits
        allowed = _tolerance(expected, info.parity)
        if info.input == "uint8-nhwc":
            inputs, reference = raw_and_reference(torch.from_numpy(inputs), entry.config.anas.preprocessing)
            if network is None:
                expected = run_onnx(exported_file(entry), reference.numpy())
            else:
                with torch.no_grad():
                    expected = network(reference).numpy()
        ways = [run_onnx(path, inputs, optimize=optimize) for optimize in (True, False)]
        whats = [f"{name} in onnxruntime", f"{name} in onnxruntime {UNOPTIMIZED}"]
        differences[name] = max(
            _difference(got, expected, allowed, what) for got, what in zip(ways, whats, strict=True)
        )
        if problem := optimization_gap(ways[0], ways[1], expected).problem:
            raise EntryError(f"{name}: {problem}")
    return differences


def verify(folder: str | Path) -> Verification:
    """Check a published entry: every file's hash, the schemas, the golden logits in torch and onnxruntime.

    Of a supernet: every hash, that every tensor fits its space and is finite, and that its smallest and its
    largest subnet give finite logits.

    Raises :class:`EntryError` (or :class:`CheckpointError`) that names the file that is
    not what was published.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise EntryError(f"{folder}: no such folder; give a published entry or supernet")
    if kind_of_folder(folder) is SupernetFolder:
        return _verify_supernet(SupernetFolder(folder))
    entry = Entry(folder)
    files = len(entry.check_hashes().files)
    if entry.report.name != entry.name or entry.report.arch_id != entry.config.anas.arch_id:
        raise EntryError(f"{folder}: report.json is about another model than config.json")
    if entry.config.anas.weights is None:
        stray = [name for name in (WEIGHTS, GOLDEN) if name in entry.files]
        if stray:
            raise EntryError(f"{folder}: config.json states no weights, but {', '.join(stray)} is there")
        return Verification(entry.name, files, 0, None, {})
    network = network_at_hand(entry)
    largest = None if network is None else check_torch(entry, network)
    differences = check_onnx_files(entry, network)
    return Verification(entry.name, files, len(entry.golden.images), largest, differences)


def _verify_supernet(found: SupernetFolder) -> Verification:
    files = len(found.check_hashes().files)
    logits = try_subnets(load_supernet(found), found.folder)
    return Verification(found.name, files, 0, None, {}, logits)
