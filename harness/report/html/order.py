"""The column order of a language model and the dependencies it follows or breaks, as an arc diagram."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from harness.ranking.wording import clipped
from harness.report.html.svg import drawing, tag, text

STEP = 26
MOST_ARCS = 60


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
