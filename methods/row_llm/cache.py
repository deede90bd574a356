"""A key-value cache in preallocated memory: appending a token copies that token only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer


class BufferLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of one layer, of which the first ``length`` places are filled.

    Memory is laid out place by place, shape (capacity, rows, heads, head size): a new token is one contiguous write, and on a
    CPU attention over it is faster than over the usual layout.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocate at the first update, when shape, type and device are known."""
        self.dtype, self.device = key_states.dtype, key_states.device
        rows, heads, _, size = key_states.shape
        self.keys = key_states.new_empty((self.capacity, rows, heads, size))
        self.values = value_states.new_empty((self.capacity, rows, heads, value_states.shape[3]))
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Append; returns views of all filled keys and values, shape (rows, heads, length, head size)."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[2]
        self.keys[self.length : end] = key_states.permute(2, 0, 1, 3)
        self.values[self.length : end] = value_states.permute(2, 0, 1, 3)
        self.length = end
        return self.keys[:end].permute(1, 2, 0, 3), self.values[:end].permute(1, 2, 0, 3)

    def get_seq_length(self) -> int:
        """Filled places."""
        return self.length

    def select(self, rows: Tensor) -> BufferLayer:
        """A copy with these rows, in this order; a row may come more than once."""
        layer = BufferLayer(self.capacity)
        layer.length = self.length
        if not self.is_initialized:
            return layer
        layer.dtype, layer.device, layer.is_initialized = self.dtype, self.device, True
        for name in ("keys", "values"):
            old = getattr(self, name)
            new = old.new_empty((self.capacity, len(rows), *old.shape[2:]))
            torch.index_select(old[: self.length], 1, rows, out=new[: self.length])
            setattr(layer, name, new)
        return layer


class BufferCache(Cache):  # type: ignore[misc]
    """The cache of a whole model."""

    def __init__(self, layers: list[BufferLayer]) -> None:
        super().__init__(layers=layers)

    @classmethod
    def empty(cls, model: PreTrainedModel, capacity: int) -> BufferCache:
        """For rows of at most ``capacity`` tokens."""
        return cls([BufferLayer(capacity) for _ in range(model.config.num_hidden_layers)])

    def select(self, rows: Tensor) -> BufferCache:
        """A copy with these rows, in this order."""
        return BufferCache([layer.select(rows) for layer in self.layers])
