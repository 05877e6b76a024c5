"""The lines of a model card that load the entry; the tests run them as they stand."""

from __future__ import annotations

import math

from anas_zoo.zoo.evidence import EntryReport
from anas_zoo.zoo.lacking import IMPORT_COMMAND
from anas_zoo.zoo.schemas import EntryConfig

__all__ = ["loading_section"]


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
    if report.files and config.anas.preprocessing.mode == "native":
        parts += ["onnxruntime alone:", _onnx(config, report)]
    parts.append(f"On the command line: `anas predict {name} IMAGE...` and `anas verify {name}`.")
    return "\n\n".join(parts)


def _code(*lines: str) -> str:
    return "\n".join(["```python", *lines, "```"])


def _onnx(config: EntryConfig, report: EntryReport) -> str:
    p = config.anas.preprocessing
    file = "model.onnx" if "model.onnx" in report.files else sorted(report.files)[0]
    lines = [
        "import numpy as np",
        "import onnxruntime",
        "from PIL import Image",
        "",
        f"side, resized = {p.resolution}, {math.floor(p.resolution / p.crop_pct)}",
        'image = Image.open("image.png").convert("RGB")',
        "size = [int(resized * length / min(image.size)) for length in image.size]",
        f"image = image.resize(size, Image.Resampling.{p.interpolation.upper()})",
        "left, top = [round((length - side) / 2) for length in size]",
        "image = image.crop((left, top, left + side, top + side))",
        f"mean, std = np.float32({list(p.mean)}), np.float32({list(p.std)})",
        "pixels = (np.asarray(image, np.float32) / 255 - mean) / std",
        f'session = onnxruntime.InferenceSession("{config.anas.name}/{file}")',
        'logits = session.run(None, {"image": pixels.transpose(2, 0, 1)[None]})[0]  # (1, '
        f"{config.num_classes})",
    ]
    if config.label_names is not None and len(config.label_names) <= 20:
        lines += [
            f"labels = {[str(label) for label in config.label_names]}",
            "print(labels[logits.argmax()])",
        ]
    else:
        lines.append("print(logits.argmax())")
    return _code(*lines)


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
