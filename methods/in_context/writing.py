"""A causal language model reads prompts and writes answers: batched, each prompt read once, every answer drawn by its own seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from harness.seeding import rng
from methods.in_context.attention import Group, Prompt, behind, share_prompts
from methods.row_llm.config import DecodingConfig
from methods.row_llm.model.cache import BufferCache
from methods.row_llm.model.logits_model import LogitsModel
from methods.row_llm.sampling.draws import probabilities

AT_ONCE = 256
"""Prompt tokens read in one pass: enough for a CPU's matrix products, few enough to tell the progress every second or two."""

Tell = Callable[[int, int], None]
"""Told how many prompt tokens were read and how many answer tokens were written since the last call."""


@dataclass
class Wish:
    """An answer that is wanted.

    Attributes:
        prompt: tokens.
        seed: of the draws.
        most: tokens at most.
        closings: end after so many tokens of ``Writer.closing``.
        patience: end after so many tokens without any of those.
        tokens: written so far.
        closed: how many of them close a row.
        idle: tokens since the last of those.
    """

    prompt: tuple[int, ...]
    seed: int
    most: int
    closings: int
    patience: int
    tokens: list[int] = field(default_factory=list)
    closed: int = 0
    idle: int = 0

    @property
    def stalled(self) -> bool:
        """Whether it ended for going on without closing a row."""
        return self.idle >= self.patience


class Writer:
    """Reads and writes with one model. The numbers do not depend on which answers are written together, but for rounding.

    Args:
        model: in evaluation mode.
        ends: tokens that end an answer; they belong to it.
        closing: tokens that close a row.
        temperature: 0 takes the most probable token.
        top_p: see :class:`methods.row_llm.config.DecodingConfig`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        ends: frozenset[int],
        closing: frozenset[int],
        temperature: float,
        top_p: float | None,
    ) -> None:
        self.model = model
        self.logits_model = LogitsModel(model)
        self.ends = ends
        self.closing = closing
        self.config = DecodingConfig("free", temperature, None, top_p) if temperature > 0 else None
        self.shares = share_prompts(model)
        self._last: Prompt | None = None

    @torch.inference_mode()
    def write(self, wishes: Sequence[Wish], tell: Tell) -> list[list[int]]:
        """The tokens of each answer."""
        if not self.shares:
            for wish in wishes:
                self._alone(wish, tell)
            return [wish.tokens for wish in wishes]
        # Answers to one prompt stand together, in the order in which prompts first came.
        first = {wish.prompt: place for place, wish in reversed(list(enumerate(wishes)))}
        rows = sorted(wishes, key=lambda wish: first[wish.prompt])
        read = {prompt: self.read(prompt[:-1], tell) for prompt in dict.fromkeys(wish.prompt for wish in rows)}
        self._together(rows, read, tell)
        return [wish.tokens for wish in wishes]

    @torch.inference_mode()
    def read(self, tokens: tuple[int, ...], tell: Tell) -> Prompt:
        """Read a prompt; what it has in common with the beginning of the one read before is not read again."""
        cache = BufferCache.empty(self.model, max(1, len(tokens)))
        start = 0
        if self._last is not None:
            start = _common(self._last.tokens, tokens)
            if start == len(tokens) == self._last.length:
                return self._last
            for old, new in zip(self._last.cache.layers, cache.layers, strict=True):
                new.update(old.keys[:, :, :start], old.values[:, :, :start])
        for begin in range(start, len(tokens), AT_ONCE):
            part = tokens[begin : begin + AT_ONCE]
            self._logits([part], [begin], cache)
            tell(len(part), 0)
        self._last = Prompt(tokens, cache)
        return self._last

    def _logits(self, tokens: Sequence[Sequence[int]], starts: Sequence[int], cache: Any) -> Tensor:
        """Logits after the last of each row's tokens, which stand from its start on."""
        ids = torch.tensor(tokens, device=self.model.device)
        places = torch.tensor(starts, device=ids.device)[:, None] + torch.arange(ids.shape[1], device=ids.device)
        last = torch.arange(1, len(ids) + 1, device=ids.device) * ids.shape[1] - 1
        return self.logits_model.logits(last, input_ids=ids, position_ids=places, past_key_values=cache, use_cache=True)

    def _together(self, rows: list[Wish], read: dict[tuple[int, ...], Prompt], tell: Tell) -> None:
        """Write until all have ended; those that have are dropped."""
        random = {id(wish): rng(wish.seed, "tokens") for wish in rows}
        cache = BufferCache.empty(self.model, max(wish.most for wish in rows))
        while rows:
            starts = [len(wish.prompt) - 1 + len(wish.tokens) for wish in rows]
            fed = [[wish.tokens[-1] if wish.tokens else wish.prompt[-1]] for wish in rows]
            with behind(list(_groups(rows, read))):
                logits = self._logits(fed, starts, cache)
            uniform = np.array([random[id(wish)].random() for wish in rows])
            for wish, token in zip(rows, self._draw(logits, uniform), strict=True):
                self._add(wish, token)
            tell(0, len(rows))
            kept = [place for place, wish in enumerate(rows) if not self._ended(wish)]
            if len(kept) < len(rows):
                rows = [rows[place] for place in kept]
                cache = cache.select(torch.tensor(kept, dtype=torch.int64, device=self.model.device))

    def _draw(self, logits: Tensor, uniform: np.ndarray[Any, Any]) -> list[int]:
        """One token a row, by inverting the cumulative distribution in double precision."""
        if self.config is None:
            chosen: list[int] = logits.argmax(1).tolist()
            return chosen
        cumulative = probabilities(logits, self.config).cumsum(1, dtype=torch.float64)
        wanted = torch.from_numpy(uniform).to(cumulative.device)[:, None] * cumulative[:, -1:]
        drawn: list[int] = torch.searchsorted(cumulative, wanted, right=True).squeeze(1).tolist()
        return drawn

    def _add(self, wish: Wish, token: int) -> None:
        wish.tokens.append(token)
        closes = token in self.closing
        wish.closed += closes
        wish.idle = 0 if closes else wish.idle + 1

    def _ended(self, wish: Wish) -> bool:
        full = len(wish.tokens) >= wish.most or wish.closed >= wish.closings
        return full or wish.stalled or wish.tokens[-1] in self.ends

    def _alone(self, wish: Wish, tell: Tell) -> None:
        """One answer with the model's own attention and cache, for architectures that attend in a way of their own."""
        random = rng(wish.seed, "tokens")
        fed, cache = list(wish.prompt), None
        while not (wish.tokens and self._ended(wish)):
            out = self.model(
                input_ids=torch.tensor([fed], device=self.model.device), past_key_values=cache, use_cache=True
            )
            cache = out.past_key_values
            tell(len(wish.prompt) if not wish.tokens else 0, 1)
            self._add(wish, *self._draw(out.logits[:, -1], np.array([random.random()])))
            fed = wish.tokens[-1:]


def _groups(rows: Sequence[Wish], read: dict[tuple[int, ...], Prompt]) -> Iterator[Group]:
    start = 0
    for prompt, wishes in groupby(rows, key=lambda wish: wish.prompt):
        end = start + len(list(wishes))
        yield Group(read[prompt], start, end)
        start = end


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences begin with in common."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
