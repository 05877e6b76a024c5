"""Images: where they come from, how they are split, preprocessed and augmented."""

from anas_zoo.data.augmentation import AugmentationRecipe, StreamRecipe, augment, draw_affine
from anas_zoo.data.batches import Batch, PartOfPasses, Share, TrainData
from anas_zoo.data.chosen_images import ImagesAt, ViewsAt, balanced_choice, eval_tensor, eval_transform
from anas_zoo.data.digits import DigitsSource
from anas_zoo.data.folder import FolderSource
from anas_zoo.data.hf_datasets import HfDatasetSource
from anas_zoo.data.inspection import Inspection, inspect
from anas_zoo.data.memory import MemoryImages
from anas_zoo.data.sources import ImageSource, open_source, with_classes, with_preprocessing
from anas_zoo.data.splits import Split, SplitRecipe, make_split
from anas_zoo.data.stream import StreamedImages
from anas_zoo.data.wds import WdsSource

__all__ = [
    "AugmentationRecipe",
    "Batch",
    "DigitsSource",
    "FolderSource",
    "HfDatasetSource",
    "ImageSource",
    "ImagesAt",
    "Inspection",
    "MemoryImages",
    "PartOfPasses",
    "Share",
    "Split",
    "SplitRecipe",
    "StreamRecipe",
    "StreamedImages",
    "TrainData",
    "ViewsAt",
    "WdsSource",
    "augment",
    "balanced_choice",
    "draw_affine",
    "eval_tensor",
    "eval_transform",
    "inspect",
    "make_split",
    "open_source",
    "with_classes",
    "with_preprocessing",
]
