"""Classify image files with an entry's exported file: onnxruntime, Pillow and numpy, no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import EntryError, NoWeightsError
from anas_zoo.core.files import sha256_file
from anas_zoo.core.images import opaque, read_image
from anas_zoo.core.text import quoted
from anas_zoo.entry.entry import Entry
from anas_zoo.zoo.images import preprocess
from anas_zoo.zoo.lacking import how_to_get_weights
from anas_zoo.zoo.runtime import run_session, start_session

__all__ = ["Classifier", "Prediction"]

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


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
        folder: a published entry or a draft with an exported file.
        file: which exported file; default is model.onnx, else the first of the report.
        threads: threads of onnxruntime.

    Raises :class:`NoWeightsError` for an entry without weights, :class:`EntryError` when the file is not
    there, not the one of the report, or cannot be loaded.
    """

    def __init__(self, folder: str | Path, *, file: str | None = None, threads: int = 1) -> None:
        folder = Path(folder)
        entry = Entry.read(folder, check_hashes=False)
        self.config = entry.config
        files = entry.report.files
        if not files:
            if entry.config.anas.weights is None:
                raise NoWeightsError(how_to_get_weights(entry.config))
            raise EntryError(
                f"{folder} has no exported file; run: anas export {quoted(folder)} --target ort-cpu-fp32"
            )
        chosen = file or ("model.onnx" if "model.onnx" in files else sorted(files)[0])
        if chosen not in files:
            raise EntryError(f"{folder} has no exported file {chosen!r}; it has {', '.join(sorted(files))}")
        path = folder / chosen
        self._session = start_session(path, threads=threads)
        if sha256_file(path) != files[chosen].sha256:
            raise EntryError(f"{path} is not the file that report.json measured (SHA-256 differs)")
        self.file = path
        self.raw = files[chosen].input == "uint8-nhwc"
        count = entry.config.num_classes
        self.label_names = entry.config.label_names or tuple(f"class {i}" for i in range(count))

    def preprocess(self, path: str | Path) -> Floats | Bytes:
        """What the file takes of an image file: (3, R, R) float32, or (height, width, 3) uint8 if ``raw``.

        Raises :class:`DataError` naming the image file.
        """
        image, preprocessing = read_image(path), self.config.anas.preprocessing
        if self.raw:
            return np.asarray(opaque(image, preprocessing.transparency))
        return preprocess(image, preprocessing)

    def run(self, inputs: Floats | Bytes) -> Floats:
        """Logits (N, classes) of N images as :meth:`preprocess` makes them; raises :class:`EntryError`."""
        return run_session(self._session, inputs, self.file.name)

    def logits(self, images: Sequence[str | Path]) -> Floats:
        """(N, classes) of image files, one after the other, so that memory does not grow with N."""
        rows = [self.run(self.preprocess(path)[None])[0] for path in images]
        return np.stack(rows) if rows else np.zeros((0, self.config.num_classes), np.float32)

    def predict(self, images: Iterable[str | Path], *, top_k: int = 5) -> list[list[Prediction]]:
        """The ``top_k`` most probable classes of each image file, best first.

        Raises :class:`DataError` that names the first file that is no readable image.
        """
        results = []
        for row in self.logits(list(images)).astype(np.float64):
            odds = np.exp(row - row.max())
            percents = 100.0 * odds / odds.sum()
            best = np.argsort(-percents, kind="stable")[: max(1, top_k)]
            results.append([Prediction(int(i), self.label_names[i], float(percents[i])) for i in best])
        return results
