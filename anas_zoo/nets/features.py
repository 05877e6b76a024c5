"""The part of timm's model interface that is about intermediate feature maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from timm.models._features import feature_take_indices
from torch import Tensor, nn

from anas_zoo.space import NetworkPlan

__all__ = ["FeatureMixin"]


class FeatureMixin:
    """Feature maps of a network made of ``stem``, ``stages`` and ``head``.

    Feature ``i`` is the last map of the i-th scale (2 ×, 4 ×, ... smaller than the input), as in timm's
    other mobile networks; the head's expanded map is no feature.
    """

    if TYPE_CHECKING:  # as class annotations at run time, torch.jit would try to script them
        stem: nn.Module
        stages: nn.Sequential
        head: nn.Module
        feature_info: list[dict[str, Any]]

    @staticmethod
    def scales(plan: NetworkPlan) -> list[dict[str, Any]]:
        """timm's ``feature_info``: channels, reduction and module of the last map of each scale."""
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
            self.reset_classifier(0)  # type: ignore[attr-defined]
        return list(take)
