"""Prompts read once and answers written together are what the model alone gives, one at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from methods.in_context import attention
from methods.in_context.attention import NAME, Group, behind, share_prompts
from methods.in_context.writing import AT_ONCE, Wish, Writer
from methods.row_llm.model.cache import BufferCache

PROMPTS = ((5, 6, 7, 8), (5, 6, 9), (5, 6, 7, 8), (4,), (5, 6, 7, 8, 11, 12))


def tiny(kind: str) -> Any:
    """Grouped-query attention with rotary positions and tied embeddings, or GPT-2."""
    from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, MistralConfig

    sizes = {
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "head_dim": 8,
    }
    llama = {**sizes, "num_key_value_heads": 2, "vocab_size": 50, "tie_word_embeddings": True, "initializer_range": 0.3}
    configs = {
        "llama": LlamaConfig(**llama),
        "mistral": MistralConfig(**llama, sliding_window=3),
        "gpt2": GPT2Config(vocab_size=50, n_embd=48, n_layer=2, n_head=6, n_positions=1024, initializer_range=0.3),
    }
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(configs[kind]).eval()


def wishes(most: int = 12) -> list[Wish]:
    return [Wish(prompt, seed, most, 100, 1000) for seed, prompt in enumerate(PROMPTS)]


def nothing(read: int, written: int) -> None: ...


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_rows_behind_different_prompts_have_the_models_own_logits(kind: str) -> None:
    model = tiny(kind)
    own = torch.tensor([[3, 1, 4], [1, 5, 9], [2, 6, 5]])
    prompts = [PROMPTS[0], PROMPTS[0], PROMPTS[1]]
    expected = [
        model(torch.tensor([[*prompt, *row.tolist()]])).logits[0, -3:] for prompt, row in zip(prompts, own, strict=True)
    ]
    writer = Writer(model, frozenset({0}), frozenset(), 1.0, None)
    assert writer.shares
    assert model.config._attn_implementation == NAME
    read = {prompt: writer.read(prompt, nothing) for prompt in prompts}
    starts = torch.tensor([len(prompt) for prompt in prompts])
    with torch.inference_mode(), behind([Group(read[prompts[0]], 0, 2), Group(read[prompts[2]], 2, 3)]):
        cache = BufferCache.empty(model, 8)
        places = starts[:, None] + torch.arange(3)
        first = model(input_ids=own[:, :1], position_ids=places[:, :1], past_key_values=cache).logits
        rest = model(input_ids=own[:, 1:], position_ids=places[:, 1:], past_key_values=cache).logits
    torch.testing.assert_close(torch.cat([first, rest], 1), torch.stack(expected), rtol=1e-4, atol=1e-4)
    assert attention._behind == ()


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_answers_do_not_depend_on_which_are_written_together(kind: str) -> None:
    model = tiny(kind)
    alone = Writer(model, frozenset({0}), frozenset(), 1.0, 0.9)
    alone.shares = False
    expected = alone.write(wishes(), nothing)
    together = Writer(model, frozenset({0}), frozenset(), 1.0, 0.9)
    assert together.write(wishes(), nothing) == expected
    assert [together.write([wish], nothing)[0] for wish in wishes()] == expected
    assert len({tuple(answer) for answer in expected}) == len(expected)  # each by its own seed


def test_an_architecture_with_an_attention_of_its_own_is_left_alone() -> None:
    model = tiny("mistral")  # whose window is shorter than a prompt
    before = model.config._attn_implementation
    assert not share_prompts(model)
    assert model.config._attn_implementation == before
    writer = Writer(model, frozenset({0}), frozenset(), 0.0, None)
    ids = torch.tensor([[*PROMPTS[0], *writer.write([Wish(PROMPTS[0], 0, 6, 100, 1000)], nothing)[0]]])
    greedy = model(ids).logits.argmax(2)
    assert ids[0, 4:].tolist() == greedy[0, 3:-1].tolist()


def test_prompts_are_read_once_and_in_parts() -> None:
    writer = Writer(tiny("gpt2"), frozenset(), frozenset(), 1.0, None)
    told: list[tuple[int, int]] = []
    long = tuple(i % 50 for i in range(2 * AT_ONCE + 10))
    writer.write([Wish(long, seed, 3, 100, 1000) for seed in range(4)], lambda *numbers: told.append(numbers))
    assert told == [(AT_ONCE, 0), (AT_ONCE, 0), (9, 0), (0, 4), (0, 4), (0, 4)]  # the last token is fed with the rows
    told.clear()
    writer.write([Wish((*long[:-20], 3, 3, 3), 0, 1, 100, 1000)], lambda *numbers: told.append(numbers))
    assert told == [(2, 0), (0, 1)]  # what the prompt before began with is known


def test_an_answer_ends_with_an_end_token_with_its_rows_or_at_its_length() -> None:
    model = tiny("gpt2")
    plain = Writer(model, frozenset(), frozenset(), 0.0, None).write([Wish((1, 2), 0, 8, 100, 1000)], nothing)[0]
    assert len(plain) == 8
    place = plain.index(plain[3])
    ended = Writer(model, frozenset({plain[3]}), frozenset(), 0.0, None).write(
        [Wish((1, 2), 0, 8, 100, 1000)], nothing
    )[0]
    assert ended == plain[: place + 1]
    closed = Writer(model, frozenset(), frozenset({plain[3]}), 0.0, None).write([Wish((1, 2), 0, 8, 1, 1000)], nothing)[
        0
    ]
    assert closed == plain[: place + 1]


def test_an_answer_that_goes_on_without_a_row_is_ended() -> None:
    model = tiny("gpt2")
    whole = Writer(model, frozenset(), frozenset(), 1.0, None).write([Wish((1, 2), 0, 12, 100, 1000)], nothing)[0]
    closing = whole[2]
    assert closing not in {*whole[:2], *whole[3:6]}
    wish = Wish((1, 2), 0, 12, 100, 3)
    assert Writer(model, frozenset(), frozenset({closing}), 1.0, None).write([wish], nothing)[0] == whole[:6]
    assert wish.stalled
    assert wish.closed == 1
