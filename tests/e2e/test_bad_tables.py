"""Tables as they come: each works from the file to the scores, or is refused in one sentence with exit code 2 and nothing written.

The command line is called in this process; cells run in their own, as always.
"""

import csv
import io
import json
import sys
from collections import Counter

import pandas as pd
import pytest

from harness.__main__ import main
from harness.datasets.writing import write_csv
from harness.table import Schema

TINY_LLM = (
    "generator=permutation_aware_llm",
    "generator.epochs=2",
    "generator.llm.layers=1",
    "generator.llm.width=16",
    "generator.llm.heads=2",
    "limits.threads=1",
    "generator.decoding=constrained",  # so little trained, it would write no valid row of some tables by itself
)


@pytest.fixture
def harness(tmp_path, monkeypatch, capfd):
    """Call the command line in ``tmp_path``; returns exit code, output, and the last record.

    Paths are absolute: this process keeps the last dataset it loaded, by its configuration.
    """

    def call(*words):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(
            sys, "argv", ["harness", "tracker=none", "dataset=csv", f"dataset.train={tmp_path}/train.csv", *words]
        )
        code = main()
        said = capfd.readouterr()
        paths = sorted(tmp_path.glob("results/runs/*/*/*/record.json"), key=lambda path: path.stat().st_mtime_ns)
        return code, said, paths[-1] if paths else None

    return call


def csv_bytes(*columns):
    """A CSV file from columns ``(name, cells)``; the last one is the target."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([name for name, _ in columns])
    writer.writerows(zip(*(cells for _, cells in columns), strict=True))
    return text.getvalue().encode()


ROWS = 60
TARGET = ("y", ["no", "yes"] * (ROWS // 2))
PLAIN = ("x", [str(i % 7) for i in range(ROWS)])


def repeated(*cells):
    return [cells[i % len(cells)] for i in range(ROWS)]


WORKS = {
    "one_column": csv_bytes(TARGET),
    "constant": csv_bytes(("c", ["same"] * ROWS), ("d", ["1"] * ROWS), ("e", ["0.5"] * ROWS), TARGET),
    "all_missing": csv_bytes(PLAIN, ("gone", [""] * ROWS), TARGET),
    "mixed_types": csv_bytes(("m", repeated("1", "two", "3.0", "", "0x4", "1e5", "NaN", "-")), TARGET),
    "200_columns": csv_bytes(*((f"c{n}", [str((i * (n + 1)) % 5) for i in range(ROWS)]) for n in range(199)), TARGET),
    "newlines_quotes_commas": csv_bytes(("t, 'a\"\n", repeated("a\nb", "a\r\nb", 'say "hi"', "1,5", " lead", "'")), TARGET),
    "is_and_emoji": csv_bytes(("a is b", repeated("x is y", "🦆", "naïve, is 3", "👩‍👩‍👧", "\u202eabc", "e\u0301")), TARGET),
    "nul": csv_bytes(("t", repeated("a\0b", "\0", "b")), TARGET),
    "10000_characters": csv_bytes(("t", repeated("é" * 10_000, "x" * 9_999 + " ", "s")), TARGET),
    "dates": csv_bytes(("d", [f"2024-02-{1 + i % 29:02d}" for i in range(ROWS)]), ("t", repeated("23:59:60", "1/2/03")), TARGET),
    "booleans": csv_bytes(("b", repeated("True", "False")), ("c", repeated("true", "0", "")), TARGET),
    "big_integers": csv_bytes(
        ("i", [str(2**53 + 1 + i) for i in range(ROWS)]), ("j", repeated(str(2**64 + 1), "-" + "9" * 30, "007")), TARGET
    ),
    "byte_order_mark": b"\xef\xbb\xbf" + csv_bytes(PLAIN, TARGET),
    "infinity": csv_bytes(("f", repeated("1e400", "inf", "-0.0", "1e-320")), TARGET),
    "one_class": csv_bytes(PLAIN, ("y", ["only"] * ROWS)),
}  # fmt: skip


LESS = {"200_columns": ("~evaluation.metrics.pair_trends",)}  # sdmetrics takes minutes for 19,900 pairs


def cells_of(data):
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    return rows[0], Counter(map(tuple, rows[1:]))


@pytest.mark.parametrize("name", WORKS)
def test_a_strange_table_works_from_file_to_scores_and_its_values_survive(name, harness, tmp_path):
    (tmp_path / "train.csv").write_bytes(WORKS[name])
    (tmp_path / "test.csv").write_bytes(WORKS[name])
    words = (f"dataset.test={tmp_path}/test.csv", "dataset.target=y", "evaluation=quick", *LESS.get(name, ()))
    code, said, path = harness(*words, "generator=copy")
    assert code == 0, said.err
    record = json.loads(path.read_text())
    assert record["status"] == "ok"
    assert record["scores"]

    synthetic = pd.read_parquet(path.parent / "synthetic.parquet")
    write_csv(synthetic, Schema.from_json(record["schema"]), tmp_path / "synthetic.csv")
    assert cells_of((tmp_path / "synthetic.csv").read_bytes()) == cells_of(WORKS[name])

    code, said, path = harness(*words, *TINY_LLM)
    assert code == 0, said.err
    record = json.loads(path.read_text())
    assert record["status"] == "ok", record["error"]
    assert record["cell"]["generator"] == "permutation_aware_llm"
    synthetic = pd.read_parquet(path.parent / "synthetic.parquet")
    assert len(synthetic) == ROWS
    for score in record["scores"]:
        assert (score["value"] is None) == bool(score["error"]), score
    (shapes,) = [score for score in record["scores"] if score["metric"] == "distribution.column_shapes"]
    assert 0 < shapes["value"] <= 1
    names, real = cells_of(WORKS[name])
    for at, column in enumerate(record["schema"]["columns"]):
        if column["kind"] == "categorical":  # every category of the training table can be drawn, and no other
            assert {*synthetic[names[at]].dropna()} <= {row[at] for row in real}


REFUSED = {
    "empty": (b"", ["train.csv is empty"]),
    "blank_lines": (b"\n\n\n", ["train.csv is empty"]),
    "header_only": (b"x,y\n", ["header but no data rows"]),
    "header_without_line_end": (b"x,y", ["header but no data rows"]),
    "one_row": (b"x,y\n1,a\n", ["1 data row"]),
    "two_rows": (b"x,y\n1,a\n2,b\n", ["2 data rows", "too few"]),
    "duplicate_names": (b"x,x,y\n1,2,a\n3,4,b\n", ["more than one column named ['x']"]),
    "unnamed": (b"x,,y\n1,2,a\n3,4,b\n", ["column [2] has no name"]),
    "ragged": (b"x,y\n1,a\n2,b,c\n", ["line 3: 3 cells where the header has 2"]),
    "open_quote": (b'x,y\n1,"a\n2,b\n', ["never closed"]),
    "latin_1_without_letters": (b"x,y\n1,\xd7\n", ["not UTF-8", "0xd7", "offset 6"]),
    "utf_16_cut": ("x,y\n1,a\n".encode("utf-16")[:-1], ["begins as UTF-16 text but is broken"]),
    "binary": (bytes(range(128, 256)) + bytes(range(128)), ["is no text"]),
    "picture": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)), ["is a picture"]),
    "zip": (b"PK\x03\x04" + bytes(200), []),
    "no_target": (b"x,z\n" + b"1,a\n" * 9, ["'y'", "x, z"]),
}


def check_refused(outcome, tmp_path, parts):
    code, said, path = outcome
    assert code == 2, said.err
    assert path is None
    (line,) = said.err.splitlines()
    assert line.startswith("taborder: ")
    for part in parts:
        assert part in line
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("name", REFUSED)
def test_a_table_that_cannot_be_used_is_one_sentence(name, harness, tmp_path):
    data, parts = REFUSED[name]
    (tmp_path / "train.csv").write_bytes(data)
    check_refused(harness("dataset.target=y", "generator=copy"), tmp_path, parts)


def test_a_directory_is_no_table(harness, tmp_path):
    (tmp_path / "train.csv").mkdir()
    check_refused(harness("generator=copy"), tmp_path, ["train.csv is a directory"])


def test_a_csv_file_with_the_wrong_name_is_no_parquet_file(harness, tmp_path):
    path = tmp_path / "table.parquet"
    pd.DataFrame({"x": [1, 2, 3], "y": ["a", "b", "c"]}).to_csv(path)
    check_refused(harness(f"dataset.train={path}", "generator=copy"), tmp_path, [path.name])


@pytest.mark.parametrize(
    ("test", "parts"),
    [
        (b"x,z\n1,a\n", ["test.csv: columns differ", "missing ['y']", "unexpected ['z']"]),
        (b"x,y,z\n1,a,b\n", ["unexpected ['z']"]),
        (b"x,y\nmany,yes\n", ["test.csv, data row 1, column 'x': 'many' is not an integer"]),
        (b"", ["test.csv is empty"]),
        (None, ["test.csv does not exist"]),
    ],
)
def test_a_test_table_that_does_not_match_is_one_sentence(test, parts, harness, tmp_path):
    (tmp_path / "train.csv").write_bytes(csv_bytes(PLAIN, TARGET))
    if test is not None:
        (tmp_path / "test.csv").write_bytes(test)
    check_refused(harness(f"dataset.test={tmp_path}/test.csv", "dataset.target=y", "generator=copy"), tmp_path, parts)


NASTY = csv_bytes(
    ("t, is", repeated("a\nb", "🦆", 'q"', "", "x is y", "\0")),
    ("gone", [""] * ROWS),
    ("same", ["1"] * ROWS),
    ("when", [f"2024-02-{1 + i % 29:02d}" for i in range(ROWS)]),
    ("big", [str(2**60 + i) for i in range(ROWS)]),
    ("size", repeated("0.5", "", "-3.25", "100.75")),
    ("y", repeated("no", "yes")),
)


def test_unseen_classes_and_every_metric_on_a_nasty_table(harness, tmp_path):
    (tmp_path / "train.csv").write_bytes(NASTY)
    (tmp_path / "test.csv").write_bytes(NASTY.replace(b"yes", b"new").replace("🦆".encode(), b"unseen"))
    code, said, path = harness(f"dataset.test={tmp_path}/test.csv", "dataset.target=y", *TINY_LLM)
    assert code == 0, said.err
    record = json.loads(path.read_text())
    assert record["status"] == "ok", record["error"]
    assert len(pd.read_parquet(path.parent / "synthetic.parquet")) == ROWS
    for score in record["scores"]:
        assert (score["value"] is None) == bool(score["error"]), score
    assert any(score["metric"].startswith("ml_efficacy.") and score["value"] is not None for score in record["scores"])


SDV = {"gaussian_copula": (), "ctgan": ("generator.epochs=1",), "tvae": ("generator.epochs=1",)}


@pytest.mark.parametrize("generator", SDV)
@pytest.mark.parametrize("table", ["nasty", "one_column", "all_missing"])
def test_other_peoples_generators_end_typed_on_strange_tables(generator, table, harness, tmp_path):
    (tmp_path / "train.csv").write_bytes(NASTY if table == "nasty" else WORKS[table])
    words = ("dataset.target=y", "evaluation=quick", f"generator={generator}", *SDV[generator])
    code, _, path = harness(*words)
    record = json.loads(path.read_text())
    assert record["status"] in ("ok", "short_yield", "failed", "incompatible")
    assert code == (0 if record["status"] in ("ok", "short_yield") else 1)
    assert record["error"] if code else record["scores"]
