from collections import Counter

import numpy as np
import pandas as pd
import pytest

from baselines.resampling import Copy, Independent
from harness.errors import Incompatible
from harness.table import Column, Schema

SCHEMA = Schema((Column("x", "categorical"), Column("y", "integer")))
TRAIN = pd.DataFrame({"x": pd.Series(["a", "b", "c", None], dtype=object), "y": pd.array([1, 2, 3, 4], dtype="Int64")})


@pytest.mark.parametrize(("n", "least", "most"), [(2, 0, 1), (4, 1, 1), (11, 2, 3)])
def test_copy_repeats_rows_as_evenly_as_possible(n, least, most):
    copy = Copy()
    copy.fit(TRAIN, SCHEMA, seed=0)
    frame = copy.sample(n, seed=1).frame
    counts = Counter(frame["y"])
    assert len(frame) == n
    assert {counts[y] for y in (1, 2, 3, 4)} <= {least, most}
    pairs = set(map(tuple, TRAIN.fillna("-").astype(str).to_numpy()))
    assert set(map(tuple, frame.fillna("-").astype(str).to_numpy())) <= pairs  # whole rows, never mixed


def test_independent_keeps_marginals_and_breaks_dependence():
    rows = 2000
    y = np.arange(rows) % 4
    train = pd.DataFrame({"x": pd.Series([f"v{i}" for i in y], dtype=object), "y": pd.array(y, dtype="Int64")})
    independent = Independent()
    independent.fit(train, SCHEMA, seed=0)
    frame = independent.sample(4000, seed=1).frame
    assert frame["y"].value_counts(normalize=True).between(0.21, 0.29).all()  # 1/4 each, sd .007
    # y was x's digit; now they agree by chance, in 1 row of 4.
    agree = (frame["x"].str[1:].astype(int) == frame["y"].astype(int)).mean()
    assert 0.21 < agree < 0.29


def test_later_changes_to_the_table_do_not_reach_the_generator():
    train = TRAIN.copy()
    for generator in (Copy(), Independent()):
        generator.fit(train, SCHEMA, seed=0)
        train["y"] = pd.array([9, 9, 9, 9], dtype="Int64")
        assert 9 not in set(generator.sample(20, seed=0).frame["y"])
        train = TRAIN.copy()


def test_empty_table_is_refused():
    for generator in (Copy(), Independent()):
        with pytest.raises(Incompatible, match="at least one training row"):
            generator.fit(TRAIN.head(0), SCHEMA, seed=0)
