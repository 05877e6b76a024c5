"""Stage: a network of the user's own code -> the draft of an entry, with the evidence of all entries."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from anas_zoo.core.errors import ConfigError, ExportError
from anas_zoo.core.files import refuse_occupied, sha256_bytes
from anas_zoo.core.hints import Option
from anas_zoo.data import open_source, with_preprocessing
from anas_zoo.entry import OWN, EntryConfig, Preprocessing, WeightsInfo, compose_other_config
from anas_zoo.exporting import DEFAULT_TARGET
from anas_zoo.nets.checkpoint import weights_bytes
from anas_zoo.pipeline.imported_entry import ImportedEntry, write_imported
from anas_zoo.profiling.flops import profile_traced
from anas_zoo.zoo.draft import shapes_id


def export_module(
    module: nn.Module,
    preprocessing: Preprocessing,
    labels: Sequence[str],
    *,
    resolution: int,
    out: str | Path,
    name: str | None = None,
    target: str | Path | Sequence[str | Path] = DEFAULT_TARGET,
    data: str | Path | None = None,
    evaluation_images: int = 1000,
    licence: str | None = None,
    source: str = "trained by the author of the entry",
) -> ImportedEntry:
    """Write a classifier of your own code as the draft of an entry: exported, compared, counted, measured.

    The draft is published as any other. It holds the files, the state dict and what was measured; the code of
    the network is not in it, so torch cannot make it again and every file that it is to have is made here.

    Args:
        module: makes logits (N, classes) of images (N, 3, R, R) float32. It is left as it is, and exported in
            evaluation mode.
        preprocessing: how images are made into its inputs.
        labels: the name of each class, in the order of the logits.
        resolution: side R of its images in pixels.
        out: the new folder of the draft.
        name: of the entry; by default the folder's.
        target: names of deployment targets (see ``export/targets``) or YAML files of your own. One that is
            refused is warned of and noted in the draft's report, unless it is the first.
        data: a source of images (see :func:`anas_zoo.data.open_source`), their folders named as ``labels``:
            to measure accuracy on (the test part, or all of them), and for the ranges of int8 files.
        evaluation_images: how many are measured at most, balanced over the classes; 0 for none.
        licence: SPDX name of the licence of the weights; without it, it is given when the draft is published.
        source: where the weights come from, for people.

    Raises :class:`ExportError` for a module that is no such classifier or that torch cannot export,
    :class:`ConfigError`, :class:`DataError`, and :class:`OutputError` when ``out`` is taken.
    """
    out = Path(out)
    refuse_occupied(out)
    targets = [target] if isinstance(target, (str, Path)) else list(target)
    if not targets:
        raise ConfigError(Option("target"), f" names no target; leave it out for {DEFAULT_TARGET}")
    network = copy.deepcopy(module).cpu().eval()
    _check(network, len(labels), resolution)
    digest = sha256_bytes(weights_bytes(network))
    weights = WeightsInfo(sha256=digest, source=source, licence=licence)
    cfg = {
        "input_size": (3, resolution, resolution),
        "mean": preprocessing.mean,
        "std": preprocessing.std,
        "num_classes": len(labels),
        "first_conv": None,
        "classifier": None,
    }

    def config_with(labels: Sequence[str] | None) -> EntryConfig:
        return compose_other_config(
            OWN,
            cfg,
            name=out.name if name is None else name,
            arch_id=shapes_id({key: str(tuple(value.shape)) for key, value in network.state_dict().items()}),
            preprocessing=preprocessing,
            label_names=labels,
            weights=weights,
        )

    accuracy = write_imported(
        out,
        network,
        config_with,
        profile_traced(network, resolution),
        num_classes=len(labels),
        labels=labels,
        source=None if data is None else with_preprocessing(open_source(str(data)), preprocessing),
        evaluation_images=evaluation_images,
        targets=targets,
    )
    return ImportedEntry(out, None, licence, source, accuracy)


def _check(network: nn.Module, classes: int, resolution: int) -> None:
    try:
        with torch.inference_mode():
            found = network(torch.zeros(2, 3, resolution, resolution))
    except Exception as exc:  # as what a user's code fails with is its own
        reason = " ".join(str(exc).split())[:200] or type(exc).__name__
        raise ExportError(
            f"the module fails on 2 images of {resolution}×{resolution} pixels ({reason})"
        ) from exc
    if not isinstance(found, Tensor):
        raise ExportError(
            f"the module gives {type(found).__name__}, an entry has one tensor of logits (N, classes)"
        )
    if found.shape != (2, classes):
        raise ExportError(
            f"the module gives {tuple(found.shape)} of 2 images, the {classes} labels need (2, {classes})"
        )
