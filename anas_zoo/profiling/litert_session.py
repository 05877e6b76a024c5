"""Opening a LiteRT file (.tflite) with the interpreter of the package ai-edge-litert, quietly."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import ExportError
from anas_zoo.core.extras import extra_needed
from anas_zoo.core.stderr import silent_stderr

Floats = npt.NDArray[np.float32]


class LitertSession:
    """A file that takes one float32 input and gives one output, run on the CPU by XNNPACK.

    Attributes:
        image_shape: of one image.
        title: name and version of the runtime.

    Args:
        path: the file. Its loader trusts the offsets in it: check it first where it is from elsewhere
            (:func:`anas_zoo.exporting.check_file`).
        threads: of the interpreter.

    Raises :class:`ExportError` in one line for a file that is missing or cannot be loaded, and
    :class:`anas_zoo.core.extras.MissingPackageError` without ai-edge-litert.
    """

    @extra_needed()
    def __init__(self, path: Path, *, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter

        if not path.is_file():
            raise ExportError(f"{path}: no such LiteRT file")
        try:
            with silent_stderr():
                self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
            (place,), (result,) = (
                self._interpreter.get_input_details(),
                self._interpreter.get_output_details(),
            )
        except (ValueError, RuntimeError) as exc:
            raise ExportError(f"{path}: LiteRT cannot load it ({' '.join(str(exc).split())[:300]})") from exc
        self._input, self._output = place["index"], result["index"]
        self.image_shape = tuple(int(size) for size in place["shape"][1:])
        self.title = f"LiteRT {litert_version()}"
        self._shape: tuple[int, ...] = ()  # that memory is allocated for

    def run(self, images: Floats) -> Floats:
        """Logits (N, classes) of N images."""
        if images.shape != self._shape:
            self._interpreter.resize_tensor_input(self._input, images.shape)
            with silent_stderr():
                self._interpreter.allocate_tensors()
            self._shape = images.shape
        self._interpreter.set_tensor(self._input, images)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)  # type: ignore[no-any-return]


@extra_needed()
def litert_version() -> str:
    """Of the package ai-edge-litert. Raises :class:`anas_zoo.core.extras.MissingPackageError` without it."""
    import ai_edge_litert  # noqa: F401 # the error of a missing module is the one that names the extra

    return metadata.version("ai-edge-litert")


@extra_needed()
def quantizer_version() -> str:
    """Of the package ai-edge-quantizer; raises likewise."""
    import ai_edge_quantizer  # noqa: F401

    return metadata.version("ai-edge-quantizer")
