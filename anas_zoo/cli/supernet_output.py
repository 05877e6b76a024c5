"""What ``anas show`` prints of a supernet."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from anas_zoo.cli.output import print_json, print_lines, print_pairs, print_table
from anas_zoo.core.text import quoted

if TYPE_CHECKING:
    from anas_zoo.entry import SupernetFolder


def show_supernet(source: str, found: SupernetFolder, as_json: bool) -> None:
    """Print everything that the supernet's record says; ``source`` is how it was asked for."""
    from anas_zoo.zoo.supernet_card import SupernetFacts, flattened

    config, facts = found.config, SupernetFacts.of(found.config)
    sizes = {name: (found.folder / name).stat().st_size for name in found.files}
    loading = [
        f'python: import anas_zoo; supernet = anas_zoo.load_supernet("{source}")',
        f"search it: anas search {quoted(source)} --data DIR --out RUN",
    ]
    if as_json:
        print_json(
            {
                "folder": str(found.folder),
                "summary": asdict(facts),
                "config": config.to_dict(),
                "files": sizes,
                "loading": loading,
            }
        )
        return
    print_lines(f"{found.name}, a supernet  ({found.folder})")
    labels = config.label_names or ()
    shown = ", ".join(labels[:10]) + (", ..." if len(labels) > 10 else "")
    weights = config.weights
    print_pairs(
        "network",
        {
            "search space": f"{facts.space_name} ({facts.space_id}), {facts.size} architectures",
            "classes": str(config.num_classes) + (f": {shown}" if shown else ""),
            "weights": weights.source,
            "their licence": weights.licence or "-",
            **{f"made from {one.name}": f"{one.licence}, {one.sha256[:12]}" for one in weights.lineage},
        },
    )
    print_lines("", "subnets")
    print_table(["", "smallest", "largest"], facts.rows())
    pre = config.preprocessing
    print_pairs(
        "input",
        {
            "preprocessing": f"{pre.mode}, {pre.interpolation}, crop {pre.crop_pct:g}",
            "mean": ", ".join(f"{value:g}" for value in pre.mean),
            "std": ", ".join(f"{value:g}" for value in pre.std),
        },
    )
    if config.trained:
        print_pairs("how the weights came about", dict(flattened(config.trained)))
    print_pairs("files", {name: f"{size:,} bytes" for name, size in sizes.items()})
    print_lines("", "to use it", *(f"  {line}" for line in loading))
