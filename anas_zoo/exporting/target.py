"""Deployment targets: what an exported file has to be, and how far it may deviate (``export/targets``)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from anas_zoo.core.errors import ConfigError, nearest
from anas_zoo.core.geometry import InputForm
from anas_zoo.core.hints import Option
from anas_zoo.core.resources import resource_folder
from anas_zoo.core.schema import Schema, parse, read_yaml
from anas_zoo.entry.manifest import LITERT, ONNX
from anas_zoo.entry.report import Processor

DEFAULT_TARGET = "ort-cpu-fp32"
NAME = r"^[a-z0-9][a-z0-9-]*$"
OLDEST_OPSET = 17

# What quantization can leave in float: a kind of layer wherever it is, or all of a stage ("stages.0").
KINDS = ("stem", "expand", "depthwise", "dense", "se", "project", "shortcut", "head", "mix", "classifier")
Part = Annotated[str, Field(pattern=rf"^({'|'.join(KINDS)}|stages\.\d+)$")]


class Tolerance(Schema):
    """A limit and the reason for it."""

    value: float = Field(ge=0, allow_inf_nan=False)
    reason: str = Field(min_length=20)


class Tolerances(Schema):
    """How far the exported file may lie from the torch network.

    Attributes:
        max_abs_logit_diff: largest difference of any logit of any image.
        min_top1_agreement_pct: images for which both name the same class first, in percent.
        max_top1_drop_pct: points of top-1 that the file may lose, where labels are known; None for no limit
            of its own.
    """

    max_abs_logit_diff: Tolerance
    min_top1_agreement_pct: Tolerance
    max_top1_drop_pct: Tolerance | None = None


class Quantization(Schema):
    """Static quantization to 8-bit integers, in onnxruntime's QDQ form.

    Attributes:
        method: how ranges are found on the calibration images.
        min_images: calibration images that are needed at least.
        images: calibration images that are taken where there are as many.
        per_channel: one scale for each output channel of a weight.
        reduce_range: weights of 7 bits, without which processors that lack VNNI saturate.
        keep_float: parts that stay in float in any case.
        keep_sensitive: how many further parts, one number after the other: the first with which the file
            keeps its accuracy is taken, none if it does without. Those that cost most are taken first, as
            measured (:func:`anas_zoo.exporting.sensitivity.sensitive_parts`).
        keep_parts: what was taken so; no target names it.
        min_speedup: how many times faster than the float file it has to be where a speed-up is required
            (``anas export --require-speedup``); None asks that it is not slower.
    """

    method: Literal["minmax", "entropy", "percentile"]
    min_images: int = Field(ge=1)
    images: int = Field(ge=1)
    per_channel: bool
    reduce_range: bool
    keep_float: tuple[Part, ...]
    keep_sensitive: tuple[Annotated[int, Field(ge=1)], ...] = ()
    keep_parts: tuple[str, ...] = ()
    min_speedup: Tolerance | None = None

    @property
    def in_float(self) -> tuple[str, ...]:
        """All parts that stay in float."""
        return (*self.keep_float, *self.keep_parts)

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.images < self.min_images:
            raise ValueError(f"images ({self.images}) is under min_images ({self.min_images})")
        return self


class Target(Schema):
    """One kind of exported file, and the runtime it is for.

    Attributes:
        name: of the target and of its file.
        title: what it is for, in a few words.
        precision: fp32, fp16 (weights and arithmetic; input and output stay float32), or int8.
        opset: version of the ONNX operator set; the runtime here has to know it.
        input: ``float32-nchw``, preprocessed images (batch, 3, R, R); or ``uint8-nhwc``, images of any size
            (batch, height, width, 3), which the file resizes, crops and normalises itself.
        batch: "dynamic", or a fixed number of images.
        runtime: what runs the file where it is deployed.
        provider: onnxruntime's execution provider, for runtimes that are onnxruntime.
        processor: what it has to have for the file to be right.
        stand_in_provider: provider that the file is run on for validation where its own runtime is not at
            hand; the report then says that it was not run on its own.
        quantization: for int8.
        tolerances: the limits of validation.
    """

    name: str = Field(pattern=NAME)
    title: str = Field(min_length=1)
    precision: Literal["fp32", "fp16", "int8"]
    opset: int = Field(ge=OLDEST_OPSET)
    input: InputForm
    batch: Literal["dynamic"] | int
    runtime: Literal["onnxruntime", "onnxruntime-web", "openvino", "tensorrt", "litert"]
    provider: str
    processor: Processor = "any"
    stand_in_provider: str | None = None
    quantization: Quantization | None = None
    tolerances: Tolerances

    @field_validator("batch")
    @classmethod
    def _some_images(cls, value: str | int) -> str | int:
        if isinstance(value, int) and value < 1:
            raise ValueError(f"must be 'dynamic' or at least 1, got {value}")
        return value

    @model_validator(mode="after")
    def _quantized_when_int8(self) -> Self:
        if (self.precision == "int8") != (self.quantization is not None):
            raise ValueError("precision int8 and the section quantization need each other")
        return self

    @model_validator(mode="after")
    def _held_by_litert(self) -> Self:
        if self.runtime == "litert" and (self.precision == "fp16" or self.input != "float32-nchw"):
            raise ValueError("files for litert are fp32 or int8, with the input float32-nchw")
        return self

    @property
    def suffix(self) -> str:
        """How a file's name ends."""
        return LITERT if self.runtime == "litert" else ONNX

    @classmethod
    def load(cls, source: str | Path) -> Target:
        """The target of a name (see :func:`list_targets`) or of a ``.yaml`` file.

        Raises :class:`ConfigError` that says what is wrong in the file or which targets there are.
        """
        path = Path(source)
        if path.suffix not in (".yaml", ".yml"):
            known = list_targets()
            if str(source) not in known:
                raise ConfigError(
                    f"no target named {str(source)!r}{nearest(str(source), known)}; "
                    f"targets: {', '.join(known)}; or give a .yaml file"
                )
            path = _folder() / f"{source}.yaml"
        target = parse(cls, read_yaml(path), str(path))
        if target.name != path.stem:
            raise ConfigError(f"{path}: the target is named {target.name!r}, its file must be too")
        return target

    def as_made(self, *, opset: int, form: InputForm) -> Target:
        """This target as it was when a file was made: it may have moved on to another opset since."""
        return self.model_copy(update={"opset": opset, "input": form})

    def with_input(self, form: InputForm | None) -> Target:
        """This target with another form of input; None leaves it as it is.

        Raises :class:`ConfigError` where its runtime cannot have that.
        """
        if self.runtime == "litert" and form not in (None, self.input):
            raise ConfigError(f"files for {self.name} take preprocessed images; leave out ", Option("input"))
        return self if form is None else self.model_copy(update={"input": form})


def list_targets() -> list[str]:
    """Names of the targets that come with the package."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def _folder() -> Path:
    return resource_folder("export") / "targets"
