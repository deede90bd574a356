"""What is wrong with the texts of a drawn figure: those cut by its edge, and those that lie on each other."""

from itertools import combinations

from matplotlib.figure import Figure
from matplotlib.transforms import Bbox


def boxes(drawn: Figure) -> list[tuple[str, Bbox]]:
    """Texts that are drawn, with the pixels they cover."""
    drawn.draw_without_rendering()
    found = [*drawn.texts, *(text for legend in drawn.legends for text in legend.get_texts())]
    for axes in drawn.axes:
        found += [axes.title, axes._left_title, axes._right_title, *axes.texts]
        if axes.axison:
            for axis in (axes.xaxis, axes.yaxis):
                found += [axis.label, *(tick.label1 for tick in axis._update_ticks())]
    renderer = drawn.canvas.get_renderer()
    shown = [text for text in dict.fromkeys(found) if text.get_visible() and text.get_text().strip()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in shown]


def outside(drawn: Figure) -> list[str]:
    """Texts that reach beyond the figure by more than a pixel."""
    edge = drawn.bbox.padded(1)
    return [said for said, box in boxes(drawn) if not (edge.contains(*box.min) and edge.contains(*box.max))]


def covered(drawn: Figure) -> list[tuple[str, str]]:
    """Pairs of texts that share more than two pixels of width and a third of the lower one's height."""
    found = []
    for (first, a), (second, b) in combinations(boxes(drawn), 2):
        shared = Bbox.intersection(a, b)
        if shared is not None and shared.width > 2 and shared.height > 0.34 * min(a.height, b.height):
            found.append((first, second))
    return found


def watch(monkeypatch) -> dict[str, list]:
    """From now on, every figure's faults by file name as it is saved."""
    faults: dict[str, list] = {}
    save = Figure.savefig

    def saved(self, path, **settings):
        save(self, path, **settings)
        if str(path).endswith(".png"):
            faults[path.name] = [*outside(self), *covered(self)]

    monkeypatch.setattr(Figure, "savefig", saved)
    return faults
