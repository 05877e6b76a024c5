"""The ways of training a supernet that benchmarks/supernet_ranking.py compares."""

from __future__ import annotations

from typing import Any

Settings = dict[str, Any]  # of a recipe's training

SGD: Settings = {"optimizer": "sgd", "learning_rate": 0.1}
MUON: Settings = {"optimizer": "muon", "learning_rate": 0.03}
PRIOR: Settings = {"sampling.prior_draws": 20_000, "sampling.prior_bins": 20}

SANDWICH: Settings = {"sampling.strategy": "uniform", "subnets_per_step": 4, "distillation.loss": "kl"}
BESTUP = SANDWICH | PRIOR | {"sampling.strategy": "bestup", "sampling.candidates": 3}
WORSTUP = BESTUP | {"sampling.strategy": "worstup"}
EIGHTH: Settings = {"sampling.trial_part": 0.125}
ONLINE: Settings = {"sampling.quality": "online", "sampling.candidates": 5}  # no pass at all
POOL: Settings = {"sampling.strategy": "pool", "sampling.prior_bins": 8, "sampling.pool": {"size": 20}}
# The largest alone, and from the third of the way on everything at once.
LATE: Settings = {
    "sampling.strategy": "ofa",
    "sampling.ofa_phases": {"full": 0.3, "kernel": 0.0, "depth": 0.0, "width": 0.7},
}
ONE_PATH: Settings = {"sampling.strategy": "spos"}
ONE: Settings = {"subnets_per_step": 1}

UNIFORM = "sandwich"
ALONE, ALONE_SGD = "alone", "alone, SGD"  # no supernets: each of the ranked subnets by itself

# All by Muon but those that say otherwise.
ARMS: dict[str, Settings] = {
    UNIFORM: SANDWICH | MUON,
    "sandwich, best of 3 by loss": BESTUP | MUON,
    "sandwich, worst of 3 by loss": WORSTUP | MUON,
    "sandwich, best of 3 by loss on an eighth": BESTUP | EIGHTH | MUON,
    "sandwich, worst of 3 by loss on an eighth": WORSTUP | EIGHTH | MUON,
    "sandwich, best of 5 online": BESTUP | ONLINE | MUON,
    "sandwich, worst of 5 online": WORSTUP | ONLINE | MUON,
    "sandwich, pool": SANDWICH | PRIOR | POOL | MUON,
    "sandwich, small subnets early": SANDWICH | MUON | {"size_weights": {"smallest": 4.0, "largest": 0.25}},
    "sandwich, small subnets late": SANDWICH | MUON | {"size_weights": {"smallest": 0.25, "largest": 4.0}},
    "largest alone, then all": SANDWICH | LATE | MUON,
    "sandwich, α-divergence": SANDWICH | MUON | {"distillation.loss": "alpha"},
    "sandwich, mean of weights": SANDWICH | MUON,
    "sandwich, SGD": SANDWICH | SGD,
    "one path": ONE_PATH | MUON,
    "one path, best of 5 online": BESTUP | ONLINE | ONE | MUON,
    "one path, worst of 5 online": WORSTUP | ONLINE | ONE | MUON,
    "one path, by gradient": {"sampling.strategy": "gradient"} | MUON,
    "one path, SGD": ONE_PATH | SGD,
}


# These score an exponential mean of the weights of the last steps; the share of the mean that a step keeps.
AVERAGED = {"sandwich, mean of weights": 0.98}


def reference_of(arm: str) -> str | None:
    """The uniform arm that this one is compared with, seed by seed; None of one that is compared with."""
    if arm in (UNIFORM, "one path", ALONE, ALONE_SGD):
        return None
    return "one path" if arm.startswith("one path") else UNIFORM
