"""What a network costs: multiply-adds by a trace, reconciled with the exact count, and measured latency.

Importing this package loads neither torch nor onnxruntime.
"""

from anas_zoo.profiling.flops import profile_flops
from anas_zoo.profiling.latency import measure_latency
from anas_zoo.profiling.onnx_macs import count_onnx_macs
from anas_zoo.profiling.session import open_session, runtime_version

__all__ = [
    "count_onnx_macs",
    "measure_latency",
    "open_session",
    "profile_flops",
    "runtime_version",
]
