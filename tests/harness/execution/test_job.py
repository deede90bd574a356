"""A cell's identity: what its table depends on, and nothing else."""

from dataclasses import replace

import pytest

from harness.execution.job import Evaluation, Job, generator_version
from harness.records.store import ResultStore
from tests.contract.tiny_cell import MODULE, SHAPES, dataset

JOB = Job(dataset(), "good", {"_target_": f"{MODULE}.Good"}, 0, Evaluation((SHAPES,)), ResultStore("results"))


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"n_rows": 7},
        {"spec": {"_target_": f"{MODULE}.Good", "x": 1}},
        {"spec": {"_target_": f"{MODULE}.RaisesInFit"}},
    ],
)
def test_another_table_has_another_key(change):
    assert replace(JOB, **change).cell.key != JOB.cell.key


@pytest.mark.parametrize(
    "change",
    [
        {"store": ResultStore("elsewhere")},
        {"evaluation": Evaluation((), 5)},
        {"threads": 3},
        {"command": "x"},
        {"sweep": "night"},
        {"facts": {"scale": "full"}},
        {"generator": "called_otherwise"},
        {"n_rows": 40},
    ],
)
def test_what_does_not_change_the_table_keeps_the_key(change):
    assert replace(JOB, **change).cell.key == JOB.cell.key


def test_a_secret_is_no_part_of_the_identity_nor_of_the_record():
    cells = [
        replace(JOB, spec={**JOB.spec, "api_key": secret}).cell for secret in ("first-secret-key", "second-secret-key")
    ]
    assert cells[0] == cells[1]
    assert "secret" not in str(cells[0].params)


def test_a_version_is_the_classs_or_its_sources_hash():
    assert generator_version(f"{MODULE}.Good") == "1"
    assert generator_version("tests.harness.execution.remote_generators.Echo").startswith(("source-", "1", "2"))


def test_metrics_that_lack_are_told_by_identity():
    identities = JOB.evaluation.identities(JOB.dataset)
    assert JOB.evaluation.lacking(identities, JOB.dataset).metrics == ()
    assert replace(JOB.evaluation, seed=1).lacking(identities, JOB.dataset).metrics == (SHAPES,)
