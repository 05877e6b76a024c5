"""What can be chosen about training; defaults are the AttentiveNAS recipe (arXiv:2011.09011, section 4)."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from anas_zoo.core.schema import Schema, Sparse
from anas_zoo.data import AugmentationRecipe, StreamRecipe

Strategy = Literal["bestup", "worstup", "pool", "uniform", "spos", "gradient", "fairnas", "ofa"]
ATTENTIVE = ("bestup", "worstup")  # those that compare candidates


class OfaPhases(Schema):
    """Shares of all steps that progressive shrinking spends on each phase, in this order.

    ``full`` trains the largest subnet alone; then kernel sizes, then depths too, then widths and expand
    ratios too become elastic. The resolution is elastic from the beginning.
    """

    full: float = Field(0.25, ge=0, le=1)
    kernel: float = Field(0.25, ge=0, le=1)
    depth: float = Field(0.25, ge=0, le=1)
    width: float = Field(0.25, ge=0, le=1)

    @model_validator(mode="after")
    def _shares_of_one(self) -> Self:
        total = self.full + self.kernel + self.depth + self.width
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the four shares must add up to 1, they give {total:g}")
        return self


class PoolRecipe(Schema):
    """The pools of strategy ``pool``: architectures in each, and how often a draw is from one in the end."""

    size: int = Field(20, ge=1)
    probability: float = Field(0.8, gt=0, le=1)


class SizeWeights(Schema):
    """How much each subnet of a step counts, by its size and the time: (1 - t)^γ, in the mean of a step 1.

    t is the part of the training that is done; γ is linear in the logarithm of the parameters between that of
    the ``smallest`` and that of the ``largest``: with the higher one at the smallest, small subnets learn
    early and large ones late (DYNAS, CVPR 2025, whose learning rates decay so).
    """

    smallest: float = Field(4.0, ge=0, le=10)
    largest: float = Field(0.25, ge=0, le=10)


class SamplingRecipe(Sparse):
    """Which subnets a step trains.

    - ``bestup``, ``worstup``: the sandwich (largest and smallest subnet) and, between them, the best or worst
      of ``candidates`` architectures of one drawn FLOPs (AttentiveNAS). Their quality is the ``loss`` on the
      ``trial_part`` of the current mini-batch; or what an accuracy ``predictor`` (an ONNX file) says; or what
      a model says that learns ``online``, from the losses of the subnets trained so far. With one subnet a
      step there is no sandwich: that one is attended, and learns from the labels.
    - ``pool``: the sandwich with draws of one of the ``prior_bins`` bands of FLOPs, which walks by steps of
      one, some of them from the band's ``pool`` of those with the lowest losses (GreedyNAS, ElasticViT).
    - ``uniform``: the sandwich with uniform draws between (BigNAS).
    - ``spos``: one uniform draw, trained on the labels (single path one-shot).
    - ``gradient``: one draw, trained on the labels, its choices by the gradients that they had (PA&DA).
    - ``fairnas``: strict fairness: in every round each choice of each dimension is trained equally often.
    - ``ofa``: progressive shrinking (once-for-all), in the shares of ``ofa_phases``.
    """

    LEFT_OUT: ClassVar = ("trial_part", "pool")  # as in TrainRecipe

    strategy: Strategy = "bestup"
    candidates: int = Field(3, ge=1, le=100)
    quality: Literal["loss", "predictor", "online"] = "loss"
    trial_part: float = Field(1.0, gt=0, le=1)
    predictor: str | None = None
    prior_draws: int = Field(1_000_000, ge=1000)
    prior_bins: int = Field(70, ge=2)  # the paper's 25 M bins over its space are 70
    max_tries: int = Field(100, ge=1)
    ofa_phases: OfaPhases = OfaPhases()
    pool: PoolRecipe = PoolRecipe()

    @model_validator(mode="after")
    def _predictor_is_given(self) -> Self:
        if self.quality == "predictor" and self.predictor is None:
            raise ValueError("quality: predictor needs predictor: FILE.onnx")
        if self.quality != "loss" and self.trial_part < 1:
            raise ValueError(f"trial_part {self.trial_part} is of trials, which quality: loss has alone")
        if self.quality != "loss" and self.strategy not in ATTENTIVE:
            raise ValueError(
                f"quality: {self.quality} is for the strategies {' and '.join(ATTENTIVE)}; "
                f"{self.strategy!r} compares no candidates"
            )
        return self


class DistillationRecipe(Schema):
    """What the other subnets of a step learn from the largest one's soft predictions.

    ``kl``: its Kullback-Leibler divergence; ``alpha``: the larger, per image, of the α-divergences of
    ``alpha_min`` and ``alpha_max``, importance weights clipped at ``clip`` (AlphaNet, arXiv:2102.07954);
    ``none``: they learn from the labels. Steps without the largest subnet (spos, fairnas) have no teacher.
    """

    loss: Literal["kl", "alpha", "none"] = "kl"
    alpha_min: float = Field(-1.0, ge=-10, le=10)
    alpha_max: float = Field(1.0, ge=-10, le=10)
    clip: float = Field(5.0, gt=0)


class CheckpointRecipe(Schema):
    """When the whole state of a training is written, and how many of these states are kept.

    Besides every ``every_epochs`` epochs, one is written every ``every_steps`` steps where that is given:
    for epochs that take hours. The best by the evaluations so far is kept apart.
    """

    every_epochs: int = Field(1, ge=1)
    every_steps: int | None = Field(None, ge=1)
    keep: int = Field(3, ge=1)


class EvaluationRecipe(Schema):
    """How training watches itself: accuracy on the search split, never on the test split.

    The smallest, the largest and ``sampled`` fixed uniform draws are calibrated and scored on ``images``
    images, every ``every_epochs`` epochs and after the last one.
    """

    every_epochs: int = Field(5, ge=1)
    sampled: int = Field(2, ge=1, le=20)
    images: int = Field(1000, ge=1)
    calibration_images: int = Field(256, ge=2)


class TrainRecipe(Sparse):
    """One training run."""

    # What came after 0.2: trainings of before are known by a text without it.
    LEFT_OUT: ClassVar = ("classifier_rate_factor", "epoch_part", "optimizer", "size_weights")

    epochs: int = Field(360, ge=1)
    epoch_part: float = Field(1.0, gt=0, le=1)  # of the images, that one epoch takes; each takes others
    batch_size: int = Field(256, ge=2)  # images per optimizer step, over all processes
    accumulation: int = Field(1, ge=1)  # micro-batches per step in each process; batch norm sees one of them
    subnets_per_step: int = Field(4, ge=1)  # the sandwich: largest, K - 2 sampled, smallest
    optimizer: Literal["sgd", "muon"] = "sgd"  # muon: convolutions step orthogonally (training/optimizer.py)
    learning_rate: float = Field(0.1, gt=0)  # muon: of convolutions, the rest learns ten times as fast
    classifier_rate_factor: float = Field(1.0, gt=0)  # of the classifier's rate: a new one may learn faster
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-5, ge=0)  # not on batch norms and biases
    warmup_epochs: float = Field(5.0, ge=0)
    warmup_factor: float = Field(0.001, gt=0, le=1)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    drop_rate: float = Field(0.2, ge=0, lt=1)  # largest subnet only
    drop_path_rate: float = Field(0.2, ge=0, lt=1)  # largest subnet only, last two stages
    clip_value: float = Field(1.0, gt=0)
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: autocast, weights stay in fp32
    sync_batch_norm: bool = False  # statistics over all processes' images of a micro-batch
    sampling: SamplingRecipe = SamplingRecipe()
    distillation: DistillationRecipe = DistillationRecipe()
    size_weights: SizeWeights | None = None
    loader: Literal["memory", "stream"] = "memory"  # memory uses augmentation, stream uses stream
    augmentation: AugmentationRecipe = AugmentationRecipe()
    stream: StreamRecipe = StreamRecipe()
    max_unreadable_images: int = Field(10, ge=0)
    max_rollbacks: int = Field(3, ge=0)  # returns to the last checkpoint after a loss that is not finite
    checkpoints: CheckpointRecipe = CheckpointRecipe()
    evaluation: EvaluationRecipe = EvaluationRecipe()
    log_every_steps: int = Field(50, ge=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} must be under epochs {self.epochs}")
        if self.sampling.strategy == "uniform" and self.subnets_per_step < 2:
            raise ValueError(
                "strategy 'uniform' trains the largest and the smallest subnet: subnets_per_step ≥ 2; one "
                "uniform draw a step is strategy 'spos'"
            )
        if self.sampling.quality == "online" and self.subnets_per_step == 2:
            raise ValueError(
                "quality: online learns from the attended subnets of a step, and 2 subnets_per_step are the "
                "largest and the smallest; give 1, 3 or more"
            )
        return self
