"""Stage: an entry and labelled images -> how accurate it is and what it mistakes, in one or both modes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from anas_zoo.core.errors import DataError, EntryError
from anas_zoo.core.files import refuse_occupied
from anas_zoo.core.geometry import Mode
from anas_zoo.core.hints import Option
from anas_zoo.core.images import opaque
from anas_zoo.core.progress import note, track
from anas_zoo.data import ImageSource, eval_transform, open_source
from anas_zoo.data.unreadable import note_unreadable
from anas_zoo.entry import CONFIG, WEIGHTS, Accuracy, Entry, EntryReport, Preprocessing
from anas_zoo.entry.licence import no_weights
from anas_zoo.nets import Predictions
from anas_zoo.pipeline.contact_sheet import draw_contact_sheet, image_name
from anas_zoo.pipeline.labelled_images import choose_images, classes_in
from anas_zoo.pipeline.run import run_of_draft
from anas_zoo.training import pick_device
from anas_zoo.zoo import Classifier, load_network
from anas_zoo.zoo.evidence_tables import accuracy_data
from anas_zoo.zoo.predict import preprocess
from anas_zoo.zoo.shelf import locate

Runtime = Literal["torch", "onnxruntime"]
Floats = npt.NDArray[np.float32]
Prepared = npt.NDArray[Any]  # one image as the network takes it
Indices = npt.NDArray[np.int64]

BATCH = 64
BOTH: tuple[Mode, ...] = ("native", "reference")
MAX_UNREADABLE = 10  # images that may be left out
MANY_CLASSES = 5  # top-5 says something from more of them on


@dataclass(frozen=True)
class Evaluated:
    """What was measured.

    Attributes:
        entry: its name.
        preprocessing: what its config records.
        runtime: "torch", or the name of the file that onnxruntime ran.
        accuracies: one for each mode that was asked for.
        label_names: the network's classes; None where they have no names.
        images: how each image among the mistakes is called: its file, or its number.
        sheet: the contact sheet that was asked for; None without, and where nothing was mistaken.
    """

    entry: str
    preprocessing: Preprocessing
    runtime: str
    accuracies: tuple[Accuracy, ...]
    label_names: tuple[str, ...] | None
    images: Mapping[int, str]
    sheet: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for machines."""
        return {
            "entry": self.entry,
            "recorded_preprocessing": self.preprocessing.model_dump(mode="json"),
            "runtime": self.runtime,
            "accuracies": [self._data(accuracy) for accuracy in self.accuracies],
            "sheet": None if self.sheet is None else str(self.sheet),
        }

    def _data(self, accuracy: Accuracy) -> dict[str, Any]:
        data = accuracy_data(accuracy, self.label_names)
        for one in data["mistakes"]:
            one["file"] = self.images[one["image"]]
        return data


def evaluate(
    entry: str | Path | Entry,
    *,
    data: str | None = None,
    split: str | None = None,
    preprocessing: Mode | Literal["both"] | None = None,
    limit: int | None = None,
    runtime: Runtime = "torch",
    file: str | None = None,
    device: str = "auto",
    keep: bool = False,
    sheet: str | Path | None = None,
) -> Evaluated:
    """Measure the accuracy of an entry on labelled images: top-1, top-5 of more than 5 classes, by class.

    Classes are matched by name. An image that cannot be read is left out and reported.

    Args:
        entry: a model of the shelf, the folder of a draft or an entry, or ``hf://org/name``.
        data: a source of images (see :func:`anas_zoo.data.open_source`); by default those of a draft's run.
        split: ``test``, ``train`` or ``all``, and ``search`` for the draft of a run; by default the test
            part, or all images where there is none.
        preprocessing: ``native``, ``reference`` or ``both``; by default the mode that the entry records.
        limit: that many images at most, balanced over the classes.
        runtime: ``torch`` runs the weights; ``onnxruntime`` an exported file, prepared with numpy and Pillow.
        file: which one of the exported files; by default model.onnx.
        device: of torch: ``auto``, ``cpu`` or ``cuda``.
        keep: note the result in the report, and so in the card, of a draft.
        sheet: a new .png file for the images that it is most sure of and wrong about.

    Raises :class:`DataError` for images that do not fit the entry and for more than ten that cannot be read,
    :class:`EntryError` for an entry that cannot be measured or whose report is fixed, :class:`OutputError`
    where ``sheet`` is there already,
    :class:`NoWeightsError` for one without its weights.
    """
    folder = locate(entry)
    entry = Entry.read(folder)
    if keep:
        _refuse_fixed(entry, runtime)
    if sheet is not None:
        refuse_occupied(Path(sheet), "sheet")
    run = run_of_draft(folder)
    if data is None and run is None:
        raise DataError(
            "no images to measure on; give ",
            Option("data"),
            ", such as a folder with one sub-folder per class",
        )
    if data is None and run is not None:
        source = run.source
    else:
        source = open_source(str(data))
        source = source if run is None else run.numbered(source)
    network = _network(entry, runtime, file, device)
    recorded = entry.config.anas.preprocessing
    modes: tuple[Mode, ...] = BOTH if preprocessing == "both" else (preprocessing or recorded.mode,)
    if network.raw and modes != (recorded.mode,):
        raise EntryError(
            f"{network.name} prepares its images itself, in the mode of the entry; leave out ",
            Option("preprocessing"),
        )
    classes = classes_in(source, entry)
    split, chosen = choose_images(source, run, split, limit)
    accuracies = []
    for mode in modes:
        accuracy, unreadable = _measured(entry, network, source, classes, split, chosen, mode, runtime)
        accuracies.append(accuracy)
        note_unreadable(list(unreadable.values()), len(chosen), "images")
        chosen = [index for index in chosen if index not in unreadable]
    if keep:
        entry.updated(_noted(entry.report, accuracies))
    labels = entry.config.label_names
    drawn = None
    if sheet is not None:
        drawn = Path(sheet)
        own = next((one for one in accuracies if one.preprocessing == recorded.mode), accuracies[0])
        how = recorded.transparency
        if not draw_contact_sheet(drawn, own, source, labels, name=entry.name, transparency=how):
            note(f"no {drawn}: nothing was mistaken")
            drawn = None
    return Evaluated(
        entry.name,
        recorded,
        network.name,
        tuple(accuracies),
        labels,
        {one.image: image_name(source, one.image) for found in accuracies for one in found.mistakes},
        drawn,
    )


def accuracies_on(
    entry: Entry,
    source: ImageSource,
    chosen: Sequence[int],
    split: str,
    modes: Sequence[Mode],
    *,
    network: nn.Module | None = None,
) -> list[Accuracy]:
    """The accuracy of an entry's weights, in torch on the CPU, on the images ``chosen``; one for each mode.

    ``network`` holds them; None loads it. Raises as :func:`evaluate` does.
    """
    in_torch = _network(entry, "torch", None, "cpu") if network is None else _in_torch(network)
    classes = classes_in(source, entry)
    return [_measured(entry, in_torch, source, classes, split, chosen, mode, "torch")[0] for mode in modes]


def _measured(
    entry: Entry,
    network: _Network,
    source: ImageSource,
    classes: Indices,
    split: str,
    chosen: Sequence[int],
    mode: Mode,
    runtime: Runtime,
) -> tuple[Accuracy, dict[int, str]]:
    """The accuracy, and which images were left out as they cannot be read, with the reasons."""
    recorded = entry.config.anas.preprocessing
    prepare = _as_it_is(recorded) if network.raw else _preparation(entry, mode, runtime)
    found, unreadable = _predict(network, prepare, source, chosen, classes, f"{mode}: {network.name}")
    if not found:
        last = list(unreadable.values())[-1]
        raise DataError(f"none of the {len(chosen)} images can be read; the last: {last}")
    accuracy = Predictions.joined(found).accuracy(
        [index for index in chosen if index not in unreadable],
        num_classes=entry.config.num_classes,
        source=source.title,
        split=split,
        preprocessing=mode,
        top5=entry.config.num_classes > MANY_CLASSES,
    )
    return accuracy, unreadable


def _refuse_fixed(entry: Entry, runtime: Runtime) -> None:
    keep = Option("keep")
    if entry.is_published:
        raise EntryError(f"{entry.folder} is published, its report is fixed; leave out ", keep)
    if runtime != "torch":
        raise EntryError(
            keep, " records the accuracy of the weights in torch; leave out ", Option("runtime"), " or ", keep
        )


@dataclass(frozen=True)
class _Network:
    """A network that is measured, and whether it takes images as they are."""

    name: str
    logits: Callable[[Sequence[Prepared]], Floats]
    raw: bool = False


def _network(entry: Entry, runtime: Runtime, file: str | None, device: str) -> _Network:
    weights = entry.config.anas.weights
    if runtime == "onnxruntime":
        classifier = Classifier(entry, file=file, threads=torch.get_num_threads())
        if classifier.raw:  # images of several sizes make no batch
            return _Network(
                classifier.file.name,
                lambda images: np.concatenate([classifier.run(image[None]) for image in images]),
                raw=True,
            )
        return _Network(classifier.file.name, lambda images: classifier.run(np.stack(images)))
    if file is not None:
        raise EntryError(
            Option("file", file), f": torch runs {WEIGHTS}; give ", Option("runtime", "onnxruntime"), " too"
        )
    if weights is None:
        raise no_weights(entry.config)
    if not entry.has_weights:
        raise EntryError(f"{entry.folder} lacks {WEIGHTS}, which {CONFIG} names; get the entry again")
    return _in_torch(load_network(entry).to(pick_device(device)))


def _in_torch(network: nn.Module) -> _Network:
    where = next(network.parameters()).device

    @torch.no_grad()
    def logits_of(images: Sequence[Prepared]) -> Floats:
        logits: Floats = network(torch.from_numpy(np.stack(images)).to(where)).cpu().numpy()
        return logits

    return _Network("torch", logits_of)


def _as_it_is(recorded: Preprocessing) -> Callable[[Image.Image], Prepared]:
    """Image as it was read -> (height, width, 3) uint8."""
    return lambda image: np.asarray(opaque(image, recorded.transparency))


def _preparation(entry: Entry, mode: Mode, runtime: Runtime) -> Callable[[Image.Image], Prepared]:
    """Image as it was read -> (3, R, R), by what the runtime's users have at hand."""
    wanted, resolution = entry.config.anas.preprocessing.in_mode(mode), entry.config.resolution
    if runtime == "torch":
        transform = eval_transform(wanted, resolution)
        return lambda image: np.asarray(transform(image))
    return lambda image: preprocess(image, wanted, resolution)


def _predict(
    network: _Network,
    prepare: Callable[[Image.Image], Prepared],
    source: ImageSource,
    chosen: Sequence[int],
    classes: Indices,
    what: str,
) -> tuple[list[Predictions], dict[int, str]]:
    """What the network says of the images that can be read, in their order, and why others cannot be."""
    found, unreadable = list[Predictions](), dict[int, str]()
    for part in track(list(_batches(chosen)), what):
        images = {}
        for index in part:
            try:
                images[index] = prepare(source.image(index))
            except DataError as exc:
                unreadable[index] = str(exc)
                if len(unreadable) > MAX_UNREADABLE:
                    raise DataError(
                        f"{len(unreadable)} images could not be read, {MAX_UNREADABLE} may be left out; fix "
                        f"or remove them; the last: {exc}"
                    ) from exc
        if not images:
            continue
        logits = torch.from_numpy(network.logits(list(images.values())))
        labels = torch.from_numpy(classes[source.labels[list(images)]])
        found.append(Predictions.of(logits, labels))
    return found, unreadable


def _batches(chosen: Sequence[int]) -> Iterator[list[int]]:
    for start in range(0, len(chosen), BATCH):
        yield list(chosen[start : start + BATCH])


def _noted(report: EntryReport, measured: Sequence[Accuracy]) -> EntryReport:
    """``report`` with further accuracies; what was measured again is replaced, its own accuracy stays."""

    def subject(accuracy: Accuracy) -> tuple[str, str, str]:
        return accuracy.source, accuracy.split, accuracy.preprocessing

    own = report.accuracy
    again = {subject(accuracy) for accuracy in measured}
    kept = [accuracy for accuracy in report.further_accuracy if subject(accuracy) not in again]
    new = [a for a in measured if own is None or (subject(a), a.images) != (subject(own), own.images)]
    return report.model_copy(update={"further_accuracy": (*kept, *new)})
