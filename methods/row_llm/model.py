"""The language models: a small GPT-2 from scratch, or any Hugging Face causal model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from harness.errors import TabOrderError
from harness.seeding import derive_seed, global_seed


@dataclass(frozen=True)
class LLMConfig:
    """Which language model.

    Attributes:
        pretrained: hub name or local folder of a causal language model; ``None`` for a small GPT-2 from scratch.
        layers: transformer blocks of the from-scratch model.
        width: its hidden size.
        heads: its attention heads.
        lora_rank: rank of LoRA adapters on a pretrained model (needs the extra ``lora``); ``None`` trains all weights.
    """

    pretrained: str | None = None
    layers: int = 2
    width: int = 64
    heads: int = 4
    lora_rank: int | None = None

    def __post_init__(self) -> None:
        if min(self.layers, self.width, self.heads) < 1 or self.width % self.heads:
            raise TabOrderError(
                f"llm.width={self.width} must be a positive multiple of llm.heads={self.heads}, with llm.layers={self.layers} ≥ 1."
            )
        if self.lora_rank is not None and self.pretrained is None:
            raise TabOrderError(
                "llm.lora_rank needs a pretrained model: set llm.pretrained too, or llm.lora_rank=null."
            )

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> LLMConfig:
        """Read the ``llm`` mapping of a configuration.

        Raises:
            TabOrderError: for unknown keys and values out of range.
        """
        unknown = sorted(set(options) - set(cls.__dataclass_fields__))
        if unknown:
            legal = ", ".join(sorted(cls.__dataclass_fields__))
            raise TabOrderError(f"unknown key llm.{unknown[0]}: the choices are {legal}.")
        return cls(**options)


def build_model(config: LLMConfig, vocabulary: int, length: int, row: int, blank: int, seed: int) -> PreTrainedModel:
    """A GPT-2 from scratch, small, without dropout, with the fused tanh GELU.

    Args:
        config: its size.
        vocabulary: number of tokens.
        length: tokens of the longest row.
        row: id of the token that begins and ends a row.
        blank: id of the filler token.
        seed: of the initial weights.
    """
    gpt2 = GPT2Config(
        vocab_size=vocabulary,
        n_positions=length,
        n_embd=config.width,
        n_layer=config.layers,
        n_head=config.heads,
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=row,
        eos_token_id=row,
        pad_token_id=blank,
        attn_implementation="sdpa",
    )
    with global_seed(derive_seed(seed, "weights")):
        return GPT2LMHeadModel(gpt2)


def device_of(name: str) -> torch.device:
    """``auto`` is the first GPU where there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


class Head:
    """Runs the transformer and then the output layer only at the places where logits are needed.

    Some architectures scale or cap logits after the output layer; :meth:`verify` compares with the model's own logits, and
    where they differ the whole model is run instead.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.body: nn.Module = model.base_model
        self.output: nn.Module = model.get_output_embeddings()
        self.split = self._same()

    def _same(self) -> bool:
        ids = torch.zeros((1, 2), dtype=torch.int64, device=self.model.device)
        ids[0, 1] = 1
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            whole = self.model(input_ids=ids, use_cache=False).logits
            parts = self.output(self.body(input_ids=ids, use_cache=False).last_hidden_state)
        self.model.train(training)
        return whole.shape == parts.shape and bool(torch.allclose(whole, parts.to(whole.dtype), atol=1e-5))

    def logits(self, places: Tensor, **inputs: Any) -> Tensor:
        """Logits at flat ``places`` (row * length + position), shape (places, vocabulary)."""
        if self.split:
            hidden = self.body(**inputs).last_hidden_state
            return self.output(hidden.flatten(0, 1).index_select(0, places))  # type: ignore[no-any-return]
        return self.model(**inputs).logits.flatten(0, 1).index_select(0, places)  # type: ignore[no-any-return]
