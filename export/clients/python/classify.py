"""Classify images with a published entry of anas-zoo. This one file needs numpy, pillow and onnxruntime.

    python classify.py ENTRY IMAGE... [--top N] [--json] [--threads N] [--file model.TARGET.onnx]
    python classify.py ENTRY --check

or, with this file beside your own:

    from classify import Classifier
    for best in Classifier("path/to/entry")("photo.jpg"):
        print(best.label, best.probability_pct)

ENTRY is the entry's folder; nothing outside it is read but the images. Apache License 2.0; copy it anywhere.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import re
import struct
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

try:
    import numpy as np
    import numpy.typing as npt
    import onnxruntime
    from PIL import Image, ImageOps, UnidentifiedImageError
except ImportError as exc:
    if __name__ == "__main__":
        sys.exit(f"classify.py: error: {exc.name} is missing; run: pip install numpy pillow onnxruntime")
    raise

__all__ = ["Check", "Classifier", "ClassifyError", "Prediction"]

Floats = npt.NDArray[np.float32]

INPUT, OUTPUT = "image", "logits"
LOCATION = re.compile(rb"(\x0a|\x8a\x80*\x00)(\x08|\x88\x80*\x00)location")  # of ONNX weights elsewhere
FILTERS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")
# Mode "reference", the AttentiveNAS authors' evaluation: short side to 256, crop of 224, then to R.
REFERENCE_RESIZE, REFERENCE_CROP, REFERENCE_FILTER = 256, 224, "bilinear"
STRIP = 100  # sides of an image; a longer one, enlarged as a whole, could fill the memory
SAMPLE_BITS = {"1": 1, "L;2": 2, "L;4": 4, "RGB;16B": 16}  # of a PNG; else 8
RELATIVE_TOLERANCE, PARITY_MARGIN = 1e-4, 2.0  # of --check: another order of sums; what was recorded
INPUT_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


class ClassifyError(Exception):
    """What the user can mend, in one line."""


@dataclass(frozen=True)
class Prediction:
    """One class for one image: its index, its label and its probability in percent."""

    index: int
    label: str
    probability_pct: float


@dataclass(frozen=True)
class Check:
    """How far the golden logits were met: the largest difference of any logit and the one allowed."""

    file: str
    images: int
    max_abs_logit_diff: float
    allowed: float

    def __str__(self) -> str:
        gap = f"{self.max_abs_logit_diff:.3g}, allowed {self.allowed:.3g}"
        return f"{self.file}: {self.images} golden images, largest difference {gap}"


class Preprocessing:
    """From an RGB image to (3, R, R) float32, as ``config`` states it; raises for what is not known here."""

    def __init__(self, config: dict[str, Any], source: Path) -> None:
        where = "anas.preprocessing"
        info = {"colour": "rgb", "transparency": "dropped"} | _get(config, where, dict, source)
        known = {"mode": ("native", "reference"), "colour": ("rgb",), "transparency": ("white", "dropped")}
        for key, values in known.items():
            if info.get(key) not in values:
                raise ClassifyError(f"{source}: {where}.{key} is {info.get(key)!r}, known: {values}")
        self.mode, self.transparency = info["mode"], info["transparency"]
        self.interpolation: str = _get(config, f"{where}.interpolation", str, source)
        self.resolution: int = _get(config, "anas.arch.resolution", int, source)
        self.crop_pct = float(_get(config, f"{where}.crop_pct", (int, float), source))
        mean, std = (_get(config, f"{where}.{key}", list, source) for key in ("mean", "std"))
        if 0 in std or [type(v) in (int, float) for v in mean + std] != [True] * 6 or len(mean) != 3:
            raise ClassifyError(f"{source}: {where}.mean and .std are three numbers, std without zeros")
        self._mean, self._std = (np.array(values, np.float32)[:, None, None] for values in (mean, std))
        if self.interpolation not in FILTERS or self.resolution < 1 or not 0 < self.crop_pct <= 1:
            given = f"{self.interpolation!r} to {self.resolution}, crop_pct {self.crop_pct}"
            raise ClassifyError(f"{source}: {where} is not a valid resize ({given}); filters: {FILTERS}")

    def __call__(self, image: Image.Image) -> Floats:
        """(3, R, R) float32 of an upright RGB image."""
        if self.mode == "reference":
            crop = _resized_and_cropped(image, REFERENCE_RESIZE, REFERENCE_CROP, REFERENCE_FILTER)
            return _resized_tensor(self._normalised(crop), self.resolution)
        side = math.floor(self.resolution / self.crop_pct)
        return self._normalised(_resized_and_cropped(image, side, self.resolution, self.interpolation))

    def _normalised(self, image: Image.Image) -> Floats:
        pixels = np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / np.float32(255)
        return np.ascontiguousarray((pixels - self._mean) / self._std, dtype=np.float32)


class Classifier:
    """An entry in ``folder`` that classifies images; ``file`` is model.onnx, else its first .onnx file.

    Raises :class:`ClassifyError` in one line for whatever is wrong with the folder.
    """

    def __init__(self, folder: str | Path, *, file: str | None = None, threads: int = 1) -> None:
        self.folder = Path(folder)
        source = self.folder / "config.json"
        config, report = _read_json(source), _read_json(self.folder / "report.json")
        if _get(config, "anas.format", int, source) not in (1, 2):
            raise ClassifyError(f"{source}: a newer format than this classify.py reads; get a newer one")
        self.num_classes: int = _get(config, "num_classes", int, source)
        labels = config.get("label_names") or [f"class {index}" for index in range(self.num_classes)]
        if not isinstance(labels, list) or len(labels) != self.num_classes:
            raise ClassifyError(f"{source}: label_names is not a list of {self.num_classes} names")
        self.labels = tuple("".join(c if c.isprintable() else "\ufffd" for c in str(x)) for x in labels)
        self.preprocess = Preprocessing(config, source)
        self.file, self._record = self._choose(report, file)
        self._session = self._start(threads)

    def __call__(self, image: str | Path | bytes | BinaryIO | Image.Image, top: int = 5) -> list[Prediction]:
        """The ``top`` most probable classes, best first, of a path, a file's bytes or a Pillow image."""
        row = self.logits(image).astype(np.float64)
        odds = np.exp(row - row.max())
        percents = 100.0 * odds / odds.sum()
        best = np.argsort(-percents, kind="stable")[: max(1, top)]
        return [Prediction(int(i), self.labels[i], float(percents[i])) for i in best]

    def logits(self, image: str | Path | bytes | BinaryIO | Image.Image) -> Floats:
        """(classes,) logits of one image; a file of uint8 input resizes and normalises by itself."""
        upright = read_rgb(image, self.preprocess.transparency)
        pixels = np.asarray(upright) if self._dtype is np.uint8 else self.preprocess(upright)
        return self._run(pixels[None])[0]  # type: ignore[no-any-return]

    def check(self) -> Check:
        """Run the golden images; raises :class:`ClassifyError` when they do not give the golden logits."""
        if self._dtype is np.uint8:
            raise ClassifyError(
                f"{self.file} takes raw pixels, golden images are preprocessed: check another --file"
            )
        path, side = self.folder / "golden.safetensors", self.preprocess.resolution
        self._refuse_altered(path)
        tensors = read_safetensors(path)
        images, golden = (tensors.get(name, np.zeros(0, np.float32)) for name in ("images", "logits"))
        wanted = ((len(golden), 3, side, side), (len(golden), self.num_classes))
        there = f"{images.shape} and {golden.shape}"
        if not len(golden) or (images.shape, golden.shape) != wanted:
            raise ClassifyError(f"{path}: needed are images and logits of {wanted}, it has {there}")
        allowed = RELATIVE_TOLERANCE * max(1.0, float(np.abs(golden).max()))
        if self._record.get("parity") is not None:
            recorded = _get(self._record, "parity.max_abs_logit_diff", (int, float), self.file)
            allowed += PARITY_MARGIN * recorded
        largest = float(np.abs(self._run(images).astype(np.float64) - golden).max())
        if not largest <= allowed:  # also when it is not a number
            gap = f"largest difference {largest:.3g}, allowed {allowed:.3g}"
            raise ClassifyError(f"{self.file} does not give the golden logits: {gap}")
        return Check(self.file.name, len(golden), largest, allowed)

    def _refuse_altered(self, path: Path) -> None:
        """A published entry has a manifest of hashes; a draft has none yet."""
        manifest = self.folder / "manifest.json"
        if manifest.exists():
            recorded = _get(_read_json(manifest), "files", dict, manifest).get(path.name)
            digest = hashlib.sha256(_read(path)).hexdigest()
            if not isinstance(recorded, dict) or recorded.get("sha256") != digest:
                raise ClassifyError(f"{path} is not the file that was published (SHA-256 differs)")

    def _choose(self, report: dict[str, Any], file: str | None) -> tuple[Path, dict[str, Any]]:
        """An exported file, and what report.json says of it."""
        files = _get(report, "files", dict, self.folder / "report.json")
        if not files:
            raise ClassifyError(f"{self.folder} has no exported file; its README.md says how to get weights")
        runnable = [name for name in files if name.endswith(".onnx")]
        chosen = file or ("model.onnx" if "model.onnx" in files else min(runnable, default=""))
        record = files.get(chosen)
        if not isinstance(record, dict) or Path(chosen).name != chosen:
            raise ClassifyError(f"{self.folder} has no exported file {chosen!r}; it has: {', '.join(files)}")
        path = self.folder / chosen
        if record.get("sha256") != hashlib.sha256(_read(path)).hexdigest():
            raise ClassifyError(f"{path} is not the file that report.json measured (SHA-256 differs)")
        return path, record

    def _start(self, threads: int) -> Any:
        if LOCATION.search(_read(self.file)):  # how far they are followed depends on the version
            raise ClassifyError(f"{self.file}: some of its weights lie outside the file, which is refused")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # what goes wrong comes as an exception as well
        try:
            session = onnxruntime.InferenceSession(self.file, options, providers=["CPUExecutionProvider"])
        except Exception as exc:  # onnxruntime has many unrelated exception types
            raise ClassifyError(f"{self.file}: onnxruntime cannot load it ({_one_line(exc)})") from exc
        inputs = {value.name: value.type for value in session.get_inputs()}
        if list(inputs) != [INPUT] or inputs[INPUT] not in INPUT_TYPES:
            raise ClassifyError(f"{self.file}: needed is one input {INPUT!r} of pixels, it has {inputs}")
        if OUTPUT not in [value.name for value in session.get_outputs()]:
            raise ClassifyError(f"{self.file}: it has no output {OUTPUT!r}")
        self._dtype = INPUT_TYPES[inputs[INPUT]]
        return session

    def _run(self, batch: npt.NDArray[Any]) -> Floats:
        try:
            (logits,) = self._session.run([OUTPUT], {INPUT: batch.astype(self._dtype, copy=False)})
        except Exception as exc:  # as above
            raise ClassifyError(f"{self.file}: onnxruntime cannot run it ({_one_line(exc)})") from exc
        if logits.shape != (len(batch), self.num_classes):
            raise ClassifyError(f"{self.file}: its logits are {logits.shape}, not a row of classes an image")
        return np.asarray(logits, dtype=np.float32)


def read_rgb(source: str | Path | bytes | BinaryIO | Image.Image, transparency: str = "white") -> Image.Image:
    """An image as people see it: upright, RGB, 8 bits; transparent parts on "white", or "dropped"."""
    what = str(source) if isinstance(source, str | Path) else "the image given"
    try:
        if isinstance(source, Image.Image):
            return _upright(source, what, transparency)
        if isinstance(source, str | Path) and not Path(source).is_file():
            is_folder = Path(source).is_dir()
            raise ClassifyError(what + (": is a folder, a file is needed" if is_folder else ": no such file"))
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
            if file.format == "EPS" or file.width * file.height > 2**30 // 12:  # runs a program; fills memory
                raise ClassifyError(f"{what}: {file.size} pixels, {file.format}; give a usual image of fewer")
            return _upright(file, what, transparency)
    except ClassifyError:
        raise
    except UnidentifiedImageError as exc:
        raise ClassifyError(f"{what}: not an image that Pillow can read") from exc
    except Exception as exc:  # a damaged file fails in as many ways as Pillow has decoders
        raise ClassifyError(f"{what}: unreadable image ({_one_line(exc)})") from exc


def _upright(image: Image.Image, what: str, transparency: str) -> Image.Image:
    clear, stored = image.info.get("transparency"), getattr(image, "tile", None)
    bits = 16 if image.mode.startswith("I") else SAMPLE_BITS.get(str(stored[0].args), 8) if stored else 8
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # Pillow's own conversion would clip 16 bits to white
        values = np.asarray(upright).astype(np.int64)
        if not ((values >= 0) & (values <= 65535)).all():
            raise ClassifyError(f"{what}: pixel values outside 0 to 65535; convert it to 8 or 16 bits first")
        upright = Image.fromarray((values >> 8).astype(np.uint8))
    if upright.mode == "F":
        raise ClassifyError(f"{what}: floating-point pixel values; convert it to 8 or 16 bits first")
    if isinstance(clear, tuple):  # the one colour of a PNG that is transparent
        upright.info["transparency"] = tuple(level >> (bits - 8) for level in clear)
    elif isinstance(clear, int) and bits != 8:
        upright.info["transparency"] = clear >> 8 if bits == 16 else clear * 255 // (2**bits - 1)
    if transparency == "dropped" or not upright.has_transparency_data:
        return (upright.convert("RGBA") if upright.mode in ("P", "PA") else upright).convert("RGB")
    rgba, white = upright.convert("RGBA"), Image.new("RGB", upright.size, "white")
    white.paste(rgba.convert("RGB"), None, rgba.getchannel("A"))
    return white


def _resized_and_cropped(image: Image.Image, short: int, crop: int, interpolation: str) -> Image.Image:
    """The shorter side to ``short``, the longer one in proportion and rounded down, then the centre."""
    if max(image.size) > STRIP * min(image.size):
        raise ClassifyError(f"an image of {image.width} x {image.height} pixels; cut its middle out first")
    longer = int(short * max(image.size) / min(image.size))
    size = (longer, short) if image.width > image.height else (short, longer)
    if image.size != size:
        image = image.resize(size, Image.Resampling[interpolation.upper()])
    left, top = (round((length - crop) / 2.0) for length in size)
    return image.crop((left, top, left + crop, top + crop))


def _resized_tensor(tensor: Floats, side: int) -> Floats:
    """(3, S, S) -> (3, side, side) as torch's bicubic ``interpolate``: a = -0.75, edges repeated."""
    source = tensor.shape[-1]
    if source == side:
        return tensor
    half, scale = np.float32(0.5), np.float32(source / side)
    places = scale * (np.arange(side, dtype=np.float32) + half) - half  # in float32, as torch has them
    first, weights, a = np.floor(places).astype(np.int64), np.zeros((side, source)), -0.75
    for tap in (-1, 0, 1, 2):
        x = np.abs(places.astype(np.float64) - (first + tap))
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
        columns = np.clip(first + tap, 0, source - 1)
        np.add.at(weights, (np.arange(side), columns), np.where(x <= 1, near, far))
    return np.asarray(weights @ tensor @ weights.T, dtype=np.float32)


def read_safetensors(path: Path) -> dict[str, Floats]:
    """The float32 tensors of a .safetensors file."""
    data, tensors = _read(path), {}
    try:
        (length,) = struct.unpack("<Q", data[:8])
        body = data[8 + length :]
        for name, info in json.loads(data[8 : 8 + length]).items():
            if name == "__metadata__":
                continue
            if info["dtype"] != "F32":
                raise ValueError(f"{name} is {info['dtype']}, not float32")
            begin, end = info["data_offsets"]
            tensors[name] = np.frombuffer(body[begin:end], dtype="<f4").reshape(info["shape"])
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
        struct.error,
    ) as exc:
        raise ClassifyError(f"{path}: damaged, or no safetensors file ({_one_line(exc)})") from exc
    return tensors


def _one_line(exc: Exception) -> str:
    return " ".join(str(exc).split())[:300]


def _read(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # a pipe would keep us waiting
        raise ClassifyError(f"{path}: no regular file; give the folder of an entry")
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ClassifyError(f"{path}: cannot be read ({exc.strerror}); give the folder of an entry") from exc


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(_read(path))  # type: ignore[no-any-return]  # _get sees what it is
    except (ValueError, RecursionError) as exc:
        raise ClassifyError(f"{path}: not valid JSON ({_one_line(exc)})") from exc


def _get(data: Any, dotted: str, kind: Any, source: Path) -> Any:
    """The value at a.b.c of nested mappings, of type ``kind``; raises :class:`ClassifyError` else."""
    for key in dotted.split("."):
        data = data.get(key) if isinstance(data, dict) else None
    if not isinstance(data, kind) or isinstance(data, bool):
        raise ClassifyError(f"{source}: {dotted} is missing or of wrong type ({data!r})")
    return data


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="classify.py", description="Classify images with an entry.")
    parser.add_argument("entry", metavar="ENTRY", help="the entry's folder")
    parser.add_argument("images", metavar="IMAGE", nargs="*", help="image files, any number")
    parser.add_argument("--check", action="store_true", help="do the golden images give the golden logits?")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="classes for each image (default 5)")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON, for machines")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads (default 1)")
    parser.add_argument("--file", metavar="NAME", help="which .onnx file of the entry (default model.onnx)")
    options = parser.parse_args(argv)
    if options.check == bool(options.images) or min(options.top, options.threads) < 1:
        parser.error("give image files, or --check without any; --top and --threads are at least 1")
    return options


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    options = _arguments(argv)
    try:
        classifier = Classifier(options.entry, file=options.file, threads=options.threads)
        if options.check:
            done = classifier.check()
            print(json.dumps(asdict(done)) if options.as_json else done)
            return 0
        results = [(path, classifier(path, options.top)) for path in options.images]
    except ClassifyError as exc:
        print("".join(filter(str.isprintable, f"classify.py: error: {exc}")), file=sys.stderr)
        return 1
    if options.as_json:
        listed = [{"image": path, "predictions": [asdict(p) for p in best]} for path, best in results]
        print(json.dumps(listed, indent=2))
    for path, best in () if options.as_json else results:
        print(path, *(f"  {p.probability_pct:6.2f} %  {p.label}" for p in best), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
