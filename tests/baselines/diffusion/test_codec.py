"""A table as numbers and codes, and back."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from baselines.diffusion.codec import TableCodec
from harness.errors import Incompatible
from harness.table import Column, Schema, conform


def test_rows_come_back_up_to_quantiles_and_missing_cells_exactly(train, schema):
    codec = TableCodec.fit(train, schema, "x")
    normal, codes = codec.encode(train)
    back, invalid = conform(codec.decode(normal, codes), schema)
    assert not invalid
    # Ten distinct integers and 120 rows: the quantiles are the values themselves.
    assert_frame_equal(back.drop(columns="é,x"), train.drop(columns="é,x"))
    assert back["é,x"].isna().equals(train["é,x"].isna())
    assert float((back["é,x"] - train["é,x"]).abs().max()) < 0.3  # ten quantiles between 90 values
    assert codec.sizes == (3, 2, 2)  # category with missing cells, two flags
    assert [(part.name, part.flag) for part in codec.categories] == [("a is", False), ("count", True), ("é,x", True)]
    assert codec.constants == {"constant": "same"}
    assert codec.notes == ("column 'empty' has no value in train: not modelled, all missing",)


def test_any_numbers_become_values_of_the_column_within_its_range(train, schema):
    codec = TableCodec.fit(train, schema, "x")
    wild = np.random.default_rng(0).normal(0, 10, (500, 2))
    back, invalid = conform(codec.decode(wild, np.zeros((500, 3), dtype=int)), schema)
    assert not invalid
    for name in ("count", "é,x"):
        assert back[name].notna().all()
        assert back[name].between(train[name].min(), train[name].max()).all()
    assert (back["é,x"].round(2) == back["é,x"]).all()


def test_large_integers_keep_their_range():
    schema = Schema((Column("id", "integer"),))
    cells = [2**63 - 1, -(2**63), 10**17 + 1, 5]
    codec = TableCodec.fit(pd.DataFrame({"id": pd.array(cells, dtype="Int64")}), schema, "x")
    back, invalid = conform(codec.decode(np.array([[9.0], [-9.0], [0.0]]), np.zeros((3, 0), dtype=int)), schema)
    assert not invalid
    assert back["id"].between(min(cells), max(cells)).all()


def test_constant_numbers_with_missing_cells_are_a_flag_alone():
    schema = Schema((Column("c", "integer"), Column("f", "float", 1)))
    frame = pd.DataFrame({"c": pd.array([7, None, 7], dtype="Int64"), "f": [0.5, 0.5, 0.5]})
    codec = TableCodec.fit(frame, schema, "x")
    assert (len(codec.numbers), codec.sizes, codec.parts) == (0, (2,), 1)
    back, _ = conform(codec.decode(*codec.encode(frame)), schema)
    assert_frame_equal(back, frame)


def test_few_integers_are_set_to_the_nearest_real_one():
    schema = Schema((Column("n", "integer"),))
    frame = pd.DataFrame({"n": pd.array([0, 10, 100] * 20, dtype="Int64")})
    codec = TableCodec.fit(frame, schema, "x", snap=3)
    normal = np.linspace(-6, 6, 400)[:, None]
    assert set(codec.decode(normal, np.zeros((400, 0), dtype=int))["n"]) == {0, 10, 100}
    assert len(set(TableCodec.fit(frame, schema, "x", snap=2).decode(normal, np.zeros((400, 0), dtype=int))["n"])) > 3


def test_the_target_comes_first_and_a_label_is_left_out():
    schema = Schema((Column("x", "float", 1), Column("y", "integer")), "y", "classification")
    frame = pd.DataFrame({"x": [0.1, 0.2, 0.3], "y": pd.array([1, 0, None], dtype="Int64")})
    assert [part.column.name for part in TableCodec.fit(frame, schema, "x").numbers] == ["y", "x"]
    codec = TableCodec.fit(frame, schema, "x", label="y")
    assert [part.column.name for part in codec.numbers] == ["x"]
    assert codec.label.levels == (0, 1, None)
    labels = codec.labels(frame)
    assert labels.tolist() == [1, 0, 2]
    assert_frame_equal(conform(codec.decode(*codec.encode(frame), labels), schema)[0][["y"]], frame[["y"]])


def test_a_table_without_values_is_refused(train, schema):
    with pytest.raises(Incompatible, match="x needs at least one column with a value"):
        TableCodec.fit(train[["empty"]], Schema((schema["empty"],)), "x")
