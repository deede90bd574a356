"""The user's own tables: split or given, inferred or stated, and every mistake answered by one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.datasets import load
from harness.datasets.files import csv_table, default_name
from harness.errors import TabOrderError


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8", newline="")
    return str(path)


@pytest.fixture
def ten(tmp_path: Path) -> str:
    return write(tmp_path / "ten rows.csv", "id,y\n" + "".join(f"{k:03d},{k / 2}\n" for k in range(10)))


def test_splits_one_file_by_seed(ten: str) -> None:
    dataset, again = csv_table(ten), csv_table(ten)
    assert (len(dataset.train), len(dataset.test)) == (8, 2)
    assert dataset.checksum == again.checksum
    ids = [*dataset.train["id"], *dataset.test["id"]]
    assert sorted(ids) == [f"{k:03d}" for k in range(10)]
    assert dataset.train["id"].is_monotonic_increasing
    assert "2 of 10 rows held out for testing (test_share=0.2, split_seed=0)." in dataset.notes
    splits = {tuple(csv_table(ten, split_seed=seed).test["id"]) for seed in range(10)}
    assert len(splits) > 1
    assert len(csv_table(ten, test_share=0.5).test) == 5
    assert len(csv_table(ten, test_share=0.01).test) == 1


def test_a_split_infers_kinds_on_the_whole_file(tmp_path: Path) -> None:
    # wherever the one decimal falls, the column is float in both parts
    path = write(tmp_path / "a.csv", "v\n" + "1\n" * 9 + "1.5\n")
    assert {csv_table(path, split_seed=seed).schema["v"].kind for seed in range(10)} == {"float"}


def test_given_test_rows_never_shape_the_schema(tmp_path: Path) -> None:
    train = write(tmp_path / "a.csv", "n,c\n1,x\n2,y\n")
    test = write(tmp_path / "b.csv", "n,c\n3,unseen\n,\n")
    dataset = csv_table(train, test, target="c")
    assert dataset.schema.task == "classification"
    assert dataset.test.to_numpy(object).tolist() == [[3, "unseen"], [pd.NA, None]]
    write(tmp_path / "b.csv", "n,c\n3.5,x\n")
    with pytest.raises(TabOrderError, match=r"b\.csv, data row 1, column 'n': '3\.5' is not an integer"):
        csv_table(train, test)
    assert csv_table(train, test, columns={"n": "float"}).test["n"].tolist() == [3.5]


@pytest.mark.parametrize(
    ("cells", "task"),
    [
        (["a", "b"] * 15, "classification"),
        ([str(k % 20) for k in range(30)], "classification"),
        ([str(k) for k in range(30)], "regression"),
        ([f"{k}.5" for k in range(30)], "regression"),
    ],
)
def test_infers_the_task(tmp_path: Path, cells: list[str], task: str) -> None:
    path = write(tmp_path / "a.csv", "y\n" + "\n".join(cells) + "\n")
    assert csv_table(path, target="y").schema.task == task
    other = "regression" if task == "classification" else "classification"
    if cells[0] != "a":
        assert csv_table(path, target="y", task=other).schema.task == other  # type: ignore[arg-type]
        return
    with pytest.raises(
        TabOrderError, match=r"target 'y' is text, and task=regression needs numbers: give dataset\.task="
    ):
        csv_table(path, target="y", task="regression")


def test_drops_what_is_asked_and_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,x,y\n1,a,0\n2,b,\n3,c,1\n4,d,1\n5,e,\n6,f,0\n")
    test = write(tmp_path / "b.csv", "x,y\ng,1\nh,\n")
    dataset = csv_table(path, test, target="y", drop_columns="id", drop_unlabelled=True)  # type: ignore[arg-type]
    assert dataset.train["x"].tolist() == ["a", "c", "d", "f"]
    assert dataset.test["x"].tolist() == ["g"]
    assert {"columns left out: id.", "2 train and 1 test rows without a label (y) were dropped."} <= set(dataset.notes)
    kept = csv_table(path, test, target="y", drop_columns=["id"])
    assert (len(kept.train), len(kept.test)) == (6, 2)


def test_dependencies_rules_and_condition_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a,b\nx,1\ny,2\nx,1\ny,2\n")
    rule = {"name": "b", "type": "range", "column": "b", "min": 1}
    dataset = csv_table(path, fds=[{"lhs": "a", "rhs": "b"}], rules=[rule], condition="a", name="mine")
    assert [str(fd) for fd in dataset.fds] == ["a→b"]
    assert dataset.rules == (rule,)
    assert (dataset.condition, dataset.name) == ("a", "mine")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("dir/My table (1).csv", "user_My_table_1_"),
        ("a...b.csv", "user_a.b"),
        ("列.csv", "user__"),
        ("x" * 300 + ".csv", "user_" + "x" * 95),
    ],
)
def test_default_names_are_folder_safe(path: str, name: str) -> None:
    assert default_name(path) == name


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": "z"}, "unknown column 'z': the choices are id, y"),
        ({"target": "y", "task": "ranking"}, "unknown task 'ranking'"),
        ({"task": "regression"}, "go together"),
        ({"columns": {"z": "float"}}, "unknown column 'z'"),
        ({"columns": {"y": "number"}}, "unknown kind 'number'"),
        ({"columns": {"id": "integer"}}, "data row 1, column 'id': '000' is not an integer"),
        ({"columns": ["y"]}, "give kinds by column name"),
        ({"drop_columns": ["z"]}, "unknown column 'z'"),
        ({"drop_columns": ["id", "y"]}, "no column is left"),
        ({"test_share": 1.0}, "test_share is 1.0"),
        ({"test_share": 0.95}, "too few to hold out 10"),
        ({"max_train_rows": 0}, "max_train_rows=0"),
        ({"max_train_rows": "many"}, "max_train_rows='many'"),
        ({"name": "../x"}, "cannot be a folder name"),
        ({"condition": "z"}, "unknown column 'z'"),
        ({"fds": [{"lhs": "id"}]}, "needs the keys lhs and rhs"),
        ({"fds": [{"lhs": ["id", "id"], "rhs": "id"}]}, "left side without its right side"),
        ({"missing": {"a": 1}}, "missing is"),
        ({"test": "nowhere.csv"}, "nowhere.csv does not exist"),
        ({"train": None}, "needs a file"),
    ],
)
def test_every_mistake_is_one_sentence(ten: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(TabOrderError, match=words) as error:
        csv_table(**{"train": ten, **options})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_too_few_rows(tmp_path: Path, rows: int) -> None:
    path = write(tmp_path / "a.csv", "a\n" + "1\n" * rows)
    with pytest.raises(TabOrderError, match="no data rows" if rows == 0 else "too few"):
        csv_table(path)
    if rows == 1:
        with pytest.raises(TabOrderError, match="has 1 train and 1 test rows: at least 2 and 1"):
            csv_table(path, path)


def test_ugly_tables_work(tmp_path: Path) -> None:
    wide = write(
        tmp_path / "wide.csv", "\n".join([",".join(f"c{k}" for k in range(200)), *[",".join("1" * 200)] * 5]) + "\n"
    )
    assert csv_table(wide).train.shape == (4, 200)
    odd = write(
        tmp_path / "odd.csv", "constant,empty,mixed,day,flag\n" + "1,,1,2024-01-31,True\n1,,x,2024-02-29,False\n" * 3
    )
    dataset = csv_table(odd)
    assert [column.kind for column in dataset.schema.columns] == [
        "integer",
        *["categorical"] * 2,
        "integer",
        "categorical",
    ]
    assert dataset.train["empty"].isna().all()


def test_load_takes_overrides_and_names_unknown_ones(ten: str) -> None:
    dataset = load("csv", train=ten, target="y", max_train_rows=3)
    assert (dataset.name, len(dataset.train)) == ("user_ten_rows", 3)
    with pytest.raises(TabOrderError, match=r"unknown key of dataset 'csv' 'trian'.*Did you mean 'train'"):
        load("csv", trian=ten)
    with pytest.raises(TabOrderError, match=r"unknown dataset 'adlut'.*Did you mean 'adult'"):
        load("adlut")
    with pytest.raises(TabOrderError, match="needs a file"):
        load("csv")


def test_parquet_files(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": ["01", None, "x"] * 4, "f": [1.0, 2.5, np.nan] * 4})
    frame.to_parquet(tmp_path / "a.parquet")
    dataset = csv_table(str(tmp_path / "a.parquet"))
    assert [column.kind for column in dataset.schema.columns] == ["categorical", "float"]
