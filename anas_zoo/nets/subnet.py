"""The fixed network of one architecture: a plain module with the interface of a timm model."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import SelectAdaptivePool2d
from timm.models import checkpoint_seq
from timm.models._features import feature_take_indices
from torch import Tensor, nn

from anas_zoo.core.errors import SpaceError
from anas_zoo.core.schema import parse
from anas_zoo.entry import Calibration
from anas_zoo.nets.blocks import ConvNormAct, activation, init_weights, make_block
from anas_zoo.nets.variants import ActLayer, dilate, replace_activations, set_batch_norm
from anas_zoo.space import Architecture, NetworkPlan, SearchSpace, Structure, plan_network
from anas_zoo.space.genes import check_fits

DROP_PATH_STAGES = 2  # drop-connect acts in the last two stages only (AttentiveNAS' recipe)


def drop_path_rates(depths: tuple[int, ...], rate: float) -> list[list[float]]:
    """Drop-connect rate of each block: grows with the block's index, zero before the last two stages."""
    total, index, rates = sum(depths), 0, []
    for stage, depth in enumerate(depths):
        acts = stage >= len(depths) - DROP_PATH_STAGES
        rates.append([rate * (index + i) / total if acts else 0.0 for i in range(depth)])
        index += depth
    return rates


def read_model_args(
    arch: Architecture | Mapping[str, Any], structure: Structure | Mapping[str, Any] | None
) -> tuple[Architecture, Structure]:
    """Architecture and structure as a user or a config gives them; without a structure, ``attentive_nas``'s.

    Raises :class:`SpaceError` when the architecture is not in that space or does not fit the structure.
    """
    arch = arch if isinstance(arch, Architecture) else Architecture.from_dict(arch)
    if structure is None:
        space = SearchSpace.load("attentive_nas")
        space.validate(arch)
        structure = space.structure
    elif not isinstance(structure, Structure):
        structure = parse(Structure, structure, "structure", error=SpaceError)
    check_fits(arch, structure)
    return arch, structure


class Subnet(nn.Module):
    """One architecture as a fixed network without dead parameters.

    It runs at whatever size it is given, as timm's networks do: the architecture's resolution belongs
    to the preprocessing (``pretrained_cfg["input_size"]``), not to ``forward``.

    Args:
        arch: the architecture, or the dict of one.
        structure: strides, squeeze-and-excite and activations, or the dict of them; default is the
            structure of the ``attentive_nas`` space, and then ``arch`` has to lie in that space.
        num_classes: classifier outputs; 0 for none.
        in_chans: channels of the input image.
        global_pool: pooling before the classifier: "avg", "max", "avgmax", "catavgmax" or "".
        drop_rate: dropout before the classifier.
        drop_path_rate: drop-connect of the last block; smaller towards the input.
        act_layer: another activation everywhere but in squeeze-and-excite: timm's name of it, or a class.
        bn_momentum, bn_eps: of every batch norm; default are torch's.
        output_stride: how many times smaller than the image the last map is at most; where a stride is
            dropped for it, the convolutions after it are dilated.
        device, dtype: of the parameters.

    Attributes:
        as_published: whether it computes what the architecture says; not so with another activation, bn_eps
            or output_stride, and then an entry's calibration is not its own.

    Raises :class:`SpaceError` when ``arch`` and ``structure`` do not fit,
    :class:`ConfigError` for an ``output_stride`` that the network does not have.
    """

    def __init__(
        self,
        arch: Architecture | Mapping[str, Any],
        structure: Structure | Mapping[str, Any] | None = None,
        *,
        num_classes: int = 1000,
        in_chans: int = 3,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        act_layer: ActLayer | None = None,
        bn_momentum: float | None = None,
        bn_eps: float | None = None,
        output_stride: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.arch, self.structure = read_model_args(arch, structure)
        self.num_classes = num_classes
        self.in_chans = in_chans
        self.drop_rate = drop_rate
        self.grad_checkpointing = False
        self.calibration: Calibration | None = None

        plan = plan_network(self.structure, self.arch)
        with contextlib.nullcontext() if device is None else torch.device(device):
            self._build(plan, global_pool, drop_path_rate)
        if act_layer is not None:
            replace_activations(self, act_layer)
        set_batch_norm(self, bn_momentum, bn_eps)
        total = self.feature_info[-1]["reduction"]
        if output_stride is not None:
            dilate(self.stages, self.structure.stem.stride, output_stride)
            for info in self.feature_info:
                info["reduction"] = min(info["reduction"], output_stride)
        dilated = output_stride is not None and output_stride < total
        self.as_published = act_layer is None and bn_eps is None and not dilated
        if self.stem.conv.weight.device.type != "meta":
            init_weights(self)
        if dtype is not None:
            self.to(dtype=dtype)

    def _build(self, plan: NetworkPlan, global_pool: str, drop_path_rate: float) -> None:
        structure, stem = plan.structure, plan.structure.stem
        self.stem = ConvNormAct(
            self.in_chans,
            plan.stem_chs,
            stem.kernel_size,
            stride=stem.stride,
            act=stem.act,
            rules=structure,
        )
        rates = drop_path_rates(self.arch.depth, drop_path_rate)
        self.stages = nn.Sequential(
            *(
                nn.Sequential(*(make_block(b, r, structure) for b, r in zip(blocks, rs, strict=True)))
                for blocks, rs in zip(plan.stages, rates, strict=True)
            )
        )
        last_chs = plan.stages[-1][-1].out_chs
        head = structure.head
        self.head: nn.Module = nn.Identity()
        if head.kind != "pool":
            self.head = ConvNormAct(last_chs, plan.head_mid_chs, act=head.act, rules=structure)
        self.num_features = plan.head_mid_chs  # channels of forward_features
        self.global_pool = SelectAdaptivePool2d(pool_type=global_pool)
        pooled_chs = self.num_features * self.global_pool.feat_mult()
        if head.kind == "conv_pool_mix":
            self.mix = nn.Conv2d(pooled_chs, plan.head_chs, 1, bias=head.mix_bias)
            self.mix_act = activation(head.act)
        else:
            self.mix = nn.Identity()  # type: ignore[assignment]
            self.mix_act = nn.Identity()
        # Features of forward_head(pre_logits=True).
        self.head_hidden_size = plan.head_chs if head.kind == "conv_pool_mix" else pooled_chs
        self.flatten = nn.Flatten(1) if global_pool else nn.Identity()
        self.classifier = self._make_classifier(self.num_classes)
        self.feature_info = self.scales(plan)

    def _make_classifier(self, num_classes: int) -> nn.Module:
        return nn.Linear(self.head_hidden_size, num_classes) if num_classes > 0 else nn.Identity()

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, in_chans, H, W) -> (N, num_features, H/r, W/r), r the network's total stride."""
        x = self.stem(x)
        if self.grad_checkpointing and not torch.jit.is_scripting():  # type: ignore[attr-defined]
            x = checkpoint_seq(self.stages, x, flatten=True)
        else:
            x = self.stages(x)
        return self.head(x)  # type: ignore[no-any-return]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(N, num_features, h, w) -> logits (N, num_classes), or (N, head_hidden_size) before them."""
        x = self.global_pool(x)
        x = self.flatten(self.mix_act(self.mix(x)))
        if self.drop_rate > 0.0:
            x = F.dropout(x, p=self.drop_rate, training=self.training)
        return x if pre_logits else self.classifier(x)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chans, H, W) -> logits (N, num_classes), at any N and any size."""
        return self.forward_head(self.forward_features(x))

    @torch.jit.ignore
    def get_classifier(self) -> nn.Module:
        """The classifier layer (timm's interface)."""
        return self.classifier

    @torch.jit.ignore
    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A fresh classifier for ``num_classes``; weights of the rest are kept (timm's interface)."""
        self.num_classes = num_classes
        weight = self.stem.conv.weight
        device, dtype = weight.device, weight.dtype
        if global_pool is not None:
            pool = SelectAdaptivePool2d(pool_type=global_pool)
            if pool.feat_mult() != self.global_pool.feat_mult():
                raise ValueError(
                    f"global_pool {global_pool!r} changes the number of features; "
                    "give it when the model is created"
                )
            self.global_pool = pool
            self.flatten = nn.Flatten(1) if global_pool else nn.Identity()
        self.classifier = self._make_classifier(num_classes).to(device=device, dtype=dtype)
        init_weights(self.classifier)

    @torch.jit.ignore
    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Trade computation for memory in training (timm's interface)."""
        self.grad_checkpointing = enable

    @torch.jit.ignore
    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Parameter groups for layer-wise rates (timm's interface)."""
        blocks = r"^stages\.(\d+)" if coarse else r"^stages\.(\d+)\.(\d+)"
        return {"stem": r"^stem", "blocks": [(blocks, None), (r"^head", (99999,))]}

    @staticmethod
    def scales(plan: NetworkPlan) -> list[dict[str, Any]]:
        """timm's ``feature_info``: channels, reduction and module of the last map of each scale.

        The scales are 2 ×, 4 ×, ... smaller than the input, as in timm's other mobile networks; the head's
        expanded map is not a feature.
        """
        reduction = plan.structure.stem.stride
        info: list[dict[str, Any]] = []
        for index, (stage, blocks) in enumerate(zip(plan.structure.stages, plan.stages, strict=True)):
            if stage.stride == 1 and info:
                info.pop()  # the deeper map of the same scale takes the shallower one's place
            reduction *= stage.stride
            info.append(
                {
                    "num_chs": blocks[-1].out_chs,
                    "reduction": reduction,
                    "module": f"stages.{index}",
                    "stage": index,
                }
            )
        return info

    @torch.jit.ignore
    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Feature maps by index, alone or with the result of ``forward_features`` (timm's interface).

        ``norm`` is accepted for timm's sake; these networks have no final norm to apply.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt {output_fmt!r} is not supported, only 'NCHW'")
        take, _ = feature_take_indices(len(self.feature_info), indices)
        wanted = [self.feature_info[i]["stage"] for i in take]
        maps = []
        x = self.stem(x)
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in wanted:
                maps.append(x)
            if stop_early and intermediates_only and index == max(wanted):
                break
        return maps if intermediates_only else (self.head(x), maps)

    @torch.jit.ignore
    def prune_intermediate_layers(
        self,
        indices: int | list[int] = 1,
        prune_norm: bool = False,
        prune_head: bool = True,
    ) -> list[int]:
        """Drop the layers after the last wanted feature (timm's interface)."""
        take, _ = feature_take_indices(len(self.feature_info), indices)
        last = max(self.feature_info[i]["stage"] for i in take)
        self.stages = self.stages[: last + 1]
        if prune_head:
            self.head = nn.Identity()
            self.reset_classifier(0)
        return list(take)

    def is_calibrated(self) -> bool:
        """Whether the running statistics are the ones that :attr:`calibration` records.

        The counters of the batch norms must agree with the record: another forward pass in training mode
        moves the statistics and thereby ends the calibration.
        """
        norms = [m for m in self.modules() if isinstance(m, nn.BatchNorm2d)]
        record = self.calibration
        return record is not None and all(int(n.num_batches_tracked or 0) == record.batches for n in norms)
