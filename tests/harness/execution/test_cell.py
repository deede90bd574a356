"""One cell: what the store knows decides what is left to do. Run in real processes, on forty rows."""

from dataclasses import replace

import pytest

from harness.errors import TabOrderError
from harness.execution.cell import Todo, look, run_cell
from harness.execution.job import Evaluation, Job
from harness.records.store import ResultStore
from tests.contract.tiny_cell import MODULE, SHAPES, dataset

TRENDS = {"_target_": "harness.metrics.distribution.PairTrends"}


@pytest.fixture
def job(tmp_path):
    return Job(dataset(), "good", {"_target_": f"{MODULE}.Good"}, 0, Evaluation((SHAPES,)), ResultStore(tmp_path))


def test_a_cell_is_made_then_scored_then_reused(job):
    assert look(job).todo is Todo.MAKE
    made = run_cell(job)
    assert (made.how, made.record.status) == ("computed", "ok")
    assert look(job).todo is Todo.NOTHING
    more = replace(job, evaluation=Evaluation((SHAPES, TRENDS)))
    assert more.cell == job.cell  # metrics are no part of a cell's identity
    known = look(more)
    assert (known.todo, known.evaluation.metrics) == (Todo.SCORE, (TRENDS,))
    table = (job.folder / "synthetic.parquet").read_bytes()
    scored = run_cell(more)
    assert scored.how == "scored"
    assert {score.metric.split(".")[1] for score in scored.record.scores} >= {"column_shapes", "pair_trends"}
    assert (job.folder / "synthetic.parquet").read_bytes() == table
    assert [run_cell(more).how, run_cell(job).how] == ["reused", "reused"]
    assert run_cell(replace(more, cache="overwrite")).how == "computed"


def test_only_runs_nothing_and_leaves_nothing(job, tmp_path):
    result = run_cell(replace(job, cache="only"))
    assert (result.how, result.record) == ("absent", None)
    assert not list(tmp_path.iterdir())


def test_a_table_without_its_record_is_scored_and_not_made_again(job):
    run_cell(job)
    before = (job.folder / "generation.json").read_bytes()
    (job.folder / "record.json").unlink()
    assert run_cell(job).how == "computed"
    assert (job.folder / "generation.json").read_bytes() == before


def test_a_changed_table_is_made_again(job):
    run_cell(job)
    (job.folder / "synthetic.parquet").write_bytes(b"something else")
    assert look(job).todo is Todo.MAKE


@pytest.mark.parametrize(
    ("wrong", "words"), [({"cache": "never"}, "unknown cache policy"), ({"n_rows": 0}, "at least 1")]
)
def test_mistakes_fail_where_the_job_is_made(job, wrong, words):
    with pytest.raises(TabOrderError, match=words):
        replace(job, **wrong)


def test_a_store_that_cannot_be_written_is_a_sentence(job, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TabOrderError, match="cannot use the store"):
        run_cell(replace(job, store=ResultStore(tmp_path / "file")))
