"""Networks: the supernet, the fixed subnets extracted from it, BN calibration, others' checkpoints."""

from anas_zoo.nets.accuracy import Predictions, logits_of, top1_pct
from anas_zoo.nets.calibration import calibrate_bn
from anas_zoo.nets.checkpoint import load_supernet, save_supernet
from anas_zoo.nets.sources import KeyCoverage, load_authors_checkpoint, read_authors_checkpoint
from anas_zoo.nets.subnet import Subnet
from anas_zoo.nets.supernet import Supernet

__all__ = [
    "KeyCoverage",
    "Predictions",
    "Subnet",
    "Supernet",
    "calibrate_bn",
    "load_authors_checkpoint",
    "load_supernet",
    "logits_of",
    "read_authors_checkpoint",
    "save_supernet",
    "top1_pct",
]
