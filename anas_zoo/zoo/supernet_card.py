"""README.md of a supernet, made from supernet.json alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from anas_zoo.core.geometry import REFERENCE_CROP, REFERENCE_RESIZE
from anas_zoo.core.pages import render_markdown
from anas_zoo.core.resources import install_command
from anas_zoo.core.tables import Markdown, markdown_table
from anas_zoo.entry import SupernetConfig
from anas_zoo.space import count_by_walking
from anas_zoo.zoo.card import licence_lines

EXACT = 10**6  # larger numbers of architectures are rounded


@dataclass(frozen=True)
class SupernetFacts:
    """What a supernet's space comes to; pairs are of the smallest and the largest subnet.

    Attributes:
        space_name: of the search space.
        space_id: its content hash.
        size: number of architectures, rounded where it is large.
        resolution: sides in pixels.
        macs: multiply-adds.
        params: live parameters, with the supernet's classes.
    """

    space_name: str
    space_id: str
    size: str
    resolution: tuple[int, int]
    macs: tuple[int, int]
    params: tuple[int, int]

    @classmethod
    def of(cls, config: SupernetConfig) -> SupernetFacts:
        """The facts of a supernet."""
        space = config.search_space()
        ends = (space.smallest, space.largest)
        # Not the space's tables: of choices that a stranger wrote down, those may be very large.
        (macs, params), (most_macs, most_params) = (
            count_by_walking(space.structure, arch, config.num_classes) for arch in ends
        )
        size = f"{space.size:,}" if space.size < EXACT else f"{Decimal(space.size):.2e}"
        return cls(
            space_name=space.name,
            space_id=space.id,
            size=size,
            resolution=(ends[0].resolution, ends[1].resolution),
            macs=(macs, most_macs),
            params=(params, most_params),
        )

    def rows(self) -> list[tuple[str, str, str]]:
        """What it is, the smallest subnet's, the largest one's, as text."""
        pairs = {
            "resolution": [str(side) for side in self.resolution],
            "MFLOPs (multiply-adds)": [f"{macs / 1e6:.2f}" for macs in self.macs],
            "parameters": [f"{params:,}" for params in self.params],
        }
        return [(what, smallest, largest) for what, (smallest, largest) in pairs.items()]


def flattened(trained: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """What supernet.json says of the training as pairs of dotted keys and texts."""
    for key, value in trained.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{before}{key}.")
        elif value is not None:
            yield f"{before}{key}", ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def supernet_card(config: SupernetConfig) -> str:
    """The text of README.md; the same record gives the same text."""
    trained = [[key, text] for key, text in flattened(config.trained)]
    return render_markdown(
        Path(__file__).with_suffix(".md"),
        front_matter=_front_matter(config),
        config=config,
        facts=SupernetFacts.of(config),
        weights=config.weights,
        pre=config.preprocessing,
        trained=trained,
        table=lambda rows: Markdown(markdown_table(["what", "value"], rows)),
        install=install_command(),
        reference=(REFERENCE_RESIZE, REFERENCE_CROP),
    )


def _front_matter(config: SupernetConfig) -> str:
    data = licence_lines(config.weights.licence) | {
        "library_name": "anas-zoo",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "anas-zoo", "anas-supernet"],
    }
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
