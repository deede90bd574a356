"""Column orders that follow dependencies: ``fd``, its variants, and the order of Kamino.

Distillation (PAFT, arXiv 2406.14541): X→Y gives the edge X→Y; a composite {A, B}→C gives C→A and C→B, the dependent
first. Sorting: strongly connected columns stand together, and their condensation is sorted topologically. One rule
settles what that leaves open: of the columns (or components) whose determinants are all placed, the next is, in this
sequence of criteria,

1. one that takes part in a dependency (those in none come last),
2. one that a placed column determines (so that a dependency is complete as soon as it can be),
3. the one with fewest columns after it in the graph (so that a determinant stands close to its own dependents),
4. the first in the table.

Inside a component the edges are followed from the strongest to the weakest, leaving out those that would close a cycle:
exact dependencies of one column first, then approximate ones by their g3, then composites. (``fd_reference`` knows only
exact edges of equal standing: there a component keeps the table's order, where the reference's order depends on the
hash seed.)

*Variants* change one thing of ``fd`` and keep the others, so that an experiment can tell what matters: :func:`far`
writes determinants first, but their dependents as late as possible; :func:`adjacent_reversed` keeps dependents close to
their determinants, but writes them before. Both look at dependencies of one column alone: of a composite one ``fd``
itself writes the dependent first. :func:`kamino` is prior art.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import networkx as nx

from harness.dependencies import FunctionalDependency

Edge = tuple[str, str]
"""A column and a later one."""


def distil(fds: Iterable[FunctionalDependency]) -> list[tuple[Edge, float]]:
    """The graph of a set of dependencies: (earlier, later) edges, strongest first, each with its strength in [0, 2].

    X→Y with error g3 gives X→Y of strength 2 − g3; a composite {A, B}→C gives C→A and C→B of strength 1 − g3. An edge
    given several times keeps its greatest strength; equal strengths keep the order of ``fds``.
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
        edges: (earlier, later) pairs and weights, strongest first. Where all weights inside a component are equal, the
            component keeps the table's order.

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


def single_edges(fds: Iterable[FunctionalDependency]) -> list[Edge]:
    """(determinant, dependent) of the dependencies of one column."""
    return [(fd.lhs[0], fd.rhs) for fd in fds if len(fd.lhs) == 1]


def far(order: Sequence[str], edges: Iterable[Edge]) -> tuple[str, ...]:
    """Determinants first, then columns in no dependency, then what is determined, each part in its given order.

    A column counts as determined when the head of one of its edges stands before it, so of columns that determine each
    other the first stays in front.

    Args:
        order: the ``fd`` order.
        edges: (determinant, dependent) pairs.
    """
    place = {name: i for i, name in enumerate(order)}
    edges = list(edges)
    determined = {later for earlier, later in edges if place[earlier] < place[later]}
    determining = {name for edge in edges for name in edge} - determined
    parts = [name in determined for name in order], [name in determining for name in order]
    ranks = [2 if late else 0 if first else 1 for late, first in zip(*parts, strict=True)]
    return tuple(name for _, _, name in sorted(zip(ranks, range(len(order)), order, strict=True)))


def adjacent_reversed(order: Sequence[str], edges: Iterable[Edge]) -> tuple[str, ...]:
    """Groups of columns that dependencies connect, in the order of their first columns, each from back to front.

    ``fd`` from back to front (``fd_reversed``) also turns the order of the groups and puts columns in no dependency
    first; here only the direction within the groups differs from ``fd``.

    Args:
        order: the ``fd`` order.
        edges: (determinant, dependent) pairs.
    """
    graph = nx.Graph()
    graph.add_nodes_from(order)
    graph.add_edges_from(edges)
    place = {name: i for i, name in enumerate(order)}
    groups = [sorted(group, key=place.__getitem__) for group in nx.connected_components(graph)]
    groups.sort(key=lambda group: place[group[0]])
    return tuple(name for group in groups for name in reversed(group))


def kamino(
    names: Sequence[str], sizes: Mapping[str, int], fds: Iterable[FunctionalDependency]
) -> tuple[tuple[str, ...], list[FunctionalDependency]]:
    """The sequencing of Kamino (Ge, Mohapatra, He and Ilyas, VLDB 2021, arXiv 2012.15713).

    Dependencies are taken by the smallest domain on their left side; each adds the columns of its left side by domain,
    then its right side, as far as they are not there yet; the other columns follow by domain. Ties go by table
    position. It adds right sides at once, so in a chain C→B→A with the smaller domain of B first, C comes after B.

    Args:
        names: all columns, in table order.
        sizes: distinct values of each column. (Kamino cuts some numbers into classes by hand, table by table; here they
            count as they are.)
        fds: the dependencies.

    Returns:
        The order, and the dependencies whose left side it does not place before their right side.
    """
    place = {name: i for i, name in enumerate(names)}

    def size(name: str) -> tuple[int, int]:
        return sizes[name], place[name]

    order: dict[str, None] = {}
    fds = list(fds)
    for fd in sorted(fds, key=lambda fd: (min(map(size, fd.lhs)), sorted(map(size, fd.lhs)), size(fd.rhs))):
        order.update(dict.fromkeys(sorted(fd.lhs, key=size)))
        order.setdefault(fd.rhs)
    order.update(dict.fromkeys(sorted(names, key=size)))
    final = {name: i for i, name in enumerate(order)}
    return tuple(order), [fd for fd in fds if max(final[name] for name in fd.lhs) > final[fd.rhs]]
