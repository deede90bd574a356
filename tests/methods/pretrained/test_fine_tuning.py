"""A pretrained Llama fine-tuned in every order: grouped-query attention, rotary positions, tied embeddings, memory and precision."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from harness.errors import TabOrderError
from harness.generator import Context
from methods.pretrained import load
from methods.row_llm import RowLLM
from methods.row_llm.config import LLMConfig
from methods.row_llm.model import language_model
from methods.row_llm.model.language_model import load_pretrained, mixed_precision
from methods.row_llm.model.logits_model import LogitsModel
from methods.row_llm.training import memory
from methods.row_llm.training.trainer import RowLoss
from tests.methods.in_context.parts import KNOWN, SCHEMA, TRAIN

TINY = {"pretrained": "tiny-llama"}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABORDER_CACHE", str(tmp_path_factory.getbasetemp() / "models"))


def tuned(order: str = "fd", **changes: Any) -> RowLLM:
    settings: dict[str, Any] = {"epochs": 3, "batch_size": 16, "learning_rate": 3e-3, "llm": TINY, "device": "cpu"}
    return RowLLM(order, **{**settings, **changes})


@pytest.mark.parametrize("order", ["random", "fixed_random", "original", "fd", "fd_reversed"])
def test_every_order_is_trained_and_sampled(order: str, tmp_path: Path) -> None:
    generator = tuned(order)
    generator.bind(Context(tmp_path, 1, lambda *_, **__: None))
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / ".state-7.safetensors.tmp").write_bytes(b"torn by a kill")
    generator.fit(TRAIN, SCHEMA, seed=0)
    facts = generator.describe()
    assert facts["curve"][-1]["loss"] < facts["curve"][0]["loss"]
    assert facts["weights"]["name"] == "tiny-llama"
    sample = generator.sample(20, seed=0)
    assert len(sample.frame) == 20
    assert all(set(sample.frame[name]) <= KNOWN[name] for name in SCHEMA.categorical)
    assert len(list((tmp_path / "checkpoint").glob("state-*.safetensors"))) == 1  # the last one alone
    assert not list((tmp_path / "checkpoint").glob(".*"))


def test_lora_trains_few_weights() -> None:
    pytest.importorskip("peft", reason="peft is not installed (extra lora)")
    generator = tuned(llm={**TINY, "lora_rank": 2})
    generator.fit(TRAIN, SCHEMA, seed=0)
    assert len(generator.sample(10, seed=0).frame) == 10


def test_random_weights_keep_the_architecture_and_the_tokenizer() -> None:
    known, tokenizer = load("tiny-llama", setting="model")
    models = [load_pretrained(LLMConfig("untrained:tiny-llama"), seed) for seed in (0, 0, 1)]
    weights = [model.get_input_embeddings().weight for model, _ in models]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], known.get_input_embeddings().weight)
    assert weights[0].shape == known.get_input_embeddings().weight.shape
    assert models[0][1].get_vocab() == tokenizer.get_vocab()
    generator = tuned(llm={"pretrained": "untrained:tiny-llama"})
    generator.fit(TRAIN, SCHEMA, seed=0)
    assert "weights" not in generator.describe()
    with pytest.raises(TabOrderError, match=r"has random weights, all of which train: set llm\.lora_rank=null"):
        tuned(llm={"pretrained": "untrained:tiny-llama", "lora_rank": 2})


def test_memory_is_said_before_training(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = load("tiny-llama", setting="model")
    weights = sum(parameter.numel() for parameter in model.parameters())
    held, kept = memory.training_bytes(model, row_tokens=10, batch_size=3)
    assert held == 16 * weights  # weight, gradient, two moments, four bytes each
    assert kept == 3 * 10 * 4 * (2 * (8 * 64 + 4 * 128) + 2 * 258)
    model.get_input_embeddings().weight.requires_grad_(False)
    assert memory.training_bytes(model, 10, 3)[0] == 16 * weights - 12 * 258 * 64
    generator = tuned()
    generator.fit(TRAIN, SCHEMA, seed=0)
    assert "GiB for weights, gradients and optimizer state, and up to" in capsys.readouterr().out
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=1 << 20))
    with pytest.raises(TabOrderError, match=r"but 0\.0 GiB are free: set llm\.lora_rank=16"):
        tuned().fit(TRAIN, SCHEMA, seed=0)


@pytest.mark.parametrize(
    ("capable", "width", "expected"),
    [
        ({"avx512_bf16": True}, 576, "bf16"),
        ({"avx512_bf16": True}, 64, "no"),
        ({}, 576, "no"),
        ({"amx_bf16": True}, 768, "bf16"),
    ],
)
def test_wide_models_train_in_bf16_where_the_cpu_does_it_natively(
    capable: dict[str, bool], width: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language_model.torch.cpu, "get_capabilities", lambda: capable)
    assert mixed_precision(torch.device("cpu"), width) == expected


def test_the_loss_and_its_slope_in_bf16_are_close_to_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 512, "intermediate_size": 256, "num_hidden_layers": 1, "num_attention_heads": 8}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=60, **sizes))
    ids = torch.randint(0, 60, (4, 12))
    found = []
    for capable in ({}, {"avx512_bf16": True}):
        monkeypatch.setattr(language_model.torch.cpu, "get_capabilities", lambda capable=capable: capable)
        loss = RowLoss(LogitsModel(model))(ids, torch.arange(11), ids[0, 1:])
        model.zero_grad()
        loss.backward()
        slope = model.model.layers[0].mlp.up_proj.weight.grad
        assert slope is not None
        found.append((loss.item(), slope.flatten()))
    assert found[0][0] != found[1][0]
    assert found[1][0] == pytest.approx(found[0][0], rel=5e-3)
    assert torch.nn.functional.cosine_similarity(found[0][1], found[1][1], dim=0) > 0.999
