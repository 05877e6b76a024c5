"""Every reader of files from outside, with a valid file for it and the way in which that is damaged."""

from __future__ import annotations

import functools
import importlib.util
import io
import json
import random
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from damage import damaged_bytes, damaged_json, damaged_lines, damaged_safetensors
from golden_network import hollow_state
from latency_records import model_of
from ofa_network import WITH_WEIGHTS, hollow_supernet_state, write_specialised
from PIL import Image
from searching_digits import write_predictor
from supernet_folders import write_old_supernet, write_supernet

from anas_zoo.core.images import read_image
from anas_zoo.core.resources import resource_folder
from anas_zoo.core.schema import parse, read_json
from anas_zoo.data import Inspection
from anas_zoo.data.splits import Split
from anas_zoo.data.tar_index import index_tar
from anas_zoo.entry import Entry, SupernetFolder, read_config, read_manifest, read_report
from anas_zoo.exporting import Target, check_file, export_onnx
from anas_zoo.exporting.onnx_export import convert
from anas_zoo.nets import load_authors_checkpoint, load_supernet
from anas_zoo.nets.sources import read_ofa_checkpoint, read_ofa_specialised
from anas_zoo.pipeline.latency import subnets_to_measure
from anas_zoo.pipeline.latency_kit import NEWEST_RESULTS, KitRecord, KitResults, fit_measured
from anas_zoo.pipeline.recipe import Recipe
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.search_folder import recorded_search
from anas_zoo.profiling import open_session
from anas_zoo.profiling.latency_model import LatencyModel
from anas_zoo.profiling.machine import fingerprint
from anas_zoo.profiling.session import read_graph
from anas_zoo.searching.archive import read_front, read_records
from anas_zoo.space import AccuracyPredictor, SearchSpace
from anas_zoo.training.metrics import read_metrics
from anas_zoo.zoo import model_card
from anas_zoo.zoo.draft import check_weights, load_subnet

ENTRY = resource_folder("models") / "digits_s"
SPACE = SearchSpace.load("digits")
SPECIALISED_FILES = ("net.config", "run.config", "init")


@functools.cache
def client() -> Any:
    """The module export/clients/python/classify.py."""
    path = resource_folder("export") / "clients" / "python" / "classify.py"
    spec = importlib.util.spec_from_file_location("classify_under_attack", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Surface:
    """One reader.

    Attributes:
        file: the name under which the damaged file lies in the folder.
        seed: a valid content.
        damage: changes it.
        read: reads the folder's file; it may raise what the package or the client raises on purpose.
        share: of the inputs of a fuzz run, for readers that take long.
        beside: other files of the folder, whole.
    """

    file: str
    seed: Callable[[], bytes]
    damage: Callable[[bytes, random.Random], bytes]
    read: Callable[[Path], object]
    share: float = 1.0
    beside: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)


def _entry_file(name: str) -> Callable[[], bytes]:
    return lambda: (ENTRY / name).read_bytes()


def _beside(*names: str) -> dict[str, Callable[[], bytes]]:
    return {name: _entry_file(name) for name in names}


TARGET = Target.load("ort-cpu-fp32")


@functools.cache
def _exported() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        export_onnx(
            load_subnet(ENTRY), path, target=TARGET, resolution=SPACE.smallest.resolution, metadata={}
        )
        return path.read_bytes()


@functools.cache
def _litert() -> bytes:
    subnet = load_subnet(ENTRY)
    target = Target.load("litert-fp32")
    return convert(subnet, target=target, resolution=subnet.arch.resolution, metadata={})


@functools.cache
def _kit_results() -> bytes:
    archs = subnets_to_measure(SPACE, 10, subnets=16, held_out=2, seed=0)
    record = KitRecord(
        space=SPACE.config,
        num_classes=10,
        seed=0,
        subnets=16,
        archs=tuple(arch.to_dict() for arch in archs),
        files=tuple(f"models/{arch.id}.onnx" for arch in archs),
        yardsticks=(0, 1),
    )
    results = KitResults(
        format=NEWEST_RESULTS,
        kit=record.model_copy(update={"id": record.hashed()}),
        fingerprint=fingerprint(1),
        clock="cpu",
        repeats=8,
        ms=tuple(0.1 + 0.01 * place for place in range(len(archs))),
        level_pct=1,
        noise_pct=1,
        seconds=1,
    )
    return json.dumps(results.model_dump(mode="json")).encode()


def _json(value: Any) -> Callable[[], bytes]:
    return lambda: json.dumps(value).encode()


def _card(folder: Path) -> str:
    return model_card(read_config(folder), read_report(folder))


def _space(path: Path) -> object:
    space = SearchSpace.load(path)
    return space.id, space.size, space.smallest.id, space.sample(np.random.default_rng(0))


@functools.cache
def _supernet(name: str, write: Callable[[Path], object] = write_supernet) -> bytes:
    """A file of a supernet's folder."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        return Path(folder, name).read_bytes()


def _supernet_file(name: str) -> Callable[[], bytes]:
    return lambda: _supernet(name)


class _OfAnyHash(SupernetFolder):
    """A supernet whose record any file of weights fits by its hash."""

    def sha256(self, name: str) -> str:
        return self.config.weights.sha256


@functools.cache
def _authors() -> bytes:
    buffer = io.BytesIO()
    torch.save({"state_dict": hollow_state()}, buffer)
    return buffer.getvalue()


@functools.cache
def _once_for_all() -> bytes:
    buffer = io.BytesIO()
    torch.save({"state_dict": hollow_supernet_state("ofa_mbv3_w1.0")}, buffer)
    return buffer.getvalue()


@functools.cache
def _specialised(name: str) -> bytes:
    """A file of a specialised net's folder."""
    with tempfile.TemporaryDirectory() as folder:
        return (write_specialised(Path(folder, "net"), WITH_WEIGHTS[0], hollow=True) / name).read_bytes()


@functools.cache
def _predictor() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_predictor(Path(folder, "p.onnx"), "digits").read_bytes()


def _picture(form: str) -> Callable[[], bytes]:
    def made() -> bytes:
        pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format=form)
        return buffer.getvalue()

    return functools.cache(made)


@functools.cache
def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in {
            "a.png": _picture("PNG")(),
            "a.cls": b"1",
            "b.jpg": b"x",
            "b.json": b'{"label": 0}',
        }.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


RECORD = {
    "arch": SPACE.smallest.to_dict(),
    "arch_id": SPACE.smallest.id,
    "macs": 5,
    "params": 6,
    "size_bytes": 24,
    "latency_ms": None,
    "top1_pct": 50.0,
    "images": 8,
    "round": 0,
}
LINES = b"".join(json.dumps(line).encode() + b"\n" for line in (RECORD, RECORD | {"error": "x"}, RECORD))
FROM_A_SUPERNET = Recipe.load("pretrained", init="SUPERNET", data="digits")
ORIGIN = {
    "name": "a",
    "weights_sha256": "0" * 64,
    "licence": "MIT",
    "ancestors": [{"name": "b", "sha256": "1" * 64, "licence": "MIT"}],
    "matched": {"by": "their order", "label_names": ["x", "y", "z"], "classes": [2, 0]},
}
RECIPE = Recipe.load("digits").to_dict()
INSPECTION = {
    "images": 2,
    "per_class": {"a": 1, "b": 1},
    "measured": 2,
    "read": 2,
    "unreadable": ["b/1.png: unreadable"],
    "short_sides_px": [1, 1, 2, 3, 3],
    "smallest": [1, 1],
    "largest": [3, 4],
    "kinds": {"grey": 1, "transparent": 1},
    "compared": True,
    "copies": [{"images": [0, 1], "files": ["a/1.png", "b/1.png"], "classes": ["a", "b"]}],
}
SPLIT = {"source": "a", "source_sha256": "0" * 64, "seed": 1, "images": 9, "search": [1, 2], "test": [3]}
SEARCH = {"settings": {"seed": 1}, "seed": 1, "space": SPACE.to_dict(), "begun_with": {"evaluations": 10}}


def _as_json(path: Path) -> Callable[[], bytes]:
    """A YAML file as JSON, which is YAML too."""
    return _json(yaml.safe_load(path.read_text(encoding="utf-8")))


def _everything(seen: Inspection) -> list[str]:
    return [seen.line(), *seen.lines(), *seen.warnings()]


SURFACES: dict[str, Surface] = {
    "config.json": Surface("config.json", _entry_file("config.json"), damaged_json, read_config),
    "report.json": Surface("report.json", _entry_file("report.json"), damaged_json, read_report),
    "manifest.json": Surface("manifest.json", _entry_file("manifest.json"), damaged_json, read_manifest),
    "report.json -> card": Surface(
        "report.json", _entry_file("report.json"), damaged_json, _card, beside=_beside("config.json")
    ),
    "target.yaml": Surface(
        "ort-cpu-fp32.yaml",
        _as_json(resource_folder("export") / "targets" / "ort-cpu-fp32.yaml"),
        damaged_json,
        lambda f: Target.load(f / "ort-cpu-fp32.yaml"),
    ),
    "recipe.yaml": Surface("r.yaml", _json(RECIPE), damaged_json, lambda f: Recipe.load(f / "r.yaml")),
    "space.yaml": Surface("s.yaml", _json(SPACE.to_dict()), damaged_json, lambda f: _space(f / "s.yaml")),
    "split.json": Surface(
        "s.json", _json(SPLIT), damaged_json, lambda f: parse(Split, read_json(f / "s.json"), "split").train
    ),
    "images.json": Surface(
        "i.json",
        _json(INSPECTION),
        damaged_json,
        lambda f: _everything(parse(Inspection, read_json(f / "i.json"), "images")),
    ),
    "run.json": Surface(
        "run.json", _json({"recipe": Recipe.load("digits").to_dict()}), damaged_json, Run.open
    ),
    "run.json of a run from a supernet": Surface(
        "run.json", _json({"recipe": FROM_A_SUPERNET.to_dict(), "init": ORIGIN}), damaged_json, Run.open
    ),
    "search.json": Surface("search.json", _json(SEARCH), damaged_json, recorded_search),
    "evaluations.jsonl": Surface(
        "e.jsonl", lambda: LINES, damaged_lines, lambda f: read_records(f / "e.jsonl")
    ),
    "front.json": Surface(
        "front.json", _json({"front": [RECORD]}), damaged_json, lambda f: read_front(f / "front.json")
    ),
    "metrics.jsonl": Surface(
        "metrics.jsonl", lambda: b'{"step": 1, "loss": 0.5}\n{"step": 2}\n', damaged_lines, read_metrics
    ),
    "latency model": Surface(
        "l.json",
        _json(model_of(SPACE).record.model_dump(mode="json")),
        damaged_json,
        lambda f: LatencyModel.load(f / "l.json", SPACE)([SPACE.smallest]),
    ),
    "model.safetensors": Surface(
        "model.safetensors",
        _entry_file("model.safetensors"),
        damaged_safetensors,
        lambda f: check_weights(Entry(f).with_config(read_config(ENTRY))),
    ),
    "golden.safetensors": Surface(
        "golden.safetensors",
        _entry_file("golden.safetensors"),
        damaged_safetensors,
        lambda f: Entry(f).with_config(read_config(ENTRY)).golden,
    ),
    "supernet.json": Surface(
        "supernet.json", _supernet_file("supernet.json"), damaged_json, SupernetFolder.read
    ),
    "supernet.safetensors": Surface(
        "supernet.safetensors",
        _supernet_file("supernet.safetensors"),
        damaged_safetensors,
        lambda f: load_supernet(_OfAnyHash(f)),
        0.3,
        {"supernet.json": _supernet_file("supernet.json")},
    ),
    "supernet.safetensors of version 0.2": Surface(
        "supernet.safetensors",
        lambda: _supernet("supernet.safetensors", write_old_supernet),
        damaged_safetensors,
        load_supernet,
        0.3,
    ),
    "authors' file": Surface(
        "s.pth", _authors, damaged_bytes, lambda f: load_authors_checkpoint(f / "s.pth"), 0.02
    ),
    "once-for-all's supernet": Surface(
        "s.pth", _once_for_all, damaged_bytes, lambda f: read_ofa_checkpoint(f / "s.pth"), 0.02
    ),
    **{
        f"once-for-all's {name}": Surface(
            name,
            functools.partial(_specialised, name),
            damaged_bytes if name == "init" else damaged_json,
            read_ofa_specialised,
            0.05,
            {other: functools.partial(_specialised, other) for other in SPECIALISED_FILES if other != name},
        )
        for name in SPECIALISED_FILES
    },
    "model.onnx, checked": Surface(
        "model.onnx", _exported, damaged_bytes, lambda f: check_file(f / "model.onnx", TARGET)
    ),
    "model.tflite, checked": Surface(
        "model.tflite",
        _litert,
        damaged_bytes,
        lambda f: check_file(f / "model.tflite", Target.load("litert-fp32")),
    ),
    "results of a latency kit": Surface(
        "results.json", _kit_results, damaged_json, lambda f: fit_measured(f / "results.json"), 0.3
    ),
    "model.onnx, its graph": Surface(
        "model.onnx", _entry_file("model.onnx"), damaged_bytes, lambda f: read_graph(f / "model.onnx")
    ),
    "model.onnx, opened": Surface(
        "model.onnx", _entry_file("model.onnx"), damaged_bytes, lambda f: open_session(f / "model.onnx"), 0.3
    ),
    "predictor.onnx": Surface(
        "p.onnx",
        _predictor,
        damaged_bytes,
        lambda f: AccuracyPredictor(f / "p.onnx", SPACE)([SPACE.smallest]),
    ),
    **{
        f"image, {form}": Surface("i.img", _picture(form), damaged_bytes, lambda f: read_image(f / "i.img"))
        for form in ("PNG", "JPEG", "TIFF")
    },
    "tar shard": Surface("t.tar", _tar, damaged_bytes, lambda f: index_tar(f / "t.tar")),
    "client: golden": Surface(
        "golden.safetensors",
        _entry_file("golden.safetensors"),
        damaged_safetensors,
        lambda f: client().read_safetensors(f / "golden.safetensors"),
    ),
    "client: report.json": Surface(
        "report.json",
        _entry_file("report.json"),
        damaged_json,
        lambda f: client().Classifier(f),
        0.5,
        _beside("config.json", "model.onnx"),
    ),
}
