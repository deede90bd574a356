"""In which order a language model reads and writes the columns of a row.

========================= =====================================================================================
policy                    order
========================= =====================================================================================
``random``                fresh for every row and epoch (GReaT)
``fixed_random``          one permutation drawn from the seed
``original``              as in the table
``fd``                    determinants before dependents: filtered dependencies, distilled and sorted (below)
``fd_reversed``           ``fd`` from back to front
``fd_reference``          the PAFT reference's rule (all minimal exact dependencies, no filter), made deterministic
``given``                 a list
``information``           :mod:`methods.information_order`: for tables with few or accidental exact dependencies
========================= =====================================================================================

Distillation (PAFT, arXiv 2406.14541): X→Y gives the edge X→Y; a composite {A, B}→C gives C→A and C→B, the dependent first. Sorting:
strongly connected columns stand together, and their condensation is sorted topologically. One rule settles what that leaves
open: of the columns (or components) whose determinants are all placed, the next is, in this sequence of criteria,

1. one that takes part in a dependency (those in none come last),
2. one that a placed column determines (so that a dependency is complete as soon as it can be),
3. the one with fewest columns after it in the graph (so that a determinant stands close to its own dependents),
4. the first in the table.

Inside a component the edges are followed from the strongest to the weakest, leaving out those that would close a cycle: exact
dependencies of one column first, then approximate ones by their g3, then composites. (``fd_reference`` knows only exact edges of
equal standing: there a component keeps the table's order, where the reference's order depends on the hash seed.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import pandas as pd

from harness.dependencies import FunctionalDependency, MiningOptions, MiningResult, hyfd, mine
from harness.errors import TabOrderError, choices
from harness.seeding import rng
from harness.table import Schema
from methods.information_order import information_order

POLICIES = ("random", "fixed_random", "original", "fd", "fd_reversed", "fd_reference", "given", "information")

Edge = tuple[str, str]

MOST_LISTED = 1000
"""A record lists at most so many dependencies and so many edges: unfiltered ones of a wide table go into the hundred thousands."""

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
    """

    policy: str
    names: tuple[str, ...] | None
    edges: tuple[Edge, ...] = ()
    fds: tuple[FunctionalDependency, ...] = ()
    components: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON-able facts for the record: ``policy, column_order, edges, fds, components, notes``.

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
        }


def check_policy(policy: str, given: Sequence[str] | None) -> None:
    """Refuse what no table can make legal.

    Raises:
        TabOrderError: on an unknown policy, or a list of columns with any policy but ``given``, which needs one.
    """
    if policy not in POLICIES:
        raise TabOrderError(choices(policy, POLICIES, "column order policy"))
    if (given is not None) != (policy == "given"):
        raise TabOrderError(
            f"order policy '{policy}' and the list of columns {given} do not fit: a list belongs to policy 'given', which needs one."
        )


def column_order(
    policy: str,
    frame: pd.DataFrame,
    schema: Schema,
    *,
    seed: int,
    given: Sequence[str] | None = None,
    mining: MiningOptions | Mapping[str, Any] | None = None,
) -> ColumnOrder:
    """The order of a policy: the same policy, table and seed give the same order in every process.

    Args:
        policy: one of :data:`POLICIES`.
        frame: the rows trained on, canonical; not changed. Only the mining policies look at it.
        schema: its columns.
        seed: only ``fixed_random`` uses it.
        given: the order for ``given``: every column once.
        mining: how ``fd`` and ``fd_reversed`` mine (values or single options by name); ``fd_reference`` takes only its time limit.

    Raises:
        TabOrderError: on an unknown policy or option, or a given order that is not a permutation of the columns.
    """
    check_policy(policy, given)
    options = mining if isinstance(mining, MiningOptions) else MiningOptions().changed(mining or {})
    names = schema.names
    if policy == "random":
        return ColumnOrder(policy, None)
    if policy == "fixed_random":
        return ColumnOrder(policy, tuple(names[i] for i in rng(seed, "column order").permutation(len(names))))
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
    mined = mine(frame, schema, options)
    order = _sorted(policy, mined, names, distil(mined.fds))
    if policy == "fd_reversed" and order.names is not None:
        return ColumnOrder(policy, order.names[::-1], order.edges, order.fds, order.components, order.notes)
    return order


def _checked(given: Sequence[str], names: list[str]) -> tuple[str, ...]:
    if isinstance(given, str) or sorted(given) != sorted(names):
        raise TabOrderError(f"the given column order {given} must name every column exactly once: {names}.")
    return tuple(given)


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


def distil(fds: Iterable[FunctionalDependency]) -> list[tuple[Edge, float]]:
    """The graph of a set of dependencies: (earlier, later) edges, strongest first, each with its strength in [0, 2].

    X→Y with error g3 gives X→Y of strength 2 − g3; a composite {A, B}→C gives C→A and C→B of strength 1 − g3. An edge given
    several times keeps its greatest strength; equal strengths keep the order of ``fds``.
    """
    edges: dict[Edge, float] = {}
    for fd in fds:
        single = len(fd.lhs) == 1
        for column in fd.lhs:
            edge = (column, fd.rhs) if single else (fd.rhs, column)
            edges[edge] = max(edges.get(edge, 0.0), (2 if single else 1) - fd.g3)
    return sorted(edges.items(), key=lambda item: -item[1])


def sort_columns(
    names: Sequence[str], edges: Sequence[tuple[Edge, float]]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Sort columns by weighted edges, by the rule in the module's docstring.

    Args:
        names: all columns, in table order.
        edges: (earlier, later) pairs and weights, strongest first. Where all weights inside a component are equal, the component
            keeps the table's order.

    Returns:
        The order, and the components of two or more columns.
    """
    position = {name: i for i, name in enumerate(names)}
    graph = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from(edge for edge, _ in edges)
    components = [sorted(component, key=position.__getitem__) for component in nx.strongly_connected_components(graph)]
    components.sort(key=lambda component: position[component[0]])
    condensed = nx.condensation(graph, scc=components)
    order: list[str] = []
    for node in _topological(condensed):
        order += _inside(components[node], edges)
    return tuple(order), tuple(tuple(component) for component in components if len(component) > 1)


def _topological(graph: Any) -> list[int]:
    """Topological order of a graph whose nodes are numbered by table position, ties by the module's rule."""
    descendants = {node: len(nx.descendants(graph, node)) for node in graph}
    members = nx.get_node_attributes(graph, "members")

    def rank(node: int) -> tuple[bool, bool, int, int]:
        alone = graph.degree(node) == 0 and len(members[node]) == 1
        return alone, graph.in_degree(node) == 0, descendants[node], node

    return list(nx.lexicographical_topological_sort(graph, key=rank))


def _inside(component: list[str], edges: Sequence[tuple[Edge, float]]) -> list[str]:
    """Order a component by its strongest edges, leaving out those that would close a cycle."""
    inner = [(edge, weight) for edge, weight in edges if edge[0] in component and edge[1] in component]
    if len({weight for _, weight in inner}) < 2:
        return component
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(component)))
    for (before, after), _ in inner:
        a, b = component.index(before), component.index(after)
        if not nx.has_path(graph, b, a):
            graph.add_edge(a, b)
    nx.set_node_attributes(graph, {node: {node} for node in graph}, "members")
    return [component[node] for node in _topological(graph)]


def _sorted(policy: str, mined: MiningResult, names: list[str], edges: list[tuple[Edge, float]]) -> ColumnOrder:
    order, components = sort_columns(names, edges)
    notes = mined.notes
    if not mined.fds:
        notes = (*notes, f"no functional dependency was found, so order '{policy}' starts from the table's order.")
    return ColumnOrder(policy, order, tuple(edge for edge, _ in edges), mined.fds, components, notes)
