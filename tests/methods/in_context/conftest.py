"""Tiny language models made on the spot, and a server for one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from methods.in_context.prompts import write_prompt
from methods.in_context.rows import write_row
from tests.methods.in_context.llm_server import KEY, Server, serve
from tests.methods.in_context.parts import SCHEMA, TRAIN


@pytest.fixture(scope="session")
def rubbish(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A one-layer GPT-2 over bytes with random weights."""
    return _save(tmp_path_factory.mktemp("rubbish"), bpe([]), layers=1, width=16, context=1024)[0]


@pytest.fixture(scope="session")
def fluent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small GPT-2 trained for seconds on prompts over TRAIN's four rows, each followed by such rows."""
    import torch

    prompts = [_training_text(seed) for seed in range(64)]
    folder, model, tokenizer = _save(tmp_path_factory.mktemp("fluent"), bpe(prompts), layers=1, width=64, context=512)
    ids = [tokenizer(text)["input_ids"] + [tokenizer.eos_token_id] for text in prompts]
    shared = min(len(one) for one in ids)
    batch_all = torch.tensor([one[-shared:] for one in ids])
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    torch.manual_seed(0)
    for step in range(120):
        batch = batch_all[torch.arange(step * 8, step * 8 + 8) % len(batch_all)]
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return folder


def _training_text(seed: int) -> str:
    lines = [write_row(row, SCHEMA, SCHEMA.names) for row in TRAIN.to_dict("records")]
    random = np.random.default_rng(seed)
    return write_prompt([], [lines[i] for i in random.integers(0, 60, 6)], 5) + "".join(
        lines[i] + "\n" for i in random.integers(0, 60, 5)
    )


def bpe(texts: list[str]) -> Any:
    """A byte-level BPE tokenizer of at most 700 tokens, trained on these texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=700, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False),
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>")


def _save(folder: Path, tokenizer: Any, *, layers: int, width: int, context: int) -> tuple[Path, Any, Any]:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=context,
        n_embd=width,
        n_layer=layers,
        n_head=2,
        bos_token_id=end,
        eos_token_id=end,
    )
    model = GPT2LMHeadModel(config)
    model.generation_config.do_sample = True  # transformers serve samples only where the model's own configuration does
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder, model, tokenizer


@pytest.fixture
def server(fluent: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    monkeypatch.setenv("TEST_KEY", KEY)
    with serve(AutoModelForCausalLM.from_pretrained(fluent), AutoTokenizer.from_pretrained(fluent)) as running:
        yield running
