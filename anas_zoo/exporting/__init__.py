"""From a calibrated subnet to ONNX files, each proven to compute the same."""

from anas_zoo.exporting.checks import check_file
from anas_zoo.exporting.onnx_export import EXPORTER, check_writable, export_onnx
from anas_zoo.exporting.target import (
    DEFAULT_TARGET,
    Quantization,
    Target,
    Tolerance,
    Tolerances,
    list_targets,
)
from anas_zoo.exporting.validate import validate_onnx

__all__ = [
    "DEFAULT_TARGET",
    "EXPORTER",
    "Quantization",
    "Target",
    "Tolerance",
    "Tolerances",
    "check_file",
    "check_writable",
    "export_onnx",
    "list_targets",
    "validate_onnx",
]
