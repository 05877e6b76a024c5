"""Published points of other people's models, to hold a catalog's entries against."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from anas_zoo.core.schema import Schema, parse, read_yaml

__all__ = ["Rival", "RivalLatency", "Rivals", "load_rivals"]


class RivalLatency(Schema):
    """Median time of the model's plain export, and what it was measured on."""

    machine: str
    runtime: str
    provider: str
    threads: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    p50_ms: float = Field(gt=0)


class Rival(Schema):
    """One model: ``top1_pct`` is published, ``macs`` and ``params`` are counted here."""

    name: str
    weights: str
    resolution: int = Field(ge=1)
    top1_pct: float = Field(ge=0, le=100)
    macs: int = Field(ge=1)
    params: int = Field(ge=1)
    latency: tuple[RivalLatency, ...] = ()


class Rivals(Schema):
    """rivals.yaml.

    Attributes:
        dataset: what the rivals' accuracies were published for.
        source: where.
        models: the rivals.
        architectures: latency of architectures with random weights, by id, for entries without a timed file.
    """

    dataset: str
    source: str
    models: tuple[Rival, ...]
    architectures: dict[str, tuple[RivalLatency, ...]] = Field(default_factory=dict)


def load_rivals(path: Path | None = None) -> Rivals:
    """The rivals in ``path``; default are those that come with the package.

    Raises :class:`ConfigError` that says what is wrong in the file.
    """
    path = path or Path(__file__).with_name("rivals.yaml")
    return parse(Rivals, read_yaml(path), str(path))
