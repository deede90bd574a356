"""The language models: a small GPT-2 from scratch, or any Hugging Face causal model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.activations import NewGELUActivation

from harness.errors import TabOrderError
from harness.seeding import derive_seed, global_seed
from methods.pretrained import load
from methods.row_llm.config import UNTRAINED, LLMConfig


def build_model(
    config: LLMConfig, vocabulary_size: int, length: int, bos_token: int, pad_token: int, seed: int
) -> PreTrainedModel:
    """A GPT-2 from scratch, small, without dropout, with the fused tanh GELU.

    Args:
        config: its size.
        vocabulary_size: number of tokens.
        length: tokens of the longest row.
        bos_token: begins and ends a row.
        pad_token: fills short values.
        seed: of the initial weights.
    """
    gpt2 = GPT2Config(
        vocab_size=vocabulary_size,
        n_positions=length,
        n_embd=config.width,
        n_layer=config.layers,
        n_head=config.heads,
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=bos_token,
        eos_token_id=bos_token,
        pad_token_id=pad_token,
        attn_implementation="sdpa",
    )
    with global_seed(derive_seed(seed, "weights")):
        return GPT2LMHeadModel(gpt2)


def load_pretrained(
    config: LLMConfig, seed: int, report: Callable[..., None] = lambda *_, **__: None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A causal model and its tokenizer, by any name of :mod:`methods.pretrained`; ``report`` is told of unpacking.

    Raises:
        TabOrderError: when it cannot be loaded, or LoRA is asked for and ``peft`` is not installed.
    """
    name = str(config.pretrained).removeprefix(UNTRAINED)
    model, tokenizer = load(name, setting="llm.pretrained", report=report)
    if config.untrained:
        with global_seed(derive_seed(seed, "weights")):
            model = AutoModelForCausalLM.from_config(model.config, dtype=torch.float32)
    fuse_activations(model)
    return (model if config.lora_rank is None else _with_lora(model, config.lora_rank, seed)), tokenizer


def fuse_activations(model: PreTrainedModel) -> None:
    """Replace GPT-2's tanh GELU of many small operations by the same function in one kernel."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, nn.GELU(approximate="tanh"))
    if getattr(model.config, "activation_function", None) == "gelu_new":
        model.config.activation_function = "gelu_pytorch_tanh"


def _with_lora(model: PreTrainedModel, rank: int, seed: int) -> PreTrainedModel:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise TabOrderError("llm.lora_rank needs the package peft: pip install 'taborder[lora]'.") from None
    with global_seed(derive_seed(seed, "adapters")):
        return get_peft_model(model, LoraConfig(r=rank, lora_alpha=2 * rank, task_type="CAUSAL_LM"))


def plain(model: PreTrainedModel) -> PreTrainedModel:
    """The model with any adapters merged into its weights."""
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model


def device_of(name: str) -> torch.device:
    """``auto`` is this process's GPU where there is one, else the CPU.

    Raises:
        TabOrderError: for ``cuda`` without a GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise TabOrderError("device=cuda, but torch finds no GPU: use device=cpu or device=auto.")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


BF16_WIDTH = 512
"""Hidden size from which a CPU with bf16 instructions trains in bf16: at 576 (SmolLM2-135M, Zen 4) a step takes .54 of the CPU seconds
of single precision; small models lose more by the conversions than their products gain."""


def mixed_precision(device: torch.device, width: int = 0) -> Literal["bf16", "no"]:
    """What matrix products are computed in.

    Args:
        device: bf16 on a GPU.
        width: the model's hidden size; bf16 on a CPU from :data:`BF16_WIDTH` on, where it multiplies bf16 natively.
    """
    if device.type == "cuda":
        return "bf16"
    capable = torch.cpu.get_capabilities()
    native = bool(capable.get("avx512_bf16") or capable.get("amx_bf16"))
    return "bf16" if native and width >= BF16_WIDTH else "no"


@contextmanager
def precision(device: torch.device, width: int = 0) -> Iterator[None]:
    """What the model is run under: the products of :func:`mixed_precision`, and on a GPU no attention kernels of cuDNN.

    cuDNN plans anew for every shape; here each step of decoding has another.
    """
    with torch.autocast(device.type, torch.bfloat16, enabled=mixed_precision(device, width) == "bf16"):
        if device.type == "cpu":
            yield
            return
        with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]):
            yield
