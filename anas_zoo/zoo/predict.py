"""Classify image files with an entry's exported file: onnxruntime, Pillow and numpy, no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from anas_zoo.core.errors import EntryError, ExportError
from anas_zoo.core.geometry import cubic_matrix
from anas_zoo.core.hints import Call, Option
from anas_zoo.core.images import opaque, read_image, resized_and_cropped
from anas_zoo.entry import Entry, Preprocessing
from anas_zoo.entry.licence import no_weights
from anas_zoo.entry.manifest import ONNX, is_own_file
from anas_zoo.profiling import open_session
from anas_zoo.profiling.machine import lacking_of
from anas_zoo.zoo.shelf import locate

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


def preprocess(image: Image.Image, preprocessing: Preprocessing, resolution: int) -> Floats:
    """(3, R, R) float32 of an image as it was read, as timm's transform does it, but with numpy alone."""
    short_side, side = preprocessing.sides(resolution)
    rgb = opaque(image, preprocessing.transparency)
    cropped = resized_and_cropped(rgb, short_side, side, preprocessing.interpolation)
    pixels = np.asarray(cropped, dtype=np.float32).transpose(2, 0, 1) / np.float32(255)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (preprocessing.mean, preprocessing.std))
    normalised = np.ascontiguousarray((pixels - mean) / std, dtype=np.float32)
    if side == resolution:
        return normalised
    weights = cubic_matrix(side, resolution)  # as torch's bicubic interpolate without antialiasing
    resized = np.einsum("ij,cjk,lk->cil", weights, normalised, weights, optimize=True)
    return np.asarray(resized, dtype=np.float32)


def _open(path: Path, threads: int = 1, optimize: bool = True) -> Any:
    try:
        return open_session(path, threads=threads, optimize=optimize)
    except ExportError as exc:
        raise EntryError(*exc.parts) from exc


def _run(session: Any, images: Floats | Bytes, what: str) -> Floats:
    try:
        logits: Floats = session.run(["logits"], {"image": images})[0]
    except Exception as exc:  # onnxruntime's exceptions have no base class of their own
        raise EntryError(f"{what}: onnxruntime cannot run it ({' '.join(str(exc).split())})") from exc
    return logits


def run_onnx(path: Path, images: Floats | Bytes, *, optimize: bool = True) -> Floats:
    """Logits (N, classes) of N images as the file takes them; raises :class:`EntryError`."""
    return _run(_open(path, optimize=optimize), images, path.name)


def exported_file(entry: Entry, name: str | None = None) -> Path:
    """An exported file of ``entry``, as it was measured; default is model.onnx, else the first ONNX file.

    Raises :class:`NoWeightsError` for an entry without weights, :class:`EntryError` when the file is not
    there or not the one of the report.
    """
    folder, files = entry.folder, entry.report.files
    if not files:
        if entry.config.anas.weights is None:
            raise no_weights(entry.config)
        raise EntryError(
            f"{folder} has no exported file; run: ", Call("export", folder, target="ort-cpu-fp32")
        )
    chosen = name or default_file(files)
    if chosen not in files:
        raise EntryError(f"{folder} has no exported file {chosen!r}; it has {', '.join(sorted(files))}")
    path = folder / chosen
    if not is_own_file(path):
        raise EntryError(f"{path}: no such file, but the report has its evidence")
    if entry.sha256(chosen) != files[chosen].sha256:
        raise EntryError(f"{path} is not the file that report.json measured (SHA-256 differs)")
    return path


def default_file(files: Iterable[str]) -> str:
    """Of exported files, by name: the one that onnxruntime runs everywhere, else another of its kind."""
    return min(files, key=lambda name: (name != "model.onnx", not name.endswith(ONNX), name), default="")


@dataclass(frozen=True)
class Prediction:
    """One class for one image: its index, its label and its probability in percent."""

    index: int
    label: str
    probability_pct: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for machines."""
        return asdict(self)


class Classifier:
    """An entry that classifies image files.

    Attributes:
        config: the entry's.
        file: the exported file.
        raw: whether that file takes images as they are and prepares them itself.
        label_names: of the classes.

    Args:
        entry: a model of the shelf, the folder of an entry or a draft with an exported file, or
            ``hf://org/name``.
        file: which exported file; default is model.onnx, else the first of the report.
        threads: threads of onnxruntime.

    Raises :class:`NoWeightsError` for an entry without weights, :class:`EntryError` when the file is not
    there, not the one of the report, or cannot be loaded.
    """

    def __init__(self, entry: Entry | str | Path, *, file: str | None = None, threads: int = 1) -> None:
        entry = entry if isinstance(entry, Entry) else Entry.read(locate(entry), check_hashes=False)
        self.config, self.file = entry.config, exported_file(entry, file)
        if self.file.suffix != ONNX:
            raise EntryError(f"{self.file.name} is for LiteRT; here onnxruntime runs {ONNX} files")
        info = entry.report.files[self.file.name]
        if (reason := lacking_of(info.processor)) is not None:
            raise EntryError(
                f"{self.file.name} would be wrong on this machine: {reason}; take another with ",
                Option("file"),
            )
        self._session = _open(self.file, threads)
        self.raw = info.input == "uint8-nhwc"
        count = self.config.num_classes
        self.label_names = self.config.label_names or tuple(f"class {i}" for i in range(count))

    def preprocess(self, path: str | Path) -> Floats | Bytes:
        """What the file takes of an image file: (3, R, R) float32, or (height, width, 3) uint8 if ``raw``.

        Raises :class:`DataError` naming the image file.
        """
        image, preprocessing = read_image(path), self.config.anas.preprocessing
        if self.raw:
            return np.asarray(opaque(image, preprocessing.transparency))
        return preprocess(image, preprocessing, self.config.resolution)

    def run(self, inputs: Floats | Bytes) -> Floats:
        """Logits (N, classes) of N images as :meth:`preprocess` makes them; raises :class:`EntryError`."""
        return _run(self._session, inputs, self.file.name)

    def logits(self, images: Sequence[str | Path]) -> Floats:
        """(N, classes) of image files, one after the other, so that memory does not grow with N."""
        rows = [self.run(self.preprocess(path)[None])[0] for path in images]
        return np.stack(rows) if rows else np.zeros((0, self.config.num_classes), np.float32)

    def predict(self, images: Iterable[str | Path], *, top_k: int = 5) -> list[list[Prediction]]:
        """The ``top_k`` most probable classes of each image file, best first.

        Raises :class:`DataError` that names the first file that is not a readable image.
        """
        results = []
        for row in self.logits(list(images)).astype(np.float64):
            odds = np.exp(row - row.max())
            percents = 100.0 * odds / odds.sum()
            best = np.argsort(-percents, kind="stable")[: max(1, top_k)]
            results.append([Prediction(int(i), self.label_names[i], float(percents[i])) for i in best])
        return results
