"""The column order of a language model and the dependencies it follows or breaks, as an arc diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from harness.report.svg import clipped, drawing, tag, text

STEP = 26
MOST_ARCS = 60


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


def arc_diagram(order: Sequence[str], pairs: Sequence[tuple[str, str]]) -> Markup:
    """Columns from first written (top) to last; arcs from determinant to dependent: right when followed, left when broken.

    At most 60 arcs are drawn, in the record's order.
    """
    place = {str(name): index for index, name in enumerate(order)}
    known = [(a, b) for a, b in pairs if a in place and b in place][:MOST_ARCS]
    reach = max((abs(place[a] - place[b]) for a, b in known), default=0)
    spread = min(90, 14 + 9 * reach)
    left, right = 100, 100 + 150
    arcs = []
    for a, b in known:
        start, end = (place[a] + 0.5) * STEP, (place[b] + 0.5) * STEP
        followed = place[a] < place[b]
        x, bulge = (right, spread) if followed else (left, -spread)
        bend = bulge * abs(place[a] - place[b]) / max(1, reach)
        d = f"M{x} {start:.0f}C{x + bend:.0f} {start:.0f} {x + bend:.0f} {end:.0f} {x} {end:.0f}"
        arcs.append(tag("path", d=d, class_="arc ok" if followed else "arc bad"))
        arcs.append(tag("circle", cx=x, cy=f"{end:.0f}", r=2.5, class_="dot ok" if followed else "dot bad"))
    boxes = [
        tag("rect", x=left, y=index * STEP + 3, width=150, height=STEP - 6, rx=4, class_="box")
        + text(left + 8, index * STEP + 17, f"{index + 1}. {clipped(name, 19)}", class_="name")
        for index, name in enumerate(order)
    ]
    kept = sum(place[a] < place[b] for a, b in known)
    label = (
        f"column order {', '.join(map(str, order))}; {kept} of {len(known)} dependencies are written determinant first"
    )
    return drawing(right + 100, len(order) * STEP, *arcs, *boxes, label=label)
