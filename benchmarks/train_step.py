"""How much a BestUp-3 step costs above the floor: the same subnets as fixed networks, in the same run.

    python benchmarks/train_step.py [--device cuda --batch 128 --precision bf16] [--rounds 5] [--out FILE.md]

One step of the ImageNet space is taken apart into what it trains (largest, two sampled, smallest: forward and
backward) and what it only tries (six candidates: forward). The floor does exactly that with subnets that were
extracted as plain networks. Both see the same images with the same settings. A round runs several steps of
one and then several of the other, the first two of each not counted: memory that was just handed back to
the system costs page faults when it is used again, which a training, with one step after the other, does
not pay. Rounds change the order, and the ratio of each round's medians is taken, so that a busy machine
disturbs both alike.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from anas_zoo.data import Batch
from anas_zoo.nets import Supernet
from anas_zoo.space import Architecture, SearchSpace
from anas_zoo.training import Processes, SupernetStep, TrainRecipe, make_sampler, pick_device
from anas_zoo.training.losses import kl_loss, label_loss
from anas_zoo.training.optimizer import make_optimizer
from anas_zoo.training.sampling import Draw, Moment, Quality, Sampler

MAX_MATMUL_S = 2.0
WARM_UP, TIMED = 2, 3


class Replay(Sampler):
    """Draws what an earlier step drew, after asking for the same candidates."""

    def __init__(self, draws: list[Draw], candidates: list[Architecture]) -> None:
        self.draws, self.candidates = draws, candidates

    def draw(self, moment: Moment, quality: Quality) -> list[Draw]:
        quality(self.candidates)
        return self.draws


class Bench:
    """One supernet, one batch, one recipe; steps and their floors."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.device = pick_device(args.device)
        config = SearchSpace.load("attentive_nas").to_dict() | {"resolution": [args.resolution]}
        self.space = SearchSpace.from_dict(config)  # one resolution: all subnets read the same images
        self.recipe = TrainRecipe(
            batch_size=args.batch, precision=args.precision, drop_rate=0, drop_path_rate=0
        )
        generator = torch.Generator().manual_seed(0)
        self.supernet = Supernet(self.space, 1000, generator=generator)
        self.supernet.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        size = (args.batch, 3, args.resolution, args.resolution)
        images = torch.randn(size, generator=generator).to(self.device, memory_format=torch.channels_last)
        labels = torch.randint(1000, (args.batch,), generator=generator).to(self.device)
        self.batch = Batch(lambda resolution: images, labels, args.batch)
        self.images, self.labels = images, labels
        self.optimizer = make_optimizer(self.supernet, self.recipe)
        for group in self.optimizer.param_groups:
            group["lr"] = 0.0  # so that extracted networks keep the supernet's weights

    def draw(self, number: int) -> Replay:
        """What step ``number`` of a BestUp-3 training trains and tries."""
        sampler, _ = make_sampler(self.space, self.recipe)
        candidates: list[Architecture] = []

        def quality(archs: Sequence[Architecture]) -> list[float]:
            candidates.extend(archs)
            return [0.0] * len(archs)

        return Replay(sampler.draw(Moment((0, 0), number, 1000), quality), candidates)

    def step(self, replay: Replay) -> Callable[[], object]:
        """The real step, with clipping and the optimizer."""
        step = SupernetStep(self.supernet, self.recipe, replay, Processes(self.device))

        def run() -> None:
            self.optimizer.zero_grad(set_to_none=True)
            step([self.batch], [0], Moment((0, 0), 0, 1000))
            nn.utils.clip_grad_value_(self.supernet.parameters(), self.recipe.clip_value)
            self.optimizer.step()

        return run

    def floor(self, replay: Replay) -> Callable[[], object]:
        """The same subnets as fixed networks: forward and backward, trials forward; no optimizer."""
        nets = {arch: self._fixed(arch) for arch in [d.arch for d in replay.draws] + replay.candidates}
        cast = torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16")

        def run() -> None:
            for net in nets.values():
                net.zero_grad(set_to_none=True)
            with torch.no_grad(), cast:
                for arch in replay.candidates:
                    label_loss(nets[arch](self.images), self.labels, 0.0)
            teacher: Tensor | None = None
            for draw in replay.draws:
                with cast:
                    logits = nets[draw.arch](self.images)
                if teacher is None:
                    teacher, loss = logits.detach(), label_loss(logits, self.labels, 0.1)
                else:
                    loss = kl_loss(logits, teacher)
                loss.backward()

        return run

    def _fixed(self, arch: Architecture) -> nn.Module:
        net = self.supernet.extract(arch).train()
        return net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def seconds(self, work: Callable[[], object]) -> float:
        """Wall-clock seconds of one call."""
        self._finish()
        began = time.perf_counter()
        work()
        self._finish()
        return time.perf_counter() - began

    def _finish(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def flops(self, replay: Replay) -> float:
        """Floating-point operations of a step: 2 per multiply-add, a backward pass counts twice a forward."""
        trained = self.space.macs([draw.arch for draw in replay.draws]).sum()
        tried = self.space.macs(replay.candidates).sum()
        return float(2 * len(self.images) * (3 * trained + tried))

    def peak(self) -> float:
        """Operations per second of a large matrix product in the same precision: the most to hope for."""
        side = 8192 if self.device.type == "cuda" else 2048
        kind = torch.bfloat16 if self.recipe.precision == "bf16" else torch.float32
        a, b = (torch.randn(side, side, device=self.device).to(kind) for _ in range(2))
        found, began = 0.0, time.perf_counter()
        while time.perf_counter() - began < MAX_MATMUL_S:
            found = max(found, 2 * side**3 / self.seconds(lambda: a @ b))
        return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    bench = Bench(args)
    rows, shares, peak = [], [], bench.peak()
    for number in range(args.rounds):
        replay = bench.draw(number)
        step, floor = bench.step(replay), bench.floor(replay)
        times = {}
        for name, work in [("step", step), ("floor", floor)][:: 1 if number % 2 else -1]:
            found = [bench.seconds(work) for _ in range(WARM_UP + TIMED)]
            times[name] = statistics.median(found[WARM_UP:])
        rows.append((times["step"], times["floor"]))
        shares.append(100 * bench.flops(replay) / times["step"] / peak)
        print(f"round {number}: step {rows[-1][0]:.2f} s, floor {rows[-1][1]:.2f} s, ", end="")
        print(f"ratio {rows[-1][0] / rows[-1][1]:.3f}, {shares[-1]:.0f} % of the matrix product", flush=True)
    ratios = sorted(step / floor for step, floor in rows)
    where = (
        torch.cuda.get_device_name() if args.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    )
    step_s, floor_s = (statistics.median(times) for times in zip(*rows, strict=True))
    line = (
        f"| {where} | {args.batch} | {args.resolution} | {args.precision} | {step_s:.2f} | {floor_s:.2f} | "
        f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}) | "
        f"{statistics.median(shares):.0f} % |"
    )
    head = (
        "| machine | batch | R | precision | step s | floor s | ratio, median (range) | of a matrix product |"
    )
    text = f"{head}\n|---|---:|---:|---|---:|---:|---:|---:|\n{line}\n"
    print(f"\n{platform.machine()}, torch {torch.__version__}, {args.rounds} rounds\n\n{text}")
    if args.out:
        args.out.write_text(text)


if __name__ == "__main__":
    main()
