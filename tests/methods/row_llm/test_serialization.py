"""Tokens of a table's own vocabulary: nothing is lost on the way there and back, and defects are told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoTokenizer

from harness.errors import Incompatible
from harness.table import Column, Schema
from methods.row_llm.codecs import table_codec
from methods.row_llm.codecs.columns import DigitCodec, NumberTextCodec, digit_groups, fit_column
from methods.row_llm.codecs.distinct import distinct_rows
from methods.row_llm.codecs.number_grammar import NumberGrammar
from methods.row_llm.codecs.reasons import REASONS, VALID, parse_number
from methods.row_llm.codecs.table_codec import TableCodec
from methods.row_llm.codecs.word_tokenizer import SEPARATOR

CPU = torch.device("cpu")


def frame_and_schema(seed: int = 0, rows: int = 200) -> tuple[pd.DataFrame, Schema]:
    source = np.random.default_rng(seed)
    holes = source.random(rows) < 0.1
    texts = np.array(["a", "", " ", "a is b", "x,y", "[1] a", "<row>", "-07", "é\x1f\\", "L" * 10_000], dtype=object)
    frame = pd.DataFrame(
        {
            "c is": pd.Series(np.where(holes, None, texts[source.integers(0, 10, rows)]), dtype=object),
            "id": pd.array(source.integers(-(10**17), 10**17, rows), dtype="Int64"),
            "age": pd.array(np.where(holes, 0, source.integers(0, 100, rows)), dtype="Int64"),
            "money": np.round(source.normal(0, 1e5, rows), 2),
            "unit": np.round(source.random(rows), 4),
            "raw": source.normal(0, 1, rows) * 10.0 ** source.integers(-200, 200, rows),
            "huge": pd.array(source.integers(-(2**63) + 1, 2**63 - 1, rows), dtype="Int64"),
            "const": pd.Series(["k"] * rows, dtype=object),
            "big": source.integers(1, 9, rows) * 1e300,
        }
    )
    frame.loc[holes, "age"] = pd.NA
    frame.loc[holes, "money"] = np.nan
    frame.loc[holes, "raw"] = np.nan
    kinds = [("c is", "categorical", None), ("id", "integer", None), ("age", "integer", None), ("money", "float", 2),
             ("unit", "float", 4), ("raw", "float", None), ("huge", "integer", None), ("const", "categorical", None),
             ("big", "float", 0)]  # fmt: skip
    return frame, Schema(tuple(Column(*kind) for kind in kinds))  # type: ignore[arg-type]


@pytest.mark.parametrize("digits", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_every_cell_comes_back_exactly(digits: int, seed: int) -> None:
    frame, schema = frame_and_schema(seed)
    codec = TableCodec.fit(frame, schema, digits)
    values = torch.cat([codec.value_tokens(index, frame[name]) for index, name in enumerate(schema.names)], 1)
    back, state = codec.decode(values)
    assert (state == VALID).all()
    pd.testing.assert_frame_equal(back, frame)
    again = TableCodec.from_json(codec.to_json())
    assert again.vocabulary.words == codec.vocabulary.words
    pd.testing.assert_frame_equal(again.decode(values)[0], frame)


def test_rows_in_any_order_of_columns_are_parsed_back() -> None:
    frame, schema = frame_and_schema()
    codec = TableCodec.fit(frame, schema, 2)
    chunks = codec.encode(frame)
    rows = torch.arange(len(frame))
    orders = torch.from_numpy(np.random.default_rng(0).random((len(frame), 9))).argsort(1)
    for order in (torch.arange(9), orders):
        tokens, _, lengths = chunks.assemble(rows, order)
        assert (lengths == codec.length).all()
        layout = codec.row_layout(order, CPU)
        names = layout.forced.expand(len(frame), -1)
        assert torch.equal(torch.where(names >= 0, names, tokens), tokens)
        places = layout.value_positions.expand(len(frame), -1)
        pd.testing.assert_frame_equal(codec.decode(tokens.gather(1, places))[0], frame)
        ended = torch.nn.functional.pad(tokens, (0, 1), value=codec.bos_token)
        parsed, state = codec.parse(ended)
        assert (state == VALID).all()
        pd.testing.assert_frame_equal(parsed, frame)


@pytest.mark.parametrize(
    ("largest", "decimals", "digits", "groups"),
    [
        (99, 0, 2, (2,)),
        (7, 0, 2, (1,)),
        (0, 0, 2, (1,)),
        (199, 0, 2, (3,)),  # 1 99: the leading group 0..199 is at most twice as many as 0..99
        (200, 0, 2, (1, 2)),
        (17913, 2, 2, (3, 2)),  # 179.13
        (7213, 2, 2, (2, 2)),  # 72.13
        (1484705, 0, 2, (3, 2, 2)),
        (99999, 0, 2, (1, 2, 2)),
        (9876, 4, 2, (3, 2)),  # 0.9876: the lone leading 0 joins its neighbour
        (923456, 3, 2, (1, 2, 2, 1)),  # 923.456: groups end at the point
        (123456, 3, 2, (3, 2, 1)),
        (123456, 3, 3, (3, 3)),
        (12, 0, 1, (2,)),  # 0..12 is at most twice as many as 0..9
        (20, 0, 1, (1, 1)),
    ],
)
def test_digit_groups(largest: int, decimals: int, digits: int, groups: tuple[int, ...]) -> None:
    assert digit_groups(largest, decimals, digits) == groups


def test_the_right_codec_is_chosen() -> None:
    def codec(column: Column, values: list[object], dtype: str) -> object:
        return fit_column(0, column, pd.Series(values, dtype=dtype), 2)

    assert isinstance(codec(Column("i", "integer"), [10**17], "Int64"), DigitCodec)
    assert isinstance(codec(Column("i", "integer"), [10**18], "Int64"), NumberTextCodec)
    assert isinstance(codec(Column("f", "float", 2), [1.25], "float64"), DigitCodec)
    assert isinstance(codec(Column("f", "float", None), [1 / 3], "float64"), NumberTextCodec)
    assert isinstance(codec(Column("f", "float", 1), [1e15], "float64"), NumberTextCodec)  # 1e16 > 2**53
    assert isinstance(codec(Column("f", "float", 1), [1e14 + 0.5], "float64"), DigitCodec)


def test_decoded_defects() -> None:
    """Columns: colour (blue, red), n (0..120, two tokens, sometimes missing), name of another column."""
    schema = Schema((Column("colour", "categorical"), Column("n", "integer"), Column("size", "categorical")))
    frame = pd.DataFrame(
        {
            "colour": pd.Series(["red", "blue", "red"], dtype=object),
            "n": pd.array([5000, 120, None], dtype="Int64"),
            "size": pd.Series(["s", "m", None], dtype=object),
        }
    )
    codec = TableCodec.fit(frame, schema, 2)
    assert codec.widths == [1, 2, 1]
    t = codec.vocabulary.ids
    cases = {
        ("[0] red", "50", "00", "[2] s"): "valid",
        ("[0] red", "01", "07", "[2]"): "valid",
        ("[0] red", "[1]", "<blank>", "[2] m"): "valid",
        ("[2] s", "50", "00", "[2] s"): "unknown_category",
        ("50", "50", "00", "[2] s"): "unknown_category",
        ("[0] red", "[1]", "00", "[2] s"): "unparsable",
        ("[0] red", "[0] red", "00", "[2] s"): "unparsable",
        ("[0] red", "50", "<blank>", "[2] s"): "unparsable",
        ("[0] red", "<1> n is", "00", "[2] s"): "out_of_vocabulary",
        ("<row>", "50", "00", "[2] s"): "out_of_vocabulary",
        ("[2] s", "<row>", "00", "[2] s"): "unknown_category",  # the first defect counts
    }
    back, state = codec.decode(torch.tensor([[t[word] for word in words] for words in cases]))
    assert [REASONS.get(code, "valid") for code in state] == list(cases.values())
    assert back.iloc[:3].astype(object).where(back.iloc[:3].notna(), None).to_numpy().tolist() == [
        ["red", 5000, "s"],
        ["red", 107, None],
        ["red", None, "m"],
    ]


def test_defects_of_free_rows() -> None:
    schema = Schema((Column("a", "categorical"), Column("b", "categorical")))
    frame = pd.DataFrame({"a": ["x", "y"], "b": ["u", "v"]}, dtype=object)
    codec = TableCodec.fit(frame, schema, 2)
    t = codec.vocabulary.ids
    a, b, row = "<0> a is", "<1> b is", "<row>"
    cases = {
        (b, "[1] u", a, "[0] x", row): "valid",
        (a, "[0] x", a, "[0] y", row): "duplicate_column",
        (a, "[0] x", row, row, row): "missing_column",
        (a, "[0] x", b, "[1] u", b): "cut",
        (a, b, "[0] x", "[1] u", row): "out_of_vocabulary",
        ("[0] x", a, "[0] x", b, row): "out_of_vocabulary",
        (a, "[1] u", b, "[1] u", row): "unknown_category",
        (a, "[0] x", b, row, row): "unparsable",
        (row, row, row, row, row): "missing_column",
    }
    _, state = codec.parse(torch.tensor([[t[word] for word in words] for words in cases]))
    assert [REASONS.get(code, "valid") for code in state] == list(cases.values())


def test_the_tokenizer_is_an_ordinary_hugging_face_one(tmp_path: Path) -> None:
    frame, schema = frame_and_schema()
    codec = TableCodec.fit(frame, schema, 2)
    codec.tokenizer.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer) == len(codec.vocabulary)
    tokens, _, _ = codec.encode(frame).assemble(torch.arange(20), torch.arange(9))
    for row in tokens.tolist():
        text = SEPARATOR.join(codec.vocabulary.words[token] for token in row)
        assert tokenizer(text)["input_ids"] == row
    assert tokenizer.bos_token_id == tokenizer.eos_token_id == codec.bos_token


def test_too_many_categories_are_incompatible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_codec, "MAX_VOCABULARY", 3)
    frame = pd.DataFrame({"id": list("abcd"), "x": list("uuuu")}, dtype=object)
    with pytest.raises(Incompatible, match=r"5 distinct values \('id' 4\)"):
        TableCodec.fit(frame, Schema((Column("id", "categorical"), Column("x", "categorical"))), 2)


@pytest.mark.parametrize(
    ("column", "text", "value", "reason"),
    [
        (Column("i", "integer"), "-12", -12, "valid"),
        (Column("i", "integer"), "007", 7, "valid"),
        (Column("i", "integer"), str(2**63), None, "out_of_range"),
        (Column("i", "integer"), "1.0", None, "unparsable"),
        (Column("i", "integer"), "1_0", None, "unparsable"),
        (Column("i", "integer"), "٣", None, "unparsable"),
        (Column("f", "float"), "1e400", None, "out_of_range"),
        (Column("f", "float"), "nan", None, "unparsable"),
        (Column("f", "float"), "-.5e-3", -0.0005, "valid"),
    ],
)
def test_numbers_are_read_strictly(column: Column, text: str, value: object, reason: str) -> None:
    found, code = parse_number(text, column)
    assert (found, REASONS.get(code, "valid")) == (value, reason)


def accepts(grammar: NumberGrammar, text: str) -> bool:
    states, accept = grammar.states()
    state: object = ("start", 0)
    for character in text:
        state = states.get(state, {}).get(character)
        if state is None:
            return False
    return state in accept


def test_number_grammars_accept_what_training_looks_like() -> None:
    integers = NumberGrammar.fit(Column("i", "integer"), pd.Series([-3, 120], dtype="Int64"))
    assert all(accepts(integers, text) for text in ("0", "7", "999", "-3", "-99"))
    assert not any(accepts(integers, text) for text in ("", "-", "1000", "01", "1.0", "+1", "--1"))
    money = NumberGrammar.fit(Column("f", "float", 2), pd.Series([0.5, 12.25]))
    assert all(accepts(money, text) for text in ("0.50", "99.99"))
    assert not any(accepts(money, text) for text in ("0.5", "-1.00", "100.00", ".50", "1.", "1"))
    raw = NumberGrammar.fit(Column("f", "float", None), pd.Series([-1e-05, 123.4567]))
    assert all(accepts(raw, text) for text in ("1.5", "-2.25", "1e-05", "12.34567", "1e+100"))
    assert not any(accepts(raw, text) for text in ("1", "1.", "1e5", "e5", "12.345678", "1.5.5"))


def test_a_number_grammar_never_leads_into_a_dead_end() -> None:
    for values, column in (([-1e-05, 0.1], Column("f", "float", None)), ([-0.25], Column("f", "float", 2))):
        states, accept = NumberGrammar.fit(column, pd.Series(values)).states()
        reached, todo = set(), [("start", 0)]
        while todo:
            state = todo.pop()
            if state not in reached:
                reached.add(state)
                todo += states[state].values()
        assert all(states[state] or state in accept for state in reached)


@pytest.mark.parametrize("digits", [1, 2, 3])
@pytest.mark.parametrize("numbers", [[7], [0, 105], [-120, -3, 45], [-9, -8], [98, 203]])
def test_constrained_numbers_are_those_from_least_to_greatest_of_each_sign(numbers: list[int], digits: int) -> None:
    schema = Schema((Column("n", "float", 1),))
    codec = TableCodec.fit(pd.DataFrame({"n": np.array(numbers) / 10}), schema, digits)
    automaton = codec.grammar(len(codec.vocabulary), torch.device("cpu"))
    paths = [([], int(automaton.begin[0]))]
    for _ in range(codec.widths[0]):
        paths = [
            ([*read, int(token)], int(automaton.step(torch.tensor([state]), token[None])[0]))
            for read, state in paths
            for token in automaton.allowed(torch.tensor([state]))[0]
        ]
    assert {state for _, state in paths} == {automaton.end}
    written = codec.decode(torch.tensor([read for read, _ in paths]))[0]["n"]
    signs = [[n for n in numbers if n >= 0], [n for n in numbers if n < 0]]
    assert sorted(round(value * 10) for value in written) == sorted(
        value for part in signs if part for value in range(min(part), max(part) + 1)
    )


@pytest.mark.parametrize(("rows", "width", "words"), [(0, 3, 5), (1, 1, 1), (500, 1, 4), (500, 4, 3), (300, 9, 60_000)])
def test_rows_are_told_apart_as_sorting_tells_them(rows: int, width: int, words: int) -> None:
    tokens = np.random.default_rng(0).integers(-1, words, (rows, width))
    tokens = tokens[np.random.default_rng(1).integers(0, max(rows, 1), rows)]  # some come twice
    unique, which = distinct_rows(tokens)
    assert (unique[which] == tokens).all()
    assert len(unique) == len(np.unique(tokens, axis=0))
    assert len(np.unique(unique, axis=0)) == len(unique)
