"""The tokenizer of a from-scratch model: a regular Hugging Face fast tokenizer whose words are column names, categories and digits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

ROW = "<row>"
"""Begins and ends every row."""
BLANK = "<blank>"
"""Fills the places of a value that is shorter than its column's width (a missing number, a short float)."""
SEPARATOR = "\x1f"
"""Stands between two tokens of a row written as text."""


def name_token(index: int, name: str) -> str:
    """The one token of a column's name phrase."""
    return f"<{index}> {_plain(name)} is"


def category_token(index: int, category: str) -> str:
    """The one token of a category of a column."""
    return f"[{index}] {_plain(category)}"


def missing_token(index: int) -> str:
    """The token that says that a column's value is missing."""
    return f"[{index}]"


def number_token(value: int, size: int, negative: bool = False) -> str:
    """``size`` digits of a number; the sign belongs to the leading digits."""
    return f"{'-' if negative else ''}{value:0{size}d}"


def _plain(text: str) -> str:
    """Write reversibly what would split a row's text: the separator, and the bracket that begins special tokens."""
    return text.replace("\\", "\\\\").replace(SEPARATOR, "\\u001f").replace("<", "\\u003c")


def build_tokenizer(words: Sequence[str], max_length: int) -> PreTrainedTokenizerFast:
    """A word-level tokenizer over ``words``, with ids in their order; rows as text are words joined by :data:`SEPARATOR`.

    Args:
        words: distinct words; :data:`ROW` and :data:`BLANK` among them.
        max_length: tokens of the longest row.
    """
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token=BLANK))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(SEPARATOR), "removed")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=ROW,
        eos_token=ROW,
        pad_token=BLANK,
        unk_token=BLANK,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )


class Words:
    """The vocabulary: words to ids, and what each id means as part of a number."""

    def __init__(self, words: Sequence[str]) -> None:
        self.ids = {word: index for index, word in enumerate(words)}
        self.list = list(words)
        self.blank = self.ids[BLANK]
        self.digits = np.zeros(len(words), dtype=np.int64)
        self.size = np.zeros(len(words), dtype=np.int64)
        self.negative = np.zeros(len(words), dtype=bool)
        for index, word in enumerate(words):
            if word.lstrip("-").isdecimal() and word.isascii():
                self.digits[index], self.size[index] = abs(int(word)), len(word.lstrip("-"))
                self.negative[index] = word.startswith("-")

    def __len__(self) -> int:
        return len(self.list)
