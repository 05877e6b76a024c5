"""Networks: the supernet, the fixed subnets extracted from it, BN calibration, the authors' files."""

from anas_zoo.nets.authors import KeyCoverage, load_authors_checkpoint, read_authors_checkpoint
from anas_zoo.nets.calibration import Calibration, calibrate_bn
from anas_zoo.nets.checkpoint import load_supernet, save_supernet
from anas_zoo.nets.subnet import Subnet
from anas_zoo.nets.supernet import Supernet

__all__ = [
    "Calibration",
    "KeyCoverage",
    "Subnet",
    "Supernet",
    "calibrate_bn",
    "load_authors_checkpoint",
    "load_supernet",
    "read_authors_checkpoint",
    "save_supernet",
]
