"""A key-value cache in preallocated memory: appending a token copies that token only."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer


class BufferLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of one layer, shape (rows, heads, capacity, head size), of which the first ``length`` are filled."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocate at the first update, when shape, type and device are known."""
        self.dtype, self.device = key_states.dtype, key_states.device
        shape = (*key_states.shape[:2], self.capacity, key_states.shape[3])
        self.keys = key_states.new_empty(shape)
        self.values = value_states.new_empty((*value_states.shape[:2], self.capacity, value_states.shape[3]))
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Append; returns views of all filled keys and values."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[2]
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_seq_length(self) -> int:
        """Filled places."""
        return self.length

    def select(self, rows: Tensor) -> BufferLayer:
        """A copy with these rows, in this order; a row may come more than once."""
        layer = BufferLayer(self.capacity)
        layer.dtype, layer.device, layer.length = self.dtype, self.device, self.length
        layer.is_initialized = True
        for name in ("keys", "values"):
            old = getattr(self, name)
            new = old.new_empty((len(rows), *old.shape[1:]))
            new[:, :, : self.length] = old[:, :, : self.length].index_select(0, rows)
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
