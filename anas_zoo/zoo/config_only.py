"""The shelf's config-only entries, of networks that others published.

Made by ``python -m anas_zoo.zoo.config_only models/`` from what :mod:`anas_zoo.zoo.published` knows. The
networks are known exactly, but their weights are not distributed here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from anas_zoo.core.files import atomic_write, write_json
from anas_zoo.core.tables import Markdown, markdown_table
from anas_zoo.entry import (
    CARD,
    CONFIG,
    REPORT,
    Cost,
    Entry,
    EntryConfig,
    EntryReport,
    Preprocessing,
    Published,
    SpaceInfo,
    compose_config,
    write_manifest,
)
from anas_zoo.nets.sources.ofa import ofa_preprocessing
from anas_zoo.space import SearchSpace, count_by_walking
from anas_zoo.zoo.card import model_card
from anas_zoo.zoo.published import FAMILIES, PublishedFamily, PublishedModel, load_published

NUM_CLASSES = 1000
_PREPROCESSING: dict[PublishedFamily, Callable[[int], Preprocessing]] = {
    "attentive_nas": lambda resolution: Preprocessing(transparency="dropped"),
    "ofa": ofa_preprocessing,
}


def _entry(family: PublishedFamily, model: PublishedModel) -> tuple[EntryConfig, EntryReport]:
    known = load_published(family)
    space = SearchSpace.load(known.space_of(model))
    arch = model.architecture
    # Once-for-all's were fine-tuned at a resolution of their own, up to 260; all else is of the space.
    space.validate(arch if family != "ofa" else replace(arch, resolution=space.largest.resolution))
    config = compose_config(
        name=model.name,
        arch=arch,
        structure=space.structure,
        space=SpaceInfo(name=space.name, id=space.id),
        num_classes=NUM_CLASSES,
        preprocessing=_PREPROCESSING[family](arch.resolution),
        licence=known.licence,
    )
    figures = [
        Published(
            top1_pct=top1_pct,
            dataset=known.dataset,
            source=", ".join(filter(None, [known.papers[paper].source, model.published_as])),
            weights=paper,
            preprocessing=known.preprocessing,
        )
        for paper, top1_pct in model.top1_pct.items()
    ]
    macs, params = count_by_walking(space.structure, arch, NUM_CLASSES)
    report = EntryReport(
        name=model.name,
        arch_id=arch.id,
        published=figures[0],
        also_published=tuple(figures[1:]),
        cost=Cost(macs=macs, params=params, resolution=arch.resolution),
    )
    return config, report


def shelf_readme(folder: Path) -> str:
    """README.md of the shelf: a table of every entry in ``folder``, those with weights first."""
    entries = [Entry.read(path.parent, check_hashes=False) for path in sorted(folder.glob(f"*/{CONFIG}"))]
    lines = [
        "# The shelf",
        "",
        "One folder per model, loaded by its name: `timm.create_model(NAME)` after `import anas_zoo`, "
        "`torch.hub.load(REPO, NAME)`, `anas_zoo.create_model(NAME)`. Each holds `config.json` (timm's "
        "schema), a card, what was measured, and a manifest of hashes. Commands make all of it; the "
        "config-only entries, which have no weights, and this page are made by "
        "`python -m anas_zoo.zoo.config_only models/`.",
        "",
    ]
    rows: list[list[object]] = []
    for entry in sorted(
        entries, key=lambda e: (not e.has_weights, e.report.cost.macs if e.report.cost else 0)
    ):
        cost, measured = entry.report.cost, entry.report.accuracy
        figures = [
            *([entry.report.published] if entry.report.published else []),
            *entry.report.also_published,
        ]
        rows.append(
            [
                Markdown(f"[{entry.name}]({entry.folder.name}/{CARD})"),
                f"{entry.config.resolution}²",
                f"{cost.macs / 1e6:.2f}" if cost else "–",
                f"{cost.params:,}" if cost else "–",
                f"{measured.top1} of {measured.images} images ({measured.source})" if measured else "–",
                ", ".join(f"{f.top1_pct:g} % ({f.weights or f.source})" for f in figures) or "–",
                (entry.config.anas.weights.licence or "–") if entry.config.anas.weights else "import them",
            ]
        )
    heads = [
        "name",
        "input",
        "MFLOPs (multiply-adds)",
        "parameters",
        "top-1, measured here",
        "top-1, published by the authors, not measured here",
        "weights",
    ]
    return "\n".join([*lines, markdown_table(heads, rows)]) + "\n"


def write_shelf(folder: Path) -> list[Path]:
    """Write or renew the config-only entries under ``folder``, and its README.md.

    Other entries are left alone. Returns the folders written; the same input gives the same bytes.
    """
    written = []
    known = [(family, model) for family in FAMILIES for model in load_published(family).models]
    for family, model in known:
        config, report = _entry(family, model)
        target = folder / model.name
        write_json(target / CONFIG, config.to_dict())
        write_json(target / REPORT, report.to_dict())
        atomic_write(target / CARD, model_card(config, report))
        write_manifest(target)
        written.append(target)
    atomic_write(folder / "README.md", shelf_readme(folder))
    return written


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m anas_zoo.zoo.config_only FOLDER")
    for path in write_shelf(Path(sys.argv[1])):
        print(path)
