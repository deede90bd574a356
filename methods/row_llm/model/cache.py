"""Key-value caches in preallocated memory: appending a token copies that token only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer

SHORT = 32
"""Up to so many tokens, memory is laid out place by place, (place, row, head, size), on which a CPU attends and copies
faster; above, row by row, (row, head, place, size), on which it attends up to four times faster. The numbers computed
are the same."""


MARGIN = 0.4
"""Share of a GPU's free memory that keys and values may fill: the copy made where prefixes split takes as much."""


def most_rows(model: PreTrainedModel, tokens: int, vocabulary_size: int) -> int | None:
    """How many rows a GPU can decode at once; ``None`` for no limit, on a CPU.

    Args:
        model: on its device.
        tokens: of a row.
        vocabulary_size: tokens whose probabilities are held in double precision at once.
    """
    if model.device.type == "cpu":
        return None
    config = model.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    kept: int = 2 * config.num_hidden_layers * heads * size * torch.finfo(torch.bfloat16).bits // 8 * (tokens + 1)
    free, _ = torch.cuda.mem_get_info(model.device)
    free += torch.cuda.memory_reserved(model.device) - torch.cuda.memory_allocated(model.device)
    return max(1, int(MARGIN * free) // (kept + 16 * vocabulary_size))


class BufferLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of one layer, of which the first ``length`` places are filled."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocate at the first update, when shape, type and device are known."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys, self.values = self._empty(key_states), self._empty(value_states)
        self.is_initialized = True

    def _empty(self, states: Tensor) -> Tensor:
        """Memory for rows of this kind, seen as (rows, heads, capacity, head size)."""
        rows, heads, _, size = states.shape
        if self.capacity > SHORT:
            return states.new_empty((rows, heads, self.capacity, size))
        return states.new_empty((self.capacity, rows, heads, size)).permute(1, 2, 0, 3)

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Append; returns views of all filled keys and values, shape (rows, heads, length, head size)."""
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
        layer = type(self)(self.capacity)
        layer.length = self.length
        if not self.is_initialized:
            return layer
        layer.dtype, layer.device, layer.is_initialized = self.dtype, self.device, True
        for name in ("keys", "values"):
            old = getattr(self, name)
            new = self._empty(old[:1].expand(len(rows), -1, -1, -1))
            self._copy(old, new, rows)
            setattr(layer, name, new)
        return layer

    def _copy(self, old: Tensor, new: Tensor, rows: Tensor) -> None:
        """The filled places of these rows."""
        if self.capacity > SHORT:
            new[:, :, : self.length] = old[:, :, : self.length].index_select(0, rows)
        else:
            by_place = old.permute(2, 0, 1, 3)[: self.length]
            torch.index_select(by_place, 1, rows, out=new.permute(2, 0, 1, 3)[: self.length])


class BufferCache(Cache):  # type: ignore[misc]
    """The cache of a whole model; rows grow in step."""

    def __init__(self, layers: list[BufferLayer]) -> None:
        super().__init__(layers=layers)

    @classmethod
    def empty(cls, model: PreTrainedModel, capacity: int) -> BufferCache:
        """For rows of at most ``capacity`` tokens."""
        return cls([BufferLayer(capacity) for _ in range(model.config.num_hidden_layers)])

    def select(self, rows: Tensor) -> BufferCache:
        """A copy with these rows, in this order."""
        return BufferCache([layer.select(rows) for layer in self.layers])


class RaggedLayer(BufferLayer):
    """Keys and values of one layer where each row has its own length; :class:`RaggedCache` says where tokens go.

    Memory is laid out token by token, (row, place, head, size): writing and gathering move whole tokens.
    """

    cache: RaggedCache

    def _empty(self, states: Tensor) -> Tensor:
        """Zeros: what is beyond a row's length is masked, and must be finite for that."""
        rows, heads, _, size = states.shape
        return states.new_zeros((rows, self.capacity, heads, size)).permute(0, 2, 1, 3)

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write at the cache's places; returns the first ``cache.end`` places of the rows that are run."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.length = max(self.length, self.cache.end)
        return self._write(self.keys, key_states), self._write(self.values, value_states)

    def _write(self, memory: Tensor, states: Tensor) -> Tensor:
        rows, end = self.cache.rows, self.cache.end
        tokens = memory.permute(0, 2, 1, 3)
        line = torch.arange(len(tokens), device=self.device) if rows is None else rows
        places = (line[:, None] * self.capacity + self.cache.places).flatten()
        tokens.flatten(0, 1).index_copy_(0, places, states.transpose(1, 2).flatten(0, 1))
        filled = tokens[:, :end]
        return (filled if rows is None else filled.index_select(0, rows)).permute(0, 2, 1, 3)

    def reuse(self, rows: int) -> RaggedLayer:
        """The first rows' memory, empty."""
        layer = type(self)(self.capacity)
        if self.is_initialized:
            layer.dtype, layer.device, layer.is_initialized = self.dtype, self.device, True
            layer.keys, layer.values = self.keys[:rows], self.values[:rows]
        return layer

    def _copy(self, old: Tensor, new: Tensor, rows: Tensor) -> None:
        new.permute(0, 2, 1, 3)[:, : self.length] = old.permute(0, 2, 1, 3)[:, : self.length].index_select(0, rows)


class RaggedCache(Cache):  # type: ignore[misc]
    """The cache of a whole model for rows of different lengths, without gaps; the model may be run on some alone.

    Attributes:
        rows: the rows the model is run on next; ``None`` for all.
        places: where their tokens go, shape (rows, tokens); :attr:`padding_slot` for padding.
        end: places that hold anything after that.
        padding_slot: a place that is never read.
    """

    def __init__(self, layers: list[RaggedLayer], padding_slot: int) -> None:
        super().__init__(layers=layers)
        self.rows: Tensor | None = None
        self.places = torch.empty((0, 0), dtype=torch.int64)
        self.end = 0
        self.padding_slot = padding_slot
        for layer in layers:
            layer.cache = self

    @classmethod
    def empty(cls, model: PreTrainedModel, capacity: int) -> RaggedCache:
        """For rows of at most ``capacity`` tokens."""
        return cls([RaggedLayer(capacity + 1) for _ in range(model.config.num_hidden_layers)], capacity)

    def reuse(self, rows: int) -> RaggedCache:
        """The same memory for other rows, at most as many; what it holds stays there and is masked."""
        return RaggedCache([layer.reuse(rows) for layer in self.layers], self.padding_slot)

    def prepare_write(self, rows: Tensor | None, places: Tensor, end: int) -> None:
        """Say which rows the model is run on next and where their tokens go."""
        self.rows, self.places, self.end = rows, places, end

    def select(self, rows: Tensor) -> RaggedCache:
        """A copy with these rows, in this order."""
        return RaggedCache([layer.select(rows) for layer in self.layers], self.padding_slot)
