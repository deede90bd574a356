"""The language model used as it is, on a local model: yield, seeds, context, order."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.errors import Incompatible, TabOrderError
from harness.generator import Context, ContextAware, Describes, Generator
from methods.in_context import InContextLLM
from methods.in_context.local import LocalModel
from tests.methods.in_context.parts import SCHEMA, TRAIN, assert_accounts, fitted, local


def test_protocols(rubbish: Path) -> None:
    generator = local(rubbish)
    assert isinstance(generator, Generator)
    assert isinstance(generator, ContextAware)
    assert isinstance(generator, Describes)


def test_a_model_that_knows_the_rows_delivers_them(fluent: Path) -> None:
    generator = fitted(local(fluent, max_requests=30))
    sample = generator.sample(20, seed=0)
    assert_accounts(sample, 20)
    assert len(sample.frame) == 20
    assert sample.yield_.accepted > sample.yield_.attempted / 2
    assert set(sample.frame["state"]) <= set(TRAIN["state"])
    facts = generator.describe()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["model"] == fluent.name
    assert facts["column_order"] == SCHEMA.names
    assert facts["completion_tokens"] == sample.yield_.tokens > 100
    assert facts["cost"] is None


def test_equal_seeds_give_equal_tables_and_others_do_not(fluent: Path) -> None:
    first, second = (fitted(local(fluent, max_requests=8)) for _ in range(2))
    frames = [first.sample(12, seed=1).frame, first.sample(12, seed=1).frame, second.sample(12, seed=1).frame]
    pd.testing.assert_frame_equal(frames[0], frames[1])
    pd.testing.assert_frame_equal(frames[0], frames[2])
    assert not frames[0].equals(first.sample(12, seed=2).frame)


@pytest.mark.parametrize("together", [1, 2])
def test_rows_do_not_depend_on_concurrency(fluent: Path, together: int) -> None:
    generators = [
        fitted(local(fluent, max_requests=8, concurrency=count, requests_per_prompt=together)) for count in (1, 4)
    ]
    samples = [generator.sample(30, seed=0) for generator in generators]
    pd.testing.assert_frame_equal(samples[0].frame, samples[1].frame)
    assert len(samples[0].frame) > 10
    assert [sample.yield_.rejected for sample in samples] == [samples[0].yield_.rejected] * 2


def test_requests_that_share_a_prompt_differ_by_their_seeds(fluent: Path) -> None:
    generator = fitted(local(fluent, max_requests=4, requests_per_prompt=2))
    prompts = [generator._prompt(0, request) for request in range(4)]
    assert prompts[0] == prompts[1] != prompts[2] == prompts[3]
    assert generator._model is not None
    answers = generator._model.answers(prompts[:2], [1, 2])
    assert answers[0] != answers[1]


def test_a_batch_of_prompts_counts_as_many_requests(fluent: Path) -> None:
    generator = fitted(local(fluent, max_requests=7, concurrency=4))
    sample = generator.sample(1000, seed=0)
    assert_accounts(sample, 1000)
    assert generator.describe()["answers_asked_for"] == 7
    assert 5 <= len(sample.frame) <= 7 * 30


def test_rubbish_is_a_short_yield_with_its_reason(rubbish: Path) -> None:
    generator = fitted(local(rubbish, max_requests=3))
    sample = generator.sample(10, seed=0)
    assert_accounts(sample, 10)
    assert len(sample.frame) == 0
    assert 3 <= sample.yield_.tokens <= 3 * 160
    assert set(sample.yield_.rejected) <= {"unparsable", "cut"}
    assert "sampling ended with 0 of 10 rows: the cap of 3 requests was reached." in generator.describe()["notes"]


def test_sampling_is_given_up_when_no_answer_gives_a_row(rubbish: Path) -> None:
    for concurrency in (1, 4):
        generator = fitted(local(rubbish, max_requests=50, max_tokens=300, give_up_after=6, concurrency=concurrency))
        sample = generator.sample(10, seed=0)
        notes = generator.describe()["notes"]
        assert len(sample.frame) == 0
        ended = "sampling ended with 0 of 10 rows: 6 answers in a row gave no row (give_up_after)."
        assert ended in notes
        assert any("of 6 answers held no row at all" in note for note in notes)
        assert any("of 6 answers were ended because they went on without a row" in note for note in notes)


def test_progress_is_told_in_tokens_and_seconds(fluent: Path, tmp_path: Path) -> None:
    told: list[dict[str, float]] = []
    generator = local(fluent, max_requests=2)
    generator.bind(Context(tmp_path, 1, lambda *_, **numbers: told.append(numbers)))
    fitted(generator).sample(10, seed=0)
    assert told[0]["prompt_tokens"] > 0
    assert told[0]["tokens"] == 0
    tokens = [event["tokens"] for event in told if "tokens" in event]
    assert tokens == sorted(tokens)
    assert tokens[-1] == generator.describe()["completion_tokens"]
    assert all(event["elapsed"] >= 0 for event in told if "tokens" in event)


def test_a_chat_template_is_used_where_there_is_one(fluent: Path, tmp_path: Path) -> None:
    shutil.copytree(fluent, tmp_path / "chatty")
    template = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    (tmp_path / "chatty" / "chat_template.jinja").write_text(template)
    for style, asks in ((None, True), ("chat", True), ("continue", False)):
        generator = fitted(local(tmp_path / "chatty", style=style, max_requests=1))
        assert isinstance(generator._model, LocalModel)
        text = generator._model.tokenizer.decode(generator._model.encode(generator._prompt(0, 0)))
        assert text.startswith("[user] You write rows") is asks
        assert text.endswith("[assistant]") is asks
        assert ("You write rows" in text) is asks
        generator.sample(1, seed=0)
        assert generator.describe()["style"] == ("chat" if asks else "continue")
    with pytest.raises(TabOrderError, match=r"style=chat needs a chat template.*style=continue"):
        fitted(local(fluent, style="chat"))


def test_fewer_examples_where_the_context_is_short_and_it_is_said(fluent: Path) -> None:
    generator = fitted(local(fluent, examples=40, max_requests=2))
    generator.sample(5, seed=0)
    facts = generator.describe()
    assert 1 <= facts["fewest_examples_per_prompt"] < 40
    assert any("more than fit the model's context" in note for note in facts["notes"])


def test_a_context_too_short_for_one_row_is_incompatible(fluent: Path) -> None:
    with pytest.raises(Incompatible, match="reads at most 512"):
        fitted(local(fluent, max_tokens=500))


def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(
        TabOrderError, match=r"generator\.model=.* cannot be loaded .* or a name of the Hugging Face hub"
    ):
        fitted(local(tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backend": "remote"}, "unknown backend 'remote'"),
        ({"api": "chats"}, "unknown api 'chats'.*Did you mean 'chat'"),
        ({"base_url": None}, "backend=endpoint needs one"),
        ({"backend": "local"}, "do not fit"),
        ({"base_url": "ftp://h/v1"}, "base_url must be"),
        ({"base_url": "https://user:pw@h/v1"}, "base_url must be"),
        ({"base_url": "https://h/v1?api-key=sk"}, "base_url must be"),
        ({"examples": 0}, "examples=0 must be at least 1"),
        ({"style": "chatty"}, "unknown style 'chatty'.*Did you mean 'chat'"),
        ({"style": "continue"}, "set api=completions, or style=chat"),
        ({"decoding": "template"}, "unknown decoding 'template': the choices are constrained, free"),
        ({"top_p": 0}, "top_p=0 must be in"),
        ({"temperature": -1}, "temperature=-1 must not be negative"),
        ({"timeout_seconds": 0}, "timeout_seconds=0 must be positive"),
        ({"price_per_million": {"input": 1}}, "'prompt' and 'completion'"),
    ],
)
def test_impossible_settings(changes: dict[str, Any], message: str) -> None:
    settings = {"model": "m", "backend": "endpoint", "base_url": "https://h/v1"}
    with pytest.raises(TabOrderError, match=message) as caught:
        InContextLLM(**{**settings, **changes})
    assert "pw" not in str(caught.value)
    assert "sk" not in str(caught.value).replace("ask", "")


def test_an_empty_table_is_incompatible(rubbish: Path) -> None:
    with pytest.raises(Incompatible, match="no rows"):
        fitted(local(rubbish), TRAIN.iloc[:0])
