"""Prefixes that several rows share: when to tell them apart, and how draws and forced tokens come together."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]
LOOSE = 2.0
"""Rows per prefix below which sharing costs more (every split copies what the model remembers) than it saves."""


def loose(counts: Array) -> bool:
    """Whether few prefixes are still shared, by few rows."""
    return bool(len(counts) < counts.sum() <= LOOSE * len(counts))


def apart(counts: Array, device: torch.device) -> tuple[Tensor, Array]:
    """Every row a prefix of its own: the prefix of each row, and counts of 1."""
    rows = np.repeat(np.arange(len(counts)), counts)
    return torch.from_numpy(rows).to(device), np.ones(len(rows), dtype=np.int64)


def join(
    open_rows: Tensor, drawn: tuple[Tensor, Tensor, Array], forced: Tensor, counts: Array
) -> tuple[Tensor, Tensor, Array]:
    """Put the prefixes whose token was forced back among those that drew theirs.

    Args:
        open_rows: the prefixes that drew, shape (open,).
        drawn: parents among ``open_rows``, tokens and counts (:func:`methods.row_llm.sampling.draws.draw`).
        forced: the forced token of each prefix, −1 for open ones, shape (prefixes,).
        counts: rows that share each prefix, shape (prefixes,).

    Returns:
        parents among all prefixes in ascending order, tokens and counts.
    """
    parents, tokens, shared = open_rows[drawn[0]], drawn[1], drawn[2]
    if len(open_rows) == len(forced):
        return parents, tokens, shared
    closed = (forced >= 0).nonzero().squeeze(1)
    parents, order = torch.cat([parents, closed]).sort(stable=True)
    tokens = torch.cat([tokens, forced[closed]])[order]
    return parents, tokens, np.concatenate([shared, counts[closed.cpu().numpy()]])[order.cpu().numpy()]
