"""A table, a tiny GPT-2 and what the text layout allows in every place, by brute force."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from harness.seeding import global_seed
from harness.table import Column, Schema
from methods.row_llm.codecs.text_codec import TextCodec

SCHEMA = Schema((Column("a", "categorical"), Column("is n", "integer"), Column("b", "categorical")))


def pretrained_folder(
    path: Path, corpus: list[str], *, words: int = 330, positions: int = 512, width: int = 16
) -> Path:
    """A tiny GPT-2 with a byte-level BPE tokenizer, saved as any model from the hub would be."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=words,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>", pad_token="<|endoftext|>"
    )
    fast.save_pretrained(path)
    config = GPT2Config(
        vocab_size=len(fast), n_positions=positions, n_embd=width, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    with global_seed(0):
        GPT2LMHeadModel(config).save_pretrained(path)
    return path


def table(rows: int = 400) -> pd.DataFrame:
    """b follows from a; n is −7..12 or missing."""
    source = np.random.default_rng(0)
    a = source.choice(["x", "yy", "x, is"], rows, p=[0.6, 0.3, 0.1])
    n = [{"x": 3, "yy": 12, "x, is": -7}[v] - int(source.integers(0, 2)) for v in a]
    return pd.DataFrame(
        {
            "a": pd.Series(a, dtype=object),
            "is n": pd.array([None if source.random() < 0.2 else v for v in n], dtype="Int64"),
            "b": pd.Series([{"x": "None", "yy": None, "x, is": "w"}[v] for v in a], dtype=object),
        }
    )


def seen(values: list[np.ndarray]) -> Counter:
    rows: Counter = Counter()
    for row in zip(*values, strict=True):
        rows[tuple(tuple(int(t) for t in value if t >= 0) for value in row)] += 1
    return rows


def legal(codec: TextCodec):
    """By brute force over texts: a token may follow when some cell's text still begins with what is written."""
    vocabulary = codec.tokenizer.get_vocab().values()
    integers = [str(i) for i in range(-99, 100) if len(str(i)) <= 2]
    cells = {0: ["x", "yy", "x\\c is"], 1: [*integers, "None"], 2: ["\\None", "None", "w"]}
    canonical = {column: [tuple(codec.pieces.value(text)) for text in cells[column]] for column in (0, 2)}
    ends = {codec.separator, codec.end_token}

    def allowed(column: int, value: tuple[int, ...]) -> set[int]:
        if column in canonical:
            more = {
                seq[len(value)] for seq in canonical[column] if seq[: len(value)] == value and len(seq) > len(value)
            }
            return more | (ends if value in canonical[column] else set())
        text = codec.tokenizer.decode(list(value))
        legal = {t for t in vocabulary if t not in ends and _begins(text + codec.tokenizer.decode([t]), cells[1])}
        return legal | (ends if text[1:] in cells[1] and text.startswith(" ") else set())

    return allowed


def _begins(text: str, cells: list[str]) -> bool:
    return any(f" {cell}".startswith(text) for cell in cells)
