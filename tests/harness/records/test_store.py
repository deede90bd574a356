import json
import math
import os
import subprocess
import sys
import threading
from dataclasses import replace

import pandas as pd
import pytest

from harness.errors import TabOrderError
from harness.generator import Yield
from harness.records.files import parquet_bytes, safe_name, write_atomic
from harness.records.record import Cell, Cost, Record, Score
from harness.records.store import ResultStore

CELL = Cell("toy", "copy", 0, 10, {"a": 1}, "baselines.resampling.Copy", "1", "c" * 64, "0123abcd")
SCORE = Score("rules.violation_rate", 1, 0.25, "min", (0.0, 1.0), real=0.0, floor=0.5)
RECORD = Record(CELL, "ok", (SCORE,), Cost(1.0, 2.0, 3.0, 4), Yield(12, 10, {"cut": 2}))


def test_record_comes_back_equal():
    assert Record.from_json(RECORD.to_json()) == RECORD


def test_record_is_strict_json():
    strange = replace(RECORD, generator_info={"loss": math.nan, "best": math.inf, "n": 3})
    data = json.loads(strange.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert data["generator_info"] == {"loss": None, "best": None, "n": 3}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "schema version None"),
        ('{"schema_version": 99}', "schema version 99"),
        ('{"schema_version": 1}', "not a complete record"),
        ('{"schema_version": NaN}', "NaN, which strict JSON does not allow"),
    ],
)
def test_unusable_records_are_named_with_what_to_do(text, words):
    with pytest.raises(TabOrderError, match=r"some/record\.json") as error:
        Record.from_json(text, "some/record.json")
    assert words in str(error.value)


def test_unknown_status_is_refused():
    with pytest.raises(TabOrderError, match="unknown status 'great'"):
        Record(CELL, "great")


@pytest.mark.parametrize("name", ["../../x", "a/b", ".hidden", "", "a b", "x" * 101, "a..b"])
def test_unsafe_names_never_become_folders(tmp_path, name):
    with pytest.raises(TabOrderError, match="cannot be a folder name"):
        safe_name(name, "dataset")
    with pytest.raises(TabOrderError):
        ResultStore(tmp_path / "store").write(replace(RECORD, cell=replace(CELL, dataset=name)))
    assert not list(tmp_path.iterdir())


def test_a_link_out_of_the_store_is_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    store = ResultStore(tmp_path / "store")
    store.runs.mkdir(parents=True)
    (store.runs / "toy").symlink_to(outside)
    with pytest.raises(TabOrderError, match="leads out of the store"):
        store.write(RECORD)
    (outside / "copy" / "0-0123abcd").mkdir(parents=True)
    (outside / "copy" / "0-0123abcd" / "record.json").write_text(RECORD.to_json())
    records, problems = store.records()
    assert records == []
    assert "leads out of the store" in problems[0].reason


def test_damaged_records_are_reported_and_the_rest_is_read(tmp_path):
    store = ResultStore(tmp_path)
    store.write(RECORD)
    torn = store.write(replace(RECORD, cell=replace(CELL, key="ffffffff")))
    torn.write_text(torn.read_text()[:100])
    records, problems = store.records()
    assert records == [RECORD]
    assert [problem.path for problem in problems] == [torn]


def test_writing_atomically_leaves_the_old_file_when_it_fails(tmp_path, monkeypatch):
    target = tmp_path / "file"
    write_atomic(target, b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_equal_frames_give_equal_bytes():
    frame = pd.DataFrame({"a": ["x", None], "b": pd.array([1, None], dtype="Int64")})
    assert parquet_bytes(frame) == parquet_bytes(frame.copy())
    assert parquet_bytes(frame) != parquet_bytes(frame.iloc[::-1].reset_index(drop=True))


def test_a_lock_is_waited_for_and_dies_with_its_process(tmp_path):
    code = (
        "import sys, time; from tests.harness.records.test_store import CELL; from harness.records.store import ResultStore\n"
        f"with ResultStore({str(tmp_path)!r}).lock(CELL):\n print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=os.getcwd())
    assert holder.stdout.readline() == "held\n"
    waited = []

    def on_wait():
        waited.append(True)
        threading.Timer(0.2, holder.kill).start()

    with ResultStore(tmp_path).lock(CELL, on_wait):
        assert waited == [True]
    holder.wait()


def test_a_record_in_another_cells_folder_is_a_problem(tmp_path):
    store = ResultStore(tmp_path / "store")
    path = store.write(RECORD)
    moved = path.parent.with_name("7-01234567")
    path.parent.rename(moved)
    records, problems = store.records()
    assert records == []
    assert f"tells of another cell, {CELL.dataset}/{CELL.generator}/{CELL.seed}-{CELL.key}" in problems[0].reason
    assert ResultStore(tmp_path / "nowhere").records() == ([], [])
