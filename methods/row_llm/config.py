"""What a row language model can be told; every value is checked when it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from harness.errors import TabOrderError, choices
from methods.column_order import Policy, check_policy

Mode = Literal["free", "template", "constrained", "fd_constrained"]
UNTRAINED = "untrained:"
"""Before the name of a pretrained model: its architecture and tokenizer without its weights."""
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class LLMConfig:
    """Which language model.

    Attributes:
        pretrained: a causal language model, by any name of :mod:`methods.pretrained.sources` (``smollm2``, a GGUF file,
            a folder, a hub name); after ``untrained:`` its architecture and tokenizer alone, with weights from the
            seed; ``None`` for a small GPT-2 from scratch.
        layers: transformer blocks of the from-scratch model.
        width: its hidden size.
        heads: its attention heads.
        lora_rank: rank of LoRA adapters on a pretrained model (needs the extra ``lora``); ``None`` trains all weights.
    """

    pretrained: str | None = None
    layers: int = 2
    width: int = 64
    heads: int = 2
    lora_rank: int | None = None

    def __post_init__(self) -> None:
        if min(self.layers, self.width, self.heads) < 1 or self.width % self.heads:
            raise TabOrderError(
                f"llm.width={self.width} must be a positive multiple of llm.heads={self.heads}, "
                f"with llm.layers={self.layers} ≥ 1."
            )
        if self.lora_rank is not None and self.untrained:
            raise TabOrderError(
                f"llm.pretrained={self.pretrained} has random weights, all of which train: set llm.lora_rank=null."
            )
        if self.lora_rank is not None and self.pretrained is None:
            raise TabOrderError(
                "llm.lora_rank needs a pretrained model: set llm.pretrained too, or llm.lora_rank=null."
            )

    @property
    def untrained(self) -> bool:
        """Whether only the architecture and the tokenizer are taken."""
        return str(self.pretrained).startswith(UNTRAINED)

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> LLMConfig:
        """Read the ``llm`` mapping of a configuration.

        Raises:
            TabOrderError: for unknown keys and values out of range.
        """
        unknown = sorted(set(options) - set(cls.__dataclass_fields__))
        if unknown:
            legal = ", ".join(sorted(cls.__dataclass_fields__))
            raise TabOrderError(f"unknown key llm.{unknown[0]}: the choices are {legal}.")
        return cls(**options)


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how fast to train.

    Attributes:
        epochs: passes over the rows; ``None`` when only ``max_seconds`` ends training.
        max_seconds: wall-clock budget; the learning rate then follows the time spent, and the run is not reproducible.
        batch_size: rows of a step.
        learning_rate: peak of AdamW's rate, after a linear warm-up and before a linear decay to zero.
        warmup: share of training spent warming up.
        weight_decay: of AdamW.
        checkpoint_seconds: time between checkpoints.
    """

    epochs: int | None
    max_seconds: float | None
    batch_size: int
    learning_rate: float
    warmup: float
    weight_decay: float
    checkpoint_seconds: float

    def __post_init__(self) -> None:
        if self.epochs is None and self.max_seconds is None:
            raise TabOrderError("training needs a budget: set epochs or max_train_seconds.")
        for name in ("epochs", "max_seconds", "batch_size", "learning_rate"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, (int, float)) or not value > 0):
                raise TabOrderError(f"{name}={value} must be a number greater than 0.")


@dataclass(frozen=True)
class DecodingConfig:
    """How rows are sampled.

    Attributes:
        mode: ``free`` samples names, values and the end of the row; ``template`` forces the names; ``constrained`` also
            restricts each value to its column's domain (from scratch: training's categories and, by sign, its range of
            numbers); ``fd_constrained`` also to what the training rows' exact functional dependencies allow.
        temperature: divides the logits; 1 is the model's own distribution.
        top_k: keep the k most probable tokens; ``None`` keeps all.
        top_p: keep the fewest most probable tokens whose probabilities reach p; ``None`` keeps all.
    """

    mode: Mode = "template"
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise TabOrderError(choices(self.mode, get_args(Mode), "decoding"))
        if not self.temperature > 0:
            raise TabOrderError(f"temperature={self.temperature} must be greater than 0.")
        if self.top_k is not None and self.top_k < 1:
            raise TabOrderError(f"top_k={self.top_k} must be at least 1, or null.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise TabOrderError(f"top_p={self.top_p} must be in (0, 1], or null.")


@dataclass(frozen=True)
class RowConfig:
    """Everything about a row language model but its seeds.

    Attributes:
        order: policy of :func:`methods.column_order.column_order`, or the columns in the order wanted.
        order_seed: what random orders are drawn from; ``None`` for one derived from the seed of ``fit``.
        given_order: the columns, for ``order="given"``.
        mining: options of the dependency mining.
        llm: the model.
        training: budget and rates.
        decoding: how rows are sampled.
        digits_per_token: digits of a number in one token (from scratch).
        sample_batch: rows decoded at once.
        prefix_sharing: compute equal prefixes once where all rows share one order.
        max_attempts: rows started at most, as a multiple of the rows asked for.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    order: Policy
    order_seed: int | None
    given_order: Sequence[str] | None
    mining: Mapping[str, Any]
    llm: LLMConfig
    training: TrainingConfig
    decoding: DecodingConfig
    digits_per_token: int
    sample_batch: int
    prefix_sharing: bool
    max_attempts: float
    device: str

    def __post_init__(self) -> None:
        check_policy(self.order, self.given_order, self.order_seed)
        if self.digits_per_token not in (1, 2, 3):
            raise TabOrderError(f"digits_per_token={self.digits_per_token} must be 1, 2 or 3.")
        if self.sample_batch < 1:
            raise TabOrderError(f"sample_batch={self.sample_batch} must be at least 1.")
        if self.max_attempts < 1:
            raise TabOrderError(
                f"max_attempts={self.max_attempts} must be at least 1: so many rows are started for each one asked for."
            )
        if self.device not in DEVICES:
            raise TabOrderError(choices(self.device, DEVICES, "device"))
