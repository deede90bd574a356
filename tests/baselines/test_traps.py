"""Reference generators: what each keeps, what each breaks."""

import numpy as np
import pandas as pd
import pytest

from baselines.oracle import Oracle
from baselines.smote import Smote
from baselines.traps import Bootstrap, NoisyCopy, TypicalRows
from harness.datasets.embedded import regions, simulated
from harness.errors import Incompatible, TabOrderError
from harness.table import Column, Schema, conform

WORLD = {"_target_": "harness.datasets.embedded.regions", "name": "r", "train_rows": 200, "test_rows": 60}
REGIONS = regions("r", train_rows=200, test_rows=60)


def rows_of(frame: pd.DataFrame) -> list[tuple]:
    return list(map(tuple, frame.astype(str).to_numpy()))


@pytest.mark.parametrize("make", [Bootstrap, NoisyCopy, Smote, TypicalRows, lambda: Oracle(world=[WORLD])])
def test_canonical_repeatable_and_of_any_length(make) -> None:
    generator = make()
    generator.fit(REGIONS.train, REGIONS.schema, seed=0)
    for n in (1, 3, 333):
        first, again, other = (generator.sample(n, seed=s).frame for s in (1, 1, 2))
        assert len(first) == n
        made, invalid = conform(first, REGIONS.schema)
        assert not invalid
        pd.testing.assert_frame_equal(made, conform(again, REGIONS.schema)[0])
    assert rows_of(first) != rows_of(other)


def test_bootstrap_and_typical_rows_are_training_rows() -> None:
    known = set(rows_of(REGIONS.train))
    for generator in (Bootstrap(), TypicalRows()):
        generator.fit(REGIONS.train, REGIONS.schema, seed=0)
        assert set(rows_of(generator.sample(400, seed=0).frame)) <= known
    assert len(set(rows_of(generator.sample(400, seed=0).frame))) <= 20  # a tenth of 200


def test_the_most_typical_row_by_hand() -> None:
    schema = Schema((Column("c", "categorical"), Column("x", "integer")))
    frame = conform(pd.DataFrame({"c": list("aaab"), "x": [0, 5, 10, 5]}), schema)[0]
    generator = TypicalRows(share=0.25)  # a is frequent, 5 the median
    generator.fit(frame, schema, seed=0)
    assert set(rows_of(generator.sample(7, seed=0).frame)) == {("a", "5")}


def test_noise_moves_half_the_numbers_within_their_range_and_nothing_else() -> None:
    generator = NoisyCopy()
    generator.fit(REGIONS.train, REGIONS.schema, seed=0)
    made = generator.sample(400, seed=0).frame
    assert made["x"].between(REGIONS.train["x"].min(), REGIONS.train["x"].max()).all()
    moved = ~made["x"].isin(set(REGIONS.train["x"]))
    assert 0.2 < moved.mean() < 0.6
    pairs = set(map(tuple, REGIONS.train[["region", "species", "zone"]].to_numpy()))
    assert set(map(tuple, made[["region", "species", "zone"]].to_numpy())) <= pairs


def test_exchanged_cells_are_one_a_row_at_most() -> None:
    schema = Schema(tuple(Column(name, "categorical") for name in "abcd"))
    frame = conform(pd.DataFrame({name: [f"{name}{i}" for i in range(50)] for name in "abcd"}), schema)[0]
    generator = NoisyCopy(exchanged=1)
    generator.fit(frame, schema, seed=0)
    numbers = generator.sample(300, seed=0).frame.map(lambda cell: int(cell[1:])).to_numpy()
    agree = [max(np.bincount(row)) for row in numbers]
    assert set(agree) <= {3, 4}
    assert 3 in agree


def test_smote_lies_between_two_neighbours() -> None:
    schema = Schema((Column("x", "float", 3), Column("y", "float", 3), Column("c", "categorical")))
    x = [0.0, 1.0, 2.0, 100.0, 101.0, 102.0]
    cells = {"x": x, "y": [2 * v for v in x], "c": list("aaabbb")}
    frame = conform(pd.DataFrame(cells), schema)[0]
    generator = Smote(neighbours=2)
    generator.fit(frame, schema, seed=0)
    made = generator.sample(500, seed=0).frame
    assert np.allclose(made["y"], 2 * made["x"], atol=0.0011)  # one place for the whole row
    low = made["x"] <= 2
    assert (low | (made["x"] >= 100)).all()  # never between the two groups
    assert (made["c"] == np.where(low, "a", "b")).all()
    assert (~made["x"].isin(x)).mean() > 0.9


def test_smote_takes_equal_rows_and_missing_numbers() -> None:
    schema = Schema((Column("x", "integer"), Column("c", "categorical")))
    frame = conform(pd.DataFrame({"x": pd.Series([1, 1, None, 3], dtype=object), "c": ["a", "a", None, "b"]}), schema)[
        0
    ]
    generator = Smote(neighbours=9)
    generator.fit(frame, schema, seed=0)
    assert len(conform(generator.sample(50, seed=0).frame, schema)[0]) == 50
    with pytest.raises(Incompatible, match="at least 2 training rows"):
        Smote().fit(frame.head(1), schema, seed=0)


def test_the_oracle_draws_other_rows_of_the_same_map() -> None:
    oracle = Oracle(world=[WORLD])
    oracle.fit(REGIONS.train, REGIONS.schema, seed=0)
    made = oracle.sample(260, seed=0).frame  # as many as train and test together: the same rows would be easiest here
    both = pd.concat([REGIONS.train, REGIONS.test])
    assert len(set(rows_of(made)) & set(rows_of(both))) < 5
    pairs = set(map(tuple, regions("r", train_rows=5000).train[["region", "species"]].to_numpy()))
    assert set(map(tuple, made[["region", "species"]].to_numpy())) <= pairs


def test_rows_seed_leaves_the_world_and_the_default_rows_as_they_are() -> None:
    assert rows_of(regions("r", train_rows=50).train) == rows_of(regions("r", train_rows=50, rows_seed=0).train)
    assert regions("r", train_rows=50, rows_seed=7).rules == regions("r", train_rows=50).rules
    assert rows_of(simulated(None, 2, rows_seed=0).train) == rows_of(simulated(None, 2).train)


def test_the_oracle_has_no_table_that_code_does_not_make() -> None:
    oracle = Oracle(world=[{"_target_": "harness.datasets.paper.paper_table"}])
    with pytest.raises(Incompatible, match="tables made by code"):
        oracle.fit(REGIONS.train, REGIONS.schema, seed=0)
    with pytest.raises(TabOrderError, match="list of one dataset configuration"):
        Oracle(world=[])


@pytest.mark.parametrize(
    "make",
    [
        lambda: NoisyCopy(noise=-1),
        lambda: NoisyCopy(exchanged=-1),
        lambda: TypicalRows(share=0),
        lambda: Smote(neighbours=0),
    ],
)
def test_illegal_options_are_named(make) -> None:
    with pytest.raises(TabOrderError, match="give"):
        make()
