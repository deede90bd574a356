"""Models with rotary positions and other attention (Llama, Qwen, Gemma): loaded, trained, and sampled exactly."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from harness.seeding import global_seed
from methods.row_llm import RowLLM
from methods.row_llm.config import DecodingConfig
from methods.row_llm.sampling.text_sampler import TextSampler
from tests.methods.row_llm import text_case
from tests.methods.row_llm.exact import Exact, p_value

N = 2500
SHAPES: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 1},  # grouped-query attention
    "qwen3": {"num_key_value_heads": 1, "head_dim": 8},
    "gemma2": {
        "num_key_value_heads": 1,
        "head_dim": 8,
        "sliding_window": 8,
    },  # caps its logits; local attention in turn
}


def rotary_folder(path: Path, kind: str) -> Path:
    """A tiny model of another architecture with the tokenizer of the text tests."""
    corpus = [f"a is {a}, is n is {n}, b is {b}" for a in ("x", "yy") for n in range(-9, 14) for b in ("w", "None")]
    text_case.pretrained_folder(path, corpus)
    shape = {
        "vocab_size": 330,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0, "max_position_embeddings": 256}
    with global_seed(0):
        config = AutoConfig.for_model(kind, **{**shape, **ends, **SHAPES[kind]})
        AutoModelForCausalLM.from_config(config).save_pretrained(path)
    return path


@pytest.mark.parametrize("kind", SHAPES)
def test_fine_tuned_and_sampled_exactly(kind: str, tmp_path: Path) -> None:
    folder = rotary_folder(tmp_path, kind)
    generator = RowLLM(
        "random", epochs=12, batch_size=16, learning_rate=1e-2, llm={"pretrained": str(folder)}, device="cpu"
    )
    generator.fit(text_case.table(), text_case.SCHEMA, seed=0)
    curve = generator.describe()["curve"]
    assert curve[-1]["loss"] < 0.7 * curve[0]["loss"]
    fitted = generator.fitted
    exact = Exact(fitted.logits_model, fitted.codec, 3e-4)
    for order, share in (((2, 0, 1), True), (None, False)):
        orders = list(permutations(range(3))) if order is None else [order]
        expected: Counter[Any] = Counter()
        for one in orders:
            expected.update({row: prob / len(orders) for row, prob in exact.rows(one).items()})
        rng = np.random.default_rng(0)
        places = torch.from_numpy(rng.random((N, 3))).argsort(1) if order is None else torch.tensor(order)
        sampler = TextSampler(fitted.logits_model, fitted.codec, places, DecodingConfig(), 900)
        values, cut = sampler.sample(N, rng, share=share, report=lambda done: None)
        seen = text_case.seen([np.where(cut[:, None], -2, value) for value in values])
        assert p_value(expected, seen, N, least_cells=8) > 1e-3
