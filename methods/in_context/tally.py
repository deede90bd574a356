"""What came of the answers: rows, rows rejected by reason, tokens, and what was no row at all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from harness.generator import Yield
from harness.table import Schema
from methods.in_context.answers import Answer
from methods.in_context.rows import Domains, parse_answer

LEAST_RATE = 0.5
"""Rows of an answer to count on when there were fewer."""


class Tally:
    """Collects rows until there are enough.

    Args:
        schema: of the table.
        known: legal categories.
        n: rows wanted.

    Attributes:
        rows: those accepted.
        rejected: rows that are none, by reason.
        tokens: of prompts and answers; ``None`` once an endpoint did not say.
        ignored: lines of answers that were no part of a row.
        answers: taken.
        barren: answers without any row, begun or whole.
        stalled: answers that were ended because they went on without a row.
        fruitless: answers in a row, up to the last one, that gave no row.
    """

    def __init__(self, schema: Schema, known: Domains, n: int) -> None:
        self.schema, self.known, self.n = schema, known, n
        self.rows: list[Mapping[str, Any]] = []
        self.rejected: Counter[str] = Counter()
        self.tokens: dict[str, int | None] = {"prompt_tokens": 0, "completion_tokens": 0}
        self.ignored = self.answers = self.barren = self.stalled = self.fruitless = 0

    @property
    def full(self) -> bool:
        """Whether all rows are there."""
        return len(self.rows) >= self.n

    def pay(self, answer: Answer) -> None:
        """Count an answer's tokens, whether its rows are needed or not."""
        for name, total in self.tokens.items():
            count = getattr(answer, name)
            self.tokens[name] = None if count is None or total is None else total + count

    def take(self, answer: Answer) -> None:
        """Add an answer's rows, up to the last one needed; what comes after it does not count."""
        if self.full:
            return
        attempts, ignored = parse_answer(answer.text, self.schema, self.known, cut=answer.cut)
        before = len(self.rows)
        self.answers += 1
        self.ignored += ignored
        self.stalled += answer.stalled
        self.barren += not attempts and not answer.rejected
        self.rejected.update(answer.rejected)
        for attempt in attempts:
            if attempt.row is not None:
                self.rows.append(attempt.row)
            else:
                self.rejected[str(attempt.reason)] += 1
            if self.full:
                break
        self.fruitless = 0 if len(self.rows) > before else self.fruitless + 1

    def yielded(self) -> Yield:
        """The account of the rows."""
        rejected = sum(self.rejected.values())
        return Yield(
            len(self.rows) + rejected,
            len(self.rows),
            dict(sorted(self.rejected.items())),
            self.tokens["completion_tokens"],
        )

    def notes(self) -> list[str]:
        """What of the answers became no row, in sentences."""
        notes = []
        if self.ignored:
            notes.append(f"{self.ignored} lines of the answers were no rows (prose, headings).")
        if self.barren:
            notes.append(f"{self.barren} of {self.answers} answers held no row at all.")
        if self.stalled:
            notes.append(f"{self.stalled} of {self.answers} answers were ended because they went on without a row.")
        return notes

    def wanted(self, rows_each: int) -> int:
        """How many more answers are likely to be needed, from what answers gave so far."""
        rate = max(len(self.rows) / self.answers, LEAST_RATE) if self.answers else rows_each
        return math.ceil((self.n - len(self.rows)) / rate)
