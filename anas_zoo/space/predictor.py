"""An accuracy predictor of a space: an ONNX file from codes to top-1, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import ConfigError
from anas_zoo.core.outside import kind_of_file, refuse_external_data
from anas_zoo.space.architecture import Architecture
from anas_zoo.space.space import SearchSpace

SPACE_KEY = "space_id"  # in the file's metadata: the id of the space that it was fitted on


class AccuracyPredictor:
    """Predicted top-1 in percent of architectures of ``space``, without any weights.

    The ONNX file has one input, codes (N, genes) float32 (see :class:`SearchSpace`), and one output of N
    numbers. ``metadata`` is what it says about itself (see docs/predictors.md); empty for one that says
    nothing.

    Raises :class:`ConfigError` for a file that is missing, no ONNX, or made for another space.
    """

    def __init__(self, path: str | Path, space: SearchSpace) -> None:
        import onnxruntime

        self.path, self.space = Path(path), space
        if not self.path.is_file():
            raise ConfigError(
                f"no predictor at {self.path}; give an ONNX file that was fitted on {space.name}"
            )
        refuse_external_data(self.path, ConfigError)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                str(self.path), options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as exc:  # onnxruntime's own exceptions have no common base
            kind = kind_of_file(self.path)
            reason = f"it is {kind}" if kind else " ".join(str(exc).split())
            raise ConfigError(f"{self.path}: not an ONNX file that onnxruntime can run ({reason})") from exc
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self._input = inputs[0].name
        genes = inputs[0].shape[-1] if inputs[0].shape else None
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type != "tensor(float)":
            raise ConfigError(f"{self.path}: a predictor has one float32 input (N, genes) and one output")
        if isinstance(genes, int) and genes != space.genes.count:
            raise ConfigError(
                f"{self.path} was fitted on a space of {genes} genes, {space.name!r} has {space.genes.count}"
            )
        if self.metadata.get(SPACE_KEY, space.id) != space.id:
            raise ConfigError(
                f"{self.path} was fitted on the space {self.metadata[SPACE_KEY]}, "
                f"this is {space.name!r} ({space.id})"
            )

    def __call__(self, archs: Sequence[Architecture] | npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Predicted top-1 in percent of architectures or codes, (N,).

        Raises :class:`ConfigError` when the file answers with something else than N numbers.
        """
        codes = archs if isinstance(archs, np.ndarray) else self.space.encode(archs)
        found = np.asarray(self._session.run(None, {self._input: codes.astype(np.float32)})[0], np.float64)
        if found.size != len(codes) or not np.isfinite(found).all():
            raise ConfigError(f"{self.path}: gave {found.shape} values for {len(codes)} architectures")
        return found.reshape(-1)
