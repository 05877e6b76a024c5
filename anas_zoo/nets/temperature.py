"""One temperature for the logits of a trained network, so that its probabilities are what they say."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from anas_zoo.nets.subnet import Subnet

HIGHEST = 10.0  # and its inverse: no network here has needed more than 3


def fitted_temperature(logits: Tensor, labels: Tensor) -> float:
    """The T for which softmax(logits / T) has the least cross-entropy: (N, C), (N,) -> between 0.1 and 10.

    Temperature scaling (Guo et al., arXiv:1706.04599, section 4.2). Label smoothing leaves networks less sure
    than they are right, long training on labels alone surer; which class is first stays as it is. Of N images
    that are all right one more could be wrong, so that labels count 1 - 1 / (N + 2) (Platt, Probabilistic
    outputs for support vector machines, 1999, section 2.2).
    """
    exact, doubt = logits.double(), 1 / (len(labels) + 2)

    def loss(exponent: float) -> float:
        return float(F.cross_entropy(exact / math.exp(exponent), labels, label_smoothing=doubt))

    end = math.log(HIGHEST)
    return math.exp(float(minimize_scalar(loss, bounds=(-end, end), method="bounded").x))


@torch.no_grad()
def divide_logits(subnet: Subnet, temperature: float) -> None:
    """Make the logits of ``subnet`` what they are divided by ``temperature``, in its classifier."""
    classifier = subnet.classifier
    assert isinstance(classifier, nn.Linear)
    classifier.weight.div_(temperature)
    classifier.bias.div_(temperature)
