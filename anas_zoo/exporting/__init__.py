"""From a calibrated subnet to ONNX files, each proven to compute the same."""

from anas_zoo.exporting.checks import check_file
from anas_zoo.exporting.onnx_export import EXPORTER, FileReport, export_onnx
from anas_zoo.exporting.runtimes import newest_opset
from anas_zoo.exporting.target import (
    DEFAULT_TARGET,
    Quantization,
    Target,
    Tolerance,
    Tolerances,
    list_targets,
)
from anas_zoo.exporting.validate import ParityReport, validate_onnx

__all__ = [
    "DEFAULT_TARGET",
    "EXPORTER",
    "FileReport",
    "ParityReport",
    "Quantization",
    "Target",
    "Tolerance",
    "Tolerances",
    "check_file",
    "export_onnx",
    "list_targets",
    "newest_opset",
    "validate_onnx",
]
