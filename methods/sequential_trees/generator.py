"""The generator: an order, one conditional per column, and the draw of a table from them.

Nowok, Raab and Dibben, "synthpop: Bespoke Creation of Synthetic Data in R", Journal of Statistical Software 74(11),
2016 (method ``cart``, which goes back to Reiter, 2005): the first column is drawn from its training values; each
further one from the leaf, of a tree grown on the columns before it, that the row falls into.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from harness.dependencies import Codes, FunctionalDependency, IntArray, MiningOptions, encode_column, join, mine
from harness.errors import Incompatible, TabOrderError
from harness.generator import Context, Sample, Yield
from harness.seeding import derive_seed, rng
from harness.table import Schema
from methods.column_order import ColumnOrder, check_policy, column_order
from methods.sequential_trees.trees import (
    FloatArray,
    Target,
    Tree,
    category_target,
    grow,
    level_ranks,
    number_target,
    single_leaf,
)

MINED_ALIKE = ("fd", "fd_reversed", "fd_far", "fd_adjacent_reversed", "kamino")
"""Orders made of the very dependencies that exact splits need."""


@dataclass(frozen=True, eq=False)
class Conditional:
    """How one column is drawn, given those before it.

    Attributes:
        before: the columns before it, in order.
        ranks: of those that are categorical, their levels as one ordered feature.
        tree: ``None`` where ``determinants`` settle every row.
        determinants: earlier columns that determine this one exactly in train; empty where none do.
    """

    before: tuple[str, ...]
    ranks: Mapping[str, FloatArray]
    tree: Tree | None
    determinants: tuple[str, ...] = ()


class SequentialTrees:
    """Column after column, from the leaves of classification and regression trees, in an order set by policy.

    *Missing values* are a value of their own, in columns drawn and in columns drawn from. *Rare categories* are drawn
    as often as they occur; where another column is drawn from them, those of fewer than ``min_leaf`` rows count as one.
    *Numbers* are values of train, so none is outside its range or new. *Dates* are text, hence categories.

    **Exact dependencies** (``exact_splits``). Where columns before Y determine it exactly in train, by the mining
    options that the ``fd`` order uses, Y's first split has one part for each of their values, whatever its size: all
    rows of a part agree, so ``min_leaf``, which is there to smooth, has nothing to smooth. Hence, for a dependency X→Y
    that mining finds exact,

    - X before Y, and the one followed: no violation, in any order, however many values X has and however rare they are;
    - where several such X stand before Y the one of fewest columns (then the first in the table) is followed; another
      holds where the two agree on the row, as in a chain A→B→C, else it may be broken;
    - X of several columns: rows whose combination is not in train are drawn from the tree and counted (``describe``);
      they cannot violate X→Y. The ``fd`` order writes the right side of such a dependency *first* (PAFT), so there
      nothing is promised;
    - X after Y (``fd_reversed``): the tree of X tells the values of Y apart only as far as ``min_leaf`` rows and the
      other columns leave it to, so violations are to be expected, though few where each value of Y has many rows.

    As measured: us_location, no violation in any order, for its leaves tell all right sides apart; tax (8,000 rows),
    none in the table's order but .3 % for {State, Salary}→Rate, whereas ``fd`` breaks four in .4 to 1.1 % of the rows,
    three for writing composites' right sides first, City→State because State follows AreaCode.

    Dependencies that mining leaves out (keys, too little support, its time limit) and approximate ones are up to the
    trees, as is everything with ``exact_splits=false``.

    *Copies.* Leaves hold training values as they are, and a row whose columns come from few leaves may be a row of train:
    on us_location 34 % of the rows are (2 % of the held-out ones), on adult 2 to 4 % (.1 %). The privacy scores show it;
    a larger ``min_leaf`` makes it rarer.

    Strong at: mixed tables of a few to some dozen columns, in seconds (CART leads synthpop's methods; Drechsler and
    Reiter, 2011).

    Args:
        order: policy of :func:`methods.column_order.column_order`, but for ``random``: a fitted sequence of trees has
            one order.
        order_seed: what the order of ``fixed_random`` is drawn from; ``null`` for a seed derived from that of ``fit``.
        given_order: the columns, for ``order="given"``.
        mining: options of the dependency mining, for the order and the exact splits.
        min_leaf: training rows in a leaf at least (synthpop: 5).
        exact_splits: whether exact dependencies are split on as above.
        max_classes: a category of more is told apart by random projections, which bounds time and memory.
        max_tree_rows: a tree's splits are found on at most so many rows; its leaves hold all.
        max_train_seconds: wall-clock budget of ``fit``; columns whose tree is not begun by then are drawn from their
            distribution.

    Attributes:
        version: raised whenever equal configurations give other tables than before.
        search_space: what tuning may vary; ``min_leaf`` is synthpop's ``minbucket``.
    """

    version = "1"
    search_space: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "min_leaf": {"type": "int", "low": 1, "high": 100, "log": True}
    }

    def __init__(
        self,
        order: str | Sequence[str] = "fd",
        *,
        order_seed: int | None = None,
        given_order: Sequence[str] | None = None,
        mining: Mapping[str, Any] | None = None,
        min_leaf: int = 5,
        exact_splits: bool = True,
        max_classes: int = 64,
        max_tree_rows: int = 100_000,
        max_train_seconds: float | None = None,
    ) -> None:
        check_policy(order, given_order, order_seed)
        if order == "random":
            raise TabOrderError(
                "order=random draws a fresh order for every row, but sequential trees are grown for one order: "
                "take order=fixed_random, with several order_seeds for several orders."
            )
        for name, value in (("min_leaf", min_leaf), ("max_classes", max_classes), ("max_tree_rows", max_tree_rows)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise TabOrderError(f"{name} is {value!r}: give a whole number of at least 1.")
        self.order, self.order_seed, self.given_order = order, order_seed, given_order
        self.mining = MiningOptions().changed(mining or {})
        self.min_leaf, self.exact_splits, self.max_classes = min_leaf, exact_splits, max_classes
        self.max_tree_rows, self.max_train_seconds = max_tree_rows, max_train_seconds
        self._threads = 1
        self._report: Callable[..., None] = lambda *_, **__: None
        self._unseen: dict[str, int] = {}

    def bind(self, context: Context) -> None:
        """Take the number of threads and the progress callback."""
        self._threads, self._report = context.threads, context.report

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Settle the order and grow a tree per column, ``threads`` at a time.

        Raises:
            Incompatible: without a training row.
            TabOrderError: for an impossible order.
        """
        if train.empty:
            raise Incompatible("sequential trees need at least one training row, got none.")
        began = time.monotonic()
        self._schema = schema
        self._codes = {column.name: encode_column(column, train[column.name]) for column in schema.columns}
        self._values = {
            name: train[name].iloc[np.unique(codes.values, return_index=True)[1]].reset_index(drop=True)
            for name, codes in self._codes.items()
        }
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
        self._notes: list[str] = []
        determinants = self._exact(train, self._settled)
        waiting = self._settled.names
        late: list[str] = []

        def one(name: str) -> Conditional:
            spent = self.max_train_seconds is not None and time.monotonic() - began >= self.max_train_seconds
            if spent and name != waiting[0]:
                late.append(name)
            before = () if spent else waiting[: waiting.index(name)]
            return self._conditional(train, name, before, determinants.get(name, ()), derive_seed(seed, "tree", name))

        self._drawn: dict[str, Conditional] = {}
        with ThreadPoolExecutor(self._threads) as pool:  # scikit-learn releases the lock while it grows a tree
            for name, made in zip(waiting, pool.map(one, waiting), strict=True):
                self._drawn[name] = made
                self._report("fit", len(self._drawn), len(waiting))
        self._notes += self._bounds(len(train), late)

    def _exact(self, train: pd.DataFrame, order: ColumnOrder) -> dict[str, tuple[str, ...]]:
        """For each column the earlier ones that determine it exactly, by the rule in the class's docstring."""
        if not self.exact_splits:
            return {}
        found: Sequence[FunctionalDependency] = order.fds
        if order.policy not in MINED_ALIKE:
            mined = mine(train, self._schema, self.mining)
            found, self._notes = mined.fds, [*self._notes, *mined.notes]
        assert order.names is not None
        place = {name: i for i, name in enumerate(order.names)}
        chosen: dict[str, tuple[str, ...]] = {}
        for fd in sorted(found, key=lambda fd: len(fd.lhs)):
            if fd.g3 == 0 and all(place[name] < place[fd.rhs] for name in fd.lhs):
                chosen.setdefault(fd.rhs, fd.lhs)
        return chosen

    def _conditional(
        self, train: pd.DataFrame, name: str, before: tuple[str, ...], determinants: tuple[str, ...], seed: int
    ) -> Conditional:
        codes = self._codes[name]
        if len(determinants) == 1:  # any of its values is one of train
            return Conditional(before, {}, None, determinants)
        if not before or codes.size == 1:
            return Conditional(before, {}, single_leaf(codes.values), determinants)
        target = self._target(train, name, seed)
        ranks = {
            earlier: level_ranks(self._codes[earlier], target, self.min_leaf)
            for earlier in before
            if not self._schema[earlier].numeric
        }
        table = _table(before, ranks, {earlier: self._codes[earlier].values for earlier in before})
        tree = grow(table, target, codes.values, min_leaf=self.min_leaf, max_rows=self.max_tree_rows, seed=seed)
        return Conditional(before, ranks, tree, determinants)

    def _target(self, train: pd.DataFrame, name: str, seed: int) -> Target:
        codes = self._codes[name]
        if self._schema[name].numeric:
            return number_target(codes.values, train[name].to_numpy(dtype=float, na_value=np.nan))
        return category_target(codes, self.max_classes, seed=seed)

    def sample(self, n: int, *, seed: int) -> Sample:
        """Draw ``n`` rows, all rows column by column; every row is delivered."""
        made: dict[str, IntArray] = {}
        for name, conditional in self._drawn.items():
            made[name] = self._draw(name, conditional, made, n, rng(seed, "draw", name))
            self._report("sample", len(made), len(self._drawn))
        columns = {name: self._values[name].take(made[name]).reset_index(drop=True) for name in self._schema.names}
        return Sample(pd.DataFrame(columns, columns=pd.Index(self._schema.names)), Yield(attempted=n, accepted=n))

    def _draw(
        self, name: str, conditional: Conditional, made: Mapping[str, IntArray], n: int, random: np.random.Generator
    ) -> IntArray:
        settled = np.full(n, -1, dtype=np.int64)
        if conditional.determinants:
            settled = self._look_up(name, conditional.determinants, made)
            if len(conditional.determinants) > 1:
                self._unseen[name] = int((settled < 0).sum())
        if conditional.tree is None:
            return settled
        drawn = conditional.tree.draw(_table(conditional.before, conditional.ranks, made, n), random.random(n))
        return np.where(settled < 0, drawn, settled)

    def _look_up(self, name: str, left: tuple[str, ...], made: Mapping[str, IntArray]) -> IntArray:
        """The code beside each row's values of ``left`` in train, −1 where train does not have them."""
        rows = len(self._codes[name].values)
        joined = Codes(np.zeros(rows + len(made[left[0]]), dtype=np.int64), 1)
        for column in left:
            known = self._codes[column]
            joined = join(joined, Codes(np.concatenate([known.values, made[column]]), known.size))
        answers = np.full(joined.size, -1, dtype=np.int64)
        answers[joined.values[:rows]] = self._codes[name].values
        found: IntArray = answers[joined.values[rows:]]
        return found

    def describe(self) -> Mapping[str, Any]:
        """Order, dependencies, what each column is drawn from, the number of leaves (``parameters``) and notes."""
        facts = self._settled.to_json()
        columns = {}
        for name, drawn in self._drawn.items():
            columns[name] = {
                "determined_by": list(drawn.determinants),
                "leaves": 0 if drawn.tree is None else drawn.tree.leaves,
            }
            if name in self._unseen:
                columns[name]["unseen_left_sides"] = self._unseen[name]
        leaves = sum(drawn.tree.leaves for drawn in self._drawn.values() if drawn.tree is not None)
        return {**facts, "columns": columns, "parameters": leaves, "notes": [*facts["notes"], *self._notes]}

    def _bounds(self, rows: int, late: list[str]) -> list[str]:
        """Sentences about what was bounded."""
        many = [
            f"'{name}' ({self._codes[name].size})"
            for name, drawn in self._drawn.items()
            if not self._schema[name].numeric
            and self._codes[name].size > self.max_classes
            and drawn.tree is not None
            and drawn.tree.leaves > 1
        ]
        rare = []
        for name in {earlier for drawn in self._drawn.values() for earlier in drawn.ranks}:
            counts = np.bincount(self._codes[name].values)
            if few := int((counts < self.min_leaf).sum()):
                share = counts[counts < self.min_leaf].sum() / rows
                rare.append(f"'{name}' ({few} of {len(counts)} categories, {share:.1%} of the rows)")
        notes = []
        if rare:
            notes.append(
                f"where others are drawn from them, categories of fewer than min_leaf={self.min_leaf} rows count as "
                f"one: {', '.join(sorted(rare))}."
            )
        if many:
            notes.append(
                f"more than max_classes={self.max_classes} categories, told apart by random projections: "
                f"{', '.join(many)}."
            )
        if rows > self.max_tree_rows:
            notes.append(
                f"splits were found on {self.max_tree_rows} of {rows} rows (max_tree_rows); leaves hold all rows."
            )
        if late:
            notes.append(
                f"max_train_seconds={self.max_train_seconds:g} was spent before the trees of "
                f"{', '.join(sorted(late))}: drawn from their distribution or dependency alone."
            )
        return notes


def _table(
    before: Sequence[str], ranks: Mapping[str, FloatArray], codes: Mapping[str, IntArray], rows: int = 0
) -> FloatArray:
    """(rows, columns) float32: codes of numbers, ranks of categories."""
    table = np.empty((len(codes[before[0]]) if before else rows, len(before)), dtype=np.float32)
    for i, name in enumerate(before):
        table[:, i] = ranks[name][codes[name]] if name in ranks else codes[name]
    return table
