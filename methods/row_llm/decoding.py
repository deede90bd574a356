"""How tokens are chosen: temperature, top-k, top-p, and exact draws for prefixes that many rows share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from harness.errors import TabOrderError, choices

Mode = Literal["free", "template", "constrained", "fd_constrained"]


@dataclass(frozen=True)
class DecodingConfig:
    """How rows are sampled.

    Attributes:
        mode: ``free`` samples names, values and the end of the row; ``template`` forces the names; ``constrained`` also
            restricts each value to its column's domain; ``fd_constrained`` also to what the training rows' exact
            functional dependencies allow.
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


def probabilities(logits: Tensor, config: DecodingConfig, allowed: Tensor | None = None) -> Tensor:
    """Next-token probabilities, shape (rows, vocabulary).

    Args:
        logits: of the next token, shape (rows, vocabulary).
        config: temperature and truncation.
        allowed: tokens that may be chosen, boolean, shape (vocabulary,) or (rows, vocabulary); ``None`` for all.
    """
    logits = logits.float()
    if allowed is not None:
        logits = logits.masked_fill(~allowed, -torch.inf)
    if config.temperature != 1.0:
        logits = logits / config.temperature
    if config.top_k is not None and config.top_k < logits.shape[1]:
        # Exactly k: of equal logits those with the lower token ids stay.
        kept = logits.sort(descending=True, stable=True).indices[:, : config.top_k]
        logits = torch.full_like(logits, -torch.inf).scatter(1, kept, logits.gather(1, kept))
    probs = logits.softmax(1)
    if config.top_p is not None and config.top_p < 1.0:
        ordered, places = probs.sort(descending=True, stable=True)
        drop = ordered.cumsum(1) - ordered >= config.top_p
        probs = probs.masked_fill(torch.zeros_like(drop).scatter(1, places, drop), 0.0)
    return probs


def draw(probs: Tensor, counts: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor, np.ndarray]:
    """Split the rows that share each prefix among the next tokens by a multinomial draw.

    The draw is exact: every row of a prefix draws its own token by inverting the cumulative distribution in double precision;
    equal draws are merged.

    Args:
        probs: of the next token (each row may sum to any positive number), shape (prefixes, vocabulary).
        counts: rows that share each prefix, shape (prefixes,).
        rng: where the draws come from.

    Returns:
        for each new prefix its parent (prefixes,), its token, and the number of rows that share it; ordered by parent and
        token when any prefix was shared, else the parents in their order.
    """
    cumulative = probs.double().cumsum(1)
    cumulative /= cumulative[:, -1:].clone()
    rows = np.repeat(np.arange(len(counts)), counts)
    # Below 1 by more than the rounding of row + uniform, so that no draw slips into the next prefix.
    uniform = np.minimum(rng.random(len(rows)), 1.0 - 2.0**-40)
    parents = torch.from_numpy(rows).to(probs.device)
    cumulative += torch.arange(len(counts), device=probs.device, dtype=torch.float64)[:, None]
    flat = torch.searchsorted(cumulative.flatten(), torch.from_numpy(rows + uniform).to(probs.device), right=True)
    if len(rows) == len(counts):
        return parents, flat - parents * probs.shape[1], counts
    merged, shared = torch.unique(flat, sorted=True, return_counts=True)
    return merged // probs.shape[1], merged % probs.shape[1], shared.cpu().numpy()
