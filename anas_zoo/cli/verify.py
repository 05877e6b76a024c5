"""``anas verify``: does an entry or a supernet still do what it did when it was published?"""

from __future__ import annotations

from anas_zoo.cli.options import EntryArgument, JsonOption
from anas_zoo.cli.output import print_json, print_lines


def verify(entry: EntryArgument, as_json: JsonOption = False) -> None:
    """Check a published entry against its own manifest: the hash of every file, and its golden logits.

    Of a supernet: the hashes, that its weights fit its space, and that two subnets compute.
    (validate: a draft's exported files against torch; evaluate: accuracy on labelled images.)
    """
    from anas_zoo.pipeline.verify import verify as run
    from anas_zoo.zoo.shelf import locate

    folder = locate(entry)
    found = run(folder)
    if as_json:
        print_json({"folder": str(folder), **found.to_dict()})
        return
    lines = [f"{found.name}: verified", f"  {found.files} files have the size and SHA-256 of the manifest"]
    if found.torch_max_abs_diff is not None:
        lines.append(
            f"  torch gives the logits of the {found.golden_images} golden images"
            f" (largest difference {found.torch_max_abs_diff:.1e})"
        )
    lines += [
        f"  {name} gives them in onnxruntime (largest difference {difference:.1e})"
        for name, difference in found.onnx_max_abs_diff.items()
    ]
    if found.subnet_max_abs_logit:
        lines.append("  the weights fit the search space and are finite")
        ends = " and ".join(f"the {name}" for name in found.subnet_max_abs_logit)
        lines.append(f"  {ends} subnet give finite logits")
    print_lines(*lines)
