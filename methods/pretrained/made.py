"""A tiny language model made by code: what experiments with pretrained models run on where nothing may take longer than a minute."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from filelock import FileLock

from methods.pretrained.gguf_cache import whole, write_origin
from methods.pretrained.wheels import cache_folder

LAYOUT = 1
"""Raised when the model would be another than before."""
CHAT = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def tiny_llama() -> Path:
    """The folder of a Llama of 0.1 million random weights over bytes: two layers, grouped-query attention, a chat template.

    It knows nothing. Made at the first call, equal on every machine.
    """
    root = cache_folder() / "models"
    folder = root / f"tiny-llama-v{LAYOUT}"
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f"{folder.name}.lock"):
        if not whole(folder):
            shutil.rmtree(folder, ignore_errors=True)
            aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=root))
            try:
                _make(aside)
                aside.chmod(0o755)
                aside.rename(folder)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    return folder


def _make(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ["<|start|>", "<|end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({token: index for index, token in enumerate([*special, *alphabet])}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=special[0], eos_token=special[1], pad_token=special[1], chat_template=CHAT
    )
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=16_384,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    model = LlamaForCausalLM(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.dim() > 1:
                weights.copy_(torch.randn(weights.shape, generator=generator) * 0.05)
            else:
                assert "norm" in name, name
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    facts = {
        "architecture": "llama",
        "name": "tiny-llama",
        "licence": "Apache-2.0",
        "quantisation": "none: random weights",
    }
    write_origin(folder, {"file": None, "sha256": None, **facts})
