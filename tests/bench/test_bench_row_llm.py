"""Speed of the row language model: training against a bare loop, sampling against a teacher-forced pass, prefix sharing.

Both sides take turns in one run, on the same rows and weights; the figures are medians of CPU seconds on one thread.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
import torch

from harness.table import Column, Schema
from methods.row_llm import RowLLM
from methods.row_llm.codecs.table_codec import TableCodec
from methods.row_llm.codecs.text_codec import TextCodec
from methods.row_llm.config import DecodingConfig, LLMConfig, TrainingConfig
from methods.row_llm.model.language_model import build_model, load_pretrained
from methods.row_llm.model.logits_model import LogitsModel
from methods.row_llm.sampling.row_source import RowSource
from methods.row_llm.training.batches import Batches
from methods.row_llm.training.trainer import train
from tests.bench.peers.ours import base_model

pytestmark = pytest.mark.bench

ROWS = 6400
TURNS = 5


def table() -> tuple[pd.DataFrame, Schema]:
    """50 keys with a dependent category and zone, and two numbers with two decimals inside a region of the key."""
    source = np.random.default_rng(0)
    key = source.integers(0, 50, ROWS)
    x, y = source.normal(key, 1.0, ROWS).round(2), source.normal(-2.0 * key, 1.0, ROWS).round(2)
    frame = pd.DataFrame(
        {
            "key": pd.Series([f"key {k}" for k in key], dtype=object),
            "y": y,
            "x": x,
            "kind": pd.Series([f"kind {k % 27}" for k in key], dtype=object),
            "zone": pd.Series([f"zone {v // 30:.0f}" for v in y], dtype=object),
        }
    )
    kinds = [
        ("key", "categorical"),
        ("y", "float", 2),
        ("x", "float", 2),
        ("kind", "categorical"),
        ("zone", "categorical"),
    ]
    return frame, Schema(tuple(Column(*kind) for kind in kinds))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def codec() -> TableCodec:
    frame, schema = table()
    return TableCodec.fit(frame, schema, 1)


def fresh(codec: TableCodec) -> LogitsModel:
    return LogitsModel(
        build_model(LLMConfig(), len(codec.vocabulary), codec.length + 2, codec.bos_token, codec.pad_token, 0)
    )


def batches(codec: TableCodec, order: torch.Tensor | None) -> Batches:
    return Batches(
        codec.encode(table()[0]),
        order,
        bos_token=codec.bos_token,
        end_token=None,
        learn_all=False,
        batch_size=64,
        seed=0,
    )


def rates(sides: dict[str, Callable[[], None]], rows: int = ROWS) -> dict[str, float]:
    """Rows per CPU second of each side: the median of interleaved turns, after one that warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(TURNS + 1):
        for name, side in sides.items():
            started = time.process_time()
            side()
            seconds[name].append(time.process_time() - started)
    return {name: rows / statistics.median(taken[1:]) for name, taken in seconds.items()}


def note(benchmark: Any, found: dict[str, float], **ratios: float) -> None:
    benchmark.extra_info.update({name: round(value, 3) for name, value in {**found, **ratios}.items()})
    benchmark.pedantic(lambda: None)


@pytest.mark.parametrize("order", ["fixed", "random"])
def test_training_keeps_up_with_a_bare_loop(benchmark: Any, codec: TableCodec, order: str) -> None:
    positions = torch.arange(5) if order == "fixed" else None
    prepared = list(batches(codec, positions).epoch(0))
    config = TrainingConfig(1, None, 64, 3e-3, 0.05, 0.0, 1e9)

    def ours() -> None:
        train(fresh(codec), batches(codec, positions), config, None, lambda *args, **numbers: None)

    def bare() -> None:
        head = fresh(codec)
        optimizer = torch.optim.AdamW(head.model.parameters(), lr=3e-3, fused=True)
        for inputs, places, targets in prepared:
            loss = torch.nn.functional.cross_entropy(head.logits(places, input_ids=inputs, use_cache=False), targets)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    def bare_all_tokens() -> None:
        head = fresh(codec)
        optimizer = torch.optim.AdamW(head.model.parameters(), lr=3e-3, fused=True)
        for inputs, _, _ in prepared:
            head.model(input_ids=inputs, labels=inputs).loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    found = rates({"ours": ours, "bare": bare, "bare_all_tokens": bare_all_tokens})
    share = found["ours"] / found["bare"]
    note(benchmark, found, share=share)
    assert share >= 0.9


@pytest.mark.parametrize("order", ["fixed", "random"])
def test_sampling_reaches_half_of_a_teacher_forced_pass(benchmark: Any, codec: TableCodec, order: str) -> None:
    head = fresh(codec)
    head.model.eval()
    positions = torch.arange(5) if order == "fixed" else None
    inputs, places = [], []
    for start in batches(codec, torch.arange(5)).epoch(0):
        inputs.append(start[0])
        places.append(start[1])
    source = RowSource(head, codec, positions, DecodingConfig(), 1024, share=False)

    def ours() -> None:
        source.draw(ROWS, np.random.default_rng(0), lambda done: None)

    @torch.inference_mode()
    def forced() -> None:
        for tokens, where in zip(inputs, places, strict=True):
            head.logits(where, input_ids=tokens, use_cache=False)

    @torch.inference_mode()
    def forced_large() -> None:
        tokens = torch.cat(inputs)
        for part in torch.split(tokens, 1024):
            head.logits(torch.arange(part.numel()), input_ids=part, use_cache=False)

    found = rates({"ours": ours, "forced": forced, "forced_large": forced_large})
    share = found["ours"] / max(found["forced"], found["forced_large"])
    note(benchmark, found, share=share)
    assert share >= 0.5


@pytest.fixture(scope="module")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> tuple[LogitsModel, TextCodec]:
    """A million parameters, taught the text of a pretrained model for one pass, every row in an order of its own."""
    frame, schema = table()
    folder = tmp_path_factory.mktemp("text")
    base_model(folder, frame, schema, 5, 128)
    model, tokenizer = load_pretrained(LLMConfig(pretrained=str(folder / "llm")), 0)
    text = TextCodec.fit(frame, schema, tokenizer)
    head = LogitsModel(model)
    train(head, text_batches(text, 64), TrainingConfig(1, None, 64, 3e-3, 0.05, 0.0, 1e9), None, lambda *_, **__: None)
    head.model.eval()
    return head, text


def text_batches(text: TextCodec, size: int) -> Batches:
    chunks = text.encode(table()[0])
    return Batches(
        chunks, None, bos_token=text.bos_token, end_token=text.end_token, learn_all=False, batch_size=size, seed=0
    )


@pytest.mark.parametrize("decoding", ["template", "constrained"])
def test_text_sampling_reaches_half_of_a_teacher_forced_pass(
    benchmark: Any, text_model: tuple[LogitsModel, TextCodec], decoding: Literal["template", "constrained"]
) -> None:
    head, text = text_model
    rows = 1024
    forced = {size: list(text_batches(text, size).epoch(0))[: rows // size] for size in (64, 1024)}
    source = RowSource(head, text, None, DecodingConfig(decoding), 1024, share=False)

    def ours() -> None:
        source.draw(rows, np.random.default_rng(0), lambda done: None)

    @torch.inference_mode()
    def plain(size: int) -> None:
        for tokens, where, _ in forced[size]:
            head.logits(where, input_ids=tokens, use_cache=False)

    found = rates({"ours": ours, "forced": lambda: plain(64), "forced_large": lambda: plain(1024)}, rows)
    share = found["ours"] / max(found["forced"], found["forced_large"])
    note(benchmark, found, share=share)
    assert share >= 0.5


def test_prefix_sharing_costs_prefixes_not_rows(benchmark: Any) -> None:
    """8,000 rows of 40 distinct ones: far fewer model rows than rows."""
    a = np.arange(8000) % 40
    sizes = {"A": 40, "B": 20, "C": 10, "D": 5}
    frame = pd.DataFrame({name: [f"{name}_{v % size}" for v in a] for name, size in sizes.items()}, dtype=object)
    schema = Schema(tuple(Column(name, "categorical") for name in sizes))
    found = {}
    for sharing in (True, False):
        generator = RowLLM("fd", epochs=2, prefix_sharing=sharing, device="cpu")
        generator.fit(frame, schema, seed=0)
        name = "shared" if sharing else "row_by_row"
        found |= rates({name: lambda generator=generator: generator.sample(8000, seed=0)}, rows=8000)
    ratio = found["shared"] / found["row_by_row"]
    note(benchmark, found, ratio=ratio)
    assert ratio >= 5
