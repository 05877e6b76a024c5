"""Other forms of the same arithmetic that a target may ask for, and what each is good for."""

from __future__ import annotations

__all__ = ["GEMM_GATE", "GEMM_HEAD", "REWRITES", "STRIDED_SHORTCUT"]

GEMM_HEAD = "gemm-head"
GEMM_GATE = "gemm-gate"
STRIDED_SHORTCUT = "strided-shortcut"

# Each is exact up to the order of summation; tests/exporting/test_graph.py proves it in double precision.
REWRITES = {
    GEMM_HEAD: "the 1×1 convolution after the global pooling is a matrix product of (batch, channels)",
    GEMM_GATE: "both 1×1 convolutions of a squeeze-and-excite are matrix products of (batch, channels)",
    STRIDED_SHORTCUT: "the average pool and the 1×1 convolution of a shortcut are one strided convolution",
}
