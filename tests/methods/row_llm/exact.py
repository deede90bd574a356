"""The exact distribution of rows under a tiny model: the definition of each decoding, token by token, unbatched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.stats import chisquare

from methods.row_llm.codecs.table_codec import TableCodec
from methods.row_llm.codecs.text_codec import SLACK, TextCodec
from methods.row_llm.model.logits_model import LogitsModel

Row = tuple[tuple[int, ...], ...]
"""Value tokens of each column, in schema order."""
Filter = Callable[[np.ndarray], np.ndarray]
Allowed = Callable[[int, tuple[int, ...]], "set[int] | None"]


@dataclass
class Exact:
    """Enumerates rows with a probability of at least ``least``.

    Attributes:
        head: the model.
        codec: of the rows.
        least: rows below are left out.
        change: what truncation and temperature make of the next-token probabilities.
        allowed: legal tokens after a value's first tokens, given the column; ``None`` for all.
        force: value tokens that earlier columns force on a column, or ``None``.
    """

    head: LogitsModel
    codec: TableCodec | TextCodec
    least: float
    change: Filter = lambda logits: np.exp(logits - logits.max())
    allowed: Allowed = lambda column, value: None
    force: Callable[[int, Mapping[int, tuple[int, ...]]], tuple[int, ...] | None] = lambda column, values: None
    memory: dict[tuple[int, ...], np.ndarray] = field(default_factory=dict)

    def fetch(self, prefixes: Iterable[tuple[int, ...]]) -> None:
        """Run the model over prefixes not yet known, those of one length together."""
        groups = defaultdict(list)
        for prefix in prefixes:
            if prefix not in self.memory:
                groups[len(prefix)].append(prefix)
        for group in groups.values():
            for part in (group[i : i + 2000] for i in range(0, len(group), 2000)):
                with torch.no_grad():
                    logits = self.head.model(torch.tensor(part)).logits[:, -1].double().numpy()
                self.memory.update(zip(part, logits, strict=True))

    def next(self, prefix: tuple[int, ...], column: int | None = None, value: tuple[int, ...] = ()) -> np.ndarray:
        logits = self.memory[prefix].copy()
        legal = None if column is None else self.allowed(column, value)
        if legal is not None:
            logits[[token for token in range(len(logits)) if token not in legal]] = -np.inf
        weights = self.change(logits)
        return weights / weights.sum()

    def rows(self, order: tuple[int, ...]) -> dict[Row, float]:
        """Rows written in this order with names forced."""
        found: dict[Row, float] = defaultdict(float)
        table = isinstance(self.codec, TableCodec)
        ends = [] if table else sorted({self.codec.separator, self.codec.end_token})
        level: list[tuple[tuple[int, ...], dict[int, tuple[int, ...]], int, tuple[int, ...], float]] = []
        todo: list = []

        def begin(prefix: tuple[int, ...], values: dict[int, tuple[int, ...]], prob: float) -> None:
            if prob < self.least:
                return
            if len(values) == len(order):
                found[tuple(values[c] for c in range(len(order)))] += prob
                return
            column = order[len(values)]
            if table:
                prefix = (*prefix, self.codec.name_tokens[column])
            else:
                names = self.codec.name_tokens if values else self.codec.first_name_tokens
                prefix = (*prefix, *([self.codec.separator] if values else []), *names[column])
            fixed = self.force(column, values)
            if fixed is not None:
                begin((*prefix, *fixed), {**values, column: fixed}, prob)
            else:
                todo.append((prefix, values, column, (), prob))

        begin((self.codec.bos_token,), {}, 1.0)
        while todo:
            level, todo = todo, []
            self.fetch(prefix for prefix, *_ in level)
            for prefix, values, column, value, prob in level:
                probs = self.next(prefix, column, value)
                if not table:
                    begin(prefix, {**values, column: value}, prob * probs[ends].sum())
                    probs[ends] = 0
                for token in map(int, np.flatnonzero(prob * probs >= self.least)):
                    longer, row = (*value, token), (*prefix, token)
                    if table and token in self.codec.closing_tokens:
                        filler = (self.codec.pad_token,) * (self.codec.widths[column] - len(longer))
                        longer, row = longer + filler, row + filler
                    if table and len(longer) == self.codec.widths[column]:
                        begin(row, {**values, column: longer}, prob * probs[token])
                    elif table or len(longer) < self.codec.longest[column] + SLACK:
                        todo.append((row, values, column, longer, prob * probs[token]))
        return dict(found)

    def free(self, longest: int, end: int) -> dict[tuple[int, ...], float]:
        """Token sequences up to the end token."""
        found: dict[tuple[int, ...], float] = {}
        level = [((self.codec.bos_token,), 1.0)]
        while level:
            self.fetch(prefix for prefix, _ in level)
            longer = []
            for prefix, prob in level:
                probs = self.next(prefix)
                for token in map(int, np.flatnonzero(prob * probs >= self.least)):
                    if token == end:
                        found[prefix[1:]] = prob * probs[token]
                    elif len(prefix) < longest:
                        longer.append(((*prefix, token), prob * probs[token]))
            level = longer
        return found


def p_value(expected: Mapping[Any, float], seen: Mapping[Any, int], n: int, least_cells: int = 20) -> float:
    """Chi-square of counts against exact probabilities; everything not enumerated is one cell."""
    keys = [key for key, prob in expected.items() if prob * n >= 5]
    counts = [seen.get(key, 0) for key in keys]
    probs = [expected[key] for key in keys]
    assert len(keys) >= least_cells, "too few rows to tell anything"
    assert sum(probs) < 1 + 1e-9
    rest = max(1.0 - sum(probs), 0.0)
    if rest * n >= 1e-3:
        counts, probs = [*counts, n - sum(counts)], [*probs, rest]
    else:
        assert sum(counts) == n, "rows that cannot occur"
    return float(chisquare(counts, np.array(probs) * n / sum(probs)).pvalue)
