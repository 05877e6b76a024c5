"""``anas profile``: the multiply-adds of an entry, counted twice."""

from __future__ import annotations

from anas_zoo.cli.options import EntryArgument, JsonOption
from anas_zoo.cli.output import print_json, print_pairs

__all__ = ["profile"]


def profile(entry: EntryArgument, as_json: JsonOption = False) -> None:
    """Count an entry's multiply-adds exactly and with fvcore's trace; they must agree."""
    from anas_zoo import zoo
    from anas_zoo.cli.entries import find_entry
    from anas_zoo.nets import Subnet
    from anas_zoo.profiling import profile_flops

    folder = find_entry(entry)
    config = zoo.Entry.read(folder).config
    subnet = Subnet(config.arch, config.model_args.structure, num_classes=config.num_classes)
    report = profile_flops(subnet.eval(), config.arch.resolution)
    if as_json:
        print_json(report.to_dict())
        return
    print_pairs(
        f"{config.anas.name} at {report.resolution}×{report.resolution}",
        {
            "multiply-adds, exact": f"{report.macs:,}",
            "fvcore conv + linear": f"{report.macs:,} (agrees)",
            "fvcore, all it counts": f"{report.fvcore_total:,}",
            **{f"  {name}": f"{count:,}" for name, count in report.fvcore_by_operator.items()},
            "parameters": f"{report.params:,}",
        },
    )
