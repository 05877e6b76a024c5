"""Stage: an entry's exported files -> their parity with torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

import torch

from anas_zoo.core.errors import EntryError
from anas_zoo.core.hints import Call, Option
from anas_zoo.data import ImagesAt, with_preprocessing
from anas_zoo.entry import Entry, Parity
from anas_zoo.entry.manifest import ONNX
from anas_zoo.exporting import Target
from anas_zoo.exporting.locate import Departure, LayerGap, first_departure, layer_gaps
from anas_zoo.pipeline.deploy import refuse_without_files, validate_draft, validate_on_test_images
from anas_zoo.pipeline.run import run_of_draft
from anas_zoo.zoo import load_subnet, shelf


@dataclass(frozen=True)
class Located:
    """How far each layer of one exported file is from torch's, and the first one that departs, if any."""

    layers: list[LayerGap]
    departure: Departure | None


@overload
def validate(
    entry: str | Path | Entry, *, data: str | None = None, locate: Literal[False] = False
) -> dict[str, Parity]: ...


@overload
def validate(
    entry: str | Path | Entry, *, data: str | None = None, locate: Literal[True]
) -> dict[str, Located]: ...


def validate(
    entry: str | Path | Entry, *, data: str | None = None, locate: bool = False
) -> dict[str, Parity] | dict[str, Located]:
    """Run every exported file of an entry and compare its logits with torch's.

    The draft of a run is validated on all images of the run's test split, anything else on its golden images.
    A draft gets the result into its report; a published entry stays as it is.

    Args:
        entry: a model of the shelf, the folder of a draft or an entry, or ``hf://org/name``.
        data: where the images of the draft's run are now, if they moved; the run remembers it.
        locate: compare the ONNX files layer by layer instead, on the golden images.

    Returns what was found by name of the file. Raises :class:`EntryError` for an entry without exported files
    or ``data`` where there is no run, and :class:`ExportError` for a file that does not compute what torch
    does.
    """
    folder = shelf.locate(entry)
    entry = Entry.read(folder)
    refuse_without_files(entry)
    if locate:
        if data is not None:
            raise EntryError("layers are compared on the golden images; leave out ", Option("data"))
        return {name: _located(entry, name) for name in entry.report.files if name.endswith(ONNX)}
    run = run_of_draft(folder, data)
    if run is None and data is not None:
        raise EntryError(
            f"{folder} is not a draft of a run and is validated on its golden images; leave out ",
            Option("data"),
            ", or measure it on images of your own: ",
            Call("evaluate", folder, data=data),
        )
    if run is not None:
        source = with_preprocessing(run.source, entry.config.anas.preprocessing)
        return validate_on_test_images(entry, ImagesAt(source, run.split.test))
    images = torch.from_numpy(entry.golden.images)
    return validate_draft(entry, images, None, keep=not entry.is_published)


def _located(entry: Entry, name: str) -> Located:
    info, images = entry.report.files[name], torch.from_numpy(entry.golden.images)
    target = Target.load(info.target).as_made(opset=info.opset, form=info.input)
    preprocessing = entry.config.anas.preprocessing
    subnet = load_subnet(entry)
    gaps = layer_gaps(entry.folder / name, subnet, images, target=target, preprocessing=preprocessing)
    return Located(gaps, first_departure(gaps, target.precision))
