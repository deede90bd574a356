"""The tokenizer of a from-scratch model: a Hugging Face fast tokenizer whose words are names, categories and digits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

BOS = "<row>"
"""Begins and ends every row."""
PAD = "<blank>"
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
    """A word-level tokenizer, with ids in the words' order; rows as text are words joined by :data:`SEPARATOR`.

    Args:
        words: distinct words; :data:`BOS` and :data:`PAD` among them.
        max_length: tokens of the longest row.
    """
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token=PAD))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(SEPARATOR), "removed")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=BOS,
        pad_token=PAD,
        unk_token=PAD,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )


class Vocabulary:
    """Words to token ids, and what each id means as part of a number.

    Args:
        words: distinct words, in the order of their ids.

    Attributes:
        ids: the token of each word.
        words: the word of each token.
        pad_token: fills the places of short values.
        digits: the number that a token's digits make, shape (words,).
        size: how many digits those are; 0 where it has none, shape (words,).
        negative: whether a minus sign stands before them, shape (words,).
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.ids = {word: index for index, word in enumerate(words)}
        self.words = list(words)
        self.pad_token = self.ids[PAD]
        self.digits = np.zeros(len(words), dtype=np.int64)
        self.size = np.zeros(len(words), dtype=np.int64)
        self.negative = np.zeros(len(words), dtype=bool)
        for index, word in enumerate(words):
            if word.lstrip("-").isdecimal() and word.isascii():
                self.digits[index], self.size[index] = abs(int(word)), len(word.lstrip("-"))
                self.negative[index] = word.startswith("-")

    def __len__(self) -> int:
        return len(self.words)
