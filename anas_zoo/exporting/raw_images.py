"""Raw images to try a file on that takes them: what preprocessed images look like, at a size of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

if TYPE_CHECKING:
    from anas_zoo.data import Preprocessing

__all__ = ["raw_and_reference"]

# Neither square nor a multiple of the input, so that resize and crop have work to do.
HEIGHT, WIDTH = 1.3, 1.7


def raw_and_reference(images: Tensor, preprocessing: Preprocessing) -> tuple[npt.NDArray[np.uint8], Tensor]:
    """Raw images (N, height, width, 3) uint8, and what ``preprocessing`` makes of them: (N, 3, R, R) float32.

    Args:
        images: preprocessed (N, 3, R, R) float32, such as an entry's golden ones.
        preprocessing: how they were made.
    """
    side = images.shape[-1]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    scaled = ((images.detach().cpu() * std + mean) * 255.0).round().clamp(0, 255).to(torch.uint8)
    size = (round(side * WIDTH) + 1, round(side * HEIGHT))
    pictures = [
        Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
        for pixels in scaled.permute(0, 2, 3, 1).numpy()
    ]
    transform = preprocessing.transform(side)
    reference = torch.stack([transform(picture) for picture in pictures])
    return np.stack([np.asarray(picture) for picture in pictures]), reference
