"""A tiny search space, and files for it that take microseconds instead of being exported."""

from __future__ import annotations

from pathlib import Path

import yaml
from test_latency import tiny_file

from anas_zoo.pipeline.latency import TimedFiles
from anas_zoo.space import SearchSpace

CLASSES = 4

SPACE = {
    "name": "tiny",
    "resolution": [8, 12],
    "stem": {"width": [8, 16], "stride": 1, "kernel_size": 3, "act": "relu"},
    "stages": [
        {
            "name": "mb1",
            "width": [8, 16],
            "depth": [1, 2],
            "kernel_size": [3, 5],
            "expand_ratio": [2, 3],
            "stride": 2,
            "se": False,
            "act": "relu",
        }
    ],
    "head": {"width": [16, 32], "expand_ratio": 1, "act": "relu"},
}


def tiny_space(folder: Path) -> Path:
    """The YAML file of a space of 128 architectures."""
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(SPACE), encoding="utf-8")
    return path


class Stored:
    """A folder that holds a file of every architecture of the space already."""

    def __init__(self, folder: Path) -> None:
        self.space_file = tiny_space(folder)
        self.space = SearchSpace.load(self.space_file)
        self.work = folder / "work"
        files = TimedFiles(self.space, CLASSES, self.work).folder
        files.mkdir(parents=True)
        for arch in self.space.decode(self.space.every_code()):
            tiny_file(files / f"{arch.id}.onnx", ("batch", 3, arch.resolution, arch.resolution))
