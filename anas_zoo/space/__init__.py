"""Architectures and search spaces: values, choices and exact costs. Needs no torch."""

from anas_zoo.space.architecture import Architecture
from anas_zoo.space.config import SpaceConfig
from anas_zoo.space.cost import count_by_walking, params_as_authors_count
from anas_zoo.space.layers import Layer, LayerKind, layer_kind, macs_by_kind, network_layers
from anas_zoo.space.plan import BlockPlan, NetworkPlan, plan_network
from anas_zoo.space.predictor import AccuracyPredictor
from anas_zoo.space.space import SearchSpace
from anas_zoo.space.structure import Structure
from anas_zoo.space.variation import crossover, mutate, neighbours

__all__ = [
    "AccuracyPredictor",
    "Architecture",
    "BlockPlan",
    "Layer",
    "LayerKind",
    "NetworkPlan",
    "SearchSpace",
    "SpaceConfig",
    "Structure",
    "count_by_walking",
    "crossover",
    "layer_kind",
    "macs_by_kind",
    "mutate",
    "neighbours",
    "network_layers",
    "params_as_authors_count",
    "plan_network",
]
