"""In which order a language model reads and writes the columns of a row.

========================= =====================================================================================
policy                    order
========================= =====================================================================================
``random``                fresh for every row and epoch (GReaT)
``fixed_random``          one permutation, drawn from ``order_seed`` (below)
``original``              as in the table
``fd``                    determinants before dependents: filtered dependencies, distilled and sorted
``fd_reversed``           ``fd`` from back to front
``fd_far``                determinants first, their dependents as late as possible
``fd_adjacent_reversed``  dependents next to their determinants, but before them
``kamino``                the sequencing of Kamino (arXiv 2012.15713) by the domains of left sides
``fd_reference``          the PAFT reference's rule (all minimal exact dependencies, no filter), made deterministic
``given``                 a list: ``given_order``, or the list itself in the place of a policy
``information``           :mod:`methods.information_order`: for tables with few or accidental exact dependencies
========================= =====================================================================================

:mod:`methods.fd_order` has the rules of the orders that dependencies make.

*Seeds.* What is random in an order is drawn from ``order_seed``: one order can be run at many training seeds, and many
orders at one. Without one it is derived from the seed of ``fit``, by every generator alike (:func:`order_seed_of`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from harness.dependencies import FunctionalDependency, MiningOptions, MiningResult, hyfd, mine
from harness.errors import TabOrderError, choices
from harness.seeding import derive_seed, rng
from harness.table import Schema
from methods.fd_order import Edge, adjacent_reversed, distil, far, kamino, single_edges, sort_columns
from methods.information_order import information_order

POLICIES = (
    "random",
    "fixed_random",
    "original",
    "fd",
    "fd_reversed",
    "fd_far",
    "fd_adjacent_reversed",
    "fd_reference",
    "kamino",
    "information",
    "given",
)

MOST_LISTED = 1000
"""A record lists at most so many dependencies and edges: those of a wide table go into the hundred thousands."""

REFERENCE_MAX_LHS = 8
"""Left sides of ``fd_reference``: as large as any minimal dependency of the paper's tables."""


@dataclass(frozen=True)
class ColumnOrder:
    """An order and where it comes from.

    Attributes:
        policy: one of :data:`POLICIES`.
        names: all columns of the schema, first to last; ``None`` when every row gets a fresh order.
        edges: the graph that was sorted, as (earlier, later) pairs from the strongest to the weakest.
        fds: the dependencies behind the edges.
        components: strongly connected columns (two or more), whose edges could not all be followed.
        notes: sentences for the record.
        seed: what a random order was drawn from; ``None`` where nothing was drawn.
    """

    policy: str
    names: tuple[str, ...] | None
    edges: tuple[Edge, ...] = ()
    fds: tuple[FunctionalDependency, ...] = ()
    components: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()
    seed: int | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON-able facts for the record: policy, column_order, edges, fds, components, notes, and order_seed if drawn.

        Of edges and dependencies the first :data:`MOST_LISTED` (strongest edges, smallest left sides); a note says so.
        """
        cut = [
            f"the first {MOST_LISTED} of {len(found)} {what} are listed."
            for found, what in ((self.edges, "edges"), (self.fds, "dependencies"))
            if len(found) > MOST_LISTED
        ]
        return {
            "policy": self.policy,
            "column_order": None if self.names is None else list(self.names),
            "edges": [list(edge) for edge in self.edges[:MOST_LISTED]],
            "fds": [fd.to_json() for fd in self.fds[:MOST_LISTED]],
            "components": [list(component) for component in self.components],
            "notes": [*self.notes, *cut],
            **({} if self.seed is None else {"order_seed": self.seed}),
        }


Policy = str | Sequence[str]
"""One of :data:`POLICIES`, or the columns in the order wanted."""


def check_policy(policy: Policy, given: Sequence[str] | None, order_seed: int | None = None) -> None:
    """Refuse what no table can make legal.

    Raises:
        TabOrderError: on an unknown policy, a list of columns with any policy but ``given``, which needs one, or an
            order seed that is no whole number.
    """
    if isinstance(order_seed, bool) or not isinstance(order_seed, (int, type(None))):
        raise TabOrderError(f"order_seed={order_seed!r} must be a whole number, or null for one derived from the seed.")
    if not isinstance(policy, str):
        if given is not None:
            raise TabOrderError(
                f"order={list(policy)} and given_order={list(given)} are two lists of columns: give one of them."
            )
        return
    if policy not in POLICIES:
        raise TabOrderError(choices(policy, (*POLICIES, "a list of the columns"), "column order policy"))
    if (given is not None) != (policy == "given"):
        raise TabOrderError(
            f"order policy '{policy}' and the list of columns {given} do not fit: a list belongs to policy 'given', "
            "which needs one."
        )


def order_seed_of(seed: int, order_seed: int | None) -> int:
    """What the random choices of an order are drawn from: ``order_seed``, or a seed derived from that of ``fit``."""
    return derive_seed(seed, "order") if order_seed is None else order_seed


def column_order(
    policy: Policy,
    frame: pd.DataFrame,
    schema: Schema,
    *,
    seed: int,
    order_seed: int | None = None,
    given: Sequence[str] | None = None,
    mining: MiningOptions | Mapping[str, Any] | None = None,
) -> ColumnOrder:
    """The order of a policy: the same policy, table and seed give the same order in every process.

    Args:
        policy: one of :data:`POLICIES`, or the columns in the order wanted (as ``given`` with a list).
        frame: the rows trained on, canonical; not changed. Only the mining policies look at it.
        schema: its columns.
        seed: of ``fit``; ``fixed_random`` draws from a seed derived from it where ``order_seed`` is ``None``.
        order_seed: what ``fixed_random`` draws from, whatever ``seed`` is.
        given: the order for ``given``: every column once.
        mining: how the policies mine (values or single options by name); ``fd_reference`` takes only its time limit.

    Raises:
        TabOrderError: on an unknown policy or option, or a list that is not a permutation of the columns.
    """
    check_policy(policy, given, order_seed)
    if not isinstance(policy, str):
        policy, given = "given", policy
    options = mining if isinstance(mining, MiningOptions) else MiningOptions().changed(mining or {})
    names = schema.names
    if policy == "random":
        return ColumnOrder(policy, None)
    if policy == "fixed_random":
        drawn_from = order_seed_of(seed, order_seed)
        shuffled = rng(drawn_from, "column order").permutation(len(names))
        return ColumnOrder(policy, tuple(names[i] for i in shuffled), seed=drawn_from)
    if policy == "original":
        return ColumnOrder(policy, tuple(names))
    if given is not None:
        return ColumnOrder(policy, _checked(given, names))
    if policy == "fd_reference":
        return _reference(frame, schema, options)
    if policy == "information":
        written, tree = information_order(frame, schema)
        notes = tuple(f"{a} tells {share:.1%} of the entropy of {b}, corrected for chance." for a, b, share in tree)
        return ColumnOrder(policy, tuple(written), tuple((a, b) for a, b, _ in tree), notes=notes)
    return _mined(policy, frame, schema, options)


def _mined(policy: str, frame: pd.DataFrame, schema: Schema, options: MiningOptions) -> ColumnOrder:
    """``fd`` and the orders made of the same dependencies."""
    mined = mine(frame, schema, options)
    order = _sorted(policy, mined, schema.names, distil(mined.fds))
    if order.names is None or policy == "fd":
        return order
    if policy == "fd_reversed":
        return replace(order, names=order.names[::-1])
    if policy == "fd_far":
        return replace(order, names=far(order.names, single_edges(mined.fds)))
    if policy == "fd_adjacent_reversed":
        return replace(order, names=adjacent_reversed(order.names, single_edges(mined.fds)))
    sizes = {name: int(frame[name].nunique()) for name in schema.names}
    names, late = kamino(schema.names, sizes, mined.fds)
    notes = order.notes
    if late:
        share = f"{len(late)} of {len(mined.fds)}"
        notes = (*notes, f"kamino places {share} left sides after their right side, the first of {late[0]}.")
    return replace(order, names=names, components=(), notes=notes)


def _checked(given: Sequence[str], names: list[str]) -> tuple[str, ...]:
    """A list of columns as an order; a column called 3 may be written as the number."""
    columns = [given] if isinstance(given, str) else [str(name) for name in given]
    if sorted(columns) != sorted(names):
        raise TabOrderError(f"the given column order {given} must name every column exactly once: {names}.")
    return tuple(columns)


def _reference(frame: pd.DataFrame, schema: Schema, options: MiningOptions) -> ColumnOrder:
    """All minimal exact dependencies, unfiltered, by HyFD where it is installed."""
    complete = hyfd.available()
    mined = mine(
        frame,
        schema,
        max_lhs=REFERENCE_MAX_LHS if complete else 2,
        max_distinct_share=1.0,
        min_support=0.0,
        time_limit_seconds=options.time_limit_seconds,
        backend="hyfd" if complete else "numpy",
    )
    how = (
        f"mined by HyFD, left sides of up to {REFERENCE_MAX_LHS} columns."
        if complete
        else "desbordante is not installed, so only left sides of up to 2 columns were mined: for the complete set, "
        "run pip install 'taborder[hyfd]'."
    )
    order = _sorted("fd_reference", mined, schema.names, [(edge, 1.0) for edge, _ in distil(mined.fds)])
    return ColumnOrder("fd_reference", order.names, order.edges, order.fds, order.components, (how, *order.notes))


def _sorted(policy: str, mined: MiningResult, names: list[str], edges: list[tuple[Edge, float]]) -> ColumnOrder:
    order, components = sort_columns(names, edges)
    notes = mined.notes
    if not mined.fds:
        notes = (*notes, f"no functional dependency was found, so order '{policy}' starts from the table's order.")
    return ColumnOrder(policy, order, tuple(edge for edge, _ in edges), mined.fds, components, notes)
