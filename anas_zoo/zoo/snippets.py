"""The lines of a model card that load the entry; the tests run them as they stand."""

from __future__ import annotations

from anas_zoo.entry import EntryConfig, EntryReport
from anas_zoo.entry.licence import IMPORT_COMMAND

__all__ = ["loading_section", "transform_lines"]


def loading_section(config: EntryConfig, report: EntryReport) -> str:
    """The card's section on loading, for an entry with or without weights."""
    if config.anas.weights is None:
        return _without_weights(config.anas.name)
    name = config.anas.name
    parts = [
        "## Load it",
        f"With this folder at `./{name}` and `pip install anas-zoo` (onnxruntime does without).",
        "timm:",
        _code(
            "import anas_zoo  # makes the architecture known to timm",
            "import timm",
            "",
            f'model = timm.create_model("local-dir:{name}", pretrained=True).eval()',
        ),
        "From the Hub it is the same line with `hf-hub:org/name`; "
        "`anas_zoo.create_model` also compares the weights with their hash:",
        _code("import anas_zoo", "", f'model = anas_zoo.create_model("./{name}", pretrained=True).eval()'),
        "torch.hub, from a checkout of anas-zoo:",
        _code(
            "import torch",
            "",
            "model = torch.hub.load(",
            f'    "path/to/anas-zoo", "attentive_nas", source="local", entry="{name}", pretrained=True',
            ").eval()",
        ),
    ]
    if report.files:
        parts += ["onnxruntime alone:", _onnx(config, report)]
    parts.append(f"On the command line: `anas predict {name} IMAGE...` and `anas verify {name}`.")
    return "\n\n".join(parts)


def transform_lines(config: EntryConfig) -> str:
    """The lines that make the entry's own transform, a function of a PIL image, for use with torch."""
    return _code(
        "from anas_zoo.data import eval_transform",
        "from anas_zoo.entry import Entry",
        "",
        f'config = Entry.read("./{config.anas.name}").config',
        "transform = eval_transform(config.anas.preprocessing, config.arch.resolution)",
    )


def _code(*lines: str) -> str:
    return "\n".join(["```python", *lines, "```"])


def _onnx(config: EntryConfig, report: EntryReport) -> str:
    p = config.anas.preprocessing
    file = "model.onnx" if "model.onnx" in report.files else sorted(report.files)[0]
    resolution = config.arch.resolution
    resized, side = p.sides(resolution)
    lines = [
        "import numpy as np",
        "import onnxruntime",
        "from PIL import Image",
        "",
        f"side, resized = {side}, {resized}",
        *(_on_white() if p.transparency == "white" else ['image = Image.open("image.png").convert("RGB")']),
        "size = [int(resized * length / min(image.size)) for length in image.size]",
        f"image = image.resize(size, Image.Resampling.{p.interpolation.upper()})",
        "left, top = [round((length - side) / 2) for length in size]",
        "image = image.crop((left, top, left + side, top + side))",
        f"mean, std = np.float32({list(p.mean)}), np.float32({list(p.std)})",
        "pixels = ((np.asarray(image, np.float32) / 255 - mean) / std).transpose(2, 0, 1)",
        *(_bicubic(side, resolution) if side != resolution else []),
        f'session = onnxruntime.InferenceSession("{config.anas.name}/{file}")',
        f'logits = session.run(None, {{"image": pixels[None]}})[0]  # (1, {config.num_classes})',
    ]
    if config.label_names is not None and len(config.label_names) <= 20:
        lines += [
            f"labels = {[str(label) for label in config.label_names]}",
            "print(labels[logits.argmax()])",
        ]
    else:
        lines.append("print(logits.argmax())")
    return _code(*lines)


def _on_white() -> list[str]:
    return [
        'opened = Image.open("image.png").convert("RGBA")',
        'image = Image.new("RGB", opened.size, "white")',
        'image.paste(opened.convert("RGB"), None, opened.getchannel("A"))',
    ]


def _bicubic(source: int, target: int) -> list[str]:
    """torch's bicubic resize of the normalised crop, as a matrix for its rows and its columns."""
    return [
        f"places = (np.arange({target}) + 0.5) * {source / target!r} - 0.5",
        f"matrix = np.zeros(({target}, {source}), np.float32)",
        "for tap in range(-1, 3):  # bicubic, a = -0.75, edges repeated",
        "    place = np.floor(places) + tap",
        "    x = abs(places - place)",
        "    weights = np.where(x <= 1, (1.25 * x - 2.25) * x**2 + 1, ((3.75 - 0.75 * x) * x - 6) * x + 3)",
        f"    np.add.at(matrix, (range({target}), place.clip(0, {source - 1}).astype(int)), weights)",
        "pixels = matrix @ pixels @ matrix.T",
    ]


def _without_weights(name: str) -> str:
    return "\n\n".join(
        [
            "## Load it",
            "The network, freshly initialised (after `import anas_zoo`, timm knows it by name):",
            _code("import anas_zoo", "import timm", "", f'model = timm.create_model("{name}")'),
            "With the authors' weights: download their checkpoint yourself, mind its licence, and run",
            f"```sh\n{IMPORT_COMMAND}\n```",
            "The images calibrate batch norm: a few hundred of the training set will do. Every published "
            f'architecture becomes a folder of its own, and `anas_zoo.create_model("DIR/{name}", '
            "pretrained=True)` loads this one.",
        ]
    )
