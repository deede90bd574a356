"""Models of GPT-2's published sizes with random weights, and clocks that wait for the GPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from harness.datasets.base import Dataset
from harness.seeding import global_seed
from methods.row_llm.codecs.table_codec import TableCodec
from methods.row_llm.codecs.text_codec import TextCodec
from methods.row_llm.config import LLMConfig
from methods.row_llm.model.language_model import build_model, load_pretrained
from methods.row_llm.model.logits_model import LogitsModel
from tests.bench.peers.ours import base_model

T = TypeVar("T")
VOCABULARY = 50_257
"""GPT-2's: what its output layer and its probabilities cost is part of the figure; the tokenizer is the table's own."""


@dataclass(frozen=True)
class Size:
    """Of a model: blocks, hidden size, heads."""

    name: str
    layers: int
    width: int
    heads: int


SIZES = (Size("distilgpt2", 6, 768, 12), Size("gpt2-medium", 24, 1024, 16))
TINY = (Size("tiny", 1, 32, 2),)


def base_folder(folder: Path, dataset: Dataset, size: Size) -> Path:
    """Write an untrained GPT-2 of this size and a byte-level BPE tokenizer of the table's text; returns where."""
    base = folder / f"base-{dataset.name}"
    if not (base / "llm" / "config.json").exists():
        base_model(base, dataset.train, dataset.schema, 1, 64)
    made = folder / f"{dataset.name}-{size.name}"
    if not (made / "config.json").exists():
        tokenizer = AutoTokenizer.from_pretrained(base / "llm")
        row = tokenizer.bos_token_id
        config = GPT2Config(
            vocab_size=VOCABULARY,
            n_positions=1024,
            n_embd=size.width,
            n_layer=size.layers,
            n_head=size.heads,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=row,
            eos_token_id=row,
        )
        with global_seed(0):
            GPT2LMHeadModel(config).save_pretrained(made)
        tokenizer.save_pretrained(made)
    return made


def text_model(folder: Path, dataset: Dataset, size: Size, device: torch.device) -> tuple[LogitsModel, TextCodec]:
    """It with rows as text, as a pretrained model reads them."""
    model, tokenizer = load_pretrained(LLMConfig(pretrained=str(base_folder(folder, dataset, size))), 0)
    return LogitsModel(model.to(device)), TextCodec.fit(dataset.train, dataset.schema, tokenizer)


def table_model(dataset: Dataset, size: Size, device: torch.device) -> tuple[LogitsModel, TableCodec]:
    """As many and as wide blocks with the row language model's own tokens."""
    codec = TableCodec.fit(dataset.train, dataset.schema, 1)
    config = LLMConfig(layers=size.layers, width=size.width, heads=size.heads)
    model = build_model(config, len(codec.vocabulary), codec.length + 2, codec.bos_token, codec.pad_token, 0)
    return LogitsModel(model.to(device)), codec


def wait(device: torch.device) -> None:
    """Until the GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(work: Callable[[], T], device: torch.device) -> tuple[T, float]:
    """What ``work`` gives, and its wall seconds, the GPU's included."""
    wait(device)
    started = time.perf_counter()
    found = work()
    wait(device)
    return found, time.perf_counter() - started


def ceiling(device: torch.device, size: int) -> float:
    """FLOP/s of a bf16 matrix product of random square matrices, the best of ten after three that warm up."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    return 2.0 * size**3 / min(timed(lambda: a @ b, device)[1] for _ in range(10))
