"""The weight-sharing supernet: the weights of every architecture of a space, run one at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anas_zoo.nets.blocks import init_weights
from anas_zoo.nets.elastic import (
    ElasticBatchNorm,
    ElasticBlock,
    ElasticConv,
    ElasticConvNorm,
    activate,
    leading_slice,
    random_keep,
)
from anas_zoo.nets.subnet import Subnet, drop_path_rates
from anas_zoo.space import Architecture, BlockPlan, SearchSpace, plan_network
from anas_zoo.space.config import SpaceConfig
from anas_zoo.space.plan import plan_stage


class Supernet(nn.Module):
    """All subnets of ``space`` in one set of weights; which one runs is an argument of the call.

    Batch norm uses the statistics of the batch in training and evaluation alike. Tensors have the names
    that they have in a :class:`Subnet`, so extraction is slicing by name. Initial weights are drawn from
    ``generator``; without one, from torch's global one.
    """

    def __init__(
        self,
        space: SearchSpace,
        num_classes: int = 1000,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.space = space
        self.num_classes = num_classes
        # torch's layers initialise themselves from the global generator, which is not ours to advance.
        with torch.random.fork_rng(devices=[]):
            self._build(space.config, num_classes)
        if self.classifier.weight.device.type != "meta":
            init_weights(self, generator)

    def _build(self, config: SpaceConfig, num_classes: int) -> None:
        stem_chs, head_chs = config.stem.width[-1], config.head.width[-1]
        self.stem = ElasticConvNorm(config, 3, stem_chs, config.stem.kernel_size)
        stages = [nn.ModuleList(stage) for stage in _largest_blocks(config)]
        self.stages = nn.ModuleList(stages)
        last_chs = config.stages[-1].width[-1]
        mid_chs = config.head.mid_chs(last_chs, head_chs)
        convolves = config.head.kind != "pool"
        self.head = ElasticConvNorm(config, last_chs, mid_chs) if convolves else None
        mixes = config.head.kind == "conv_pool_mix"
        self.mix = ElasticConv(mid_chs, head_chs, 1, bias=config.head.mix_bias) if mixes else None
        self.classifier = nn.Linear(head_chs, num_classes)

    def forward(
        self,
        x: Tensor,
        arch: Architecture,
        *,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Logits of the subnet ``arch`` by batch statistics: (N, 3, R, R) -> (N, num_classes).

        ``drop_rate`` (before the classifier) and ``drop_path_rate`` (of the last block) act only when
        they are given and draw from ``generator``. The images are used at the size they have.
        """
        structure = self.space.structure
        plan = plan_network(structure, arch)
        stem = structure.stem
        x = activate(self.stem(x, plan.stem_chs, stem.kernel_size, stem.stride), stem.act)
        rates = drop_path_rates(arch.depth, drop_path_rate)
        for stage, block_plans, stage_rates in zip(self.stages, plan.stages, rates, strict=True):
            assert isinstance(stage, nn.ModuleList)
            for block, block_plan, rate in zip(stage, block_plans, stage_rates, strict=False):
                keep = random_keep(x, rate, generator) if rate > 0.0 else None
                x = block(x, block_plan, keep)
        if self.head is not None:
            x = activate(self.head(x, plan.head_mid_chs), structure.head.act)
        x = F.adaptive_avg_pool2d(x, 1)
        if self.mix is not None:
            x = activate(self.mix.forward_slice(x, plan.head_chs), structure.head.act)
        x = x.flatten(1)
        if drop_rate > 0.0:
            uniform = torch.rand(x.shape, generator=generator, device=x.device)
            x = x * (uniform >= drop_rate) / (1.0 - drop_rate)
        return F.linear(x, self.classifier.weight[:, : plan.head_chs], self.classifier.bias)

    def share_batch_statistics(self, mean_over_processes: Callable[[Tensor], Tensor]) -> None:
        """Normalise by the statistics of all processes' images; every process must run the same subnets.

        ``mean_over_processes`` is a differentiable mean of a tensor over them.
        """
        for module in self.modules():
            if isinstance(module, ElasticBatchNorm):
                module.mean_over_processes = mean_over_processes

    def extract(self, arch: Architecture) -> Subnet:
        """The fixed network of ``arch`` with a copy of its slices of the weights.

        It counts as uncalibrated until :func:`anas_zoo.nets.calibrate_bn` has run: the batch counters of its
        batch norms are zero, as the supernet's running statistics were not measured on it.
        Raises :class:`SpaceError` when ``arch`` is not in the space.
        """
        self.space.validate(arch)
        with torch.device("meta"):
            subnet = Subnet(arch, self.space.structure, num_classes=self.num_classes)
        weights, state = self.state_dict(), {}
        for name, target in subnet.state_dict().items():
            if name.endswith("num_batches_tracked"):
                state[name] = torch.zeros((), dtype=torch.int64)
                continue
            # Always a copy: a subnet must not change with the supernet that it came from.
            layer = self.get_submodule(name.rpartition(".")[0])
            shape = tuple(target.shape)
            if isinstance(layer, ElasticConv) and layer.transform is not None:
                part = layer.kernels(shape)
            else:
                part = leading_slice(weights[name], shape)
            state[name] = part.detach().clone().contiguous()
        subnet.load_state_dict(state, assign=True)
        return subnet.eval()


def _largest_blocks(config: SpaceConfig) -> list[list[ElasticBlock]]:
    """Every block at full depth with the most channels that any architecture needs at its place."""
    stages = []
    in_widths = config.stem.width
    for stage in config.stages:
        plans: tuple[BlockPlan, ...] = plan_stage(
            config,
            stage,
            in_chs=in_widths[-1],
            out_chs=stage.width[-1],
            kernel_sizes=tuple(choices[-1] for choices in stage.kernel_sizes),
            expand_ratios=tuple(choices[-1] for choices in stage.expand_ratios),
        )
        widths_differ = any(a != b for a in in_widths for b in stage.width)
        projects = widths_differ and config.shortcut == "always"
        stages.append(
            [
                ElasticBlock(
                    config,
                    plan,
                    projects_shortcut=index == 0 and projects,
                    transformed=stage.kernel_sizes[index] if config.kernel_transform else (),
                )
                for index, plan in enumerate(plans)
            ]
        )
        in_widths = stage.width
    return stages
