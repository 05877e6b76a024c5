"""report.json: what was measured, each record made by the stage that measures it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from anas_zoo.core.geometry import InputForm
from anas_zoo.core.schema import Schema, Sparse
from anas_zoo.entry.accuracy import Accuracy, Percent
from anas_zoo.entry.config import Name, Sha256
from anas_zoo.space import LayerKind

Count = Annotated[int, Field(ge=0)]


class Published(Schema):
    """A figure that others published; it was not measured here."""

    top1_pct: Percent
    dataset: str
    source: str
    weights: str | None = None
    preprocessing: str | None = None


OnnxName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.onnx$")]
ExportedName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.(onnx|tflite)$")]

# What a processor has to have for a file to be right: nothing, or x86's VNNI or ARM's dotprod.
Processor = Literal["any", "integer-dot-product"]


class OnnxMacs(Schema):
    """What the graph of one file costs for one image.

    Attributes:
        macs: multiply-adds of the network, from its first convolution on.
        by_operator: the same by operator.
        by_kind: the same by kind of layer.
        weights: elements of the weights of all counted operators of the network.
        biases: elements of their biases, those made of folded batch norms included.
        preprocessing_macs: multiply-adds of image preprocessing inside the file, by operator.
        input_shape: what was counted: one image, for preprocessing inside the file of a certain size.
    """

    macs: Count
    by_operator: dict[str, Count]
    by_kind: dict[LayerKind, Count]
    weights: Count
    biases: Count
    preprocessing_macs: dict[str, Count] = Field(default_factory=dict)
    input_shape: tuple[int, ...]


class Cost(Sparse):
    """What the network costs, by every convention that is in use.

    Attributes:
        macs: multiply-adds of convolutions and linear layers, exact: what the paper calls FLOPs.
        params: live parameters.
        resolution: side of the square input in pixels.
        fvcore_total: fvcore's own total, which also counts batch norm and pooling.
        fvcore_by_operator: fvcore's counts by operator; ``conv`` and ``linear`` are ``macs``.
        macs_by_kind: ``macs`` by kind of layer.
        params_folded: parameters that are left when batch norm is folded.
        counted_by: ``plan``, exactly, of a subnet; or ``fvcore``, whose trace is all that is known of another
            network: convolutions, linear layers and products of matrices.
        params_authors: as the AttentiveNAS authors count, with shortcut convolutions that are never used.
        onnx: the count of each exported file on its own graph.
    """

    LEFT_OUT: ClassVar = ("counted_by", "macs_by_kind", "params_folded", "params_authors", "onnx")

    macs: Count
    params: Count
    resolution: int = Field(ge=1)
    counted_by: Literal["plan", "fvcore"] = "plan"
    fvcore_total: Count | None = None
    fvcore_by_operator: dict[str, Count] | None = None
    macs_by_kind: dict[LayerKind, Count] | None = None
    params_folded: Count | None = None
    params_authors: Count | None = None
    onnx: dict[OnnxName, OnnxMacs] | None = None


class Latency(Sparse):
    """Wall-clock time of one call of the runtime, arrays in and arrays out, over ``repeats`` calls.

    Attributes:
        p50_ms: median; the figure to quote.
        p95_ms: 95th percentile.
        mean_ms: mean.
        min_ms: fastest call.
        noise_pct: distance of the quartiles as a percentage of the median; differences between two files
            that are smaller than this mean nothing.
        repeats: measured calls.
        warmup: calls before them that were not measured.
        threads: threads of the runtime.
        batch_size: images per call.
        input_shape: shape of the input, batch first.
        runtime: name and version.
        provider: onnxruntime's execution provider.
        machine: CPU model, cores and system.
    """

    p50_ms: float
    p95_ms: float
    mean_ms: float
    min_ms: float
    noise_pct: float
    repeats: int
    warmup: int
    threads: int
    batch_size: int
    input_shape: tuple[int, ...]
    runtime: str
    provider: str
    machine: str


class Parity(Sparse):
    """How closely an exported file follows the torch network, on real images.

    Attributes:
        max_abs_logit_diff: largest difference of any logit of any image in any batch size, with
            onnxruntime's graph optimizations or without them.
        top1_agreement_pct: images for which both name the same class first; of the two ways the lesser.
        top1_pct: accuracy of the file; null without labels.
        torch_top1_pct: accuracy of the torch network on the same images; null without labels.
        images: number of images compared.
        batch_sizes: further sizes of batch that gave the same logits.
        target: name of the target whose tolerances were kept.
        runtime: name, version and provider of what ran the file.
        not_run_here: why that is not the runtime that the file is for; null when it is.
        optimization_gap_pct: how far the file with graph optimizations is from the file without them (root
            mean square, in percent of the deviation of torch's logits); null where a runtime has none, and
            in reports from before it was measured.
    """

    max_abs_logit_diff: float = Field(ge=0.0, allow_inf_nan=False)
    top1_agreement_pct: Percent
    top1_pct: Percent | None = None
    torch_top1_pct: Percent | None = None
    images: int = Field(ge=1)
    batch_sizes: tuple[int, ...]
    target: str | None = None
    runtime: str | None = None
    not_run_here: str | None = None
    optimization_gap_pct: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)


class QuantizationInfo(Schema):
    """How an int8 file was made.

    Attributes:
        images: calibration images.
        source: where they come from.
        sha256: of the preprocessed images, float32 in C order.
        method: how ranges were found on them.
        keep_float: parts that stayed in float.
        speedup: how many times faster it was than the float file, on one thread of the machine that made it.
        float_size_bytes: size of the float file; null in reports from before it was noted.
        machine: that measured the speed; null likewise.
    """

    images: int = Field(ge=1)
    source: str
    sha256: Sha256
    method: str
    keep_float: tuple[str, ...]
    speedup: float = Field(gt=0)
    float_size_bytes: int | None = Field(default=None, ge=1)
    machine: str | None = None

    def beside_float(self, size_bytes: int) -> str:
        """Size and speed of this file of ``size_bytes`` beside the float file, in words."""
        sizes = f"{size_bytes / 1e3:.0f} kB"
        if self.float_size_bytes is not None:
            sizes += f" against {self.float_size_bytes / 1e3:.0f} kB in float"
        slower = ", so slower" if self.speedup < 1.0 else ""
        where = self.machine or "the machine that made it"
        return f"{sizes}; {self.speedup:.2f} times as fast as float{slower}, on one thread of {where}"


class FileInfo(Sparse):
    """One exported file with its evidence.

    Attributes:
        target: name of the deployment target.
        size_bytes: size of the file.
        sha256: hash of the file.
        opset: version of its ONNX operator set.
        input: form of its input.
        processor: what it has to have for the file to be right.
        parity: how closely it follows torch; null until it is validated.
        quantization: how an int8 file was made.
        latency: one record for each measurement.
    """

    LEFT_OUT: ClassVar = ("processor",)

    target: str
    size_bytes: int = Field(ge=1)
    sha256: Sha256
    opset: int = Field(ge=1)
    input: InputForm = "float32-nchw"
    processor: Processor = "any"
    parity: Parity | None = None
    quantization: QuantizationInfo | None = None
    latency: tuple[Latency, ...] = ()


class EntryReport(Sparse):
    """report.json: what was measured. A section is null until it has been.

    ``accuracy`` is on a test split that nothing was decided on, in the mode of config.json;
    ``further_accuracy`` is whatever else was measured of the same weights. ``refused`` are files that were
    made and not kept, and why.
    """

    LEFT_OUT: ClassVar = ("further_accuracy", "refused")

    name: Name
    arch_id: str
    accuracy: Accuracy | None = None
    further_accuracy: tuple[Accuracy, ...] = ()
    published: Published | None = None
    also_published: tuple[Published, ...] = ()
    cost: Cost | None = None
    files: dict[ExportedName, FileInfo] = Field(default_factory=dict)
    refused: dict[ExportedName, str] = Field(default_factory=dict)
