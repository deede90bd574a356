"""Attention masks of rows that differ in length."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Attention:
    """Which tokens each token sees: those before it and itself, within the window of models that have one."""

    def __init__(self, config: Any) -> None:
        on = getattr(config, "use_sliding_window", True)
        self.window: int | None = getattr(config, "sliding_window", None) if on else None
        self.by_layer = "sliding_attention" in (getattr(config, "layer_types", None) or ())
        self.added = config._attn_implementation == "eager"  # models without fused attention add the mask to the scores

    def mask(self, positions: Tensor, end: int) -> Any:
        """Shape (rows, 1, tokens, ``end``), for tokens at ``positions``; by kind of layer if some have a window."""
        places = torch.arange(end, device=positions.device)
        seen = (places <= positions[:, :, None])[:, None]
        if self.window is None or self.window >= end:
            near = seen
        else:
            near = seen & (places > positions[:, :, None] - self.window)[:, None]
        if self.added:
            seen, near = (torch.where(part, 0.0, torch.finfo(torch.float32).min) for part in (seen, near))
        return {"full_attention": seen, "sliding_attention": near} if self.by_layer else near
