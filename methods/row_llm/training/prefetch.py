"""Batches on their way to a GPU while it computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

Batch = tuple[Tensor, ...]
DEPTH = 3
"""Batches assembled ahead of the one computed."""


def on_device(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """The same batches, in order, on ``device``.

    For a GPU a thread assembles and pins the next ones meanwhile; on a CPU it would take cores from the model, so
    nothing runs ahead.
    """
    if device.type == "cpu":
        yield from batches
        return

    def fetch() -> Batch | None:
        batch = next(batches, None)
        return None if batch is None else tuple(part.pin_memory() for part in batch)

    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        waiting = deque(pool.submit(fetch) for _ in range(DEPTH))
        while (batch := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(fetch))
            yield tuple(part.to(device, non_blocking=True) for part in batch)
