"""Generators in an order set by policy: the order changes, and nothing else."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from baselines.ordered import Ordered
from baselines.ordered.sdv import OrderedCTGAN, OrderedTVAE
from baselines.ordered.tabular_argn import OrderedTabularARGN
from baselines.sdv import CTGAN, TVAE
from harness.errors import TabOrderError
from harness.generator import Context, Sample, Yield
from harness.table import Column, Schema, conform
from harness.targets import check
from methods.column_order import POLICIES


class Sees:
    """Keeps what it is given, and returns it."""

    version = "7"
    search_space: ClassVar[dict[str, Any]] = {"width": {"type": "int", "low": 1, "high": 2}}

    def __init__(self, *, width: int = 1) -> None:
        self.width = width

    def bind(self, context: Context) -> None:
        self.context = context

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        self.train, self.schema, self.seed = train, schema, seed

    def sample(self, n: int, *, seed: int) -> Sample:
        return Sample(self.train.head(n), Yield(n + 1, n))

    def describe(self) -> dict[str, Any]:
        return {"curve": [1], "notes": ["said by the generator"]}


class OrderedSees(Ordered):
    """The wrapper around it."""

    inner = Sees


def chain(rows: int = 200) -> tuple[pd.DataFrame, Schema]:
    """c → b → a, in the opposite order; x beside."""
    c = np.random.default_rng(0).integers(0, 20, rows)
    schema = Schema((*(Column(name, "categorical") for name in "abc"), Column("x", "float", 2)), "a", "classification")
    frame = pd.DataFrame({"a": c // 8, "b": c // 4, "c": c, "x": np.random.default_rng(1).normal(size=rows).round(2)})
    return conform(frame, schema)[0], schema


def test_the_generator_sees_the_order_and_the_caller_the_table() -> None:
    frame, schema = chain()
    generator = OrderedSees("fd", width=2)
    generator.fit(frame, schema, seed=5)
    seen = generator.generator
    assert (seen.width, seen.seed) == (2, 5)
    assert list(seen.train) == seen.schema.names == ["c", "b", "a", "x"]
    assert (seen.schema["x"], seen.schema.target, seen.schema.task) == (schema["x"], "a", "classification")
    made = generator.sample(9, seed=0)
    assert made.frame.equals(frame.head(9))
    assert made.yield_ == Yield(10, 9)
    told = generator.describe()
    assert told["column_order"] == ["c", "b", "a", "x"]
    assert told["curve"] == [1]
    assert told["notes"][-1] == "said by the generator"
    assert {tuple(fd["lhs"]) for fd in told["fds"]} >= {("c",), ("b",)}


@pytest.mark.parametrize("order", sorted(set(POLICIES) - {"random"}))
def test_every_order_reaches_the_generator(order: str) -> None:
    frame, schema = chain()
    options = {"given_order": ["x", "a", "c", "b"]} if order == "given" else {}
    generator = OrderedSees(order, **options)
    generator.fit(frame, schema, seed=1)
    assert list(generator.generator.train) == generator.describe()["column_order"]
    assert sorted(generator.generator.train) == sorted(schema.names)


@pytest.mark.parametrize(("ordered", "plain"), [(OrderedTVAE, TVAE), (OrderedCTGAN, CTGAN)])
def test_an_order_changes_nothing_but_the_order(ordered: Any, plain: Any) -> None:
    frame, schema = chain()

    def rows(generator: Any, table: pd.DataFrame, columns: Schema) -> pd.DataFrame:
        generator.fit(table, columns, seed=3)
        return generator.sample(60, seed=4).frame

    options = {"epochs": 2, "batch_size": 20}
    original = rows(ordered("original", **options), frame, schema)
    assert original.equals(rows(plain(**options), frame, schema))
    given = ["x", "c", "a", "b"]
    permuted = Schema(tuple(schema[name] for name in given), "a", "classification")
    other = rows(ordered("given", given_order=given, **options), frame, schema)
    assert list(other) == schema.names
    assert other.equals(rows(plain(**options), frame[given], permuted)[schema.names])
    assert not other.equals(original)


def test_an_order_has_a_seed_of_its_own_and_may_be_a_list() -> None:
    frame, schema = chain()

    def order(policy: Any, seed: int, order_seed: int | None = None) -> list[str]:
        generator = OrderedSees(policy, order_seed=order_seed)
        generator.fit(frame, schema, seed=seed)
        return generator.describe()["column_order"]

    assert order("fixed_random", 1, 8) == order("fixed_random", 2, 8)
    assert len({tuple(order("fixed_random", 1, seed)) for seed in range(8)}) > 3
    assert order(["x", "c", "a", "b"], 0) == ["x", "c", "a", "b"]


def test_signature_version_and_space_are_those_of_both() -> None:
    assert OrderedSees.version == "1+7"
    assert OrderedTVAE.version == f"1+{TVAE.version}"
    assert OrderedSees.search_space == Sees.search_space
    target = "baselines.ordered.sdv.OrderedTVAE"
    check({"_target_": target, "order": "fd", "epochs": 3, "compress_dims": [8]})
    with pytest.raises(TabOrderError, match="Did you mean 'epochs'"):
        check({"_target_": target, "epoch": 3})


def test_orders_that_mean_nothing_here_are_refused() -> None:
    with pytest.raises(TabOrderError, match="Sees reads all rows in one: take order=fixed_random"):
        OrderedSees("random")
    with pytest.raises(TabOrderError, match="any_order=true trains over all column orders"):
        OrderedTabularARGN("fd", any_order=True)
    assert OrderedTabularARGN("fd").generator.any_order is False
    with pytest.raises(TabOrderError, match="epochs is 0"):
        OrderedTVAE(epochs=0)
