"""Pretrained models and their own tokenizer: text without loss, exact samplers, the whole way from a local folder."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import GPT2LMHeadModel

from harness.dependencies import FunctionalDependency
from harness.errors import Incompatible, TabOrderError
from harness.table import Column, Schema
from methods.row_llm import RowLLM
from methods.row_llm.codecs.escaping import escape, escape_name, unescape
from methods.row_llm.codecs.reasons import VALID
from methods.row_llm.codecs.text_codec import TextCodec
from methods.row_llm.config import DecodingConfig
from methods.row_llm.sampling.fd_guide import FDGuide
from methods.row_llm.sampling.text_sampler import TextSampler
from tests.methods.row_llm.exact import Exact, p_value
from tests.methods.row_llm.text_case import SCHEMA, legal, pretrained_folder, seen, table

CPU = torch.device("cpu")
N = 20_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    corpus = [f"a is {a}, is n is {n}, b is {b}" for a in ("x", "yy") for n in range(-9, 14) for b in ("w", "None")]
    return pretrained_folder(tmp_path_factory.mktemp("model"), corpus)


@pytest.fixture(scope="module")
def trained(folder: Path) -> RowLLM:
    generator = RowLLM("random", epochs=40, batch_size=16, llm={"pretrained": str(folder)}, device="cpu")
    generator.fit(table(), SCHEMA, seed=0)
    return generator


NASTY = [
    "",
    "None",
    "\\None",
    "a, b",
    "a is b",
    "\\",
    "\\c",
    " lead",
    "trail ",
    "two\nlines\r",
    "naïve 🎲",
    "is",
    ",",
    "x" * 300,
]


@pytest.mark.parametrize("text", NASTY)
def test_escaping_is_reversed_and_leaves_no_comma(text: str) -> None:
    written = escape(text)
    assert unescape(written) == text
    assert "," not in written
    assert "\n" not in written
    assert written not in ("", "None")


def test_escaped_texts_and_names_are_distinct_and_unambiguous() -> None:
    assert len({escape(text) for text in NASTY}) == len(NASTY)
    for name in ("a is b", "is is", "x, y", "plain", " is"):
        phrase = f"{escape_name(name)} is value is here"
        assert phrase.partition(" is ") == (escape_name(name), " is ", "value is here")


def test_every_cell_is_written_and_read_without_loss(folder: Path) -> None:
    from transformers import AutoTokenizer

    schema = Schema(
        (Column("t is", "categorical"), Column("i", "integer"), Column("f", "float", 2), Column("g", "float"))
    )
    count = len(NASTY)
    frame = pd.DataFrame(
        {
            "t is": pd.Series([*NASTY, None], dtype=object),
            "i": pd.array([*range(-5, count - 6), 2**62, None], dtype="Int64"),
            "f": [*(i / 100 - 0.03 for i in range(count)), float("nan")],
            "g": [*((-1) ** i / 3 * 10.0 ** (5 * i - 30) for i in range(count)), float("nan")],
        }
    )
    frame["f"] = frame["f"].round(2)
    before = frame.copy(deep=True)
    codec = TextCodec.fit(frame, schema, AutoTokenizer.from_pretrained(folder))
    values = [codec.value_tokens(index, frame[name]).numpy() for index, name in enumerate(schema.names)]
    back, state = codec.decode(values, np.zeros(len(frame), dtype=bool))
    assert (state == VALID).all()
    pd.testing.assert_frame_equal(back, frame)
    pd.testing.assert_frame_equal(frame, before)

    chunks = codec.encode(frame)
    for order in (torch.tensor([0, 1, 2, 3]), torch.tensor([2, 0, 3, 1])):
        tokens, value, lengths = chunks.assemble(torch.arange(len(frame)), order)
        tokens.scatter_(1, lengths[:, None] - 1, codec.end_token)
        text = codec.tokenizer.decode(tokens[1, : lengths[1] - 1])
        cells = {"t is": "\\None", "i": "-4", "f": "-0.02", "g": repr(float(frame["g"][1]))}
        names = {"t is": "t \\is"}
        expected = ", ".join(f"{names.get(n, n)} is {cells[n]}" for n in (schema.names[i] for i in order))
        assert text == expected
        assert value[1].sum() == sum((v[1] >= 0).sum() + 1 for v in values)  # the values and what closes them
        filled = torch.where(torch.arange(tokens.shape[1]) < lengths[:, None], tokens, codec.end_token)
        parsed, defects = codec.parse(filled)
        assert (defects == VALID).all()
        pd.testing.assert_frame_equal(parsed, frame)


def test_defects_of_free_text_are_told_apart(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    codec = TextCodec.fit(table(), SCHEMA, tokenizer)
    good = "a is x, is n is 3, b is \\None"
    texts = {
        good: "valid",
        "b is w, is n is -7, a is x\\c \\is": "unknown_category",
        "a is x\\c is, b is None, is n is None": "valid",
        "a is x, is n is 3": "missing_column",
        "a is x, a is x, is n is 3, b is w": "duplicate_column",
        "a is x, is n is three, b is w": "unparsable",
        "a is x, is n is 3.0, b is w": "unparsable",
        "a is x, is n is 1_0, b is w": "unparsable",
        f"a is x, is n is {10**30}, b is w": "out_of_range",
        "a x, is n is 3, b is w": "unparsable",
        "": "unparsable",
    }
    from methods.row_llm.codecs.reasons import REASONS

    rows = [[*tokenizer.encode(text), codec.end_token] for text in texts] + [tokenizer.encode(good)]
    longest = max(map(len, rows))
    whole = [row + [codec.end_token] * (longest - len(row)) for row in rows[:-1]]
    uncut = rows[-1] + tokenizer.encode("x") * (longest - len(rows[-1]))
    _, state = codec.parse(torch.tensor([*whole, uncut]))
    assert [REASONS.get(code, "valid") for code in state] == [*texts.values(), "cut"]


@pytest.mark.parametrize("mode", ["template", "constrained"])
@pytest.mark.parametrize(("order", "share"), [((2, 1, 0), True), ((2, 1, 0), False), (None, False)])
def test_frequencies_equal_exact_probabilities(
    trained: RowLLM, mode: str, order: tuple[int, ...] | None, share: bool
) -> None:
    fitted = trained.fitted
    codec = fitted.codec
    exact = Exact(
        fitted.logits_model, codec, 1e-4, allowed=legal(codec) if mode == "constrained" else lambda c, v: None
    )
    expected: Counter = Counter()
    orders = list(permutations(range(3))) if order is None else [order]
    for one in orders:
        expected.update({row: prob / len(orders) for row, prob in exact.rows(one).items()})
    rng = np.random.default_rng(0)
    places = torch.from_numpy(rng.random((N, 3))).argsort(1) if order is None else torch.tensor(order)
    automaton = codec.grammar(fitted.logits_model.vocabulary_size, CPU) if mode == "constrained" else None
    sampler = TextSampler(fitted.logits_model, codec, places, DecodingConfig(mode), 3000, automaton)  # type: ignore[arg-type]
    values, cut = sampler.sample(N, rng, share=share, report=lambda done: None)
    assert p_value(expected, seen([np.where(cut[:, None], -2, value) for value in values]), N) > 1e-3
    if mode == "constrained":
        assert (codec.decode(values, cut)[1] == VALID).all()


@pytest.mark.parametrize("order", [(0, 2, 1), (2, 1, 0)])
def test_fd_constrained(trained: RowLLM, order: tuple[int, ...]) -> None:
    fitted = trained.fitted
    codec = fitted.codec
    guide = FDGuide.fit(table(), [FunctionalDependency(("a",), "b")], codec, CPU)
    body = {text: tuple(codec.pieces.value(text)) for text in ("x", "yy", "x\\c is", "\\None", "None", "w")}
    answer = {body["x"]: body["\\None"], body["yy"]: body["None"], body["x\\c is"]: body["w"]}

    def force(column: int, values: dict) -> tuple[int, ...] | None:
        return answer.get(values.get(0, ())) if column == 2 else None

    exact = Exact(fitted.logits_model, codec, 1e-4, allowed=legal(codec), force=force)
    automaton = codec.grammar(fitted.logits_model.vocabulary_size, CPU)
    sampler = TextSampler(
        fitted.logits_model, codec, torch.tensor(order), DecodingConfig("fd_constrained"), 3000, automaton, guide
    )
    values, cut = sampler.sample(N, np.random.default_rng(0), share=True, report=lambda done: None)
    assert p_value(exact.rows(order), seen(values), N) > 1e-3
    assert guide.broken(codec.decode(values, cut)[0]).any() == (order == (2, 1, 0))


def test_fine_tuning_saving_and_loading(folder: Path, tmp_path: Path) -> None:
    frame = table()
    options = {"epochs": 30, "batch_size": 16, "device": "cpu"}
    generator = RowLLM("fd", llm={"pretrained": str(folder)}, **options)
    generator.fit(frame, SCHEMA, seed=0)
    curve = generator.describe()["curve"]
    assert curve[-1]["loss"] < 0.5 * curve[0]["loss"]
    sample = generator.sample(60, seed=1)
    assert len(sample.frame) == 60
    assert sample.yield_ is not None
    assert sample.yield_.attempted == 60 + sum(sample.yield_.rejected.values())
    generator.save(tmp_path)
    other = RowLLM("fd", llm={"pretrained": str(folder)}, **options)
    other.load(tmp_path)
    pd.testing.assert_frame_equal(other.sample(60, seed=1).frame, sample.frame)
    again = RowLLM("fd", llm={"pretrained": str(folder)}, **options)
    again.fit(frame, SCHEMA, seed=0)
    pd.testing.assert_frame_equal(again.sample(60, seed=1).frame, sample.frame)


def test_free_decoding_as_great_does(folder: Path) -> None:
    generator = RowLLM(
        "random",
        epochs=60,
        batch_size=16,
        decoding="free",
        llm={"pretrained": str(folder)},
        device="cpu",
        max_attempts=50,
    )
    generator.fit(table(), SCHEMA, seed=0)
    sample = generator.sample(20, seed=0)
    assert len(sample.frame) == 20


def test_lora_trains_few_parameters_and_is_merged(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    generator = RowLLM(
        "fd",
        epochs=20,
        batch_size=16,
        learning_rate=1e-2,
        llm={"pretrained": str(folder), "lora_rank": 4},
        device="cpu",
    )
    generator.fit(table(), SCHEMA, seed=0)
    curve = generator.describe()["curve"]
    assert curve[-1]["loss"] < curve[0]["loss"]
    base = GPT2LMHeadModel.from_pretrained(folder)
    assert generator.describe()["parameters"] == sum(p.numel() for p in base.parameters())
    generator.save(tmp_path)
    other = RowLLM("fd", device="cpu")
    other.load(tmp_path)
    pd.testing.assert_frame_equal(other.sample(5, seed=0).frame, generator.sample(5, seed=0).frame)


def test_user_mistakes_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TabOrderError, match=r"llm\.pretrained=.*cannot be loaded"):
        RowLLM(llm={"pretrained": str(tmp_path / "nothing")}).fit(table(), SCHEMA, seed=0)
    short = pretrained_folder(tmp_path / "short", ["a is b"], positions=8)
    with pytest.raises(Incompatible, match="reads at most 8"):
        RowLLM(llm={"pretrained": str(short)}).fit(table(), SCHEMA, seed=0)
    with pytest.raises(TabOrderError, match=r"unknown key llm\.widht"):
        RowLLM(llm={"widht": 3})
    with pytest.raises(TabOrderError, match="free"):
        RowLLM(decoding="fre")
