"""An ONNX graph of ours as a LiteRT file (.tflite), operator by operator.

These networks are a closed family of a dozen operators (graph.py), so nothing is traced. Inside, LiteRT wants
channels last: the file transposes the image once, which keeps input and output those of the ONNX file. The
schema is the one that the package ai-edge-litert carries.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from anas_zoo.core.errors import ExportError
from anas_zoo.core.extras import extra_needed
from anas_zoo.exporting.graph import INPUT, ONE_SIXTH, OUTPUT, RELU6

IDENTIFIER = b"TFL3"  # of the file format
VERSION = 3
METADATA = "anas-zoo"
SIGNATURE = "serving_default"
NCHW_TO_NHWC = (0, 2, 3, 1)
FREE = -1  # the batch, in a signature
# Taps of XNNPACK's largest depthwise kernel; a network of larger ones takes three times as long and more
# (benchmarks/litert_forms.py).
QUICK_TAPS = 25

Values = npt.NDArray[Any]
Shape = tuple[int, ...]


@extra_needed()
def to_litert(model: Any, metadata: Mapping[str, str], *, for_int8: bool = False) -> bytes:
    """The content of a .tflite file that computes what ``model`` computes, in float32.

    Input "image" (batch, C, R, R) and output "logits" (batch, classes) are as in ``model``; the batch is 1
    until a runtime resizes it. The same graph gives the same bytes.

    Args:
        model: an ``onnx.ModelProto`` of :func:`anas_zoo.exporting.graph.write_graph`.
        metadata: written into the file as JSON, under the name "anas-zoo".
        for_int8: write hard-swish as operators that XNNPACK has in int8, for a file to be quantized.

    Raises :class:`ExportError` for an operator that has no form here, and
    :class:`anas_zoo.core.extras.MissingPackageError` without ai-edge-litert.
    """
    return _Writer(model, for_int8).content(metadata)


def packed(model: Any) -> bytes:
    """The file of a ``ModelT`` of the schema."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


@extra_needed()
def with_metadata(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """A file of :func:`to_litert` that says ``metadata`` as well, and is otherwise the same."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (place,) = (one.buffer for one in model.metadata if one.name == METADATA.encode())
    said = json.loads(bytes(model.buffers[place].data)) | dict(metadata)
    model.buffers[place].data = _as_buffer(said)
    return packed(model)


def _as_buffer(metadata: Mapping[str, str]) -> npt.NDArray[np.uint8]:
    text = json.dumps(dict(metadata), ensure_ascii=False, sort_keys=True)
    return np.frombuffer(text.encode(), np.uint8)


class _Writer:
    """Collects tensors and operators of the one subgraph."""

    def __init__(self, model: Any, for_int8: bool) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema: Any = schema
        self._for_int8 = for_int8
        self._graph = model.graph
        self._constants = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
        self._shapes = _shapes(model)
        self._readers: dict[str, list[Any]] = {}
        for node in self._graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._buffers: list[Any] = [schema.BufferT()]  # the first one is empty, as the format wants it
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: dict[int, int] = {}
        self._numbers: dict[str, int] = {}  # of the tensors that hold values

    def content(self, metadata: Mapping[str, str]) -> bytes:
        """The whole file."""
        schema = self._schema
        (image,) = self._graph.input
        channels, *sides = (dim.dim_value for dim in image.type.tensor_type.shape.dim[1:])
        first = self._tensor(INPUT, (1, channels, *sides))
        self._numbers[INPUT] = self._tensor("image.nhwc", (1, *sides, channels))
        order = self._constant("image.order", np.array(NCHW_TO_NHWC, np.int32))
        self._add("TRANSPOSE", [first, order], [self._numbers[INPUT]], schema.TransposeOptionsT())
        fused: set[str] = set()
        for node in self._graph.node:
            if node.output[0] not in fused:
                self._node(node, fused)
        self._buffers.append(schema.BufferT(data=_as_buffer(metadata)))
        last = self._numbers[OUTPUT]
        names = [schema.TensorMapT(name=INPUT, tensorIndex=first)]
        results = [schema.TensorMapT(name=OUTPUT, tensorIndex=last)]
        root = schema.ModelT(
            version=VERSION,
            operatorCodes=[self._operator_code(code) for code in self._codes],
            subgraphs=[
                schema.SubGraphT(
                    tensors=self._tensors,
                    inputs=[first],
                    outputs=[last],
                    operators=self._operators,
                    name="main",
                )
            ],
            description=f"anas-zoo: {self._graph.name}",
            buffers=self._buffers,
            metadata=[schema.MetadataT(name=METADATA, buffer=len(self._buffers) - 1)],
            signatureDefs=[schema.SignatureDefT(inputs=names, outputs=results, signatureKey=SIGNATURE)],
        )
        return packed(root)

    def _node(self, node: Any, fused: set[str]) -> None:
        kind, name = node.op_type, node.output[0]
        given = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        if kind == "Conv":
            self._convolution(node, given, fused)
        elif kind == "Gemm":
            self._classifier(node, given)
        elif kind in ("Add", "Mul"):
            activation, output = self._activation(name, fused)
            options = self._schema.AddOptionsT() if kind == "Add" else self._schema.MulOptionsT()
            options.fusedActivationFunction = activation
            self._add(kind.upper(), [self._number(one) for one in node.input], [self._value(output)], options)
        elif kind == "HardSwish" and self._for_int8:
            gate = self._hard_sigmoid(node.input[0], name, self._tensor_like(f"{name}.gate", name))
            inputs = [self._number(node.input[0]), gate]
            self._add("MUL", inputs, [self._value(name)], self._schema.MulOptionsT())
        elif kind in ("Relu", "Sigmoid", "HardSwish"):
            operator = {"Relu": "RELU", "Sigmoid": "LOGISTIC", "HardSwish": "HARD_SWISH"}[kind]
            self._add(operator, [self._number(node.input[0])], [self._value(name)])
        elif kind == "Clip" and self._is_relu6(node):
            self._add("RELU6", [self._number(node.input[0])], [self._value(name)])
        elif (
            kind == "HardSigmoid" and abs(given.get("alpha", 0.2) - ONE_SIXTH) < 1e-6 and given["beta"] == 0.5
        ):
            self._hard_sigmoid(node.input[0], name, self._value(name))
        elif kind == "GlobalAveragePool":
            axes = self._constant(f"{name}.axes", np.array([1, 2], np.int32))
            options = self._schema.ReducerOptionsT(keepDims=True)
            self._add("MEAN", [self._number(node.input[0]), axes], [self._value(name)], options)
        elif kind == "AveragePool":
            self._average_pool(node, given)
        elif kind == "Flatten":
            shape = np.array([FREE, self._shapes[name][1]], np.int32)
            to = self._constant(f"{name}.shape", shape)
            options = self._schema.ReshapeOptionsT(newShape=shape.tolist())
            self._add("RESHAPE", [self._number(node.input[0]), to], [self._value(name)], options)
        else:
            raise ExportError(f"{node.name}: the operator {kind} has no form in LiteRT here")

    def _convolution(self, node: Any, given: dict[str, Any], fused: set[str]) -> None:
        source, weight = node.input[0], self._constants[node.input[1]]
        groups, channels = given.get("group", 1), self._shapes[source][1]
        bias = np.zeros(weight.shape[0], np.float32)
        if len(node.input) > 2:
            bias = self._constants[node.input[2]]
        if groups not in (1, channels):
            raise ExportError(f"{node.name}: a convolution of {groups} groups has no form in LiteRT here")
        rows = [] if groups == 1 else quick_rows(weight.shape[2:], given["pads"], given.get("dilations"))
        activation, output = self._activation(node.output[0], fused)
        if len(rows) < 2:
            self._one_convolution(node, given, weight, bias, activation, self._value(output))
            return
        none, total = self._schema.ActivationFunctionType.NONE, None
        for place, some in enumerate(rows):
            suffix, (top, left, bottom, right) = f".rows{place}", given["pads"]
            changed = {
                "pads": [top - some[0], left, bottom - some[0], right],  # they lie symmetrically
                "dilations": [some[1] - some[0] if len(some) > 1 else 1, 1],
            }
            part = self._tensor_like(f"{node.output[0]}{suffix}", output)
            own = bias if place == 0 else np.zeros_like(bias)
            self._one_convolution(node, given | changed, weight[:, :, some], own, none, part, suffix)
            if total is None:
                total = part
                continue
            last = place == len(rows) - 1
            options = self._schema.AddOptionsT(fusedActivationFunction=activation if last else none)
            sum_ = self._value(output) if last else self._tensor_like(f"{node.output[0]}{suffix}.sum", output)
            self._add("ADD", [total, part], [sum_], options)
            total = sum_

    def _one_convolution(
        self,
        node: Any,
        given: dict[str, Any],
        weight: Values,
        bias: Values,
        activation: int,
        result: int,
        suffix: str = "",
    ) -> None:
        """The operator of a convolution, or of a part of one, into the tensor ``result``."""
        schema, source = self._schema, node.input[0]
        stride, dilation = given["strides"], given.get("dilations", [1, 1])
        x, padding = self._padded(
            source, f"{node.output[0]}{suffix}", weight.shape[2:], stride, dilation, given["pads"]
        )
        common = {
            "padding": padding,
            "strideH": stride[0],
            "strideW": stride[1],
            "dilationHFactor": dilation[0],
            "dilationWFactor": dilation[1],
            "fusedActivationFunction": activation,
        }
        if given.get("group", 1) == 1:
            kind, options = "CONV_2D", schema.Conv2DOptionsT(**common)
            ordered = weight.transpose(0, 2, 3, 1)
        else:
            multiplier = weight.shape[0] // self._shapes[source][1]
            kind = "DEPTHWISE_CONV_2D"
            options = schema.DepthwiseConv2DOptionsT(depthMultiplier=multiplier, **common)
            ordered = weight.transpose(1, 2, 3, 0)
        weights = [
            self._constant(f"{node.input[1]}{suffix}", ordered),
            self._constant(f"{node.name}{suffix}.bias", bias),
        ]
        self._add(kind, [x, *weights], [result], options)

    def _padded(
        self,
        source: str,
        name: str,
        kernel: Sequence[int],
        stride: Sequence[int],
        dilation: Sequence[int],
        pads: Sequence[int],
    ) -> tuple[int, int]:
        """The input of a convolution or pool, padded by an operator where neither kind of padding fits."""
        schema, sides = self._schema, self._shapes[source][2:]
        wanted = [(pads[0], pads[2]), (pads[1], pads[3])]
        if not any(map(any, wanted)):
            return self._number(source), schema.Padding.VALID
        reach = [step * (size - 1) + 1 for step, size in zip(dilation, kernel, strict=True)]
        same = []
        for side, size, step in zip(sides, reach, stride, strict=True):
            total = max(0, (-(-side // step) - 1) * step + size - side)
            same.append((total // 2, total - total // 2))
        if same == wanted:
            return self._number(source), schema.Padding.SAME
        shape = self._shapes[source]
        larger = tuple(side + sum(pair) for side, pair in zip(sides, wanted, strict=True))
        amounts = np.array([(0, 0), *wanted, (0, 0)], np.int32)
        place = self._tensor(f"{name}.padded", (1, *larger, shape[1]))
        by = self._constant(f"{name}.pads", amounts)
        self._add("PAD", [self._number(source), by], [place], schema.PadOptionsT())
        return place, schema.Padding.VALID

    def _classifier(self, node: Any, given: dict[str, Any]) -> None:
        weight = self._constants[node.input[1]]
        ordered = weight if given.get("transB") else weight.T
        bias = self._constants[node.input[2]] if len(node.input) > 2 else np.zeros(len(ordered), np.float32)
        inputs = [
            self._number(node.input[0]),
            self._constant(node.input[1], ordered),
            self._constant(f"{node.name}.bias", bias),
        ]
        options = self._schema.FullyConnectedOptionsT()
        self._add("FULLY_CONNECTED", inputs, [self._value(node.output[0])], options)

    def _hard_sigmoid(self, source: str, name: str, result: int) -> int:
        """relu6(x + 3) / 6 into the tensor ``result``, as torch computes it; returns that."""
        schema = self._schema
        relu6 = schema.ActivationFunctionType.RELU6
        shifted = self._tensor_like(f"{name}.shifted", name)
        three = self._constant(f"{name}.three", np.array([3.0], np.float32))
        sixth = self._constant(f"{name}.sixth", np.array([ONE_SIXTH], np.float32))
        self._add(
            "ADD", [self._number(source), three], [shifted], schema.AddOptionsT(fusedActivationFunction=relu6)
        )
        self._add("MUL", [shifted, sixth], [result], schema.MulOptionsT())
        return result

    def _average_pool(self, node: Any, given: dict[str, Any]) -> None:
        schema, source, name = self._schema, node.input[0], node.output[0]
        kernel, stride, pads = given["kernel_shape"], given["strides"], given.get("pads", [0, 0, 0, 0])
        x, padding = self._padded(source, name, kernel, stride, (1, 1), pads)
        counted = bool(given.get("count_include_pad", 0))
        if any(pads) and counted != (padding == schema.Padding.VALID):
            # LiteRT's own padding is not counted; what an operator has padded is.
            raise ExportError(f"{node.name}: this padding of an average pool has no form in LiteRT here")
        options = schema.Pool2DOptionsT(
            padding=padding,
            strideH=stride[0],
            strideW=stride[1],
            filterHeight=kernel[0],
            filterWidth=kernel[1],
        )
        self._add("AVERAGE_POOL_2D", [x], [self._value(name)], options)

    def _activation(self, name: str, fused: set[str]) -> tuple[int, str]:
        """The activation that alone reads the value ``name``, to be part of what makes it, and its value."""
        kinds = self._schema.ActivationFunctionType
        readers = self._readers.get(name, [])
        if len(readers) == 1 and name != OUTPUT:
            (reader,) = readers
            kind = {"Relu": kinds.RELU}.get(reader.op_type)
            if reader.op_type == "Clip" and self._is_relu6(reader):
                kind = kinds.RELU6
            if kind is not None:
                fused.add(reader.output[0])
                return kind, reader.output[0]
        return kinds.NONE, name

    def _is_relu6(self, node: Any) -> bool:
        ends = [float(self._constants[name]) for name in node.input[1:]]
        return ends == list(RELU6.values())

    def _number(self, name: str) -> int:
        return self._numbers[name]

    def _value(self, name: str) -> int:
        """A new tensor for the value of that name."""
        self._numbers[name] = self._tensor_like(name, name)
        return self._numbers[name]

    def _tensor_like(self, name: str, value: str) -> int:
        """A new tensor with the shape of a value."""
        return self._tensor(name, _channels_last(self._shapes[value]))

    def _constant(self, name: str, values: Values) -> int:
        data = np.ascontiguousarray(values)
        self._buffers.append(self._schema.BufferT(data=np.frombuffer(data.tobytes(), np.uint8)))
        return self._tensor(name, data.shape, data.dtype, buffer=len(self._buffers) - 1)

    def _tensor(self, name: str, shape: Shape, dtype: Any = np.float32, buffer: int = 0) -> int:
        types = {np.dtype(np.float32): "FLOAT32", np.dtype(np.int32): "INT32"}
        tensor = self._schema.TensorT(
            shape=list(shape),
            type=getattr(self._schema.TensorType, types[np.dtype(dtype)]),
            buffer=buffer,
            name=name,
            hasRank=True,
            shapeSignature=None if buffer else [FREE, *shape[1:]],
        )
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _add(self, kind: str, inputs: list[int], outputs: list[int], options: Any = None) -> None:
        code = getattr(self._schema.BuiltinOperator, kind)
        number = self._codes.setdefault(code, len(self._codes))
        operator = self._schema.OperatorT(opcodeIndex=number, inputs=inputs, outputs=outputs)
        if options is not None:
            operator.builtinOptions = options
            name = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, name)
        self._operators.append(operator)

    def _operator_code(self, code: int) -> Any:
        # Old readers know the first field alone, which has room for 127.
        return self._schema.OperatorCodeT(deprecatedBuiltinCode=min(code, 127), builtinCode=code, version=1)


def quick_rows(
    kernel: Sequence[int], pads: Sequence[int], dilations: Sequence[int] | None = None
) -> list[list[int]]:
    """Rows of a depthwise ``kernel`` (height, width), in parts of at most :data:`QUICK_TAPS` taps.

    The sum of the parts' convolutions is that of the whole. The rows of each are evenly spaced and lie
    symmetrically, so that a dilation and less padding make a convolution of them: the middle ones, and two by
    two those around. One part, the whole, where there is no such way, or ``kernel`` is small enough.
    """
    height, width = kernel
    whole = [list(range(height))]
    if height * width <= QUICK_TAPS or height % 2 == 0 or set(dilations or ()) - {1}:
        return whole
    middle = QUICK_TAPS // width
    middle -= (middle + 1) % 2
    around = (height - middle) // 2
    if middle < 1 or 2 * width > QUICK_TAPS or min(pads[0], pads[2]) < around:
        return whole
    pairs = [[row, height - 1 - row] for row in range(around)]
    return [list(range(around, around + middle)), *pairs]


def _shapes(model: Any) -> dict[str, Shape]:
    """The shape of every value for one image, channels first as ONNX has them."""
    found = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    return {
        value.name: (1, *(dim.dim_value for dim in value.type.tensor_type.shape.dim[1:]))
        for value in (*found.input, *found.value_info, *found.output)
    }


def _channels_last(shape: Shape) -> Shape:
    return tuple(shape[axis] for axis in NCHW_TO_NHWC) if len(shape) == 4 else shape
