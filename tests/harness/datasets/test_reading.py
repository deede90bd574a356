"""Files are read as written, and what we write reads back equal."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.datasets.assemble import checksum
from harness.datasets.reading import canonical, infer_schema, read_text
from harness.datasets.writing import write_csv
from harness.errors import TabOrderError
from harness.table import Column, Schema, conform

UGLY = [
    "line\nend",
    "line\r\nend",
    "\rstart",
    'say "hi"',
    '"',
    '""',
    "a,b",
    "age is 5, x is y",
    "😀 naïve 列",
    "nul\x00inside",
    "x" * 10_000,
    " padded ",
    "\t",
    "nan",
    "NA",
    "None",
    "=1+1",
    "<b>",
    "007",
    "9007199254740993",
    "9223372036854775808",
    "True",
    "2024-01-31",
    "1.50",
    "\ufeff",
    "e\u0301",
]


def write(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def csv_text(header: list[str], rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([header, *rows])
    return out.getvalue()


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_cells_come_back_as_written(tmp_path: Path, bom: bytes) -> None:
    rows = [[cell, other] for cell, other in zip(UGLY, reversed(UGLY), strict=True)]
    path = write(tmp_path / "a.csv", bom + csv_text(["a", 'b "is", x'], rows).encode())
    text = read_text(path)
    assert text.names == ["a", 'b "is", x']
    assert text.frame().to_numpy().tolist() == rows


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_blank_lines_do_not_matter(tmp_path: Path, end: str) -> None:
    path = write(tmp_path / "a.csv", end.join(["a,b", "1,x", "", "2,", "", ""]))
    assert read_text(path).frame().to_numpy().tolist() == [["1", "x"], ["2", None]]


def test_missing_cells_are_the_listed_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'a,b\nNA,\n"",x\nna,y\n')
    assert read_text(path).frame()["a"].tolist() == ["NA", None, "na"]
    assert read_text(path, missing=["NA", "x"]).frame().to_numpy().tolist() == [[None, ""], ["", None], ["na", "y"]]
    assert read_text(path, missing=[]).frame()["b"].tolist() == ["", "x", "y"]
    assert read_text(path, missing="NA").frame()["a"].tolist() == [None, "", "na"]
    with pytest.raises(TabOrderError, match="give a list of texts"):
        read_text(path, missing=[[1]])  # type: ignore[list-item]


def test_one_column_with_a_missing_cell_keeps_its_row(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": ["x", None, "y"]})
    schema = Schema((Column("a", "categorical"),))
    write_csv(frame, schema, tmp_path / "a.csv")
    assert read_text(tmp_path / "a.csv").frame()["a"].tolist() == ["x", None, "y"]


def test_other_delimiters(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a;b\n1,5;2\n")
    assert read_text(path, delimiter=";").frame().to_numpy().tolist() == [["1,5", "2"]]
    for wrong in (";;", '"', "\n", "é", ""):
        with pytest.raises(TabOrderError, match="delimiter"):
            read_text(path, delimiter=wrong)


def test_a_cell_longer_than_a_block(tmp_path: Path) -> None:
    long = "x" * (17 << 20)
    path = write(tmp_path / "a.csv", f"a,b\n{long},1\ny,2\n")
    assert read_text(path).frame().to_numpy().tolist() == [[long, "1"], ["y", "2"]]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\n\n", "is empty"),
        (b"a,b\n", "has a header but no data rows"),
        (b"a,b", "has a header but no data rows"),
        (b"a,b\n\xd7,1\n", "byte 0xd7 at offset 4 "),
        (b"a\n" + b"x" * (5 << 20) + b"\xff\x00\n", f"byte 0xff at offset {2 + (5 << 20)} "),
        ("a,b\n1,2\n".encode("utf-16")[:-1], "begins as UTF-16 text but is broken"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is a picture"),
        (b"a,b\n1,\xe2\x82", "ends inside a character at offset 6"),
        (b"a,b,a\n1,2,3\n", r"more than one column named \['a'\]"),
        (b"a,,c, \n1,2,3,4\n", r"column \[2, 4\] has no name"),
        (b"a,b\n1,2\n3\n", "line 3: 1 cells where the header has 2"),
        (b'a,b\n"1\n2",3\n4,5,6\n', "line 4: 3 cells where the header has 2"),
        (b'a,b\n1,"2\n3,4\n', "a quote .* is never closed"),
    ],
)
def test_files_that_are_no_table_are_refused_in_one_sentence(tmp_path: Path, data: bytes, words: str) -> None:
    path = write(tmp_path / "a.csv", data)
    with pytest.raises(TabOrderError, match=words) as error:
        read_text(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_paths_that_are_no_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TabOrderError, match="does not exist"):
        read_text(tmp_path / "a.csv")
    with pytest.raises(TabOrderError, match="is a directory"):
        read_text(tmp_path)
    with pytest.raises(TabOrderError, match="not a readable Parquet file"):
        read_text(write(tmp_path / "a.parquet", b"no"))


def test_a_lone_quote_inside_an_unquoted_cell_is_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'a,b\n5" pipe,1\n')
    assert read_text(path).frame()["a"].tolist() == ['5" pipe']


def test_kinds_are_inferred_and_overridden(tmp_path: Path) -> None:
    text = read_text(write(tmp_path / "a.csv", "i,f,z,c\n1,1.0,01,x\n,2.5,02,y\n"))
    assert [c.kind for c in infer_schema(text).columns] == ["integer", "float", "categorical", "categorical"]
    schema = infer_schema(text, columns={"i": "categorical"}, target="f", task="regression")
    assert schema["i"].kind == "categorical"
    assert schema.target == "f"
    with pytest.raises(TabOrderError, match="unknown column 'q': the choices are c, f, i, z"):
        infer_schema(text, columns={"q": "float"})
    with pytest.raises(TabOrderError, match="unknown kind 'int'"):
        infer_schema(text, columns={"i": "int"})


def test_canonical_frames(tmp_path: Path) -> None:
    text = read_text(write(tmp_path / "a.csv", "i,f,c\n1,1.5,x\n,,\n-3,2,x\n"))
    frame = canonical(text, infer_schema(text))
    expected = pd.DataFrame(
        {
            "i": pd.array([1, None, -3], dtype="Int64"),
            "f": [1.5, np.nan, 2.0],
            "c": np.array(["x", None, "x"], dtype=object),
        }
    )
    pd.testing.assert_frame_equal(frame, expected)


@pytest.mark.parametrize(("cell", "row"), [("1.5", 2), ("x", 2), ("007", 2), ("9" * 19, 2), ("inf", 2)])
def test_a_test_cell_of_another_kind_is_named(tmp_path: Path, cell: str, row: int) -> None:
    schema = infer_schema(read_text(write(tmp_path / "a.csv", "n,m\n1,2\n")))
    test = read_text(write(tmp_path / "b.csv", f"n,m\n1,2\n1,{cell}\n1,{cell}\n"))
    with pytest.raises(TabOrderError, match=f"b.csv, data row {row}, column 'm': '{cell}' is not an integer"):
        canonical(test, schema)


def test_test_columns_may_be_reordered_but_not_differ(tmp_path: Path) -> None:
    schema = infer_schema(read_text(write(tmp_path / "a.csv", "n,m\n1,2\n")))
    assert canonical(read_text(write(tmp_path / "b.csv", "m,n\n4,3\n")), schema).to_numpy().tolist() == [[3, 4]]
    with pytest.raises(TabOrderError, match=r"b.csv: columns differ .*missing \['m'\]; unexpected \['k'\]"):
        canonical(read_text(write(tmp_path / "b.csv", "n,k\n1,2\n")), schema)


def test_parquet_types_become_the_text_of_a_csv_file(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "float": [1.0, np.nan, 0.1],
            "integer": pd.array([2**53 + 1, None, 3], dtype="Int64"),
            "huge": [2**62, 1, 1],
            "code": ["01", "2", None],
            "category": pd.Categorical(["x", None, "x"]),
            "flag": [True, False, None],
            "day": pd.to_datetime(["2024-01-31", None, "2024-02-01"]),
            "nothing": [None, None, None],
        },
        index=[5, 6, 9],
    )
    frame.to_parquet(tmp_path / "a.parquet")
    text = read_text(tmp_path / "a.parquet")
    schema = infer_schema(text)
    kinds = {column.name: column.kind for column in schema.columns}
    assert kinds.pop("float") == "float"
    assert kinds.pop("integer") == "integer"
    assert set(kinds.values()) == {"categorical"}
    table = canonical(text, schema)
    assert table["float"].tolist()[::2] == [1.0, 0.1]
    assert table["integer"].tolist() == [2**53 + 1, pd.NA, 3]
    assert table["huge"].tolist() == [str(2**62), "1", "1"]
    assert table["code"].tolist() == ["01", "2", None]
    assert table["flag"].tolist() == ["True", "False", None]
    assert table["day"].tolist() == ["2024-01-31", None, "2024-02-01"]  # as pandas writes midnights into a CSV file
    pd.DataFrame({"l": [[1]]}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(TabOrderError, match="column 'l' holds list"):
        read_text(tmp_path / "b.parquet")


def test_a_parquet_copy_of_a_csv_reads_the_same(tmp_path: Path) -> None:
    text = read_text(write(tmp_path / "a.csv", csv_text(["i", "f", "c"], [["1", "0.1", "x,\n"], ["", "2.0", ""]])))
    schema = infer_schema(text)
    table = canonical(text, schema)
    table.to_parquet(tmp_path / "a.parquet")
    again = read_text(tmp_path / "a.parquet")
    assert infer_schema(again) == schema
    pd.testing.assert_frame_equal(canonical(again, schema), table)


CELLS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20) | st.sampled_from(UGLY)
ROWS = st.lists(
    st.tuples(
        st.none() | CELLS,
        st.none() | st.integers(-(10**18) + 1, 10**18 - 1),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.none() | st.integers(-999, 999).map(float),
    ),
    min_size=1,
    max_size=12,
)
SCHEMA = Schema(
    (Column("c, is", "categorical"), Column("i", "integer"), Column("f", "float", 2), Column("w", "float", 0))
)


@given(ROWS)
@example([("0\r", None, None, None)])
@example([("\r", None, None, None)])
@example([(None, None, 0.0, 0.0), (None, None, -0.0, -0.0)])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_we_write_reads_back_equal(tmp_path: Path, rows: list[tuple[object, ...]]) -> None:
    columns = list(zip(*rows, strict=True))
    frame = pd.DataFrame(
        {
            "c, is": np.array([*columns[0], None], dtype=object)[:-1],
            "i": pd.array(columns[1], dtype="Int64"),
            "f": np.array(columns[2], dtype=float),
            "w": np.array(columns[3], dtype=float),
        }
    )
    write_csv(frame, SCHEMA, tmp_path / "a.csv")
    text = read_text(tmp_path / "a.csv")
    again = canonical(text, SCHEMA)
    pd.testing.assert_frame_equal(again, frame, check_exact=True)
    pd.testing.assert_frame_equal(conform(text.frame(), SCHEMA)[0], frame, check_exact=True)
    assert checksum(SCHEMA, again, again) == checksum(SCHEMA, frame, frame)
    if frame["w"].notna().any():  # integer-like floats are inferred as floats again
        assert infer_schema(text)["w"].kind == "float"


def test_an_empty_category_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(TabOrderError, match="empty category"):
        write_csv(pd.DataFrame({"a": [""]}), Schema((Column("a", "categorical"),)), tmp_path / "a.csv")


def test_checksum_sees_every_change() -> None:
    schema = Schema((Column("a", "categorical"), Column("i", "integer"), Column("f", "float", 1)))
    frame = pd.DataFrame({"a": ["x", None], "i": pd.array([1, None], dtype="Int64"), "f": [0.5, np.nan]})
    same = checksum(schema, frame, frame)
    assert checksum(schema, frame.copy(), frame.set_axis([4, 5])) == same
    changes = [("a", 0, "y"), ("a", 1, ""), ("i", 0, 2), ("i", 1, 0), ("f", 0, 0.25), ("f", 1, 0.0)]
    sums = set()
    for column, row, value in changes:
        changed = frame.copy()
        changed.loc[row, column] = value
        sums |= {checksum(schema, changed, frame), checksum(schema, frame, changed)}
    sums.add(checksum(Schema(schema.columns, "f", "regression"), frame, frame))
    sums.add(checksum(schema, frame.iloc[::-1], frame))
    assert same not in sums
    assert len(sums) == 2 * len(changes) + 2
