"""What the command line says at its end, and its exit code."""

import signal

import pytest

from harness.cli.ending import MOST_NAMED, again, conclude_session, failures, files, interrupted
from harness.cli.outcomes import JobOutcome
from harness.cli.session import Session
from harness.errors import TabOrderError
from harness.records.store import ResultStore


def test_nothing_happened_is_no_failure():
    assert conclude_session(Session()) == 0


def test_a_mistake_is_one_sentence_and_code_2(capsys):
    assert conclude_session(Session(mistake=TabOrderError("x=1 is wrong: give 2."))) == 2
    assert capsys.readouterr().err.strip().endswith("x=1 is wrong: give 2.")


@pytest.mark.parametrize(
    ("status", "code"), [("ok", 0), ("short_yield", 0), ("failed", 1), ("timeout", 1), ("absent", 1)]
)
def test_a_single_cell_succeeds_when_it_has_scores(status, code):
    assert conclude_session(Session(outcome=JobOutcome("d · g · seed 0", status, "computed"))) == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_interrupted_sweep_says_how_far_it_came_and_how_it_goes_on(tmp_path, capsys, monkeypatch, number, code):
    monkeypatch.setenv("TABORDER_SWEEP_TOTAL", "5")
    JobOutcome("d · g · seed 0", "ok", "computed").save(tmp_path, 0)
    assert interrupted(Session(words=("-m", "seed=0,1", "x='a b'"), folder=tmp_path), number) == code
    said = capsys.readouterr().err
    assert "after 1 of 5 cells" in said
    assert """python -m harness -m seed=0,1 'x='"'"'a b'"'"''""" in said


def test_failures_are_named_with_their_logs_and_the_rest_counted(tmp_path):
    store = ResultStore(tmp_path)
    (tmp_path / "runs" / "d" / "g" / "0-abc").mkdir(parents=True)
    (tmp_path / "runs" / "d" / "g" / "0-abc" / "log.txt").write_text("x")
    lost = JobOutcome("d · g · seed 0", "timeout", "computed", "stopped after 3 s", "d/g/0-abc")
    lines = failures([JobOutcome("d · g · seed 1", "ok", "computed"), lost], store)
    assert lines[0] == "d · g · seed 0: timeout: stopped after 3 s"
    assert lines[1].endswith("log.txt")
    assert failures([lost] * (MOST_NAMED + 3), store)[-1] == "and 3 more without a result: see the report."
    assert failures([], store) == []


def test_only_what_exists_is_listed(tmp_path):
    assert files(ResultStore(tmp_path), [tmp_path]) == []
    (tmp_path / "runs").mkdir()
    (tmp_path / "index.html").write_text("")
    assert [line.split()[0] for line in files(ResultStore(tmp_path), [tmp_path])] == ["report", "records"]


def test_again_keeps_all_but_the_cache_policy():
    assert again(["-m", "cache=overwrite", "dataset=a,b"]) == "python -m harness -m dataset=a,b"
    assert again([]) == "python -m harness"
