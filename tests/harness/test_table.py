"""Kinds, canonical form and text of cells, on tables small enough to check by eye."""

from __future__ import annotations

import decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import TabOrderError
from harness.table import Column, Schema, conform, float_decimals, format_cell, infer_column, infer_task, resolution

INTEGER, FLOAT, CATEGORY = Column("x", "integer"), Column("x", "float", 2), Column("x", "categorical")


def infer(*cells: str | None) -> Column:
    return infer_column("x", pd.Series(cells, dtype=object))


def one(column: Column, values: object) -> tuple[pd.Series, int]:
    series = values if isinstance(values, pd.Series) else pd.Series(values, dtype=object)
    frame, invalid = conform(series.to_frame("x"), Schema((column,)))
    return frame["x"], invalid.get("x", 0)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-20", "0", None], "integer"),
        (["123456789012345678"], "integer"),  # 18 digits
        (["1234567890123456789"], "categorical"),  # 19 digits
        (["12345678901234567890"], "categorical"),  # beyond 2**63
        (["007", "1"], "categorical"),  # an id
        (["+491234", "5"], "categorical"),  # a phone number: the plus would be lost
        (["1.5", "2"], "float"),
        (["1.0", "2.0"], "float"),  # integer-like floats stay floats
        (["1e5", "2"], "float"),
        (["00.5", "1.5"], "categorical"),
        (["9007199254740993.0"], "categorical"),  # 2**53 + 1 would be rounded
        (["9007199254740992.0"], "float"),
        (["12345678901234567", "1.5"], "categorical"),  # odd beyond 2**53
        (["1e400"], "categorical"),  # infinite
        (["inf", "1.5"], "categorical"),
        (["nan", "1.5"], "categorical"),
        (["2024-01-31"], "categorical"),
        (["True", "False"], "categorical"),
        (["1\n"], "categorical"),
        ([" 1"], "categorical"),
        (["1,5"], "categorical"),
        (["٣"], "categorical"),  # a digit, but not an ASCII one
        ([None, None], "categorical"),
        ([], "categorical"),
    ],
)
def test_infers_kind(cells: list[str | None], kind: str) -> None:
    assert infer(*cells).kind == kind


@pytest.mark.parametrize(
    ("cells", "decimals"),
    [
        (["1.0", "2.0"], 0),
        (["38.9", "38.89"], 2),
        (["38.90", "1"], 1),
        (["0.123456789"], 9),
        (["0.1234567891"], None),
        (["1e-3", "2"], 3),
        (["1e15", "0.5"], None),
        (["0.285", "1.005"], 3),
    ],
)
def test_decimals_write_every_value(cells: list[str], decimals: int | None) -> None:
    column = infer(*cells)
    assert column.kind == "float"
    assert column.decimals == decimals
    assert [float(str(format_cell(column, float(cell)))) for cell in cells] == [float(cell) for cell in cells]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_every_float_comes_back_from_its_text(values: list[float]) -> None:
    column = Column("x", "float", float_decimals(np.array(values)))
    assert [float(str(format_cell(column, value))) for value in values] == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_float_text_is_read_exactly(values: list[float]) -> None:
    # pandas.to_numeric is off by an ulp on some of these
    series, invalid = one(FLOAT, [repr(value) for value in values])
    assert invalid == 0
    assert series.tolist() == values


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=20))
@settings(max_examples=200)
def test_integers_are_exact_however_they_come(values: list[int | None]) -> None:
    expected = pd.array(values, dtype="Int64")
    text = [None if value is None else str(value) for value in values]
    for given_as in (pd.Series(values, dtype="Int64"), pd.Series(values, dtype=object), pd.Series(text, dtype=object)):
        series, invalid = one(INTEGER, given_as)
        assert invalid == 0
        assert series.dtype == "Int64"
        assert series.array.equals(expected)


def test_big_integers_beside_a_missing_cell_are_not_rounded() -> None:
    series, _ = one(INTEGER, ["9007199254740993", None])  # 2**53 + 1 has no float64
    assert series.tolist() == [9007199254740993, pd.NA]


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1, 2, None], dtype="float64"),
        pd.Series([1, 2, None], dtype="Int64"),
        pd.Series([1, 2, None], dtype="Int32"),
        pd.Series(["1", "2", None], dtype=object),
        pd.Series(["1.0", "2", ""], dtype=object),
        pd.Series(["1", "2", None], dtype="string"),
        pd.Series(["1", "2", None], dtype="string[pyarrow]"),
        pd.Series(["1", "2", None], dtype="category"),
        pd.Series([1, 2, None], dtype="float64[pyarrow]"),
        pd.Series([decimal.Decimal(1), 2.0, np.nan], dtype=object),
    ],
)
def test_equal_numbers_of_any_dtype_are_one_canonical_column(values: pd.Series) -> None:
    for column, dtype in ((INTEGER, "Int64"), (FLOAT, "float64")):
        series, invalid = one(column, values)
        assert invalid == 0
        assert series.dtype == dtype
        assert series[:2].tolist() == [1, 2]
        assert series.isna().tolist() == [False, False, True]


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1, 2], dtype="int64"),
        pd.Series([1.0, 2.0]),
        pd.Series(["1", "2"]),
        pd.Series([1, 2], dtype="category"),
        pd.Series(["1", "2"], dtype="string[pyarrow]"),
    ],
)
def test_equal_values_of_any_dtype_are_one_category(values: pd.Series) -> None:
    assert one(CATEGORY, values)[0].tolist() == ["1", "2"]


def test_categories_are_plain_text_or_none() -> None:
    values = ["", " is ", "é\x00\n", True, 1.5, None, float("nan"), pd.NaT, [1]]
    assert one(CATEGORY, values[:-1])[0].tolist() == ["", " is ", "é\x00\n", "True", "1.5", None, None, None]
    assert one(CATEGORY, [["a"], ["b"]])[0].tolist() == ["['a']", "['b']"]  # unhashable


def test_counts_invalid_cells_and_leaves_them_missing() -> None:
    series, invalid = one(INTEGER, ["1", "1.5", "x", "inf", "9223372036854775808", None, "", "nan"])
    assert series.tolist() == [1, *[pd.NA] * 7]
    assert invalid == 5  # 1.5, x, inf, 2**63 and the text nan; None and "" are missing, not invalid
    series, invalid = one(FLOAT, ["1e3", " 1", "x", "-inf", None])
    assert series[0] == 1000.0
    assert series[1:].isna().all()
    assert invalid == 3
    assert one(INTEGER, pd.Series([2**63 + 1, 2**53 + 1], dtype="uint64"))[0].tolist() == [pd.NA, 2**53 + 1]
    assert one(INTEGER, pd.Series([1.5, np.inf, np.nan, 3.0]))[1] == 2
    assert one(FLOAT, pd.Series(pd.to_datetime(["2024-01-31"])))[1] == 1


def test_conform_orders_columns_and_leaves_the_input_alone() -> None:
    schema = Schema((Column("a", "integer"), Column("b", "categorical")))
    frame = pd.DataFrame({"b": ["x", None], "a": ["1", "2"]}, index=[7, 3])
    before = frame.copy(deep=True)
    result, invalid = conform(frame, schema)
    pd.testing.assert_frame_equal(frame, before)
    assert invalid == {}
    assert result.columns.tolist() == ["a", "b"]
    assert result.index.tolist() == [0, 1]
    again, _ = conform(result, schema)
    pd.testing.assert_frame_equal(again, result)


def test_conform_keeps_empty_tables_canonical() -> None:
    schema = Schema((Column("a", "integer"), Column("b", "float", 1), Column("c", "categorical")))
    result, invalid = conform(pd.DataFrame({"a": [], "b": [], "c": []}), schema)
    assert invalid == {}
    assert [str(dtype) for dtype in result.dtypes] == ["Int64", "float64", "object"]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame({"a": [1]}), r"missing \['b'\]"),
        (pd.DataFrame({"a": [1], "b": [1], "c": [1]}), r"unexpected \['c'\]"),
        (pd.DataFrame([[1, 2, 3]], columns=["a", "b", "b"]), r"repeated \['b'\]"),
        ({"a": [1]}, "got dict"),
    ],
)
def test_conform_refuses_other_columns(frame: object, words: str) -> None:
    schema = Schema((Column("a", "integer"), Column("b", "integer")))
    with pytest.raises(TabOrderError, match=words):
        conform(frame, schema)  # type: ignore[arg-type]


def test_schema_refuses_nonsense() -> None:
    column = Column("a", "integer")
    with pytest.raises(TabOrderError, match="more than one column named"):
        Schema((column, column))
    with pytest.raises(TabOrderError, match="unknown target column 'b'"):
        Schema((column,), "b", "regression")
    with pytest.raises(TabOrderError, match="go together"):
        Schema((column,), "a")
    with pytest.raises(TabOrderError, match="unknown task"):
        Schema((column,), "a", "ranking")  # type: ignore[arg-type]
    with pytest.raises(TabOrderError, match="Did you mean 'integer'"):
        Column("a", "integr")  # type: ignore[arg-type]
    schema = Schema((column,), "a", "regression")
    assert Schema.from_json(schema.to_json()) == schema


def test_infers_task() -> None:
    assert infer_task(CATEGORY, ["a"]) == "classification"
    assert infer_task(INTEGER, list(range(20))) == "classification"
    assert infer_task(INTEGER, list(range(21))) == "regression"
    assert infer_task(FLOAT, [0.5]) == "regression"


def test_formats_cells() -> None:
    assert [format_cell(FLOAT, value) for value in (1.0, -0.126, np.nan)] == ["1.00", "-0.13", None]
    assert format_cell(Column("x", "float"), 0.1) == "0.1"
    assert [format_cell(INTEGER, value) for value in (np.int64(5), pd.NA, 2**62)] == ["5", None, str(2**62)]
    assert [format_cell(CATEGORY, value) for value in ("", None)] == ["", None]


@pytest.mark.parametrize(
    ("values", "decimals"),
    [
        ([45.6607846786856, 48.18441581847232, 60.1], 5),  # a millionth of 15 degrees
        ([0.1 + 0.2, 1.0, 3.3], 6),
        ([1e-12 / 3, 2e-12 / 3, 1e-11 / 3], 18),
        ([1 / 3, 1e15], None),
        ([1 / 3, 1 / 3], None),  # one value: nothing to tell apart
    ],
)
def test_resolution_is_a_millionth_of_the_range(values: list[float], decimals: int | None) -> None:
    assert resolution(np.array(values)) == decimals
    if decimals is not None:
        assert np.abs(np.round(values, decimals) - values).max() <= 1e-6 * np.ptp(values)
