"""A random forest out of a joblib file of any scikit-learn, read without running or importing anything.

A joblib file is a pickle with the bytes of its arrays in between. A pickle can call whatever it names; here
it can name a dozen classes, answered by inert stand-ins that only keep what they were given.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import ConfigError
from anas_zoo.core.outside import refuse_irregular
from anas_zoo.core.text import printable

__all__ = ["ForestTree", "read_joblib_forest"]

MAX_BYTES = 2**29  # of the file and of what it unpacks to
_PLAIN_TYPE = re.compile(r"[iuf][1248]|b1")


@dataclass(frozen=True)
class ForestTree:
    """One regression tree; node 0 is its root, a code goes left where it is at most the threshold.

    Attributes:
        left, right: indices of the children, (nodes,); -1 in a leaf.
        feature: which number is compared, (nodes,); meaningless in a leaf.
        threshold: what with, (nodes,).
        value: the answer of a leaf, (nodes,).
    """

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]


class _Inert:
    """Stands for an object of a class that the file names: keeps arguments and state, does nothing."""

    def __init__(self, *args: Any) -> None:
        self.args = args
        self.state: Any = None


class _Forest(_Inert): ...


class _TreeModel(_Inert): ...


class _Tree(_Inert): ...


class _Array(_Inert): ...


class _DType(_Inert): ...


_STAND_INS: dict[tuple[str, str], type[_Inert]] = {
    **{(f"sklearn.ensemble.{m}", "RandomForestRegressor"): _Forest for m in ("forest", "_forest")},
    **{(f"sklearn.tree.{m}", "DecisionTreeRegressor"): _TreeModel for m in ("tree", "_classes")},
    ("sklearn.tree._tree", "Tree"): _Tree,
    **{(f"{m}joblib.numpy_pickle", "NumpyArrayWrapper"): _Array for m in ("", "sklearn.externals.")},
    ("numpy", "ndarray"): _Inert,
    ("numpy", "dtype"): _DType,
    **{(f"numpy.{m}.multiarray", "scalar"): _Inert for m in ("core", "_core")},
}


class _Refused(Exception):
    """What the file asks for is not on the list."""


# Data, the memo, and naming a class; what makes and fills objects is replaced below. No other code is known.
_OPCODES = (
    "PROTO FRAME STOP MARK POP NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT "
    "BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINSTRING SHORT_BINSTRING "
    "EMPTY_LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT SETITEM SETITEMS "
    "BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET GLOBAL STACK_GLOBAL"
)


class _Reader(pickle._Unpickler):
    """Python's interpreter of pickles, without everything that could call or change something."""

    stack: list[Any]
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {  # by opcode
        getattr(pickle, name)[0]: pickle._Unpickler.dispatch[getattr(pickle, name)[0]]
        for name in _OPCODES.split()
    }

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._bytes = file

    def find_class(self, module: str, name: str) -> type[_Inert]:
        if (module, name) not in _STAND_INS:
            raise _Refused(f"it asks for {printable(f'{module}.{name}')}")
        return _STAND_INS[module, name]

    def _make(self) -> None:
        args, made = self.stack.pop(), self.stack.pop()
        if not (isinstance(made, type) and issubclass(made, _Inert) and isinstance(args, tuple)):
            raise _Refused("it calls something that is no class")
        self.stack.append(made(*args))

    def _build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(target, _Inert):
            raise _Refused("it changes something that is no object of its own")
        target.state = state
        if isinstance(target, _Array):
            self.stack[-1] = self._read_array(state)

    dispatch[pickle.REDUCE[0]] = dispatch[pickle.NEWOBJ[0]] = _make
    dispatch[pickle.BUILD[0]] = _build

    def _read_array(self, state: dict[str, Any]) -> npt.NDArray[Any]:
        """The array whose bytes follow the description that joblib has just written."""
        kind, shape = _dtype(state["dtype"]), tuple(int(n) for n in state["shape"])
        if state.get("numpy_array_alignment_bytes") is not None:
            self._bytes.read(self._bytes.read(1)[0])  # a count, and as many bytes of padding
        wanted = math.prod(shape) * kind.itemsize
        if min(shape, default=0) < 0 or wanted > MAX_BYTES:
            raise _Refused(f"it has an array of shape {shape}")
        array = np.frombuffer(self._bytes.read(wanted), kind)
        return array.reshape(shape, order="F" if state["order"] == "F" else "C")


def _dtype(found: _DType, *, nested: bool = False) -> np.dtype[Any]:
    """numpy's dtype of the description; plain numbers, or records of them."""
    _, order, _, names, fields, size, *_ = found.state
    if names is None:
        spec = str(found.args[0])
        if not _PLAIN_TYPE.fullmatch(spec):  # above all "O8", whose bytes would be addresses
            raise _Refused(f"it has an array of {spec!r}")
        return np.dtype(spec).newbyteorder(order)
    if nested:
        raise _Refused("it has an array of nested records")
    parts, offsets = zip(*(fields[name][:2] for name in names), strict=True)
    formats = [_dtype(part, nested=True) for part in parts]
    return np.dtype({"names": list(names), "formats": formats, "offsets": list(offsets), "itemsize": size})


def read_joblib_forest(path: Path, features: int) -> list[ForestTree]:
    """The trees of a ``RandomForestRegressor`` of one output that reads ``features`` numbers.

    Plain joblib files, and those compressed with zlib or gzip. Nothing in the file is run.
    Raises :class:`ConfigError` for a file that is missing, damaged, or holds anything else.
    """
    refuse_irregular(path, ConfigError, most_bytes=MAX_BYTES)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if data[:1] == b"\x78" or data[:2] == b"\x1f\x8b":
            data = zlib.decompressobj(wbits=47).decompress(data, MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise _Refused(f"it is larger than {MAX_BYTES} bytes")
        if data[:1] != pickle.PROTO:
            raise _Refused("it is compressed in another way than zlib or gzip, or no joblib file at all")
        forest = _Reader(io.BytesIO(data)).load()
        if not isinstance(forest, _Forest):
            raise _Refused("it holds something else")
        trees = [_checked_tree(model, features) for model in forest.state["estimators_"]]
        if not trees:
            raise _Refused("it has no trees")
        return trees
    except _Refused as exc:
        raise ConfigError(
            f"{path} is not a RandomForestRegressor of {features} inputs in a joblib file: {exc} "
            "(nothing of it was run)"
        ) from exc
    except OSError as exc:
        raise ConfigError(f"cannot read {path} ({exc})") from exc
    except Exception as exc:  # a damaged pickle can fail anywhere in the interpreter
        raise ConfigError(f"{path}: no joblib file, or a damaged one ({type(exc).__name__}: {exc})") from exc


def _checked_tree(model: _TreeModel, features: int) -> ForestTree:
    tree = model.state["tree_"]
    nodes, values = tree.state["nodes"], tree.state["values"]
    if values.shape != (len(nodes), 1, 1) or int(tree.args[0]) != features:
        raise _Refused(f"a tree has {tree.args[0]} inputs and values of shape {values.shape}")
    found = ForestTree(
        left=nodes["left_child"].astype(np.int64),
        right=nodes["right_child"].astype(np.int64),
        feature=nodes["feature"].astype(np.int64),
        threshold=nodes["threshold"].astype(np.float64),
        value=values.reshape(-1).astype(np.float64),
    )
    leaf, number = found.left < 0, np.arange(len(nodes))
    inner = ~leaf
    children = np.stack([found.left, found.right])[:, inner]
    wrong = (
        len(nodes) == 0
        or (found.right[leaf] >= 0).any()
        or (children <= number[inner]).any()  # as scikit-learn numbers them; so there is no way back
        or (children >= len(nodes)).any()
        or (found.feature[inner] < 0).any()
        or (found.feature[inner] >= features).any()
        or not np.isfinite(found.threshold[inner]).all()
        or not np.isfinite(found.value).all()
    )
    if wrong:
        raise _Refused("a tree has nodes that lead nowhere")
    return found
