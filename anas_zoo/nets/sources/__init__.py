"""Checkpoints of others, one file for each kind, read without running their code."""

from anas_zoo.nets.sources.attentive_nas import load_authors_checkpoint, read_authors_checkpoint
from anas_zoo.nets.sources.coverage import KeyCoverage
from anas_zoo.nets.sources.ofa import read_ofa_checkpoint, read_ofa_specialised
from anas_zoo.nets.sources.timm_network import TimmSource, read_timm_network

__all__ = [
    "KeyCoverage",
    "TimmSource",
    "load_authors_checkpoint",
    "read_authors_checkpoint",
    "read_ofa_checkpoint",
    "read_ofa_specialised",
    "read_timm_network",
]
