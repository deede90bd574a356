"""What training a large model takes in memory, said before it begins."""

from __future__ import annotations

import psutil
from transformers import PreTrainedModel

from harness.errors import TabOrderError

FLOAT = 4
"""Bytes of a number in single precision."""
PER_LAYER = 8
"""Vectors of the hidden size that a layer keeps for the backward pass: two norms, queries, keys, values, attention, two sums."""
PER_INNER = 4
"""Vectors of the inner size: two projections, the activation, their product."""


def training_bytes(model: PreTrainedModel, row_tokens: int, batch_size: int) -> tuple[int, int]:
    """Bytes for weights, gradients and optimizer state, and at most for what a step keeps until its backward pass.

    Args:
        model: to be trained.
        row_tokens: of the longest row.
        batch_size: rows of a step.
    """
    config = model.config
    numbers = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    held = sum(count * (4 if trained else 1) for count, trained in numbers) * FLOAT  # weight, gradient, two moments
    hidden = int(getattr(config, "hidden_size", 0))
    inner = int(getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None) or 4 * hidden)
    layers = int(getattr(config, "num_hidden_layers", 0))
    a_token = layers * (PER_LAYER * hidden + PER_INNER * inner) + 2 * int(getattr(config, "vocab_size", 0))
    return held, batch_size * row_tokens * a_token * FLOAT


def memory_said(model: PreTrainedModel, row_tokens: int, batch_size: int) -> str:
    """A sentence about the memory that training will take.

    Raises:
        TabOrderError: when weights, gradients and optimizer state alone are more than is free on the CPU.
    """
    held, kept = training_bytes(model, row_tokens, batch_size)
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad) / 1e6
    free = psutil.virtual_memory().available
    if model.device.type == "cpu" and held > free:
        raise TabOrderError(
            f"training {trained:.3g} million weights takes {held / 2**30:.1f} GiB, but {free / 2**30:.1f} GiB are free: set "
            "llm.lora_rank=16, or choose a smaller model."
        )
    return (
        f"training {trained:.3g} of {millions:.3g} million weights: {held / 2**30:.1f} GiB for weights, gradients and optimizer state, and "
        f"up to {kept / 2**30:.1f} GiB for a step of {batch_size} rows of up to {row_tokens} tokens."
    )
