"""Attention over a prompt that is kept once, and over what each row has written after it.

A prompt of two thousand tokens is a hundred megabytes of keys and values in a model of a hundred million parameters: a copy for every
answer that begins with it would cost more than the model itself. Here rows are grouped by their prompt; the scores over the prompt
and over a row's own tokens go through one softmax, so the numbers are those of ordinary attention.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, PreTrainedModel

from methods.row_llm.model.cache import BufferCache

NAME = "taborder_prompts"
"""Under which ``transformers`` knows this attention."""


@dataclass(frozen=True)
class Prompt:
    """A prompt that the model has read.

    Attributes:
        tokens: of the prompt.
        cache: their keys and values, of one row.
    """

    tokens: tuple[int, ...]
    cache: BufferCache

    @property
    def length(self) -> int:
        """Tokens that were read."""
        return len(self.tokens)


@dataclass(frozen=True)
class Group:
    """Rows ``start`` to ``end`` of a batch, which follow one prompt."""

    prompt: Prompt
    start: int
    end: int


_behind: Sequence[Group] = ()
"""The prompts behind the rows the model is run on now."""


@contextmanager
def behind(groups: Sequence[Group]) -> Iterator[None]:
    """Let the rows of each group see its prompt; together the groups are the whole batch, in its order."""
    global _behind
    before, _behind = _behind, groups
    try:
        yield
    finally:
        _behind = before


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """An attention function of ``transformers``.

    Args:
        module: the layer, for its number.
        query: shape (rows, heads, tokens, head size).
        key: of the rows' own tokens, shape (rows, key heads, places, head size); the last ``tokens`` of them are the query's.
        value: likewise.
        attention_mask: boolean, shape (rows, 1, tokens, places); ``None``: each token sees those before it and itself.
        scaling: of the scores; one over the root of the head size by default.

    Returns:
        shape (rows, tokens, heads, head size), and no weights.
    """
    tokens, places = query.shape[2], key.shape[2]
    scale = query.shape[3] ** -0.5 if scaling is None else scaling
    if attention_mask is None and tokens > 1:
        seen = torch.ones((tokens, places), dtype=torch.bool, device=query.device)
        attention_mask = seen.tril(places - tokens)[None, None]
    if not _behind:
        out = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=attention_mask, scale=scale, enable_gqa=query.shape[1] != key.shape[1]
        )
        return out.transpose(1, 2).contiguous(), None
    return _after_prompts(module.layer_idx, query, key, value, attention_mask, scale), None


def _after_prompts(layer: int, query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None, scale: float) -> Tensor:
    rows, heads, tokens, size = query.shape
    key_heads, places = key.shape[1:3]
    # The query heads that share a key head stand together: (rows, key heads, heads of each × tokens, head size).
    query = query.reshape(rows, key_heads, -1, size)
    own = (query @ key.transpose(2, 3)) * scale
    if seen is not None:
        by_token = own.view(rows, key_heads, -1, tokens, places)
        own = by_token.masked_fill(~seen[:, :, None], -torch.inf).view_as(own)
    out = torch.empty_like(query)
    for group in _behind:
        kept = group.prompt.cache.layers[layer]
        length = kept.length
        chosen = slice(group.start, group.end)
        # (key heads, rows × heads of each × tokens, …): all rows of a group read the prompt's keys in one product.
        asked = query[chosen].transpose(0, 1).reshape(key_heads, -1, size)
        before = (asked @ kept.keys[0, :, :length].transpose(1, 2)) * scale
        after = own[chosen].transpose(0, 1).reshape(key_heads, -1, places)
        weights = torch.cat([before, after], 2).softmax(2)
        read = weights[:, :, :length] @ kept.values[0, :, :length]
        mine = weights[:, :, length:].reshape(key_heads, group.end - group.start, -1, places).transpose(0, 1)
        out[chosen] = read.reshape(key_heads, group.end - group.start, -1, size).transpose(0, 1) + mine @ value[chosen]
    return out.reshape(rows, heads, tokens, size).transpose(1, 2).contiguous()


AttentionInterface.register(NAME, attend)


def share_prompts(model: PreTrainedModel) -> bool:
    """Give the model this attention; ``False``, and nothing changed, where its logits would not be the same."""
    before = model.config._attn_implementation
    if before != "sdpa" or getattr(model.config, "sliding_window", None) is not None:
        return False
    ids = torch.arange(9, device=model.device)[None] % model.config.vocab_size
    try:
        with torch.inference_mode():
            expected = model(input_ids=ids, use_cache=False).logits[0, 5:]
            model.set_attn_implementation(NAME)
            given = _in_two_parts(model, ids)
    except (TypeError, ValueError, AttributeError, RuntimeError):  # an architecture that attends in a way of its own
        given = None
    if given is not None and torch.allclose(expected, given, rtol=1e-3, atol=1e-3):
        return True
    model.set_attn_implementation(before)
    return False


def _in_two_parts(model: PreTrainedModel, ids: Tensor) -> Tensor:
    """Logits of the sixth token and on, for a row that follows a prompt of five: one token, then the rest."""
    cache = BufferCache.empty(model, 5)
    model(input_ids=ids[:, :5], past_key_values=cache, use_cache=True)
    own = BufferCache.empty(model, ids.shape[1])
    logits = []
    with behind([Group(Prompt(tuple(range(5)), cache), 0, 1)]):
        for start, end in ((5, 6), (6, ids.shape[1])):
            places = torch.arange(start, end, device=ids.device)[None]
            out = model(input_ids=ids[:, start:end], position_ids=places, past_key_values=own, use_cache=True)
            logits.append(out.logits[0])
    return torch.cat(logits)
