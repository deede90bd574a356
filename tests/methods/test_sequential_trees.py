"""Sequential trees: leaves worked out by hand, exact dependencies, bounds, determinism."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeRegressor

from harness.datasets import load
from harness.dependencies import Codes, FunctionalDependency, violations
from harness.errors import Incompatible, TabOrderError
from harness.generator import Context
from harness.table import Column, Schema, conform
from methods.column_order import POLICIES
from methods.sequential_trees import SequentialTrees
from methods.sequential_trees.trees import category_target, find_leaves, grow, level_ranks, number_target

ORDERS = sorted(set(POLICIES) - {"random"})


def table(**columns: object) -> tuple[pd.DataFrame, Schema]:
    """Columns named c… are categories, n… integers, x… floats of two decimals."""
    kinds = {"c": "categorical", "n": "integer", "x": "float"}
    schema = Schema(tuple(Column(name, kinds[name[0]], 2 if name[0] == "x" else None) for name in columns))
    return conform(pd.DataFrame(columns), schema)[0], schema


def drawn(frame: pd.DataFrame, schema: Schema, rows: int = 1000, seed: int = 0, **options: object) -> pd.DataFrame:
    generator = SequentialTrees(**{"order": "original", **options})
    generator.fit(frame, schema, seed=seed)
    return conform(generator.sample(rows, seed=seed).frame, schema)[0]


def broken(left: str, right: str, frame: pd.DataFrame, made: pd.DataFrame, schema: Schema) -> float:
    return violations(FunctionalDependency(tuple(left.split(",")), right), frame, made, schema).rate


def test_a_number_is_drawn_from_the_leaf_of_its_row() -> None:
    # Ten rows: beside 'a' the numbers 1…5, beside 'b' 101…105. Leaves of five rows: exactly the two groups.
    frame, schema = table(c=["a"] * 5 + ["b"] * 5, n=[*range(1, 6), *range(101, 106)])
    made = drawn(frame, schema)
    assert set(made.loc[made.c == "a", "n"]) == {1, 2, 3, 4, 5}
    assert set(made.loc[made.c == "b", "n"]) == {101, 102, 103, 104, 105}
    assert abs((made.c == "a").mean() - 0.5) < 4 * np.sqrt(0.25 / 1000)
    assert abs((made.n == 3).mean() - 0.1) < 4 * np.sqrt(0.09 / 1000)
    # With leaves of six rows nothing can be split, and the columns are independent.
    assert set(drawn(frame, schema, min_leaf=6).query("c == 'a'").n) == {1, 2, 3, 4, 5, *range(101, 106)}


def test_a_category_is_drawn_from_the_leaf_of_its_row_in_the_shares_it_has_there() -> None:
    # n ≤ 2: always 'p'. n > 2: 'q' and 'r', 3 : 1.
    frame, schema = table(n=[1] * 10 + [2] * 10 + [3] * 20, c=["p"] * 20 + ["q"] * 15 + ["r"] * 5)
    made = drawn(frame, schema, 4000)
    assert set(made.loc[made.n <= 2, "c"]) == {"p"}
    rest = made[made.n == 3]
    assert set(rest.c) == {"q", "r"}
    assert abs((rest.c == "q").mean() - 0.75) < 4 * np.sqrt(0.1875 / len(rest))


def test_missing_cells_are_values_drawn_and_drawn_from() -> None:
    # c missing ⇔ n missing ⇔ x = 1; the number is otherwise 7 or 8, in halves.
    frame, schema = table(
        c=[None] * 20 + ["a"] * 20, n=[None] * 20 + [7, 8] * 10, x=[1.0] * 20 + [2.0] * 20, cc=["u"] * 20 + [None] * 20
    )
    for order in ("original", "fd_reversed"):
        made = drawn(frame, schema, order=order, exact_splits=False)
        assert set(map(tuple, made.isna().to_numpy())) == {(True, True, False, False), (False, False, False, True)}
        assert set(made.x[made.n.isna()]) == {1.0}
        assert set(made.n.dropna()) == {7, 8}


def test_tables_at_the_edge() -> None:
    frame, schema = table(c=["only"], n=[None], x=[1.5])
    assert drawn(frame, schema, 3).equals(pd.concat([frame] * 3, ignore_index=True))
    with pytest.raises(Incompatible, match="at least one training row"):
        SequentialTrees().fit(frame.iloc[:0], schema, seed=0)
    schema = Schema((Column("x", "float"), Column("n", "integer"), Column("c", "categorical")))
    frame = pd.DataFrame(
        {"x": [1.7e308, -1.7e308, 0.0] * 10, "n": [2**62, -(2**62), 1] * 10, "c": ["a", "b", "c"] * 10}
    )
    frame = conform(frame, schema)[0]
    with np.errstate(all="raise"):
        made = drawn(frame, schema)
    assert set(map(tuple, made.to_numpy())) <= set(map(tuple, frame.to_numpy()))
    assert len(drawn(frame, schema, 0)) == 0


def rare(seed: int = 0) -> tuple[pd.DataFrame, Schema]:
    """c1 (400 values of 1 to 4 rows) determines c2 (200 values of about five rows); c3 and x know something of both."""
    random = np.random.default_rng(seed)
    left = np.repeat(np.arange(400), random.integers(1, 5, 400))
    order = random.permutation(len(left))
    return table(
        c1=[f"l{i}" for i in left[order]],
        x=np.round(left[order] + random.normal(size=len(left)) * 50, 2),
        c3=[f"m{i}" for i in left[order] // 40],
        c2=[f"r{i % 200}" for i in left[order]],
    )


def test_an_exact_dependency_holds_in_order_fd_however_rare_its_left_sides() -> None:
    frame, schema = rare()
    made = drawn(frame, schema, 20_000, order="fd")
    assert broken("c1", "c2", frame, made, schema) == 0
    assert set(made.c1) == set(frame.c1)  # also those of a single row
    # The trees alone cannot: a left side of fewer than min_leaf rows is one of many, which count as one.
    assert broken("c1", "c2", frame, drawn(frame, schema, 5000, order="fd", exact_splits=False), schema) > 0.1


def test_in_order_fd_reversed_it_does_not_hold() -> None:
    frame, schema = rare()
    assert broken("c1", "c2", frame, drawn(frame, schema, 5000, order="fd_reversed"), schema) > 0.1


def test_reversed_it_holds_where_leaves_tell_every_right_side_apart() -> None:
    # Each of the two right sides has 50 rows, many more than a leaf needs.
    frame, schema = table(c1=[f"l{i % 10}" for i in range(100)], c2=[f"r{i % 2}" for i in range(100)])
    assert broken("c1", "c2", frame, drawn(frame, schema, order="fd_reversed"), schema) == 0


def test_chains_hold_and_numbers_determine_too() -> None:
    random = np.random.default_rng(1)
    n = random.integers(0, 300, 900)
    frame, schema = table(c=[f"z{i // 60}" for i in n], n=n, nn=n // 20)
    generator = SequentialTrees("fd")
    generator.fit(frame, schema, seed=0)
    made = generator.sample(2000, seed=0).frame
    assert generator.describe()["column_order"] == ["n", "nn", "c"]
    assert all(broken(a, b, frame, made, schema) == 0 for a, b in (("n", "nn"), ("nn", "c"), ("n", "c")))


def test_a_composite_left_side_is_followed_where_it_stands_before_and_unseen_ones_are_counted() -> None:
    # c3 = f(c1, c2), neither alone; 200 × 6 combinations, of which many are not in train.
    random = np.random.default_rng(2)
    a, b = random.integers(0, 200, 900), random.integers(0, 6, 900)
    frame, schema = table(c1=[f"a{i}" for i in a], c2=[f"b{i}" for i in b], c3=[f"c{i}" for i in (a * b) % 7])
    generator = SequentialTrees("original")
    generator.fit(frame, schema, seed=0)
    made = generator.sample(3000, seed=0).frame
    assert generator.describe()["columns"]["c3"]["determined_by"] == ["c1", "c2"]
    found = violations(FunctionalDependency(("c1", "c2"), "c3"), frame, made, schema)
    assert (found.rate, found.seen_rate) == (0, 0)
    assert generator.describe()["columns"]["c3"]["unseen_left_sides"] == round(found.unseen_rate * 3000) > 0


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_that_the_row_llm_has(order: str) -> None:
    frame, schema = rare()
    options = {"given_order": ["x", "c2", "c1", "c3"]} if order == "given" else {}
    generator = SequentialTrees(order, **options)
    generator.fit(frame, schema, seed=3)
    made = generator.sample(200, seed=0).frame
    assert sorted(generator.describe()["column_order"]) == sorted(schema.names)
    assert list(made) == schema.names
    assert conform(made, schema)[1] == {}
    assert all(set(made[name]) <= set(frame[name]) for name in schema.names)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"order": "random"}, "take order=fixed_random"),
        ({"order": "informtion"}, "Did you mean 'information'"),
        ({"order": "given"}, "needs one"),
        ({"min_leaf": 0}, "min_leaf is 0"),
        ({"max_tree_rows": 1.5}, "max_tree_rows is 1.5"),
        ({"mining": {"max_lsh": 1}}, "Did you mean 'max_lhs'"),
    ],
)
def test_illegal_options_are_named(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(TabOrderError, match=sentence):
        SequentialTrees(**options)


def test_levels_are_ordered_by_their_means_and_rare_ones_count_as_one() -> None:
    # Means: level 0: 5, level 1: 1, level 2: 3; levels 3 and 4 have a single row each: mean (9 + 0) / 2 = 4.5 together.
    codes = np.array([0, 0, 1, 1, 2, 2, 3, 4])
    values = np.array([5.0, 5, 1, 1, 3, 3, 9, 0])
    ranks = level_ranks(Codes(codes, 5), number_target(codes, values), 2)
    assert ranks.tolist() == [3, 0, 1, 2, 2]


def test_levels_of_one_class_stand_together() -> None:
    random = np.random.default_rng(0)
    classes = random.integers(0, 12, 500)
    for target in (
        category_target(Codes(classes[np.arange(2000) % 500], 12), 64, seed=0),
        category_target(Codes(classes[np.arange(2000) % 500], 12), 3, seed=0),
    ):
        ranks = level_ranks(Codes(np.arange(2000) % 500, 500), target, 2)
        by_rank = classes[np.argsort(ranks)]
        assert (by_rank[1:] != by_rank[:-1]).sum() == 11  # twelve blocks


def test_rows_fall_into_the_leaves_that_scikit_learn_says() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(500, 4)).astype(np.float32), random.normal(size=500)
    tree = DecisionTreeRegressor(min_samples_leaf=3, random_state=0).fit(x, y).tree_
    feature = np.where(tree.children_left < 0, -1, tree.feature)
    new = random.normal(size=(300, 4)).astype(np.float32)
    found = find_leaves(feature, tree.threshold, tree.children_left, tree.children_right, new)
    assert (found == tree.apply(new)).all()


def test_a_tree_grown_on_few_rows_holds_all() -> None:
    x = np.arange(1000, dtype=np.float32)[:, None]
    codes = np.arange(1000)
    tree = grow(x, number_target(codes, codes * 1.0), codes, min_leaf=5, max_rows=100, seed=0)
    assert sorted(tree.values) == list(range(1000))
    assert 10 <= tree.leaves <= 20  # 100 rows in leaves of 5 or more


def test_what_is_bounded_is_said() -> None:
    random = np.random.default_rng(0)
    hidden = random.integers(0, 500, 4000)
    frame, schema = table(n=hidden // 50, c=[f"k{i}" for i in hidden], x=np.round(random.normal(size=4000), 2))
    generator = SequentialTrees("original", max_tree_rows=3000)
    generator.fit(frame, schema, seed=0)
    notes = " ".join(generator.describe()["notes"])
    assert "more than max_classes=64 categories, told apart by random projections: 'c' (500)." in notes
    assert "splits were found on 3000 of 4000 rows" in notes
    assert "count as one: 'c' (" in notes
    made = generator.sample(4000, seed=0).frame
    # Projections tell the ten groups of 50 categories apart: a category lies beside its own n.
    assert (made.c.str[1:].astype(int) // 50 == made.n).mean() > 0.99


def test_a_spent_budget_leaves_distributions_and_says_so() -> None:
    frame, schema = rare()
    generator = SequentialTrees("original", exact_splits=False, max_train_seconds=1e-9)
    generator.fit(frame, schema, seed=0)
    assert "was spent before the trees of c2, c3, x" in " ".join(generator.describe()["notes"])
    assert generator.describe()["parameters"] == 4
    assert len(generator.sample(10, seed=0).frame) == 10


def test_progress_goes_column_by_column(tmp_path: Path) -> None:
    seen: list[tuple[object, ...]] = []
    frame, schema = rare()
    generator = SequentialTrees()
    generator.bind(Context(tmp_path, 2, lambda *stage, **_: seen.append(stage)))
    generator.fit(frame, schema, seed=0)
    generator.sample(5, seed=0)
    assert seen == [(stage, i, 4) for stage in ("fit", "sample") for i in (1, 2, 3, 4)]


PROGRAM = """
import hashlib, sys, pathlib
from tests.methods.test_sequential_trees import rare, SequentialTrees, Context
frame, schema = rare()
generator = SequentialTrees("fixed_random")
generator.bind(Context(pathlib.Path("."), int(sys.argv[1]), lambda *_, **__: None))
generator.fit(frame, schema, seed=5)
print(hashlib.sha256(generator.sample(300, seed=6).frame.to_csv().encode()).hexdigest())
"""


def test_equal_seeds_give_equal_tables_in_every_process_and_with_any_number_of_threads() -> None:
    frame, schema = rare()
    generator = SequentialTrees("fixed_random")
    generator.fit(frame, schema, seed=5)
    here = hashlib.sha256(generator.sample(300, seed=6).frame.to_csv().encode()).hexdigest()
    there = subprocess.run(
        [sys.executable, "-c", PROGRAM, "3"],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert here == there
    assert here != hashlib.sha256(generator.sample(300, seed=7).frame.to_csv().encode()).hexdigest()


@pytest.mark.mirror
@pytest.mark.parametrize("order", ["fd", "fd_reversed", "fixed_random", "original"])
def test_on_us_location_no_order_breaks_a_dependency(order: str) -> None:
    # As measured, not as wished for: leaves tell all birds and zones apart, so reversed it holds too.
    dataset = load("us_location", max_train_rows=4000)
    made = drawn(dataset.train, dataset.schema, 4000, order=order)
    assert [violations(fd, dataset.train, made, dataset.schema).rate for fd in dataset.fds] == [0, 0]
