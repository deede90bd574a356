"""How tokens are chosen: temperature, top-k, top-p, and exact draws for prefixes that many rows share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from methods.row_llm.config import DecodingConfig

Array = np.ndarray[Any, Any]


def probabilities(logits: Tensor, config: DecodingConfig, allowed: Tensor | None = None) -> Tensor:
    """Next-token probabilities, shape (rows, vocabulary).

    Args:
        logits: of the next token, shape (rows, vocabulary).
        config: temperature and truncation.
        allowed: tokens that may be chosen, boolean, shape (rows, vocabulary); ``None`` for all.
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


def draw(
    probs: Tensor, counts: Array, rng: np.random.Generator, tokens: Tensor | None = None
) -> tuple[Tensor, Tensor, Array]:
    """Split the rows that share each prefix among the next tokens by a multinomial draw.

    The draw is exact: every row of a prefix draws its own token by inverting the cumulative distribution in double
    precision; equal draws are merged.

    Args:
        probs: of the next token (each row may sum to any positive number), shape (prefixes, k).
        counts: rows that share each prefix, shape (prefixes,).
        rng: where the draws come from.
        tokens: those that the columns of ``probs`` stand for, shape (k,); ``None`` for the whole vocabulary.

    Returns:
        for each new prefix its parent (prefixes,), its token, and the number of rows that share it; ordered by parent and
        token when any prefix was shared, else the parents in their order.
    """
    cumulative = probs.cumsum(1, dtype=torch.float64)
    rows = np.repeat(np.arange(len(counts)), counts)
    # Below 1 by more than the rounding of row + uniform, so that no draw slips into the next prefix.
    uniform = np.minimum(rng.random(len(rows)), 1.0 - 2.0**-40)
    if len(rows) == len(counts):
        wanted = torch.from_numpy(uniform).to(probs.device)[:, None] * cumulative[:, -1:]
        parents, drawn = torch.from_numpy(rows).to(probs.device), torch.searchsorted(cumulative, wanted, right=True)
        drawn = drawn.squeeze(1)
    else:
        cumulative /= cumulative[:, -1:].clone()
        cumulative += torch.arange(len(counts), device=probs.device, dtype=torch.float64)[:, None]
        flat = torch.searchsorted(cumulative.flatten(), torch.from_numpy(rows + uniform).to(probs.device), right=True)
        merged, shared = torch.unique(flat, sorted=True, return_counts=True)
        parents, drawn, counts = merged // probs.shape[1], merged % probs.shape[1], shared.cpu().numpy()
    return parents, drawn if tokens is None else tokens[drawn], counts
