"""Rows under the grammar of the table, drawn from the probabilities that the model has after the prompt."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from harness.errors import Incompatible, TabOrderError
from harness.table import Column, Schema, conform
from methods.in_context import InContextLLM
from methods.in_context.constrained import ConstrainedModel
from methods.row_llm.codecs.escaping import write_cell
from tests.methods.in_context.parts import KNOWN, SCHEMA, UGLY, assert_accounts, fitted, local

BIRDS = Schema((Column("bird", "categorical"),))
TRIE = ["tit", "titmouse", "wren", "w, r", "None"]


def constrained(folder: Path, **changes: Any) -> InContextLLM:
    return local(folder, **{"decoding": "constrained", "rows_per_request": 7, **changes})


@pytest.mark.parametrize("order", ["original", "random", "fixed_random"])
@pytest.mark.parametrize("style", [None, "continue"])
def test_every_row_is_legal_whatever_the_model(rubbish: Path, order: str, style: str | None) -> None:
    generator = fitted(constrained(rubbish, order=order, style=style))
    sample = generator.sample(20, seed=0)
    assert_accounts(sample, 20)
    assert len(sample.frame) == 20
    for name in SCHEMA.categorical:
        assert set(sample.frame[name]) <= KNOWN[name]
    facts = generator.describe()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["answers_asked_for"] == 3
    assert facts["decoding"] == "constrained"
    again = fitted(constrained(rubbish, order=order, style=style, concurrency=1)).sample(20, seed=0).frame
    pd.testing.assert_frame_equal(sample.frame, again)
    assert not sample.frame.equals(generator.sample(20, seed=1).frame)


def test_ugly_cells_are_written_and_read_without_loss(rubbish: Path) -> None:
    texts = ['a, "b" is {c}', "line\nbreak", "ünï", "None", "}", "\\", None, "x"]
    frame = pd.DataFrame(
        {'na"me': texts, "größe": [0.1, -1e3, None, 2.5, 3, 4, 5, 6], "id": range(8), "t": texts[::-1]}, dtype=object
    )
    train = conform(frame, UGLY)[0]
    generator = constrained(rubbish, examples=3)
    generator.fit(train, UGLY, seed=0)
    sample = generator.sample(30, seed=0)
    assert len(sample.frame) + sum(sample.yield_.rejected.values()) >= 30
    assert set(sample.frame['na"me'].dropna()) <= set(train['na"me'].dropna())
    assert set(sample.yield_.rejected) <= {"cut", "out_of_range"}


def test_rows_follow_the_models_probabilities_after_the_prompt(rubbish: Path) -> None:
    """The law of a categorical column, computed by the plain model on whole texts, against 4,000 drawn rows."""
    train = conform(pd.DataFrame({"bird": TRIE * 3}, dtype=object), BIRDS)[0]
    generator = constrained(rubbish, rows_per_request=4000, examples=4, temperature=1.3)
    generator.fit(train, BIRDS, seed=0)
    model = generator._model
    assert isinstance(model, ConstrainedModel)
    frame = generator.sample(4000, seed=3).frame
    prompt = list(model.encode(generator._prompt(3, 0)))
    expected = law(model, [*prompt, *model.codec.first_name_tokens[0]])
    observed = Counter(frame["bird"])
    assert set(observed) <= set(expected) == set(TRIE)
    assert sum(expected.values()) == pytest.approx(1.0, abs=1e-5)
    chi2 = sum((observed[bird] - 4000 * share) ** 2 / (4000 * share) for bird, share in expected.items())
    assert chi2 < 20.0  # 4 degrees of freedom: one in 2,000


def law(model: ConstrainedModel, before: list[int]) -> dict[str, float]:
    codec = model.codec
    closers = {codec.separator, codec.end_token}
    bodies = {bird: codec.pieces.value(write_cell(BIRDS["bird"], bird)) for bird in TRIE}
    shares = dict.fromkeys(TRIE, 1.0)
    for bird, body in bodies.items():
        for place in range(len(body) + 1):
            following = [other for other in bodies.values() if other[:place] == body[:place]]
            legal = sorted({other[place] for other in following if len(other) > place})
            legal += sorted(closers) if any(len(other) == place for other in following) else []
            with torch.no_grad():
                logits = model.model(torch.tensor([[*before, *body[:place]]])).logits[0, -1, legal] / 1.3
            chosen = closers if place == len(body) else {body[place]}
            probs = logits.double().softmax(0).numpy()
            shares[bird] *= float(np.sum(probs[[token in chosen for token in legal]]))
    return shares


def test_a_context_too_short_for_a_row_is_incompatible(fluent: Path) -> None:
    wide = Schema(tuple(Column(f"{'name' * 20} {i}", "integer") for i in range(40)))
    train = conform(pd.DataFrame({name: [1, 2] for name in wide.names}), wide)[0]
    with pytest.raises(Incompatible, match="reads at most 512"):
        constrained(fluent).fit(train, wide, seed=0)


def test_an_endpoint_gives_no_probabilities() -> None:
    with pytest.raises(TabOrderError, match=r"decoding=constrained needs .* set decoding=free or backend=local"):
        InContextLLM(model="m", backend="endpoint", base_url="https://h/v1", decoding="constrained")
