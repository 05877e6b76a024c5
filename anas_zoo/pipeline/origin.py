"""What a run remembers of the weights that it starts from: an entry's, or a supernet's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from anas_zoo.core.errors import EntryError
from anas_zoo.core.hints import Call
from anas_zoo.core.schema import Schema
from anas_zoo.entry import (
    CONFIG,
    WEIGHTS,
    Ancestor,
    Entry,
    Preprocessing,
    SpaceInfo,
    SupernetFolder,
    WeightsInfo,
)
from anas_zoo.entry.licence import no_weights
from anas_zoo.pipeline.matched_classes import MatchedClasses


class WeightsOrigin(Schema):
    """Weights with a licence, which others are made from.

    Attributes:
        name: of the entry or the supernet.
        weights_sha256: of its file.
        licence: SPDX name of the licence that it is under.
        ancestors: what it was made from itself, the oldest first.
    """

    name: str
    weights_sha256: str
    licence: str
    ancestors: tuple[Ancestor, ...] = ()

    @property
    def lineage(self) -> tuple[Ancestor, ...]:
        """What becomes of the weights is made from all these, the oldest first."""
        own = Ancestor(name=self.name, sha256=self.weights_sha256, licence=self.licence)
        return (*self.ancestors, own)


def _facts(name: str, weights: WeightsInfo, folder: Path) -> dict[str, Any]:
    """The fields of :class:`WeightsOrigin`; raises :class:`EntryError` where no licence is chosen yet."""
    if weights.licence is None:
        raise EntryError(
            f"{folder} has no licence yet, which decides under which one its descendants may be; "
            "publish it first: ",
            Call("publish", folder, to="DIR", licence="SPDX"),
        )
    return {
        "name": name,
        "weights_sha256": weights.sha256,
        "licence": weights.licence,
        "ancestors": weights.lineage,
    }


class Origin(WeightsOrigin):
    """The entry that a fine-tuning starts from."""

    arch_id: str
    space: SpaceInfo
    resolution: int = Field(ge=1)
    preprocessing: Preprocessing

    @model_validator(mode="before")
    @classmethod
    def _of_version_0_1(cls, data: Any) -> Any:
        """Fine-tunings begun with 0.1 have the resolution among the preprocessing."""
        old = data.get("preprocessing") if isinstance(data, dict) else None
        if not isinstance(old, dict) or "resolution" not in old:
            return data
        kept = {key: value for key, value in old.items() if key != "resolution"}
        return data | {
            "resolution": old["resolution"],
            "preprocessing": {"transparency": "dropped"} | kept,
        }

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """What to remember of ``entry``.

        Raises :class:`NoWeightsError` for weights that are not distributed, :class:`EntryError` when their
        file is missing or has no licence yet.
        """
        own = entry.config.anas
        if own.weights is None:
            raise no_weights(entry.config)
        facts = _facts(entry.name, own.weights, entry.folder)
        if not entry.has_weights:
            raise EntryError(f"{entry.folder} lacks {WEIGHTS}, which {CONFIG} names; get the entry again")
        return cls(
            **facts,
            arch_id=own.arch_id,
            space=own.space,
            resolution=entry.config.resolution,
            preprocessing=own.preprocessing,
        )


class SupernetOrigin(WeightsOrigin):
    """The supernet that a run starts from, whose files it has copied.

    Attributes:
        matched: how the classes of the run's images are among the supernet's, where it is searched as it is;
            None where it gets a new head for theirs and is trained.
    """

    matched: MatchedClasses | None = None

    @classmethod
    def of(cls, supernet: SupernetFolder) -> Self:
        """What to remember of ``supernet``. Raises :class:`EntryError` where it has no licence yet."""
        return cls(**_facts(supernet.name, supernet.weights, supernet.folder))
