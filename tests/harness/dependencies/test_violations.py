"""Violations of functional dependencies, on tables small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.dependencies import Encoder, FunctionalDependency, any_violation, count_pairs, g3_error, violations
from harness.errors import TabOrderError
from harness.table import Column, Schema, conform

STATES = Schema((Column("state", "categorical"), Column("bird", "categorical")))
STATE_BIRD = FunctionalDependency(("state",), "bird")


def table(schema: Schema, *rows: tuple[object, ...]) -> pd.DataFrame:
    return conform(pd.DataFrame(list(rows), columns=schema.names, dtype=object), schema)[0]


TRAIN = table(STATES, ("MA", "chickadee"), ("MA", "chickadee"), ("AZ", "wren"), ("ME", "chickadee"))


def test_rates_of_a_small_table() -> None:
    synthetic = table(
        STATES, ("MA", "chickadee"), ("MA", "wren"), ("AZ", "wren"), ("TX", "mockingbird"), ("TX", "wren")
    )
    result = violations(STATE_BIRD, TRAIN, synthetic, STATES)
    # MA and AZ are seen (3 rows), TX is not (2 rows); one seen row, the second, has the wrong bird.
    assert result.rate == 1 / 5
    assert result.seen_rate == 1 / 3
    assert result.unseen_rate == 2 / 5
    # Within the synthetic rows MA has two birds and so has TX: delete one row each.
    assert result.g3 == pytest.approx(2 / 5)
    assert result.mask.tolist() == [False, True, False, False, False]


def test_train_itself_breaks_an_exact_dependency_nowhere() -> None:
    result = violations(STATE_BIRD, TRAIN, TRAIN, STATES)
    assert (result.rate, result.seen_rate, result.unseen_rate, result.g3) == (0, 0, 0, 0)


def test_a_dependent_never_seen_in_train_is_a_violation() -> None:
    assert violations(STATE_BIRD, TRAIN, table(STATES, ("MA", "dodo")), STATES).rate == 1


def test_missing_is_a_value_on_both_sides() -> None:
    train = table(STATES, (None, "wren"), ("MA", None))
    synthetic = table(STATES, (None, "wren"), (None, None), ("MA", None), ("MA", "wren"))
    result = violations(STATE_BIRD, train, synthetic, STATES)
    assert result.mask.tolist() == [False, True, False, True]
    assert result.unseen_rate == 0


def test_a_missing_left_side_not_in_train_is_unseen() -> None:
    result = violations(STATE_BIRD, TRAIN, table(STATES, (None, "wren"), ("AZ", "wren")), STATES)
    assert (result.rate, result.unseen_rate) == (0, 1 / 2)


def test_floats_are_compared_at_the_real_decimals() -> None:
    schema = Schema((Column("lat", "float", 2), Column("zone", "categorical")))
    train = table(schema, (29.99, "low"), (30.01, "middle"), (0.0, "low"))
    synthetic = table(schema, (29.9912345, "low"), (30.0077, "low"), (-0.0004, "low"))
    result = violations(FunctionalDependency(("lat",), "zone"), train, synthetic, schema)
    # 29.9912345 → 29.99 (low, right), 30.0077 → 30.01 (middle, wrong), -0.0004 → 0.00 (low, right): nothing is unseen.
    assert (result.rate, result.unseen_rate) == (pytest.approx(1 / 3), 0)
    unrounded = Schema((Column("lat", "float", None), schema.columns[1]))
    assert violations(FunctionalDependency(("lat",), "zone"), train, synthetic, unrounded).unseen_rate == 1


def test_integers_beyond_two_to_the_53_stay_apart() -> None:
    schema = Schema((Column("id", "integer"), Column("v", "categorical")))
    train = table(schema, ("9007199254740992", "a"), ("9007199254740993", "b"))
    result = violations(FunctionalDependency(("id",), "v"), train, train, schema)
    assert (result.rate, result.g3) == (0, 0)


def test_composite_left_side() -> None:
    schema = Schema(tuple(Column(name, "categorical") for name in "abc"))
    train = table(schema, ("0", "0", "0"), ("0", "1", "1"), ("1", "0", "1"), ("1", "1", "0"))
    synthetic = table(schema, ("0", "0", "0"), ("1", "1", "1"), ("1", None, "1"))
    result = violations(FunctionalDependency(("a", "b"), "c"), train, synthetic, schema)
    # c = a xor b: the second row is wrong, the third row's (1, missing) is unseen.
    assert (result.rate, result.unseen_rate) == (pytest.approx(1 / 3), pytest.approx(1 / 3))


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]])
def test_a_tied_mode_is_the_value_more_frequent_overall_whatever_the_row_order(order: list[int]) -> None:
    train = (
        table(STATES, ("MA", "a"), ("MA", "b"), ("AZ", "b"), ("ME", "d"), ("ME", "c"))
        .iloc[order]
        .reset_index(drop=True)
    )
    synthetic = table(STATES, ("MA", "a"), ("MA", "b"), ("ME", "c"), ("ME", "d"))
    # MA ties a with b, and b is more frequent overall (2 against 1); ME ties c with d, equally frequent overall: the smaller.
    assert violations(STATE_BIRD, train, synthetic, STATES).mask.tolist() == [True, False, False, True]


def test_corrupting_k_rows_is_exactly_k_violations() -> None:
    generator = np.random.default_rng(0)
    states = generator.integers(0, 40, 1000)
    frame = table(STATES, *((f"s{s}", f"b{s % 7}") for s in states))
    for k in (0, 10, 50, 250, 1000):
        broken = frame.copy()
        broken.loc[generator.permutation(1000)[:k], "bird"] = "dodo"
        assert violations(STATE_BIRD, frame, broken, STATES).rate == k / 1000


def test_empty_synthetic_table_has_no_rates() -> None:
    result = violations(STATE_BIRD, TRAIN, TRAIN.iloc[:0], STATES)
    assert (result.rate, result.seen_rate, result.unseen_rate, result.g3) == (None, None, None, None)
    assert violations(STATE_BIRD, TRAIN, table(STATES, ("TX", "wren")), STATES).seen_rate is None


def test_any_violation_joins_masks() -> None:
    schema = Schema(tuple(Column(name, "categorical") for name in "abc"))
    train = table(schema, ("0", "0", "0"), ("1", "1", "1"))
    synthetic = table(schema, ("0", "1", "0"), ("0", "0", "1"), ("1", "1", "1"))
    encoder = Encoder(schema, train, synthetic)
    results = [
        violations(FunctionalDependency(("a",), y), train, synthetic, schema, encoder=encoder) for y in ("b", "c")
    ]
    assert any_violation(results).tolist() == [True, True, False]
    with pytest.raises(TabOrderError, match="no functional dependency"):
        any_violation([])


def test_an_encoder_of_other_tables_is_refused() -> None:
    encoder = Encoder(STATES, TRAIN, TRAIN.iloc[:1])
    with pytest.raises(TabOrderError, match="encoder holds tables"):
        violations(STATE_BIRD, TRAIN, TRAIN, STATES, encoder=encoder)


def test_an_unknown_column_is_named() -> None:
    with pytest.raises(TabOrderError, match=r"unknown column 'brid'.*Did you mean 'bird'"):
        violations(FunctionalDependency(("state",), "brid"), TRAIN, TRAIN, STATES)


def test_tables_are_not_changed() -> None:
    before = TRAIN.copy(deep=True)
    violations(STATE_BIRD, TRAIN, TRAIN, STATES)
    pd.testing.assert_frame_equal(TRAIN, before)


@pytest.mark.parametrize("spread", [10, 3000])  # 10 × 10 is counted in place, 3000 × 3000 by sorting
def test_counts_and_g3_equal_pandas(spread: int) -> None:
    generator = np.random.default_rng(1)
    x, y = generator.integers(0, spread, 5000), generator.integers(0, spread, 5000)
    counted = pd.DataFrame({"x": x, "y": y}).groupby(["x", "y"]).size()
    pairs, counts = count_pairs(x, y, spread, spread)
    assert [(p // spread, p % spread) for p in pairs.tolist()] == counted.index.tolist()
    assert counts.tolist() == counted.tolist()
    kept = counted.groupby("x").max().sum()
    assert g3_error(x, y, spread, spread) == pytest.approx(1 - kept / 5000, abs=1e-12)
