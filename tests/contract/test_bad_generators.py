"""One test per misbehaviour: the cell ends with the right status, and nothing else is harmed."""

import time
from pathlib import Path

import psutil
import pytest

from harness.errors import TabOrderError
from harness.execution.cell import run_cell
from harness.execution.job import Evaluation, Job
from harness.processes.isolation import Limits
from harness.records.store import ResultStore
from tests.contract.tiny_cell import MODULE, SHAPES, dataset


def run(name: str, root: Path, **changes):
    job = Job(
        dataset=dataset(),
        generator=name.lower(),
        spec={"_target_": f"{MODULE}.{name}"},
        seed=0,
        n_rows=20,
        evaluation=Evaluation((SHAPES,)),
        store=ResultStore(root),
        **{"generate_limits": Limits(timeout_seconds=120, memory_gib=6), **changes},
    )
    result = run_cell(job)
    stored = ResultStore(root).read(result.cell)
    assert stored == result.record, "what is returned is what is stored"
    return result.record


def test_good_generator_is_ok(tmp_path):
    record = run("Good", tmp_path)
    assert (record.status, record.error) == ("ok", None)
    assert record.yield_.accepted == 20
    assert record.score("distribution.column_shapes").value > 0.5


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("RaisesInFit", "failed", "ValueError in fit: fit is broken"),
        ("RaisesInSample", "failed", "KeyError in sample: 'sample is broken'"),
        ("NotForThisTable", "incompatible", "needs a column of dates"),
        ("RaisesMemoryError", "out_of_memory", "no room"),
        ("Segfaults", "crashed", "SIGSEGV"),
        ("Exits", "crashed", "exit code 0 without a result"),
        ("RaisesSystemExit", "failed", "SystemExit in fit: 3"),
        ("ReturnsMoreRows", "failed", "sample(20) returned 21 rows"),
        ("ReturnsWrongColumns", "failed", "missing ['b']; unexpected ['other']"),
        ("ReturnsDuplicateColumns", "failed", "repeated ['a']"),
        ("ReturnsAList", "failed", "sample() returned a list"),
    ],
)
def test_failures_are_typed_and_explained(tmp_path, name, status, words):
    record = run(name, tmp_path)
    assert record.status == status
    assert words in record.error
    assert record.scores == ()


def test_fewer_rows_are_a_short_yield_with_scores(tmp_path):
    record = run("ReturnsFewerRows", tmp_path)
    assert (record.status, record.error) == ("short_yield", "17 of 20 rows were delivered")
    assert record.yield_.rejected == {"unparsable": 3}
    assert record.score("distribution.column_shapes").value is not None


def test_no_rows_are_a_short_yield_whose_scores_say_why(tmp_path):
    record = run("ReturnsNoRows", tmp_path)
    assert record.status == "short_yield"
    score = record.score("distribution.column_shapes")
    assert score.value is None
    assert score.error


@pytest.mark.parametrize("name", ["ReturnsText", "ReturnsInfinity"])
def test_invalid_cells_are_missing_and_counted_not_repaired(tmp_path, name):
    record = run(name, tmp_path)
    assert record.status == "ok"
    assert ResultStore(tmp_path).synthetic(record.cell)["x"].isna().all()
    facts = (ResultStore(tmp_path).cell_dir(record.cell) / "generation.json").read_text()
    assert '"invalid": {"x": 20}' in facts


def test_all_missing_table_is_scored(tmp_path):
    record = run("ReturnsAllMissing", tmp_path)
    assert record.status == "ok"
    assert record.score("distribution.column_shapes") is not None


def test_mutating_train_is_noted_and_harmless(tmp_path):
    record = run("MutatesTrain", tmp_path)
    assert record.status == "ok"
    assert any("changed the training table" in note for note in record.notes)
    assert ResultStore(tmp_path).synthetic(record.cell)["b"].isin(["r", "s"]).all()


def test_global_random_state_of_a_generator_reaches_nobody(tmp_path):
    import numpy as np

    before = np.random.get_state()[1].tolist()
    assert run("ChangesGlobalRandomState", tmp_path).status == "ok"
    assert np.random.get_state()[1].tolist() == before


def test_forged_records_do_not_survive(tmp_path):
    record = run("WritesIntoTheStore", tmp_path)
    assert record.status == "ok"
    folder = ResultStore(tmp_path).cell_dir(record.cell)
    assert not (folder / "litter.txt").exists()
    assert not Path("litter.txt").exists()
    assert record.score("distribution.column_shapes").value is not None


def test_hanging_is_stopped_children_included_and_its_log_is_kept(tmp_path):
    begin = time.monotonic()
    record = run("Hangs", tmp_path, generate_limits=Limits(timeout_seconds=3))
    assert record.status == "timeout"
    assert "limits.timeout_seconds=3" in record.error
    assert "(in fit)" in record.error
    assert time.monotonic() - begin < 60
    assert "about to hang" in record.log_tail
    assert not [
        p
        for p in psutil.process_iter(["cmdline"])
        if "signal.SIG_IGN); time.sleep(600)" in " ".join(p.info["cmdline"] or [])
    ]


def test_memory_without_end_is_stopped(tmp_path):
    record = run("AllocatesWithoutEnd", tmp_path, generate_limits=Limits(timeout_seconds=120, memory_gib=1.5))
    assert record.status == "out_of_memory"
    assert "limits.memory_gib=1.5" in record.error
    assert record.cost.peak_memory_bytes > 1.5 * 2**30


def test_output_without_end_fills_neither_disk_nor_record(tmp_path):
    record = run("Prints", tmp_path)
    assert record.status == "ok"
    log = ResultStore(tmp_path).cell_dir(record.cell) / "log.txt"
    assert log.stat().st_size < 2_000_000
    assert "the last line" in log.read_text()
    assert len(record.to_json()) < 100_000


def test_left_children_are_ended(tmp_path):
    assert run("LeavesChildren", tmp_path).status == "ok"
    time.sleep(0.5)
    assert not [
        p
        for p in psutil.process_iter(["cmdline"])
        if (p.info["cmdline"] or [])[-1:] == ["import time; time.sleep(600)  # a left child"]
    ]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"_target_": f"{MODULE}.Missing"}, "cannot import _target_"),
        ({"_target_": f"{MODULE}.Good", "x": 1}, "takes no argument 'x'"),
        ({"_target_": "Good"}, "not a dotted path"),
    ],
)
def test_mistakes_in_the_configuration_are_the_users_to_mend_and_store_nothing(tmp_path, spec, words):
    job = Job(dataset(), "g", spec, 0, Evaluation((SHAPES,)), ResultStore(tmp_path))
    with pytest.raises(TabOrderError) as error:
        run_cell(job)
    assert words in str(error.value)
    assert not list(tmp_path.rglob("record.json"))


def test_a_failed_cell_is_tried_again_and_a_finished_one_is_not(tmp_path):
    job = Job(dataset(), "good", {"_target_": f"{MODULE}.Good"}, 0, Evaluation((SHAPES,)), ResultStore(tmp_path))
    assert [run_cell(job).how for _ in range(2)] == ["computed", "reused"]
    bad = Job(dataset(), "bad", {"_target_": f"{MODULE}.RaisesInFit"}, 0, Evaluation((SHAPES,)), ResultStore(tmp_path))
    assert [run_cell(bad).how for _ in range(2)] == ["computed", "computed"]


def test_equal_seeds_give_equal_bytes_to_one_that_reads_global_state_and_the_record_says_where_they_do_not(tmp_path):
    def twice(name):
        records = [run(name, tmp_path / f"{name}{turn}") for turn in range(2)]
        tables = [
            (ResultStore(tmp_path / f"{name}{turn}").cell_dir(record.cell) / "synthetic.parquet").read_bytes()
            for turn, record in enumerate(records)
        ]
        return tables[0] == tables[1], [note for note in records[0].notes if "equal seeds" in note]

    assert twice("ReadsGlobalRandomState") == (True, [])
    equal, (note,) = twice("CannotBeSeeded")
    assert not equal
    assert (
        note
        == "equal seeds need not give equal tables: this generator says that it cannot be seeded (repeatable = False)."
    )
