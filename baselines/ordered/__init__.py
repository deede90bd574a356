"""Generators that read the columns in the table's order, given another one: the table is permuted before, and back
after.

Whether order alone moves a GAN or a VAE (arXiv 2211.09286 reports up to 38.67 % of Wasserstein distance), in the same
orders as the language model's. What differs from the generator itself is the order and nothing else: seeds, arguments
and all that the generator does are its own, so ``order=original`` gives its very rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pandas as pd

from baselines.signatures import extended
from harness.errors import TabOrderError
from harness.generator import Context, Sample
from harness.table import Schema
from methods.column_order import ColumnOrder, Policy, check_policy, column_order


class Ordered:
    """A generator that sees the columns in an order set by policy; subclasses say which generator.

    *Missing values*, *rare categories*, *numbers outside of range* and *dates* are treated as the generator treats
    them.

    Args:
        order: policy of :func:`methods.column_order.column_order`, but for ``random``; or the columns in the order wanted.
        order_seed: what ``fixed_random`` is drawn from; ``null`` for a seed derived from that of ``fit``.
        given_order: the columns, for ``order="given"``.
        mining: options of the dependency mining behind the ``fd`` orders.
        **options: the generator's own arguments.

    Attributes:
        inner: the generator's class.
        version: of the wrapper and the generator.
        search_space: the generator's.
    """

    inner: ClassVar[Any]
    version: ClassVar[str]
    search_space: ClassVar[Mapping[str, Any]]

    def __init_subclass__(cls) -> None:
        cls.version = f"1+{cls.inner.version}"
        cls.search_space = getattr(cls.inner, "search_space", {})
        cls.__signature__ = extended(Ordered.__init__, cls.inner)  # type: ignore[attr-defined]

    def __init__(
        self,
        order: Policy = "fd",
        *,
        order_seed: int | None = None,
        given_order: Sequence[str] | None = None,
        mining: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        check_policy(order, given_order, order_seed)
        if order == "random":
            raise TabOrderError(
                f"order=random draws a fresh order for every row, but {self.inner.__name__} reads all rows in one: "
                "take order=fixed_random, and several seeds for several orders."
            )
        self.order, self.order_seed, self.given_order, self.mining = order, order_seed, given_order, dict(mining or {})
        self.generator = self.inner(**options)
        self._settled: ColumnOrder | None = None

    def bind(self, context: Context) -> None:
        """Pass the context on."""
        self.generator.bind(context)

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Settle the order and fit the generator on the permuted table.

        Raises:
            Incompatible: as the generator says.
            TabOrderError: for an impossible order.
        """
        self._schema = schema
        self._settled = column_order(
            self.order,
            train,
            schema,
            seed=seed,
            order_seed=self.order_seed,
            given=self.given_order,
            mining=self.mining,
        )
        assert self._settled.names is not None
        names = list(self._settled.names)
        permuted = Schema(tuple(schema[name] for name in names), schema.target, schema.task)
        self.generator.fit(train[names], permuted, seed=seed)

    def sample(self, n: int, *, seed: int) -> Sample:
        """The generator's rows, their columns in the table's order again."""
        made = self.generator.sample(n, seed=seed)
        return Sample(made.frame[self._schema.names], made.yield_)

    def describe(self) -> Mapping[str, Any]:
        """The order and its dependencies, and what the generator tells."""
        assert self._settled is not None
        facts, told = self._settled.to_json(), self.generator.describe()
        return {**facts, **told, "notes": [*facts["notes"], *told.get("notes", ())]}
