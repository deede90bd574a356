"""A GGUF file of a tiny Llama (grouped-query attention, tied embeddings), written by the package gguf, and the model it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

WIDTH, INNER, HEADS, KEY_HEADS, LAYERS, CONTEXT = 64, 96, 4, 2, 2, 512
CHAT = (
    "{% for message in messages %}<start>{{ message['role'] }}: {{ message['content'] }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<start>assistant: {% endif %}"
)


def write(path: Path, tokenizer: Any, kind: str = "Q8_0", *, architecture: str = "llama", leave_out: str = "") -> Any:
    """Write the file; returns the ``transformers`` model with the same weights after quantising and back.

    Args:
        path: of the file.
        tokenizer: a byte-level BPE tokenizer of transformers.
        kind: a quantisation of the package gguf, for matrices; vectors stay F32.
        architecture: as the header says.
        leave_out: a tensor that is not written.
    """
    import gguf
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KEY_HEADS,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=1e-5,
        rope_theta=10_000.0,
        tie_word_embeddings=True,
        initializer_range=0.2,
    )
    model = LlamaForCausalLM(config).eval()
    writer = gguf.GGUFWriter(path, architecture)
    _describe(writer, tokenizer)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, LAYERS)
    quantisation = gguf.GGMLQuantizationType[kind]
    with torch.no_grad():
        for name, weights in model.named_parameters():
            stem, suffix = name.rsplit(".", 1)
            short = names.get_name(stem)
            if short == leave_out:
                continue
            values = weights.numpy()
            if values.ndim == 1:
                writer.add_tensor(f"{short}.{suffix}", values)
                continue
            packed = gguf.quantize(values, quantisation)
            weights.copy_(torch.from_numpy(gguf.dequantize(packed, quantisation).reshape(values.shape).copy()))
            # llama.cpp pairs rotary dimensions as neighbours, transformers as halves.
            heads = {"q_proj": HEADS, "k_proj": KEY_HEADS}.get(stem.rpartition(".")[2])
            if heads:
                halves = values.reshape(heads, 2, len(values) // heads // 2, -1)
                packed = gguf.quantize(halves.swapaxes(1, 2).reshape(values.shape), quantisation)
            writer.add_tensor(f"{short}.{suffix}", packed, raw_dtype=quantisation)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def _describe(writer: Any, tokenizer: Any) -> None:
    writer.add_name("Tiny")
    writer.add_license("CC0-1.0")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokenizer))
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    special = set(tokenizer.all_special_ids)
    core = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types(np.array([3 if index in special else 1 for _, index in vocabulary]).tolist())
    writer.add_token_merges([" ".join(pair) for pair in core["merges"]])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_chat_template(CHAT)
