"""Networks of timm's that a run is compared with: trained in plain torch on its images, tested once.

RUN/beside/NAME.onnx    the trained network
           NAME.json    what was measured of it, written last; a training that was stopped begins anew
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from anas_zoo.core.errors import (
    CheckpointError,
    ConfigError,
    ExportError,
    OutputError,
    TrainingError,
    nearest,
)
from anas_zoo.core.files import atomic_write, write_json
from anas_zoo.core.hints import Option
from anas_zoo.core.progress import Bar, note, track, warn
from anas_zoo.core.schema import Schema, parse, read_json
from anas_zoo.data import ImagesAt, ImageSource, TrainData, with_preprocessing
from anas_zoo.entry import Latency
from anas_zoo.exporting.target import DEFAULT_TARGET, OLDEST_OPSET
from anas_zoo.exporting.traced import trace_graph
from anas_zoo.nets import logits_of, top1_pct
from anas_zoo.nets.sources.timm_network import pretrained_network
from anas_zoo.pipeline.recipe import PRETRAINED, Recipe
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.train import HERE, open_train_data
from anas_zoo.profiling import open_session
from anas_zoo.profiling.flops import profile_traced
from anas_zoo.training import Processes

RATE, RATE_OF_PRETRAINED = 5e-3, 2e-3  # of AdamW, at its highest
WEIGHT_DECAY = 0.05
WARMUP, FIRST_RATE = 0.1, 0.02  # part of the training over which the rate rises, from that part of it
SMOOTHING = 0.1
STEP_OF_SIDES = 32  # networks of strides halve an image five times


@dataclass(frozen=True)
class TimmNetwork:
    """A network as a recipe names it: ``NAME``, or ``NAME:pretrained`` for one with timm's weights."""

    name: str
    pretrained: bool

    @classmethod
    def of(cls, text: str) -> Self:
        """The one that ``text`` names."""
        name, _, weights = text.partition(":")
        return cls(name, weights == PRETRAINED)

    @property
    def row(self) -> str:
        """What it is called in the table, and its files."""
        return f"{self.name}_{PRETRAINED}" if self.pretrained else self.name

    def make(self, classes: int, side: int | None = None) -> Any:
        """timm's network for images of ``side`` pixels (None: as it comes), with drawn weights or timm's.

        Raises :class:`CheckpointError` for weights that timm cannot get, and whatever timm does.
        """
        from timm.models import create_model, get_pretrained_cfg

        options: dict[str, Any] = {"num_classes": classes, "exportable": True}
        config = get_pretrained_cfg(self.name)
        if side is not None and config is not None and config.fixed_input_size:
            options["img_size"] = side
        if self.pretrained:
            return pretrained_network(self.name, **options)
        return create_model(self.name, **options)


class TimmMeasured(Schema):
    """What a row of the table says of a network, and ``seconds`` and ``steps`` of its training."""

    top1_pct: float
    images: int = Field(ge=1)
    onnx_top1_pct: float
    macs: int
    params: int
    size_bytes: int
    max_abs_logit_diff: float
    top1_agreement_pct: float
    search_top1_pct: float
    resolution: int
    seconds: float
    steps: int


class TimmResult(Schema):
    """``RUN/beside/NAME.json``.

    Attributes:
        network: timm's name of it.
        pretrained: whether it began with timm's weights.
        measured: None for one that could not be trained or exported.
        failed: why not.
        latency: measured in the sweep of the run's models; None before.
    """

    network: str
    pretrained: bool
    measured: TimmMeasured | None = None
    failed: str | None = None
    latency: Latency | None = None

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will be found out."""
        return self.failed is not None or self.latency is not None


def check_networks(recipe: Recipe, folder: Path) -> None:
    """Raise :class:`ConfigError` for a network that timm does not have, :class:`CheckpointError` for weights.

    Those that the run in ``folder`` has trained already are not looked at.
    """
    from timm.models import is_model, list_models

    for text in recipe.beside:
        network = TimmNetwork.of(text)
        if _file(folder, network).is_file():
            continue
        if not is_model(network.name):
            architecture = network.name.partition(".")[0]
            hint = nearest(architecture, list_models())
            raise ConfigError(Option("beside", text), f": timm has no network {network.name!r}{hint}")
        if network.pretrained:
            note(f"  timm looks for the weights of {network.name}")
        try:
            network.make(classes=2)
        except CheckpointError:
            raise
        except Exception as exc:  # timm's networks fail with whatever their code does
            raise ConfigError(
                Option("beside", text), f": timm cannot make {network.name} ({_reason(exc)})"
            ) from exc


def _reason(exc: Exception) -> str:
    return " ".join(str(exc).split())[:200] or type(exc).__name__


def _file(folder: Path, network: TimmNetwork) -> Path:
    return folder / "beside" / f"{network.row}.json"


def onnx_of(run: Run, name: str) -> Path:
    """The exported file of a network that the run names."""
    return _file(run.folder, TimmNetwork.of(name)).with_suffix(".onnx")


def result_of(run: Run, name: str) -> TimmResult | None:
    """What is known of a network that the run names; None where it has not been trained."""
    file = _file(run.folder, TimmNetwork.of(name))
    if not file.is_file():
        return None
    return parse(TimmResult, read_json(file, error=OutputError), str(file), error=OutputError)


def untrained(run: Run) -> list[str]:
    """The networks that the run names and that have not been trained."""
    return [name for name in run.recipe.beside if result_of(run, name) is None]


def are_finished(run: Run) -> bool:
    """Whether all of them are trained and timed, or have failed."""
    results = [result_of(run, name) for name in run.recipe.beside]
    return all(result is not None and result.is_finished for result in results)


def files_to_time(run: Run) -> dict[str, Path]:
    """The exported files by the names of their rows; of those that failed there is none."""
    results = {name: result_of(run, name) for name in run.recipe.beside}
    trained = [name for name, result in results.items() if result is not None and result.measured is not None]
    return {TimmNetwork.of(name).row: onnx_of(run, name) for name in trained}


def note_latencies(run: Run, found: dict[str, Latency]) -> None:
    """Write what was measured of :func:`files_to_time` into the results."""
    for name in run.recipe.beside:
        result, row = result_of(run, name), TimmNetwork.of(name).row
        if result is not None and row in found:
            changed = result.model_copy(update={"latency": found[row]})
            write_json(_file(run.folder, TimmNetwork.of(name)), changed.model_dump(mode="json"))


def rows_of(run: Run) -> list[dict[str, Any]]:
    """A row of the table for each of the run's networks; warns of those that failed."""
    rows = []
    for name in run.recipe.beside:
        result, row = result_of(run, name), TimmNetwork.of(name).row
        if result is None or result.measured is None or result.latency is None:
            why = "it was not trained" if result is None else result.failed
            warn(f"{row} is not in the table: {why}")
            continue
        file = onnx_of(run, name).name
        own = {"latency_ms": result.latency.p50_ms, "target": DEFAULT_TARGET, "file": file}
        rows.append({"name": row} | result.measured.model_dump(mode="json") | own)
    return rows


def train_timm_network(run: Run, name: str, seconds: float | None, processes: Processes = HERE) -> None:
    """Train a network that the run names, test it once and export it, into ``RUN/beside``.

    It learns with AdamW from the run's training split, in the batches and views of the run's networks, for so
    many ``seconds``, or for as many epochs as the winners. What it cannot do is written down instead of
    raised: it is there to compare with, and the run has models without it.
    """
    network = TimmNetwork.of(name)
    run.use_threads()
    begun = TimmResult(network=network.name, pretrained=network.pretrained)
    file = _file(run.folder, network)
    file.parent.mkdir(exist_ok=True)
    with _drawing_from(run.recipe.seed, processes.device):
        try:
            measured = _trained(run, network, seconds, processes, onnx_of(run, name))
            result = begun.model_copy(update={"measured": measured})
        except (CheckpointError, ConfigError, ExportError, TrainingError) as exc:
            result = begun.model_copy(update={"failed": str(exc)})
    write_json(file, result.model_dump(mode="json"))


@contextmanager
def _drawing_from(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators, from which timm's networks draw; put them back after."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _trained(
    run: Run, network: TimmNetwork, seconds: float | None, processes: Processes, file: Path
) -> TimmMeasured:
    """Train it and export it to ``file``; what was measured."""
    source = _shown(run, network)
    model, side = fitting(network, len(source.label_names), run.resolution)
    data = open_train_data(run, processes, resolution=side, source=source)
    recipe = run.recipe.winners or run.training
    length = f"{recipe.epochs} epochs" if seconds is None else f"{seconds:.0f} s"
    note(f"  {network.row} at {side} pixels: {length}")
    model.to(processes.device, memory_format=torch.channels_last)
    began = time.monotonic()
    rate = RATE_OF_PRETRAINED if network.pretrained else RATE
    with Bar(f"train {network.row}, %", total=100) as bar:
        steps = _fit(model, data, side, rate, run, processes.device, seconds, bar)
    took = time.monotonic() - began
    model.cpu().eval()
    searched = ImagesAt(source, run.split.search)
    content = trace_graph(model, side, opset=OLDEST_OPSET, dtype=torch.float32).SerializeToString()
    atomic_write(file, content)
    cost = profile_traced(model, side)
    return TimmMeasured(
        **_tested(model, file, ImagesAt(source, run.split.test), side),
        search_top1_pct=top1_pct(logits_of(model, searched.batches(side)), searched.labels),
        macs=cost.macs,
        params=cost.params,
        size_bytes=len(content),
        resolution=side,
        seconds=took,
        steps=steps,
    )


def _shown(run: Run, network: TimmNetwork) -> ImageSource:
    """The run's images, normalised as timm's weights want it where it begins with them."""
    if not network.pretrained:
        return run.source
    from timm.models import get_pretrained_cfg

    config = get_pretrained_cfg(network.name)
    own = run.source.preprocessing.model_copy(update={"mean": tuple(config.mean), "std": tuple(config.std)})
    return with_preprocessing(run.source, own)


def fitting(network: TimmNetwork, classes: int, wanted: int) -> tuple[Any, int]:
    """The network, and the side in pixels nearest to ``wanted`` that it can compute.

    Others than that are multiples of 32 and the side that it was made for. Raises :class:`ConfigError` where
    it computes none, :class:`CheckpointError` for weights that timm cannot get.
    """
    from timm.models import get_pretrained_cfg

    config = get_pretrained_cfg(network.name)
    own = wanted if config is None else int(config.input_size[1])
    least = 1 if config is None or config.min_input_size is None else int(config.min_input_size[1])
    sides = {wanted, own, *range(STEP_OF_SIDES, max(wanted, own) + 1, STEP_OF_SIDES)}
    reason = f"it takes no less than {least} pixels"
    for side in sorted(
        (side for side in sides if side >= least), key=lambda side: (abs(side - wanted), -side)
    ):
        try:
            model = network.make(classes, side).eval()
            with torch.inference_mode():
                found = model(torch.zeros(2, 3, side, side))
        except CheckpointError:
            raise
        except Exception as exc:  # as what it fails that a network is not made for is its own
            reason = _reason(exc)
            continue
        if isinstance(found, Tensor) and found.shape == (2, classes):
            return model, side
        reason = "it is no classifier"
    raise ConfigError(f"{network.name} computes no image of about {wanted} pixels: {reason}")


def _fit(
    model: nn.Module,
    data: TrainData,
    side: int,
    rate: float,
    run: Run,
    device: torch.device,
    seconds: float | None,
    bar: Bar,
) -> int:
    """Train in place for ``seconds``, or the winners' epochs; returns the number of steps."""
    optimizer = _optimizer(model, rate)
    recipe = run.training
    total = (run.recipe.winners or recipe).epochs * data.steps_per_epoch()
    model.train()
    began, steps, shown = time.monotonic(), 0, 0.0
    while True:
        for batches in data.epoch((run.recipe.seed, 0), steps // data.steps_per_epoch()):
            done = steps / total if seconds is None else (time.monotonic() - began) / seconds
            if done >= 1 and steps:
                return steps
            for group in optimizer.param_groups:
                group["lr"] = rate * rate_at(done)
            optimizer.zero_grad()
            for batch in batches:
                with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
                    logits = model(batch.view(side))
                loss = F.cross_entropy(logits.float(), batch.labels, label_smoothing=SMOOTHING)
                if not math.isfinite(loss.item()):
                    raise TrainingError(f"its loss became {loss.item()} in step {steps + 1}")
                (loss / len(batches)).backward()
            optimizer.step()
            steps += 1
            bar.advance(100 * (done - shown))
            shown = done


def rate_at(done: float) -> float:
    """The rate as a part of its highest, after the part ``done`` of the training."""
    if done < WARMUP:
        return FIRST_RATE + (1 - FIRST_RATE) * done / WARMUP
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - WARMUP) / (1 - WARMUP))))


def _optimizer(model: nn.Module, rate: float) -> torch.optim.AdamW:
    """Weights decay; biases and norms do not."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate)


def _tested(model: nn.Module, file: Path, images: ImagesAt, side: int) -> dict[str, Any]:
    """Top-1 on the test ``images``, of torch and of ``file``, and how far the two agree."""
    session = open_session(file)
    wanted, found = [], []
    for batch in track(images.batches(side), "test"):
        wanted.append(logits_of(model, batch))
        try:
            logits = session.run(None, {"image": batch.numpy()})[0]
        except Exception as exc:  # onnxruntime has fifteen unrelated ones
            raise ExportError(f"onnxruntime cannot run its file ({_reason(exc)})") from exc
        found.append(torch.from_numpy(logits))
    want, got = torch.cat(wanted), torch.cat(found)
    return {
        "top1_pct": top1_pct(want, images.labels),
        "images": len(images.labels),
        "onnx_top1_pct": top1_pct(got, images.labels),
        "max_abs_logit_diff": float((want - got).abs().max()),
        "top1_agreement_pct": 100.0 * float((want.argmax(1) == got.argmax(1)).double().mean()),
    }
