"""The mixture: EM against closed forms and against itself, leaves that invert, what is bounded and said."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from baselines.mixture import Mixture
from baselines.mixture.em import LEAST_DEVIATION, Parameters, Prior, gather, start, step
from baselines.mixture.generator import draw_levels
from baselines.mixture.leaves import code
from harness.errors import Incompatible, TabOrderError
from harness.generator import Context
from harness.table import Column, Schema, conform


def leaves_of(frame, schema):
    return [code(column, frame[column.name]) for column in schema.columns]


def groups(rows=2000, seed=0):
    """Two groups of rows: (a, p, numbers near 0) and (b, q, numbers near 100); in each, columns are independent."""
    random = np.random.default_rng(seed)
    second = random.random(rows) < 0.25
    other = random.random(rows) < 0.1
    schema = Schema((Column("c", "categorical"), Column("d", "categorical"), Column("x", "float", 3)))
    frame = pd.DataFrame(
        {
            "c": np.where(second, "b", "a"),
            "d": np.where(second ^ other, "q", "p"),
            "x": np.round(random.normal(size=rows) + 100 * second, 3),
        }
    )
    return conform(frame, schema)[0], schema


def test_one_component_is_the_marginals():
    # Levels (count + m·share) / (rows + m) with share = count / rows, so the shares themselves, at any smoothing.
    frame, schema = groups()
    statistics = gather(leaves_of(frame, schema))
    prior = Prior.of(statistics, 3.0)
    made, _ = step(start(statistics, prior, 1, np.random.default_rng(0)), statistics, prior)
    counts = np.asarray(statistics.hot.sum(axis=0)).ravel()
    assert np.allclose(made.levels[:, 0], counts / 2000, atol=1e-3)  # half a row is added to each level of the prior
    scores = statistics.scores[:, 0]
    assert np.isclose(made.means[0, 0], scores.sum() / 2003)
    assert np.isclose(made.deviations[0, 0] ** 2, ((scores**2).sum() + 3) / 2003 - made.means[0, 0] ** 2)


def test_the_likelihood_is_that_of_the_product():
    # One row (level 1 of the first column, score 0.5) under two components, by hand.
    schema = Schema((Column("c", "categorical"), Column("x", "float", 2)))
    frame = conform(pd.DataFrame({"c": ["a", "b"] * 100, "x": np.arange(200) / 100}), schema)[0]
    statistics = gather(leaves_of(frame, schema)).of([1])
    score = statistics.scores[0, 0]
    assert statistics.present[0, 0] == 1
    made = Parameters(
        np.array([0.3, 0.7]), np.array([[0.4, 0.9], [0.6, 0.1], [1, 1]]), np.array([[0.0, 1.0]]), np.array([[1.0, 2.0]])
    )
    by_hand = 0.3 * 0.6 * norm.pdf(score, 0, 1) + 0.7 * 0.1 * norm.pdf(score, 1, 2)
    assert np.isclose(made.log_likelihood(statistics), np.log(by_hand))


@pytest.mark.parametrize("smoothing", [0.01, 1.0, 20.0])
def test_no_step_lets_the_posterior_fall(smoothing):
    frame, schema = groups(600)
    statistics = gather(leaves_of(frame, schema))
    prior = Prior.of(statistics, smoothing)
    made = start(statistics, prior, 12, np.random.default_rng(1))
    values = []
    for _ in range(25):
        following, likelihood = step(made, statistics, prior)
        values.append(600 * likelihood + prior.log_density(made))
        made = following
    assert np.diff(values).min() > -1e-6 * abs(values[0])
    assert values[-1] > values[0]
    assert (made.deviations >= LEAST_DEVIATION).all()


def test_two_groups_are_found_and_drawn_in_their_shares():
    frame, schema = groups(4000)
    generator = Mixture(components=2, max_iterations=200)
    generator.fit(frame, schema, seed=0)
    made, invalid = conform(generator.sample(8000, seed=1).frame, schema)
    assert invalid == {}
    high = made.x > 50
    # The scores of a group are a part of one Gaussian, cut off; a Gaussian of its own reaches a little into the other's part.
    assert abs(high.mean() - 0.25) < 0.05
    assert ((made.c == "b") == high).mean() > 0.9
    assert abs(((made.d == "q") == (made.c == "b")).mean() - 0.9) < 0.02


def test_leaves_invert_and_stay_within_train():
    random = np.random.default_rng(0)
    amounts = np.where(random.random(3000) < 0.6, 0, random.integers(1, 100_000, 3000))
    values = pd.Series(amounts).astype("Int64").mask(random.random(3000) < 0.1)
    leaf = code(Column("amount", "integer"), values)
    assert leaf.values.isna().sum() == 1  # missing is a level, and so is the zero
    assert leaf.values.dropna().tolist() == [0]
    again = leaf.cells(leaf.levels, leaf.scores)
    assert again.dtype == "Int64"
    assert again.equals(values.reset_index(drop=True))
    far = leaf.cells(np.full(4, leaf.other), np.array([-9.0, 9, 0, np.inf]))
    others = values[values > 0]
    assert far.tolist()[:2] == [others.min(), others.max()]
    assert abs(far[2] - others.median()) < 1000
    few = code(Column("n", "integer"), pd.Series([1, 2, 2, None] * 10, dtype="Int64"))
    assert few.other is None
    assert few.size == 3


def test_levels_are_drawn_by_inversion():
    table = np.array([[0.5, 0.0], [0.5, 0.0], [0.0, 1.0]])
    component = np.array([0, 0, 0, 1, 1])
    assert draw_levels(table, component, np.array([0.0, 0.49, 0.51, 0.0, 1 - 2**-53])).tolist() == [0, 0, 1, 2, 2]
    random = np.random.default_rng(0)
    wide = random.dirichlet(np.ones(7), 5).T
    component = random.integers(0, 5, 70_000)
    drawn = draw_levels(wide, component, random.random(70_000))
    shares = np.column_stack(
        [np.bincount(drawn[component == k], minlength=7) / (component == k).sum() for k in range(5)]
    )
    assert np.abs(shares - wide).max() < 0.02


def test_missing_cells_constants_and_empty_columns(train, schema):
    generator = Mixture(components=8)
    generator.fit(train, schema, seed=0)
    made, invalid = conform(generator.sample(2000, seed=0).frame, schema)
    assert invalid == {}
    assert made["empty"].isna().all()
    assert set(made["constant"]) == {"same"}
    assert (made.isna().mean() - train.isna().mean()).abs().max() < 0.1
    assert made["é,x"].min() >= train["é,x"].min()
    assert made["é,x"].max() <= train["é,x"].max()


def test_tables_at_the_edge():
    frame, schema = groups(1)
    generator = Mixture()
    generator.fit(frame, schema, seed=0)
    assert (
        "1 of 128 components: the table has 1 rows to learn from and 3 levels in all." in generator.describe()["notes"]
    )
    assert generator.sample(3, seed=0).frame.equals(pd.concat([frame] * 3, ignore_index=True))
    assert len(generator.sample(0, seed=0).frame) == 0
    with pytest.raises(Incompatible, match="at least one training row"):
        generator.fit(frame.iloc[:0], schema, seed=0)


def test_categories_without_end_cost_components_and_it_is_said(monkeypatch):
    monkeypatch.setattr("baselines.mixture.generator.MOST_CELLS", 2000)
    frame, schema = groups(300)
    frame["c"] = [f"k{i % 150}" for i in range(300)]
    generator = Mixture(components=64)
    generator.fit(frame, schema, seed=0)
    assert generator.describe()["components"] == 2000 // 153  # 150 + 2 levels, and "another number"
    assert any("13 of 64 components" in note for note in generator.describe()["notes"])


def test_the_budget_and_the_rows_are_bounded_and_said(tmp_path):
    seen = []
    frame, schema = groups()
    generator = Mixture(components=4, max_train_seconds=1e-9, max_rows=500)
    generator.bind(Context(tmp_path, 1, lambda *stage, **numbers: seen.append((*stage, numbers["loss"]))))
    generator.fit(frame, schema, seed=0)
    notes = generator.describe()["notes"]
    assert notes == [
        "EM worked on 500 of 2000 rows (max_rows).",
        "EM ended after 1 of 100 steps: max_train_seconds=1e-09 was spent.",
    ]
    assert seen == [("fit", 1, 100, generator.describe()["curve"][0]["loss"])]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"components": 0}, "components is 0"),
        ({"smoothing": 0}, "smoothing is 0"),
        ({"max_rows": True}, "max_rows is True"),
    ],
)
def test_illegal_options_are_named(options, sentence):
    with pytest.raises(TabOrderError, match=sentence):
        Mixture(**options)


PROGRAM = """
import hashlib
from tests.baselines.test_mixture import Mixture, groups
generator = Mixture(components=9)
generator.fit(*groups(400), seed=5)
print(hashlib.sha256(generator.sample(300, seed=6).frame.to_csv().encode()).hexdigest())
"""


def test_equal_seeds_give_equal_tables_in_every_process():
    there = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": value, "OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for value, threads in (("1", "2"),)
    }
    generator = Mixture(components=9)
    generator.fit(*groups(400), seed=5)
    here = generator.sample(300, seed=6).frame
    assert there == {hashlib.sha256(here.to_csv().encode()).hexdigest()}
    assert not here.equals(generator.sample(300, seed=7).frame)
