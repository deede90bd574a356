"""The process that generates is given the training rows, and comes upon the test rows nowhere."""

import os

import pandas as pd
import pytest

from harness.datasets.files import csv_table
from harness.execution.cell import run_cell
from harness.execution.job import Evaluation, Job
from harness.records.store import ResultStore
from tests.contract.snoops import MARK

ROWS = 40


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A cell whose test rows lie in the user's file, in a mirror, and in the store, put there by a cell before."""
    train, test = (tmp_path / f"{name}.csv" for name in ("train", "test"))
    frame = pd.DataFrame({"a": [f"v{i % 5}" for i in range(ROWS)], "b": range(ROWS)})
    frame.to_csv(train, index=False)
    frame.assign(a=[MARK.decode() if i % 2 else "v0" for i in range(ROWS)]).to_csv(test, index=False)
    (tmp_path / "mirror").mkdir()
    os.link(test, tmp_path / "mirror" / "test.csv")
    monkeypatch.setenv("TABORDER_MIRROR", str(tmp_path / "mirror"))

    def make(target, **arguments):
        return Job(
            dataset=csv_table(train=str(train), test=str(test)),
            generator=target.rpartition(".")[2].lower(),
            spec={"_target_": target, **arguments},
            seed=0,
            evaluation=Evaluation(({"_target_": "harness.metrics.distribution.ColumnShapes"},)),
            store=ResultStore(tmp_path / "store"),
            sources=(str(train), str(test), str(tmp_path / "mirror")),
        )

    run_cell(make("baselines.resampling.Copy"))
    return make


def test_the_test_rows_are_there_to_be_found(job, tmp_path):
    from tests.contract.snoops import _below, _holds

    assert len([path for path in _below(tmp_path) if _holds(path)]) >= 3


def test_a_generator_that_looks_around_finds_no_test_rows(job, tmp_path):
    record = run_cell(job("tests.contract.snoops.Snoop", roof=str(tmp_path))).record
    assert record.status == "ok", record.error
    assert record.generator_info["seen"] == {}
    assert not [note for note in record.notes if "could have been read" in note]
    assert record.score("distribution.column_shapes").value is not None  # the scoring process has them
