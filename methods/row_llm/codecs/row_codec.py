"""What training, sampling and saving need of the way rows are written; there are two, for tables and for text."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from harness.table import Schema
from methods.row_llm.codecs.automaton import Automaton
from methods.row_llm.codecs.chunks import Chunks
from methods.row_llm.codecs.row_layout import RowLayout


class RowCodec(Protocol):
    """Rows of a table ↔ tokens. A new way of writing rows is a class like this, and its sampler in ``sampling``.

    Attributes:
        layout: its name in saved models.
        schema: of the table.
        tokenizer: saved beside the model.
        bos_token: begins every row.
        end_token: closes the last value in place of a separator; ``None`` for rows without separators.
    """

    layout: ClassVar[str]
    schema: Schema
    tokenizer: PreTrainedTokenizerBase
    bos_token: int

    @property
    def end_token(self) -> int | None:
        """Closes the last value; ``None`` for rows without separators."""

    @property
    def length(self) -> int:
        """Tokens of the longest row that may be sampled, without the one that begins it."""

    def encode(self, frame: pd.DataFrame) -> Chunks:
        """Tokenise a canonical table, once for all orders and epochs."""

    def value_tokens(self, index: int, cells: pd.Series[Any]) -> Tensor:
        """Value tokens of cells of a column, shape (cells, width), padded with −1."""

    def grammar(self, vocabulary_size: int, device: torch.device) -> Automaton:
        """Which tokens a value may hold, for constrained decoding."""

    def free_layout(self, vocabulary_size: int, device: torch.device) -> RowLayout:
        """The layout for decoding without a template."""

    def parse(self, tokens: Tensor) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
        """The canonical frame, and what each row is, from tokens in any layout, shape (rows, length)."""

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form without the tokenizer."""
