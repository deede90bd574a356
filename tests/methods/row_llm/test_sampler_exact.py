"""The samplers' frequencies equal the model's exact probabilities, on every fast path (chi-square, fixed seeds)."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, permutations

import numpy as np
import pandas as pd
import pytest
import torch

from harness.dependencies import FunctionalDependency
from methods.row_llm import RowLLM
from methods.row_llm.codecs.reasons import VALID
from methods.row_llm.config import DecodingConfig
from methods.row_llm.sampling.aligned_sampler import AlignedSampler
from methods.row_llm.sampling.fd_guide import FDGuide
from methods.row_llm.sampling.row_source import RowSource
from tests.methods.row_llm.exact import Exact, Row, p_value
from tests.methods.row_llm.table_case import SCHEMA, legal, table

N = 20_000


@pytest.fixture(scope="module", params=["template", "free"])
def trained(request: pytest.FixtureRequest) -> RowLLM:
    """Briefly trained, so that the distribution is neither flat nor a point."""
    generator = RowLLM(
        "random", epochs=6, digits_per_token=1, decoding=request.param, llm={"width": 16, "heads": 2}, device="cpu"
    )
    generator.fit(table(), SCHEMA, seed=1)
    return generator


def draw(generator: RowLLM, order: tuple[int, ...], *, share: bool, batch: int, **decoding: object) -> Counter[Row]:
    fitted = generator.fitted
    codec = fitted.codec
    config = DecodingConfig(**decoding)  # type: ignore[arg-type]
    automaton = None if config.mode == "template" else codec.grammar(len(codec.vocabulary), torch.device("cpu"))
    layout = codec.row_layout(torch.tensor(order), torch.device("cpu"))
    sampler = AlignedSampler(fitted.logits_model, layout, config, codec.bos_token, batch, automaton)
    tokens = sampler.sample(N, np.random.default_rng(7), share=share, report=lambda done: None)
    assert len(tokens) == N
    return rows_of(tokens[:, layout.value_positions], codec.widths)


def rows_of(values: torch.Tensor, widths: list[int]) -> Counter[Row]:
    edges = np.cumsum([0, *widths])
    return Counter(tuple(tuple(row[a:b]) for a, b in pairwise(edges)) for row in values.tolist())


@pytest.mark.parametrize("trained", ["template"], indirect=True)
@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("batch", [7, 4096])
def test_template(trained: RowLLM, share: bool, batch: int) -> None:
    order = (2, 0, 1)
    batch = batch if share or batch > 7 else 500
    expected = Exact(trained.fitted.logits_model, trained.fitted.codec, 1e-4).rows(order)
    assert p_value(expected, draw(trained, order, share=share, batch=batch), N) > 1e-3


@pytest.mark.parametrize("trained", ["template"], indirect=True)
def test_the_test_can_fail(trained: RowLLM) -> None:
    expected = Exact(trained.fitted.logits_model, trained.fitted.codec, 1e-4).rows((2, 0, 1))
    assert p_value(expected, draw(trained, (2, 0, 1), share=True, batch=4096, temperature=0.9), N) < 1e-6


@pytest.mark.parametrize("trained", ["template"], indirect=True)
@pytest.mark.parametrize("share", [False, True])
def test_temperature_top_k_and_top_p(trained: RowLLM, share: bool) -> None:
    def temperature(logits: np.ndarray) -> np.ndarray:
        return np.exp((logits - logits.max()) / 0.7)

    def top_k(logits: np.ndarray) -> np.ndarray:
        keep = np.argsort(-logits, kind="stable")[:6]
        return np.where(np.isin(np.arange(len(logits)), keep), np.exp(logits - logits.max()), 0.0)

    def top_p(logits: np.ndarray) -> np.ndarray:
        probs = np.exp(logits - logits.max())
        probs /= probs.sum()
        keep = np.argsort(-probs, kind="stable")
        needed = int(np.searchsorted(probs[keep].cumsum(), 0.8)) + 1
        return np.where(np.isin(np.arange(len(logits)), keep[:needed]), probs, 0.0)

    for change, options in ((temperature, {"temperature": 0.7}), (top_k, {"top_k": 6}), (top_p, {"top_p": 0.8})):
        expected = Exact(trained.fitted.logits_model, trained.fitted.codec, 1e-4, change).rows((0, 1, 2))
        assert p_value(expected, draw(trained, (0, 1, 2), share=share, batch=4096, **options), N) > 1e-3


@pytest.mark.parametrize("trained", ["template"], indirect=True)
@pytest.mark.parametrize("share", [False, True])
def test_constrained(trained: RowLLM, share: bool) -> None:
    exact = Exact(trained.fitted.logits_model, trained.fitted.codec, 1e-4, allowed=legal(trained))
    seen = draw(trained, (1, 2, 0), share=share, batch=4096, mode="constrained")
    assert p_value(exact.rows((1, 2, 0)), seen, N) > 1e-3
    values = torch.tensor([[token for value in row for token in value] for row in seen])
    assert (trained.fitted.codec.decode(values)[1] == VALID).all()


@pytest.mark.parametrize("trained", ["template"], indirect=True)
@pytest.mark.parametrize("mode", ["template", "constrained"])
def test_random_orders(trained: RowLLM, mode: str) -> None:
    """Each row has its own order: the mixture of all six orders."""
    fitted = trained.fitted
    codec = fitted.codec
    exact = Exact(
        fitted.logits_model, codec, 1e-5, allowed=legal(trained) if mode == "constrained" else lambda c, v: None
    )
    expected: Counter[Row] = Counter()
    for order in permutations(range(3)):
        expected.update({row: prob / 6 for row, prob in exact.rows(order).items()})
    rng = np.random.default_rng(3)
    orders = torch.from_numpy(rng.random((N, 3))).argsort(1)
    layout = codec.row_layout(orders, torch.device("cpu"))
    automaton = codec.grammar(len(codec.vocabulary), torch.device("cpu")) if mode == "constrained" else None
    sampler = AlignedSampler(fitted.logits_model, layout, DecodingConfig(mode), codec.bos_token, 1000, automaton)  # type: ignore[arg-type]
    tokens = sampler.sample(N, rng, share=False, report=lambda done: None)
    assert p_value(expected, rows_of(tokens.gather(1, layout.value_positions), codec.widths), N) > 1e-3


@pytest.mark.parametrize("trained", ["free"], indirect=True)
@pytest.mark.parametrize("share", [False, True])
def test_free(trained: RowLLM, share: bool) -> None:
    fitted = trained.fitted
    layout = fitted.codec.free_layout(len(fitted.codec.vocabulary), torch.device("cpu"))
    sampler = AlignedSampler(fitted.logits_model, layout, DecodingConfig("free"), fitted.codec.bos_token, 4096)
    tokens = sampler.sample(N, np.random.default_rng(5), share=share, report=lambda done: None).tolist()
    row = fitted.codec.bos_token
    seen = Counter(tuple(line[: line.index(row)]) for line in tokens if row in line)
    assert p_value(Exact(fitted.logits_model, fitted.codec, 4e-5).free(layout.length, row), seen, N) > 1e-3


@pytest.mark.parametrize("trained", ["template"], indirect=True)
@pytest.mark.parametrize("order", [(0, 2, 1), (2, 1, 0), None])
def test_fd_constrained(trained: RowLLM, order: tuple[int, ...] | None) -> None:
    """a→b: b is forced once a is written; if b comes first, rows against it are rejected, the others keep their odds."""
    fitted = trained.fitted
    codec = fitted.codec
    guide = FDGuide.fit(table(), [FunctionalDependency(("a",), "b")], codec, torch.device("cpu"))
    ids = codec.vocabulary.ids
    answer = {(ids["[0] x"],): (ids["[2] u"],), (ids["[0] y"],): (ids["[2]"],), (ids["[0] z"],): (ids["[2] w"],)}

    def force(column: int, values: dict[int, tuple[int, ...]]) -> tuple[int, ...] | None:
        return answer.get(values.get(0, ())) if column == 2 else None

    exact = Exact(fitted.logits_model, codec, 1e-5, allowed=legal(trained), force=force)
    expected: Counter[Row] = Counter()
    for one in permutations(range(3)) if order is None else [order]:
        expected.update(
            {row: p / (6 if order is None else 1) for row, p in exact.rows(one).items() if answer[row[0]] == row[2]}
        )
    config = DecodingConfig("fd_constrained")
    positions = None if order is None else torch.tensor(order)
    source = RowSource(fitted.logits_model, codec, positions, config, 4096, True, guide)
    frame, state, _ = source.draw(N, np.random.default_rng(2), lambda done: None)
    good = frame[state == VALID]
    assert not guide.broken(good).any()
    if order == (0, 2, 1):
        assert (state == VALID).all()
    decoded: dict[object, float] = Counter()
    total = sum(expected.values())
    for row, prob in expected.items():
        cells = codec.decode(torch.tensor([[token for value in row for token in value]]))[0]
        decoded[_key(cells.iloc[0])] += prob / total
    seen = Counter(_key(row) for _, row in good.iterrows())
    assert p_value(decoded, seen, len(good)) > 1e-3


def _key(row: pd.Series) -> tuple[object, ...]:
    return tuple(None if pd.isna(cell) else cell for cell in row)
