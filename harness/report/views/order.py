"""A generator's column order and the dependencies it was derived from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


def edges(info: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(determinant, dependent) pairs of a record's FDs; the sorted graph's edges where no FD is recorded."""
    fds = info.get("fds") or []
    pairs = [(str(lhs), str(fd.get("rhs"))) for fd in fds if isinstance(fd, Mapping) for lhs in fd.get("lhs") or []]
    if not pairs:
        pairs = [(str(edge[0]), str(edge[1])) for edge in info.get("edges") or [] if len(edge) == 2]
    return list(dict.fromkeys(pairs))


@dataclass(frozen=True)
class OrderGraph:
    """A language model's column order and what it was sorted from.

    Attributes:
        order: columns, first written first.
        fds: mined dependencies, (left side, right side).
        edges: (written first, written later).
        composite: edges of dependencies with a composite left side.
        components: groups of columns on a common cycle.
    """

    order: Sequence[str]
    fds: Sequence[tuple[Sequence[str], str]]
    edges: Sequence[tuple[str, str]]
    composite: frozenset[tuple[str, str]]
    components: Sequence[Sequence[str]]


def order_graph(info: Mapping[str, Any]) -> OrderGraph | None:
    """The graph behind a record's column order; ``None`` where no order is recorded."""
    if not info.get("column_order"):
        return None
    order = [str(name) for name in info["column_order"]]
    fds = [([str(name) for name in fd.get("lhs", [])], str(fd.get("rhs"))) for fd in info.get("fds") or []]
    sorted_from = [(str(edge[0]), str(edge[1])) for edge in info.get("edges") or [] if len(edge) == 2] or edges(info)
    kept = [(a, b) for a, b in sorted_from if a in order and b in order]
    single = {(lhs[0], rhs) for lhs, rhs in fds if len(lhs) == 1}
    composite = frozenset(pair for pair in kept if fds and pair not in single)
    components = [[str(name) for name in group] for group in info.get("components") or []]
    return OrderGraph(order, fds, kept, composite, components)
