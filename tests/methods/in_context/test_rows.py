"""Rows in prompts and answers, without loss."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from harness.table import conform
from methods.in_context.prompts import describe_column, write_prompt
from methods.in_context.rows import domains, parse_answer, write_row
from tests.methods.in_context.parts import KNOWN, ROW, SCHEMA, TRAIN, UGLY


def reasons(text: str, *, cut: bool = False) -> list[str | None]:
    return [attempt.reason for attempt in parse_answer(text, SCHEMA, KNOWN, cut=cut)[0]]


def test_a_row_shows_decimals_and_missing_cells() -> None:
    row = {"state": "MA", "bird": None, "n": 7, "lat": 42.0}
    assert write_row(row, SCHEMA, SCHEMA.names) == '{"state": "MA", "bird": null, "n": 7, "lat": 42.0}'
    assert write_row(row, SCHEMA, ["lat", "n", "bird", "state"]) == '{"lat": 42.0, "n": 7, "bird": null, "state": "MA"}'


def test_ugly_cells_survive_the_round_trip_exactly() -> None:
    texts = [
        'a, "b" is {c}',
        "line\nbreak",
        "😀 ünï",
        "null",
        "",
        "  ",
        "1.0",
        "007",
        "}",
        "\x00",
        "\\",
        None,
        "True",
        "NaN",
    ]
    numbers = [0.1 + 0.2, -1e300, 5e-324, 1 / 3, 2.0, None, *np.random.default_rng(0).normal(size=8).tolist()]
    ids = [10**17 + 1, -3, 0, None, *range(10)]
    frame = conform(pd.DataFrame({'na"me': texts, "größe": numbers, "id": ids, "t": texts[::-1]}, dtype=object), UGLY)[
        0
    ]
    text = "\n".join(write_row(row, UGLY, UGLY.names[::-1]) for row in frame.to_dict("records"))
    attempts, ignored = parse_answer(text, UGLY, domains(frame, UGLY), cut=False)
    assert ignored == 0
    assert [attempt.reason for attempt in attempts] == [None] * len(frame)
    pd.testing.assert_frame_equal(conform(pd.DataFrame([a.row for a in attempts], dtype=object), UGLY)[0], frame)


@pytest.mark.parametrize(
    "text",
    [
        f"{ROW}\n{ROW}\n",
        f"Here are two rows:\n```json\n{ROW}\n{ROW}\n```\nEnjoy!",
        f"[{ROW},\n {ROW}]",
        json.dumps([json.loads(ROW)] * 2, indent=2),
        f"1. {ROW}\n2. {ROW}",
        f"{ROW} {ROW}",
    ],
)
def test_rows_are_found_among_whatever_models_write_around_them(text: str) -> None:
    attempts, _ = parse_answer(text, SCHEMA, KNOWN, cut=False)
    assert [attempt.row for attempt in attempts] == [{"state": "MA", "bird": "tit", "n": 0, "lat": 30.0}] * 2


def test_prose_is_counted_by_line_and_is_no_attempt() -> None:
    assert parse_answer(f"Sure!\n\n{ROW}\nHope this helps.", SCHEMA, KNOWN, cut=False)[1] == 2
    assert parse_answer("I cannot do that.", SCHEMA, KNOWN, cut=False) == ([], 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("MA", "Mars"), "unknown_category"),
        (('"MA"', "true"), "unparsable_value"),
        (('"MA"', '["MA"]'), "unparsable_value"),
        (('"n": 0', '"n": 0.5'), "unparsable_value"),
        (('"n": 0', '"n": 1e400'), "unparsable_value"),
        (("30.0", "NaN"), "unparsable_value"),
        (("30.0", "1e999"), "unparsable_value"),
        (("30.0", '"north"'), "unparsable_value"),
        ((', "lat": 30.0', ""), "missing_column"),
        (('"lat"', '"lon"'), "unknown_column"),
        (('"n"', '"state"'), "duplicate_column"),
        ((": 0", " 0"), "unparsable"),
        (('"n": 0', '"n": null'), None),
        (('"n": 0', '"n": "3"'), None),
    ],
)
def test_each_kind_of_bad_row_has_its_reason(change: tuple[str, str], reason: str | None) -> None:
    assert reasons(f"{ROW.replace(*change)}\n{ROW}") == [reason, None]


def test_only_the_last_row_of_a_cut_answer_counts_as_cut() -> None:
    half = ROW[:20]
    assert reasons(f"{half}\n{ROW}\n{half}", cut=True) == ["unparsable", None, "cut"]
    assert reasons(f"{ROW}\n{half}", cut=False) == [None, "unparsable"]


def test_deeply_nested_answers_do_no_harm() -> None:
    assert reasons('{"a":' * 100_000) == ["unparsable"]


def test_columns_are_described_and_the_prompt_ends_with_rows() -> None:
    assert describe_column(SCHEMA["bird"], TRAIN) == '- "bird": text, one of 3 categories: "jay", "tit", "wren"'
    assert describe_column(SCHEMA["lat"], TRAIN) == '- "lat": number with 1 decimals from 30.0 to 31.5'
    frame = TRAIN.assign(n=pd.array([1, None] * 30, dtype="Int64"), bird=None)
    assert describe_column(SCHEMA["n"], frame) == '- "n": whole number from 1 to 1, or null'
    assert describe_column(SCHEMA["bird"], frame) == '- "bird": always null'
    prompt = write_prompt([], [ROW], 5)
    assert "Answer with 5 new rows" in prompt
    assert prompt.endswith(f"The rows:\n{ROW}\n")
