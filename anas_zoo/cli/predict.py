"""``anas predict``: what an exported model sees in image files; onnxruntime only, no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anas_zoo.cli.options import EntryArgument, FileOption, JsonOption
from anas_zoo.cli.output import print_json, print_table


def predict(
    entry: EntryArgument,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Image files, any number.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes to print for each image.")] = 5,
    file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Classify image files with an entry's exported model, in onnxruntime."""
    from anas_zoo.core.progress import track
    from anas_zoo.zoo import Classifier

    classifier = Classifier(entry, file=file)
    # All before the first is printed: an unreadable image means no result, not half of one.
    results = [classifier.predict([path], top_k=top)[0] for path in track(images, "classifying")]
    if as_json:
        print_json(
            [
                {"image": str(path), "predictions": [one.to_dict() for one in best]}
                for path, best in zip(images, results, strict=True)
            ]
        )
        return
    rows = [
        [str(path) if rank == 0 else "", one.label, f"{one.probability_pct:.2f}"]
        for path, best in zip(images, results, strict=True)
        for rank, one in enumerate(best)
    ]
    print_table(["image", "class", "probability %"], rows)
