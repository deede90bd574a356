"""Rows drawn from a language model's own probabilities under the grammar of the table: few-shot, nothing trained, no row unreadable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from harness.errors import Incompatible, TabOrderError
from harness.seeding import rng
from harness.table import Schema
from methods.in_context.answers import Answer, Stopped
from methods.in_context.attention import Group, Prompt, behind
from methods.in_context.local import LocalModel
from methods.in_context.rows import write_row
from methods.row_llm.codecs.escaping import escape_name, write_cell
from methods.row_llm.codecs.reasons import VALID, count
from methods.row_llm.codecs.text_codec import TextCodec
from methods.row_llm.config import DecodingConfig
from methods.row_llm.model.logits_model import LogitsModel
from methods.row_llm.sampling.row_source import RowSource

FORM = 'one row per line, as "name is value, name is value", with the names of the examples'
"""How a chat is asked to write rows; the grammar leaves it no choice."""


class LineCodec(TextCodec):
    """Rows as lines of a text: what :class:`TextCodec` writes, after a line break instead of an end token and before the next one."""

    def continue_lines(self) -> None:
        """End rows by a line break, and begin them after one."""
        ends = self.pieces.piece("a", "\n")
        if len(ends) != 1:
            raise Incompatible("the model's tokenizer has no token for a line break: set generator.decoding=free.")
        self.end_token = self.pieces.end_token = ends[0]
        self.first_name_tokens = [self.pieces.piece("\n", f"{escape_name(name)} is") for name in self.schema.names]

    def line(self, row: Mapping[str, Any], order: Sequence[str]) -> str:
        """A row as text."""
        return ", ".join(f"{escape_name(name)} is {write_cell(self.schema[name], row[name])}" for name in order)


class PromptedModel(LogitsModel):
    """The model, run on rows that follow a prompt."""

    prompt: Prompt | None = None

    def logits(self, positions: Tensor, tokens: Tensor | None = None, **inputs: Any) -> Tensor:
        """As of :class:`LogitsModel`, with positions counted from the beginning of the prompt."""
        assert self.prompt is not None
        inputs["position_ids"] = inputs["position_ids"] + self.prompt.length
        with behind([Group(self.prompt, 0, len(inputs["input_ids"]))]):
            return super().logits(positions, tokens, **inputs)


class ConstrainedModel(LocalModel):
    """A local model whose answers are rows, each drawn after the prompt alone: names forced, values within the column's domain.

    Every request gives ``rows_per_request`` rows; rows of one request do not see each other.
    """

    def learn(self, train: pd.DataFrame, schema: Schema, order: Sequence[str] | None) -> None:
        """Learn the grammar of the table.

        Args:
            train: canonical training rows.
            schema: their columns.
            order: of the columns; ``None`` for a fresh one per row.

        Raises:
            Incompatible: when the tokenizer cannot write the table without loss.
            TabOrderError: when the model cannot share a prompt among rows.
        """
        if not self.writer.shares:
            raise TabOrderError(
                f"decoding=constrained cannot be done with '{self.config.model}', which attends in a way of its own: set "
                "generator.decoding=free."
            )
        self.schema = schema
        codec = LineCodec.fit(train, schema, self.tokenizer)
        assert isinstance(codec, LineCodec)  # fit makes one of its own class
        self.codec = codec
        self.codec.continue_lines()
        self.logits_model = PromptedModel(self.model)
        positions = None if order is None else torch.tensor([schema.names.index(name) for name in order])
        decoding = DecodingConfig("constrained", self.config.temperature, None, self.config.top_p)
        self.source = RowSource(self.logits_model, self.codec, positions, decoding, self.config.rows_per_request, True)

    @property
    def answer_tokens(self) -> int:
        """The room that a row needs."""
        return self.codec.length

    def answers(self, prompts: Sequence[str], seeds: Sequence[int]) -> Sequence[Answer | Stopped]:
        """Draw the rows of each request."""
        return [self._rows(self.encode(prompt), seed) for prompt, seed in zip(prompts, seeds, strict=True)]

    @torch.inference_mode()
    def _rows(self, prompt: tuple[int, ...], seed: int) -> Answer:
        self.logits_model.prompt = self.writer.read(prompt[:-1], self.tell)
        self.codec.bos_token = prompt[-1]
        wanted = self.config.rows_per_request
        frame, state, tokens = self.source.draw(wanted, rng(seed, "rows"), lambda _: None)
        self.tell(0, tokens)
        good = frame[state == VALID].to_dict("records")
        lines = [
            write_row({str(name): cell for name, cell in row.items()}, self.schema, self.schema.names) for row in good
        ]
        return Answer("\n".join(lines), False, len(prompt), tokens, rejected=count(state))
