"""Batched decoding of rows as text, where values differ in length: column by column, names fed in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from methods.row_llm.codecs.automaton import Automaton
from methods.row_llm.codecs.text_codec import SLACK, TextCodec
from methods.row_llm.config import DecodingConfig
from methods.row_llm.model.attention import Attention
from methods.row_llm.model.cache import RaggedCache
from methods.row_llm.model.logits_model import LogitsModel
from methods.row_llm.sampling.draws import draw, probabilities
from methods.row_llm.sampling.fd_guide import FDGuide
from methods.row_llm.sampling.prefixes import PrefixSampler, merge_forced

Array = np.ndarray[Any, Any]


@dataclass
class TextFrontier:
    """Unfinished rows that are all at the same column and value token.

    Attributes:
        slot: how many columns are complete.
        offset: tokens of the current value that are drawn.
        values: value tokens of each column in schema order, −1 where none, shape (prefixes, columns, width).
        written: which columns are complete, shape (prefixes, columns).
        ended: whether the current value is complete, shape (prefixes,).
        cut: whether any value was too long, shape (prefixes,).
        counts: rows that share each prefix, shape (prefixes,).
        rows: the row of the order each prefix follows, shape (prefixes,).
        cache: keys and values of all tokens fed.
        length: how many those are, shape (prefixes,).
        pending: tokens to feed next, shape (prefixes, k).
        real: which of those are real, same shape.
        state: of the grammar, shape (prefixes,).
        fixed: tokens a dependency forces on the current value, −1 where none, shape (prefixes, width).
    """

    slot: int
    offset: int
    values: Tensor
    written: Tensor
    ended: Tensor
    cut: Tensor
    counts: Array
    rows: Tensor
    cache: RaggedCache
    length: Tensor
    pending: Tensor
    real: Tensor
    state: Tensor
    fixed: Tensor

    def select(self, rows: Tensor, counts: Array) -> TextFrontier:
        """The same frontier with other rows."""
        names = ("values", "written", "ended", "cut", "rows", "length", "pending", "real", "state", "fixed")
        chosen: dict[str, Any] = {name: getattr(self, name)[rows] for name in names}
        return replace(self, counts=counts, cache=self.cache.select(rows), **chosen)


class TextSampler(PrefixSampler[TextFrontier, TextFrontier]):
    """Samples rows as text with names forced.

    Args:
        logits_model: in evaluation mode.
        codec: the rows' text.
        order: column positions, shape (columns,) or (rows, columns).
        config: temperature and truncation.
        batch: greatest number of prefixes computed at once.
        automaton: the grammar of the values; ``None`` for any token.
        guide: forces what functional dependencies imply; ``None`` for nothing.
    """

    def __init__(
        self,
        logits_model: LogitsModel,
        codec: TextCodec,
        order: Tensor,
        config: DecodingConfig,
        batch: int,
        automaton: Automaton | None = None,
        guide: FDGuide | None = None,
    ) -> None:
        super().__init__(logits_model, batch)
        self.codec = codec
        self.order = order.to(self.device)
        self.config = config
        self.automaton = automaton
        self.guide = guide
        self.columns = len(codec.name_tokens)
        self.limits = torch.tensor(codec.longest, device=self.device) + SLACK
        self.names = [_left_padded(names, self.device) for names in (codec.first_name_tokens, codec.name_tokens)]
        self.attention = Attention(logits_model.model.config)

    @torch.inference_mode()
    def sample(
        self, n: int, rng: np.random.Generator, *, share: bool, report: Callable[[int], None]
    ) -> tuple[list[Array], Array]:
        """Sample ``n`` rows.

        Args:
            n: how many.
            rng: source of all randomness.
            share: compute equal prefixes once; possible when all rows have one order.
            report: told the number of finished rows now and then.

        Returns:
            per column in schema order the value tokens, shape (n, width), padded with −1; and which rows were cut. Rows
            stand in no particular order.
        """
        values, cut = [], []
        done = 0
        for frontier in self._starts(n, share):
            for finished in self.advance(frontier, rng):
                repeats = torch.from_numpy(finished.counts)
                values.append(finished.values.cpu().repeat_interleave(repeats, 0))
                cut.append(finished.cut.cpu().repeat_interleave(repeats, 0))
                done += int(repeats.sum())
                report(done)
        tokens = torch.cat(values).numpy()
        return [tokens[:, column] for column in range(self.columns)], torch.cat(cut).numpy()

    def _starts(self, n: int, share: bool) -> Iterator[TextFrontier]:
        if share:
            yield self._begin(np.array([n]), torch.zeros(1, dtype=torch.int64))
            return
        cache = None  # fresh memory for every batch would cost as much as a step
        for rows in torch.split(self._alike(n), self.batch):
            frontier = self._begin(np.ones(len(rows), dtype=np.int64), rows, cache)
            cache = frontier.cache
            yield frontier

    def _alike(self, n: int) -> Tensor:
        """The rows, those of like column order together: a batch at one and the same column waits and pads less."""
        if self.order.dim() == 1:
            return torch.arange(n)
        return torch.from_numpy(np.lexsort(self.order[:n].cpu().numpy().T[::-1]))

    def _begin(self, counts: Array, rows: Tensor, memory: RaggedCache | None = None) -> TextFrontier:
        size, width = len(counts), int(self.limits.max())
        flags = torch.zeros((size, self.columns), dtype=torch.bool, device=self.device)
        pending = torch.tensor(self.codec.start, dtype=torch.int64, device=self.device).expand(size, -1)
        return TextFrontier(
            slot=0,
            offset=0,
            values=torch.full((size, self.columns, width), -1, device=self.device),
            written=flags,
            ended=flags[:, 0].clone(),
            cut=flags[:, 0].clone(),
            counts=counts,
            rows=rows.to(self.device),
            cache=memory.reuse(size) if memory else RaggedCache.empty(self.logits_model.model, self.codec.length + 1),
            length=torch.zeros(size, dtype=torch.int64, device=self.device),
            pending=pending,
            real=torch.ones_like(pending, dtype=torch.bool),
            state=torch.zeros(size, dtype=torch.int64, device=self.device),
            fixed=torch.full((size, self.guide.width + 1 if self.guide else 1), -1, device=self.device),
        )

    def complete(self, frontier: TextFrontier) -> bool:
        """Whether all columns are written."""
        return frontier.slot >= self.columns

    def rows(self, frontier: TextFrontier) -> TextFrontier:
        """The frontier itself: its values, which rows were cut, and the rows that share each."""
        return frontier

    def _column(self, frontier: TextFrontier) -> Tensor:
        order = self.order if self.order.dim() == 1 else self.order[frontier.rows]
        return order[..., frontier.slot].expand(len(frontier.counts))

    def _enter(self, frontier: TextFrontier, column: Tensor) -> None:
        """Queue the comma and the name, set the grammar's state and ask the guide."""
        names, real = (table[column] for table in self.names[min(frontier.slot, 1)])
        longest = int(real.sum(1).max())
        names, real = names[:, -longest:], real[:, -longest:]
        if frontier.slot:
            frontier.pending = torch.full_like(column, self.codec.separator)[:, None]
            frontier.real = torch.ones_like(frontier.pending, dtype=torch.bool)
        frontier.pending = torch.cat([frontier.pending, names], 1)
        frontier.real = torch.cat([frontier.real, real], 1)
        frontier.ended = torch.zeros_like(frontier.ended)
        if self.automaton:
            frontier.state = self.automaton.begin[column]
        if self.guide:
            answer = self.guide.force(lambda index: (frontier.values[:, index], frontier.written[:, index]), column)
            answer = torch.nn.functional.pad(answer, (0, 1), value=-1)
            end = (answer >= 0).sum(1, keepdim=True)
            frontier.fixed = answer.scatter(1, end, torch.where(end > 0, self.codec.separator, -1))

    def step(self, frontier: TextFrontier, rng: np.random.Generator) -> TextFrontier:
        """Draw one value token of every prefix whose value has not ended."""
        column = self._column(frontier)
        if frontier.offset == 0:
            self._enter(frontier, column)
        fixed = frontier.fixed
        wanted = fixed[:, frontier.offset] if frontier.offset < fixed.shape[1] else torch.full_like(column, -1)
        forced = torch.where(frontier.ended, self.codec.separator, wanted)
        open_rows = (forced < 0).nonzero().squeeze(1)
        legal, allowed = None, None
        if self.automaton and len(open_rows):
            legal, allowed = self.automaton.allowed(frontier.state[open_rows])
        logits = self._feed(frontier, open_rows, legal)
        if len(open_rows):
            counts = frontier.counts[open_rows.cpu().numpy()]
            self.generated += int(counts.sum())
            drawn = draw(self._probabilities(logits, legal, allowed), counts, rng, legal)
            parents, tokens, counts = merge_forced(open_rows, drawn, forced, frontier.counts)
            if len(parents) != len(forced):
                frontier, column = frontier.select(parents, counts), column[parents]
        else:
            tokens = forced
        return self._write(frontier, column, tokens)

    def _probabilities(self, logits: Tensor, legal: Tensor | None, allowed: Tensor | None) -> Tensor:
        """Of the next token; either separator or end closes a value, and the template writes the right one."""
        probs = probabilities(logits, self.config, allowed)
        if self.codec.separator == self.codec.end_token:
            return probs
        if legal is None:
            probs[:, self.codec.separator] += probs[:, self.codec.end_token]
            probs[:, self.codec.end_token] = 0.0
            return probs
        end = legal == self.codec.end_token
        closing = probs.masked_fill(~end, 0.0).sum(1, keepdim=True)
        return torch.where(legal == self.codec.separator, probs + closing, probs.masked_fill(end, 0.0))

    def _write(self, frontier: TextFrontier, column: Tensor, tokens: Tensor) -> TextFrontier:
        """Append drawn tokens to their values; move to the next column when all have ended."""
        ended = frontier.ended | (tokens == self.codec.separator)
        rows = torch.arange(len(tokens), device=self.device)
        if frontier.offset < frontier.values.shape[2]:
            frontier.values[rows, column, frontier.offset] = torch.where(ended, -1, tokens)
        if self.automaton:
            frontier.state = self.automaton.step(frontier.state, tokens)
        frontier.offset += 1
        cut = ~ended & (frontier.offset >= self.limits[column])
        frontier.cut, frontier.ended = frontier.cut | cut, ended | cut
        frontier.pending, frontier.real = tokens[:, None], ~frontier.ended[:, None]
        if bool(frontier.ended.all()):
            frontier.written = frontier.written.scatter(1, column[:, None], True)
            frontier.slot, frontier.offset = frontier.slot + 1, 0
        return frontier

    def _feed(self, frontier: TextFrontier, rows: Tensor, legal: Tensor | None) -> Tensor:
        """Run the model over the pending tokens; logits of the legal tokens after the last one of the given prefixes.

        Prefixes whose value has ended have nothing pending: they are left out once they are a quarter of all.
        """
        active = frontier.real.any(1)
        if not bool(active.any()):
            return torch.empty((0, self.logits_model.vocabulary_size), device=self.device)
        chosen = None if 4 * int(active.sum()) > 3 * len(active) else active.nonzero().squeeze(1)
        pending, real, length = frontier.pending, frontier.real, frontier.length
        if chosen is not None:
            rows = (active.cumsum(0) - 1)[rows]
            pending, real, length = pending[chosen], real[chosen], length[chosen]
        fed = pending.shape[1]
        positions = (length[:, None] + real.cumsum(1) - 1).clamp(min=0)
        end = int(positions.max()) + 1
        frontier.cache.prepare_write(chosen, torch.where(real, positions, frontier.cache.padding_slot), end)
        frontier.length = frontier.length + frontier.real.sum(1)
        return self.logits_model.logits(
            rows * fed + fed - 1,
            legal,
            input_ids=pending,
            attention_mask=self.attention.mask(positions, end),
            position_ids=positions,
            past_key_values=frontier.cache,
            use_cache=True,
        )


def _left_padded(names: list[list[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Name tokens, shape (columns, longest), padded on the left, and which of them are real."""
    longest = max(map(len, names))
    tokens = torch.tensor([[0] * (longest - len(name)) + name for name in names], device=device)
    real = torch.tensor([[False] * (longest - len(name)) + [True] * len(name) for name in names], device=device)
    return tokens, real
