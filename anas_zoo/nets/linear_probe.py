"""A linear probe: a classifier on the features of a network whose weights stay as they are.

It takes seconds where fine-tuning takes minutes, and tells how much the features are worth for other classes
(Alain and Bengio, arXiv:1610.01644). Fine-tuning that starts from it spoils less of what was pretrained than
one that starts from a drawn classifier (Kumar et al., arXiv:2202.10054).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from anas_zoo.nets.subnet import Subnet
from anas_zoo.space import Architecture, Structure

ITERATIONS = 100
SMALLEST_DEVIATION = 1e-6


def stage_features(network: Subnet, batches: Iterable[Tensor]) -> list[Tensor]:
    """What a classifier would read behind each stage of ``network``, in evaluation mode: each (N, channels).

    Behind the last stage it is what its own classifier reads; behind the others the mean over all pixels.
    ``batches`` are preprocessed images, each (n, C, R, R) float32.
    """
    found: list[list[Tensor]] = [[] for _ in network.stages]
    with torch.inference_mode():
        for batch in batches:
            for features, of_batch in zip(found, _features(network.eval(), batch), strict=True):
                features.append(of_batch)
    return [torch.cat(features).clone() for features in found]


def _features(network: Subnet, images: Tensor) -> Iterator[Tensor]:
    x = network.stem(images.contiguous(memory_format=torch.channels_last))
    *others, last = network.stages
    for stage in others:
        x = stage(x)
        yield x.mean((2, 3))
    yield network.forward_head(network.head(last(x)), pre_logits=True)


def fit_linear_probe(
    features: Tensor, labels: Tensor, num_classes: int, *, weight_decay: float
) -> tuple[Tensor, Tensor]:
    """Weight (num_classes, channels) and bias (num_classes,) of a classifier of ``features`` (N, channels).

    Logistic regression by L-BFGS on standardised features, with half the squared weights times
    ``weight_decay`` added to the mean cross-entropy; the same arguments give the same result.
    """
    mean, deviation = features.mean(0), features.std(0, correction=0).clamp_min(SMALLEST_DEVIATION)
    standard = (features - mean) / deviation
    weight = torch.zeros(num_classes, features.shape[1], requires_grad=True)
    bias = torch.zeros(num_classes, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=ITERATIONS, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(F.linear(standard, weight, bias), labels)
        value = value + 0.5 * weight_decay * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    scaled = weight.detach() / deviation
    return scaled, bias.detach() - scaled @ mean


def first_stages(
    whole: Subnet, arch: Architecture, structure: Structure, weight: Tensor, bias: Tensor
) -> Subnet:
    """The network of ``arch`` and ``structure`` with a copy of the weights of ``whole`` and this classifier.

    It is the truncated network of :func:`anas_zoo.space.truncation.truncations`, whose stages are the first
    ones of ``whole``; its batch norms are those of ``whole``, and so is their calibration.
    """
    with torch.device("meta"):
        network = Subnet(arch, structure, num_classes=len(bias))
    state = whole.state_dict() | {"classifier.weight": weight, "classifier.bias": bias}
    kept = {name: state[name].detach().clone() for name in network.state_dict()}
    network.load_state_dict(kept, assign=True)
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    network.calibration = whole.calibration
    return network.eval()
