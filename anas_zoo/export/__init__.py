"""From a calibrated subnet to one ONNX file that is proven to compute the same."""

from anas_zoo.export.checks import check_file
from anas_zoo.export.onnx_export import FileReport, export_onnx
from anas_zoo.export.target import Target, Tolerance, Tolerances, list_targets
from anas_zoo.export.validate import ParityReport, validate_onnx

__all__ = [
    "FileReport",
    "ParityReport",
    "Target",
    "Tolerance",
    "Tolerances",
    "check_file",
    "export_onnx",
    "list_targets",
    "validate_onnx",
]
