"""One temperature for the logits of a trained network, so that its probabilities are what they say."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anas_zoo.nets.subnet import Subnet

HIGHEST = 10.0  # and its inverse: no network here has needed more than 3
HALVINGS = 40


def fitted_temperature(logits: Tensor, labels: Tensor) -> float:
    """The T for which softmax(logits / T) has the least cross-entropy: (N, C), (N,) -> between 0.1 and 10.

    Temperature scaling (Guo et al., arXiv:1706.04599, section 4.2). Label smoothing leaves networks less sure
    than they are right, long training on labels alone surer; which class is first stays as it is. Of N images
    that are all right one more could be wrong, so that labels count 1 - 1 / (N + 2) (Platt, Probabilistic
    outputs for support vector machines, 1999, section 2.2).
    """
    exact, doubt = logits.double(), 1 / (len(labels) + 2)
    of_labels = exact.gather(1, labels[:, None]).mean()
    wanted = float((1 - doubt) * of_labels + doubt * exact.mean())
    # The cross-entropy is convex in 1 / T, and its slope there is the mean logit by the probabilities less
    # that by the labels.
    low, high = 1 / HIGHEST, HIGHEST
    for _ in range(HALVINGS):
        inverse = (low + high) / 2
        mean = float(((inverse * exact).softmax(1) * exact).sum(1).mean())
        low, high = (inverse, high) if mean < wanted else (low, inverse)
    return 2 / (low + high)


@torch.no_grad()
def divide_logits(subnet: Subnet, temperature: float) -> None:
    """Make the logits of ``subnet`` what they are divided by ``temperature``, in its classifier."""
    classifier = subnet.classifier
    assert isinstance(classifier, nn.Linear)
    classifier.weight.div_(temperature)
    classifier.bias.div_(temperature)
