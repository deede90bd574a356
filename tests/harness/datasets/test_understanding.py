"""One inference whichever way a table comes, every decision said, and cells written back as they came."""

from __future__ import annotations

import gzip
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.datasets.advice import arrows_quoted, override, read_value
from harness.datasets.asked import Asked
from harness.datasets.files import csv_table
from harness.datasets.reading import read_text, table_of_frame
from harness.datasets.rules import parse_rules
from harness.datasets.tables import Reading, read_real
from harness.datasets.writing import write_csv
from harness.errors import TabOrderError
from harness.table import Schema, conform

ROWS = 60


def column(*cells: str) -> list[str]:
    return [cells[i % len(cells)] for i in range(ROWS)]


def write(path: Path, mark: str = ",", **columns: list[str]) -> str:
    lines = [list(columns), *map(list, zip(*columns.values(), strict=True))]
    quoted = [[f'"{cell}"' if mark in cell else cell for cell in line] for line in lines]
    path.write_text("".join(mark.join(line) + "\n" for line in quoted), encoding="utf-8")
    return str(path)


def one(tmp_path: Path, cells: list[str], mark: str = ",", **options: Any) -> Any:
    path = write(tmp_path / "a.csv", mark, v=cells, w=column("a", "b"))
    return csv_table(path, path, **options)


def about(dataset: Any, name: str = "v") -> str:
    return " ".join(note for note in dataset.notes if f"'{name}'" in note)


WIDE = [f"{i},{i % 7}5" for i in range(ROWS)]
KINDS: dict[str, tuple[list[str], str, str, str]] = {
    # cells, kind, the first cell in the table, what is said
    "whole": ([str(i) for i in range(ROWS // 2)] * 2, "integer", "0", ""),
    "pandas_whole": (column("1.0", "", "0.0"), "integer", "1", "whole numbers written like 1.0"),
    "decimal_comma": (WIDE, "float", "0.05", "decimal mark ','"),
    "thousands": (column("1,234", "999", "12,345,678"), "integer", "1234", "thousands apart by ','"),
    "dollars": (column("$1,234.50", "$7.00", "-$3.25"), "float", "1234.5", "'$' before"),
    "euros": (column("1.234,50 €", "7,00 €"), "float", "1234.5", "'€' after"),
    "percent": (column("12.5%", "3%", "100%"), "float", "12.5", "'%' after"),
    "blanks_and_plus": (column(" 12 ", "+5", "7"), "integer", "12", "blanks or a plus sign"),
    "question_mark": (column(*map(str, range(20)), "?"), "categorical", "0", "'?' 2), so the column is read as text"),
    "infinity": (column(*map(str, range(20)), "inf"), "categorical", "0", "missing="),
    "zips": (column("01234", "98101"), "categorical", "01234", "leading zeros"),
    "versions": (column("1.1", "1.10", "1.9"), "categorical", "1.1", "'1.1' and '1.10' would be one number"),
    "exponents": (column("1E5", "2.5"), "float", "100000.0", "'1E5' are read as numbers"),
    "iso_dates": (column("2021-01-05", "1969-12-31"), "integer", "18632", "dates (%Y-%m-%d)"),
    "german_dates": (column("5.1.2021", "31.12.2020"), "integer", "18632", "dates (%d.%m.%Y)"),
    "times": (column("2021-01-05 10:00:00", "2021-01-06 00:00:01"), "integer", "1609840800", "seconds"),
    "zoned": (column("2021-01-05T10:00:00Z", "2021-01-06T00:00:01Z"), "integer", "1609840800", "seconds"),
    "far_dates": (column("9999-12-31", "1500-01-01"), "integer", "2932896", "dates"),
    "booleans": (column("True", "false", "TRUE", "True"), "categorical", "True", "truth values in 3 spellings"),
    "uuids": ([f"{i:08x}-0000-4000-8000-{i:012x}" for i in range(ROWS)], "dropped", "", "ids (uuids"),
    "prose": ([f"word {i} and many other words that nobody counts {i}" for i in range(ROWS)], "categorical", "", "free text"),
    "row_numbers": ([str(i + 7) for i in range(ROWS)], "integer", "7", "count the rows"),
    "padded": (column(" a", "a"), "categorical", " a", "30 cells have blanks around them"),
    "empty": ([""] * ROWS, "categorical", "None", "all cells are missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_kinds_are_told_from_the_cells_and_said(name: str, tmp_path: Path) -> None:
    cells, kind, first, said = KINDS[name]
    dataset = one(tmp_path, cells, ";" if name == "decimal_comma" else ",")
    assert said in about(dataset)
    if kind == "dropped":
        assert dataset.schema.names == ["w"]
        assert one(tmp_path, cells, ids="keep").schema["v"].kind == "categorical"
        return
    assert dataset.schema["v"].kind == kind
    if first:
        assert str(dataset.train["v"].iloc[0]) == first


@pytest.mark.parametrize(
    "name",
    ["decimal_comma", "thousands", "dollars", "euros", "iso_dates", "times", "zoned", "far_dates", "zips", "versions"],
)
def test_cells_are_written_back_as_they_came(name: str, tmp_path: Path) -> None:
    cells = KINDS[name][0]
    dataset = one(tmp_path, cells, ";" if name == "decimal_comma" else ",")
    write_csv(dataset.train, dataset.schema, tmp_path / "back.csv")
    assert read_text(tmp_path / "back.csv").frame()["v"].tolist() == cells
    assert Schema.from_json(dataset.schema.to_json()) == dataset.schema
    again, invalid = conform(read_text(tmp_path / "back.csv").frame(), dataset.schema)
    assert not invalid
    pd.testing.assert_frame_equal(again, dataset.train)


@pytest.mark.parametrize("name", [name for name in KINDS if name not in ("blanks_and_plus", "booleans")])
def test_csv_parquet_and_frames_are_one_table(name: str, tmp_path: Path) -> None:
    cells = KINDS[name][0]
    path = write(tmp_path / "a.csv", v=cells, w=column("a", "b"))
    frame = pd.read_csv(
        path, keep_default_na=False, na_values=[""], dtype={"v": str} if name in ("zips", "versions") else None
    )
    frame.to_parquet(tmp_path / "a.parquet")
    frame.reset_index(drop=True).to_feather(tmp_path / "a.feather")
    found = [
        read_real(source, None, Asked({}), Reading())
        for source in (path, tmp_path / "a.parquet", tmp_path / "a.feather", frame)
    ]
    typed_number = name in ("infinity", "exponents", "percent")  # pandas parses some of these itself
    for other in found[1:]:
        if not typed_number:
            assert other.understood.schema == found[0].understood.schema
            pd.testing.assert_frame_equal(other.train, found[0].train)


@pytest.mark.parametrize("width", [np.float16, np.float32])
def test_narrow_floats_have_their_own_shortest_decimals(width: Any, tmp_path: Path) -> None:
    values = [4.2, 0.1, 5.5, 2.25] * 5
    frame = pd.DataFrame({"v": np.array(values, dtype=width)})
    schema = read_real(pd.DataFrame({"v": values}), None, Asked({}), Reading()).understood.schema
    assert read_real(frame, None, Asked({}), Reading()).understood.schema == schema
    assert conform(frame, schema)[0]["v"].tolist() == values
    if width is np.float32:
        frame.to_parquet(tmp_path / "a.parquet")
        assert read_real(tmp_path / "a.parquet", None, Asked({}), Reading()).train["v"].tolist() == values


TESTS: dict[str, tuple[list[str], list[str], list[object], str]] = {
    # training cells, test cells, what they become, what is said
    "float_integers": (column("2", "0", "1"), ["2.0", "", "1.0"], [2, None, 1], "3.0"),
    "padded": (column("Lyon", "Graz"), [" Lyon", "Graz ", "Lyon"], ["Lyon", "Graz", "Lyon"], "blanks"),
    "categories": (column("2", "x"), ["2.0", "x", "2"], ["2", "x", "2"], "with a point"),
    "zips": (column("01234", "98101"), ["1234", "98101", "1234.0"], ["01234", "98101", "01234"], "leading zeros"),
    "booleans": (column("True", "False"), ["true", "0", "1"], ["True", "False", "True"], "truth values"),
    "bits": (column("0", "1"), ["True", "False", "True"], [1, 0, 1], "truth values"),
    "dates": (column("2021-01-05", "2021-02-05"), ["2021-01-05 00:00:00", "2021-02-05T00:00", ""], [18632, 18663, None], ""),
    "thousands": (column("1234", "999"), ["1,234", "999", "12,000"], [1234, 999, 12000], "written otherwise"),
}  # fmt: skip


@pytest.mark.parametrize("name", TESTS)
def test_a_second_table_is_read_as_the_first_was(name: str, tmp_path: Path) -> None:
    train, cells, expected, said = TESTS[name]
    first = write(tmp_path / "a.csv", v=train, w=column("a", "b"))
    second = write(tmp_path / "b.csv", v=cells, w=["a", "b", "a"])
    dataset = csv_table(first, second)
    assert [None if pd.isna(value) else value for value in dataset.test["v"]] == expected
    assert ("2.0" if said == "3.0" else said) in about(dataset)


def test_categories_that_training_never_has_are_named(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", v=column("Lyon", "Graz"), w=column("a", "b"))
    second = write(tmp_path / "b.csv", v=["LYON", "GRAZ", "LYON"], w=["a", "b", "a"])
    assert "100% of the rows hold values that the training table never has ('LYON'); they differ in capitals" in about(
        csv_table(first, second)
    )


@pytest.mark.parametrize("mark", [";", "\t", "|", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("packed", ["plain", "gzip", "zip"])
def test_dialects_encodings_and_archives(mark: str, encoding: str, packed: str, tmp_path: Path) -> None:
    text = "\n".join(["stadt" + mark + "n", *[f"Köln{mark}{i}" for i in range(10)]]) + "\n"
    data, path = text.encode(encoding), tmp_path / "a.csv"
    if packed == "gzip":
        data = gzip.compress(data)
    if packed == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.csv", data)
    else:
        path.write_bytes(data)
    table = read_text(path)
    assert table.frame()["stadt"].tolist() == ["Köln"] * 10
    said = " ".join(table.notes)
    assert ("divided by" in said) == (mark != ",")
    assert ("UTF-16" in said) == (encoding == "utf-16")
    assert ("Windows-1252" in said) == (encoding == "latin-1")
    assert ("archive" in said) == (packed != "plain")


def test_json_lines_and_headerless_files(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1, "b": "x"}\n{"a": null, "b": "y"}\n{"b": "z", "a": 2.5}\n')
    assert read_text(tmp_path / "a.jsonl").frame().to_numpy().tolist() == [["1", "x"], [None, "y"], ["2.5", "z"]]
    (tmp_path / "b.csv").write_text("39,State-gov,77516\n50,Private,83311\n38,State-gov,215646\n")
    table = read_text(tmp_path / "b.csv")
    assert (table.names, table.rows) == (["column_1", "column_2", "column_3"], 3)
    assert "holds values, no names" in table.notes[0]
    assert read_text(tmp_path / "b.csv", header=True).rows == 2
    (tmp_path / "c.csv").write_text("country,2019,2020\nA,1.5,2\nB,3,4\nC,5,6\n")
    assert read_text(tmp_path / "c.csv").names == ["country", "2019", "2020"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x1f\x8bnope", "damaged or locked gzip archive"),
        (b"%PDF-1.4 whatever", "is a PDF document"),
        (b"<!DOCTYPE html><p>404", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b'{"a": [1]}\n{"a": 2}\n', "column 'a': a cell holds"),
        (b'{"a": 1}\n{"a": \n', "line 2: not JSON"),
    ],
)
def test_what_cannot_be_read_is_called_what_it_is(data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(TabOrderError, match=words):
        read_text(tmp_path / "a.csv")


def test_an_index_is_left_out_or_said(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "x"]}, index=[5, 9, 7])
    frame.to_csv(tmp_path / "a.csv")
    table = read_text(tmp_path / "a.csv")
    assert table.names == ["a", "b"]
    assert "numbers the rows" in table.notes[0]
    frame.to_parquet(tmp_path / "a.parquet")
    table = read_text(tmp_path / "a.parquet")
    assert (table.names, "unnamed index" in table.notes[0]) == (["a", "b"], True)
    named = frame.rename_axis("key")
    named.to_parquet(tmp_path / "b.parquet")
    for table in (read_text(tmp_path / "b.parquet"), table_of_frame(named)):
        assert table.names == ["key", "a", "b"]
        assert "the index 'key' is read as a column; drop_columns=[key]" in table.notes[0]
    assert csv_table(str(tmp_path / "b.parquet"), str(tmp_path / "b.parquet"), target="key").schema.target == "key"


def test_columns_of_one_table_alone_can_be_left_out(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", v=column("1", "2"), w=column("a", "b"))
    second = write(tmp_path / "b.csv", v=["1", "2"], w=["a", "b"], extra=["x", "y"])
    with pytest.raises(TabOrderError, match=r"unexpected \['extra'\]\. 'dataset\.drop_columns=\[extra\]' leaves"):
        csv_table(first, second)
    assert csv_table(first, second, drop_columns=["extra"]).test.shape == (2, 2)
    (tmp_path / "c.csv").write_text("v,,w\n" + "1,x,a\n2,y,b\n" * 5)
    with pytest.raises(TabOrderError, match=r"column \[2\] has no name.*drop_columns=\[\"\"\]"):
        csv_table(str(tmp_path / "c.csv"))
    assert csv_table(str(tmp_path / "c.csv"), drop_columns=[""]).schema.names == ["v", "w"]


def test_a_lone_surrogate_is_a_sentence() -> None:
    with pytest.raises(TabOrderError, match=r"column 'v' holds .* a lone surrogate"):
        table_of_frame(pd.DataFrame({"v": ["a", "\ud800"]}))


def test_categories_equal_up_to_a_nul_stay_apart() -> None:
    cells = ["a", "a\0", "a\0b", "a\0c", "\0"] * 3
    real = read_real(pd.DataFrame({"v": cells, "w": cells}), None, Asked({}), Reading())
    assert conform(real.train, real.understood.schema)[0]["v"].tolist() == cells


def test_missing_cells_add_to_the_empty_one(tmp_path: Path) -> None:
    cells = column("1", "NA", "", "3")
    dataset = one(tmp_path, cells, missing=["NA"])
    assert dataset.schema["v"].kind == "integer"
    assert dataset.train["v"].isna().sum() == ROWS // 2
    assert one(tmp_path, column("a", ""), empty_is_missing=False).train["v"].iloc[1] == ""


@pytest.mark.parametrize("columns", [{"v": "categorical"}, [{"name": "v", "kind": "categorical"}]])
def test_kinds_can_be_said(columns: Any, tmp_path: Path) -> None:
    assert one(tmp_path, column("1", "2"), columns=columns).schema["v"].kind == "categorical"
    cells = column("01/02/2021", "03/04/2021")
    assert one(tmp_path, cells).train["v"].iloc[0] == 18629  # January 2nd, and the other reading is said
    assert "%d/%m/%Y would read every cell too" in about(one(tmp_path, cells))
    assert one(tmp_path, cells, columns={"v": "%d/%m/%Y"}).train["v"].iloc[0] == 18659
    with pytest.raises(TabOrderError, match="unknown kind 'int'"):
        one(tmp_path, cells, columns={"v": "int"})


def test_targets(tmp_path: Path) -> None:
    assert one(tmp_path, column("1.0", "0.0", ""), target="v").schema.task == "classification"
    assert "every row is a class of its own" in about(one(tmp_path, [f"x{i}" for i in range(ROWS)], target="v"))
    path = write(tmp_path / "n.csv", **{"3": column("1", "2"), "b": column("x", "y")})
    assert csv_table(path, target=3).schema.target == "3"


def test_dependencies_are_mined_unless_said_otherwise(tmp_path: Path) -> None:
    cells = column("Lyon", "Graz", "Cork", "Wien")
    path = write(
        tmp_path / "a.csv", city=cells, country=column("F", "A", "I", "A"), n=[str(i % 7) for i in range(ROWS)]
    )
    assert [str(fd) for fd in csv_table(path, path).fds] == ["city→country"]
    assert any("dataset.fds=[] turns it off): city→country" in note for note in csv_table(path, path).notes)
    assert csv_table(path, path, fds=[]).fds == ()
    assert [str(fd) for fd in csv_table(path, path, fds=["city->country", "country,n → city"]).fds] == [
        "city→country",
        "country,n→city",
    ]
    with pytest.raises(TabOrderError, match="unknown column 'town'"):
        csv_table(path, path, fds=["town->country"])
    with pytest.raises(TabOrderError, match=r"rule 'r': unknown key 'minimum'.*Did you mean 'min'"):
        csv_table(path, path, rules=[{"name": "r", "type": "range", "column": "n", "minimum": 1}])


def test_more_decimals_than_the_values_need(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(48, 3, ROWS)
    dataset = one(tmp_path, [repr(float(value)) for value in values])
    assert dataset.schema["v"].decimals in (4, 5, 6)
    assert "tell its values apart" in about(dataset)
    assert np.ptp(values) * 1e-6 >= np.abs(np.round(values, dataset.schema["v"].decimals) - values).max()
    tiny = one(tmp_path, [repr(float(value)) for value in values * 1e-12])
    assert tiny.schema["v"].decimals in (16, 17, 18)
    mixed = one(tmp_path, [repr(float(10.0 ** (value - 48) * 10 ** (10 * (i % 3)))) for i, value in enumerate(values)])
    assert mixed.schema["v"].decimals is None or mixed.schema["v"].decimals < 10


def test_advice_works_as_typed() -> None:
    import shlex

    from hydra.core.override_parser.overrides_parser import OverridesParser

    def parsed(text: str) -> Any:
        (word,) = shlex.split(text)
        return OverridesParser.create().parse_override(word).value()

    for cells in (["?"], ["N/A", "$1,234.50", 'a "b"', "null", "-999", " x", "é"]):
        assert parsed(override("missing", cells)) == cells
    assert parsed(override("columns", {"kids": "categorical"})) == {"kids": "categorical"}
    assert parsed(override("columns", {"price (EUR)": "%d/%m/%Y"})) == [{"name": "price (EUR)", "kind": "%d/%m/%Y"}]
    assert arrows_quoted("dataset.fds=[A->B,C,D->E]") == 'dataset.fds=["A->B","C,D->E"]'
    assert arrows_quoted("dataset.fds=A->B") == 'dataset.fds=["A->B"]'
    assert read_value("fds", "[A->B]") == ["A->B"]
    assert read_value("missing", "NA,?") == "NA,?"


@pytest.mark.skipif(find_spec("openpyxl") is None, reason="openpyxl (extra tables) is not installed")
def test_excel_files_are_the_table_they_hold(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": [1, 2, 3] * 4, "f": [0.5, 1.25, None] * 4, "c": ["x", "y", "x"] * 4})
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    frame.to_csv(tmp_path / "a.csv", index=False)
    excel, text = csv_table(str(tmp_path / "a.xlsx")), csv_table(str(tmp_path / "a.csv"))
    assert excel.checksum == text.checksum
    assert "Excel sheet 'Sheet1' is read" in " ".join(excel.notes)


def test_without_openpyxl_an_excel_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TabOrderError, match="is an Excel file: install openpyxl"):
        read_text(tmp_path / "a.xlsx")


def test_rules_speak_of_dates_as_the_columns_write_them(tmp_path: Path) -> None:
    start = column("2021-01-05", "2021-03-01", "2021-02-03")
    end = column("2021-01-05 10:00:00", "2021-02-28 23:59:59", "2021-02-04 00:00:00")
    path = write(
        tmp_path / "a.csv",
        start=start,
        end=end,
        paid=column("$1,200.00", "$5.50", "$7.00"),
        ok=column("Yes", "no", "yes"),
    )
    rules = [
        {"name": "r", "type": "range", "column": "start", "min": "2021-01-06", "max": "2021-12-31"},
        {"name": "o", "type": "compare", "left": "start", "op": "<=", "right": "end"},
        {"name": "b", "type": "compare", "left": "end", "op": "<", "right": "2021-02-04 00:00:00"},
        {"name": "m", "type": "range", "column": "paid", "max": "$1,000.00"},
        {"name": "s", "type": "set", "column": "ok", "values": ["yes"]},
        {"name": "x", "type": "regex", "column": "start", "pattern": "2021-0[13].*"},
    ]
    dataset = csv_table(path, path, rules=rules, fds=[])
    broken = {
        rule.name: rule.violations(dataset.train)[:3].tolist()
        for rule in parse_rules(dataset.rules, dataset.schema, {})
    }
    assert broken == {
        "r": [True, False, False], "o": [False, True, False], "b": [False, True, True],
        "m": [True, False, False], "s": [False, True, False], "x": [False, False, True],
    }  # fmt: skip
    for wrong, words in (
        (
            {"type": "range", "column": "start", "min": "soon"},
            "'soon' is no value of column 'start', which is written like '1970-01-01'",
        ),
        ({"type": "compare", "left": "start", "op": "<", "right": "paid"}, "are not both dates"),
    ):
        with pytest.raises(TabOrderError, match=words):
            csv_table(path, path, rules=[{"name": "w", **wrong}], fds=[])
