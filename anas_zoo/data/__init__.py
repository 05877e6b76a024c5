"""Images: where they come from, how they are split, preprocessed and augmented."""

from anas_zoo.data.augmentation import AugmentationRecipe, augment, draw_affine
from anas_zoo.data.folder import FolderSource
from anas_zoo.data.preprocessing import Preprocessing
from anas_zoo.data.sources import DigitsSource, ImageSource, open_source
from anas_zoo.data.splits import Split, SplitRecipe, make_split
from anas_zoo.data.tensors import TrainImages, eval_tensor

__all__ = [
    "AugmentationRecipe",
    "DigitsSource",
    "FolderSource",
    "ImageSource",
    "Preprocessing",
    "Split",
    "SplitRecipe",
    "TrainImages",
    "augment",
    "draw_affine",
    "eval_tensor",
    "make_split",
    "open_source",
]
