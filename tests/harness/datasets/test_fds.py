"""Mined dependencies of a wide table: bounded, spread over the dependent columns, and said."""

import pandas as pd

from harness.datasets import fds
from harness.dependencies import FunctionalDependency
from harness.table import Column, Schema


def test_every_dependent_column_comes_first(monkeypatch):
    monkeypatch.setattr(fds, "MOST_MINED", 3)
    known = [FunctionalDependency((left,), right) for left, right in ("ab", "ac", "bc", "cb", "ca")]
    # b: a→b, c→b; c: a→c, b→c; a: c→a. One each: a→b, a→c, c→a, in their order.
    assert [str(fd) for fd in fds._spread(known)] == ["a→b", "a→c", "c→a"]


def test_what_is_not_scored_is_counted(monkeypatch):
    monkeypatch.setattr(fds, "MOST_MINED", 2)
    names = ("p", "q", "r")
    schema = Schema(tuple(Column(name, "categorical") for name in names))
    frame = pd.DataFrame({name: [f"{name}{i % 4}" for i in range(80)] for name in names})  # all six hold
    kept, (note,) = fds.confirmed(schema, frame, frame)
    assert len(kept) == 2
    assert "4 more hold in both and are not scored" in note
