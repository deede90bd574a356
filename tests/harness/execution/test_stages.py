"""What a generator may return, and what becomes of it."""

import pandas as pd
import pytest

from harness.errors import TabOrderError
from harness.execution.stages import (
    _as_sample,
    _check_rows,
    _reporter,
    _unrepeatable,
    _yield,
    build_generator,
    use_threads,
)
from harness.generator import Sample, Yield
from tests.contract.tiny_cell import MODULE


def test_a_bare_frame_is_a_sample_and_anything_else_is_refused():
    frame = pd.DataFrame({"a": [1]})
    assert _as_sample(frame).frame is frame
    sample = Sample(frame, Yield(3, 1))
    assert _as_sample(sample) is sample
    with pytest.raises(TabOrderError, match="returned a list"):
        _as_sample([1])


def test_more_rows_than_asked_for_are_refused_and_fewer_are_not():
    _check_rows(pd.DataFrame({"a": [1, 2]}), 3)
    with pytest.raises(TabOrderError, match=r"sample\(1\) returned 2 rows"):
        _check_rows(pd.DataFrame({"a": [1, 2]}), 1)


def test_without_a_yield_every_row_was_attempted_once():
    assert _yield(None, 5) == Yield(5, 5)
    assert _yield(Yield(9, 5, {"cut": 4}, 100), 5) == Yield(9, 5, {"cut": 4}, 100)


def test_who_cannot_repeat_says_so():
    assert _unrepeatable(object()) == []
    assert "repeatable = False" in _unrepeatable(type("G", (), {"repeatable": False})())[0]


def test_progress_is_sent_at_once_at_its_end_and_now_and_then_before():
    sent = []
    report = _reporter(sent.append)
    for done in range(1, 101):
        report("fit", done, 100, loss=1 / done)
    assert len(sent) < 50
    assert (sent[-1]["done"], sent[-1]["total"], sent[-1]["numbers"]) == (100, 100, {"loss": 0.01})


def test_a_spec_is_built_with_its_arguments_or_refused():
    assert type(build_generator({"_target_": f"{MODULE}.Good"}, None)).__name__ == "Good"
    with pytest.raises(TabOrderError, match="takes no argument 'x'"):
        build_generator({"_target_": f"{MODULE}.Good", "x": 1}, None)


def test_threads_are_bounded_for_what_is_started_too(monkeypatch):
    import os

    import torch

    before = torch.get_num_threads()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        monkeypatch.setenv(name, "9")
    try:
        use_threads(1)
        assert os.environ["OMP_NUM_THREADS"] == "1"
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
