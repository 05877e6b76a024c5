"""Published accuracy of timm's models, which a catalog's page shows beside its entries."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from anas_zoo.core.schema import Schema, parse, read_yaml

__all__ = ["Baseline", "Baselines", "Conditions", "load_baselines"]


class Conditions(Schema):
    """What latency was measured on, and how."""

    machine: str
    runtime: str
    provider: str
    threads: int = Field(ge=1)
    batch_size: int = Field(ge=1)


class Baseline(Schema):
    """One model: ``top1_pct`` is published; costs and the median latency were measured here."""

    name: str
    weights: str
    resolution: int = Field(ge=1)
    top1_pct: float = Field(ge=0, le=100)
    macs: int = Field(ge=1)
    params: int = Field(ge=1)
    latency_ms: float | None = Field(default=None, gt=0)


class Baselines(Schema):
    """baselines.yaml.

    Attributes:
        dataset: images of the published accuracies.
        source: where they were published.
        measured_on: conditions of every latency.
        models: the baselines.
        architectures: latency in ms of architectures with random weights, by id, for entries without a timed
            file.
    """

    dataset: str
    source: str
    measured_on: Conditions
    models: tuple[Baseline, ...]
    architectures: dict[str, float] = Field(default_factory=dict)


def load_baselines(path: Path | None = None) -> Baselines:
    """The baselines in ``path``; the default is the bundled file.

    Raises :class:`ConfigError` that says what is wrong in the file.
    """
    path = path or Path(__file__).with_name("baselines.yaml")
    return parse(Baselines, read_yaml(path), str(path))
