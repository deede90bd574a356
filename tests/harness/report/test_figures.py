"""Figures on hard inputs: long names, many groups, many series, zeros on logarithmic axes. No text is cut or lies on another."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from harness.ranking.statistics import Estimate
from harness.report.figures import graph as figures_graph
from harness.report.figures import plots as figures
from harness.report.figures import tables as figures_tables
from harness.report.figures.style import KEPT, MOST_SERIES, columns_of, on_lines, styles, wrapped
from harness.report.views.atlas import Atlas
from tests.harness.report.figure_texts import covered, outside, watch

STATES = [f"{a}{b}" for a in "ACFGIKM" for b in "ABCDEFG"]
GENERATORS = ["real", "permutation_aware_llm", "random_order_llm", "ctgan", "tvae", "gaussian_copula",
              "a generator whose name is far too long for any legend"]  # fmt: skip
TITLE = "us_location: share of rows that break rule a_rule_with_a_long_name, by group; means and 95 % intervals over n = 3 training seeds"


@pytest.fixture
def faults(monkeypatch):
    return watch(monkeypatch)


def estimates(count, level=0.4):
    return [Estimate(level, 0.1, 1.0) if i % 5 else None for i in range(count)]


def test_a_text_that_is_cut_or_covered_is_found():
    drawn = Figure(figsize=(2, 2))
    FigureCanvasAgg(drawn)
    drawn.text(0.9, 0.5, "cut by the edge")
    drawn.text(0.1, 0.2, "one text")
    drawn.text(0.12, 0.2, "another")
    assert outside(drawn) == ["cut by the edge"]
    assert covered(drawn) == [("one text", "another")]


@pytest.mark.parametrize("count", [2, 14, 49])
def test_bars_of_few_and_many_groups_keep_their_texts_apart(count, faults, tmp_path):
    groups = STATES[:count] if count > 2 else ["a table with a long name", "us_location"][:count]
    series = {name: estimates(count) for name in GENERATORS}
    levels = {"0.5: not told apart": 0.5}
    figures.bars(tmp_path / "bars", TITLE, "detector ROC-AUC (0.5 is best)", groups, series, levels)
    assert faults == {"bars.png": []}


@pytest.mark.parametrize("count", [3, 49])
def test_the_summary_at_the_end_of_a_heat_maps_row_stays_inside(count, faults, tmp_path):
    rows = {name: [0.5 if i % 7 else None for i in range(count)] for name in GENERATORS}
    beside = {name: Estimate(0.5, 0.25, 0.75) for name in GENERATORS}
    figures.heat(tmp_path / "heat", TITLE, "violation rate (0 is best)", STATES[:count], rows, beside)
    assert faults == {"heat.png": []}


@pytest.mark.parametrize(("parts", "log"), [(1, True), (3, False), (5, True)])
def test_lines_keep_their_texts_apart_and_zeros_are_drawn(parts, log, faults, tmp_path):
    orders = ("fd", "fixed_random", "original", "fd_reversed", "information", "random")
    series = {
        order: [(5.0, Estimate(0.01 * i, 0.0, 0.1)), (145.0, Estimate(0.001 * i))] for i, order in enumerate(orders)
    }
    named = {f"a table with a long name {i}": series for i in range(parts)}
    levels = {"tabular_argn": 0.02}
    figures.panels(tmp_path / "lines", TITLE, "passes over the training rows", "FD violation rate (0 is best)", named, log, log, levels)  # fmt: skip
    assert faults == {"lines.png": []}


COLUMNS = ["education", "education-num", "age", "workclass", "fnlwgt", "marital-status", "occupation", "relationship", "race",
           "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income"]  # fmt: skip


@pytest.mark.parametrize("joined", [2, 15])
def test_graphs_of_few_and_many_edges_keep_their_texts_apart(joined, faults, tmp_path):
    some = COLUMNS[:joined]
    edges = [pair for a, b in pairwise(some) for pair in ((a, b), (b, a))]
    fds = [([a], b) for a, b in edges]
    figures_graph.edge_building(tmp_path / "edges", "adult", COLUMNS, fds, edges, ())
    figures_graph.graph_search(tmp_path / "graph", "adult", COLUMNS, edges, [some] if some else [], ())
    assert faults == {"edges.png": [], "graph.png": []}


class Nowhere:
    """A rule that every row breaks."""

    def violations(self, frame):
        return np.ones(len(frame), bool)


@pytest.mark.parametrize("count", [1, 3, 7])
def test_maps_of_few_and_many_tables_keep_their_texts_apart(count, faults, tmp_path):
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    plan = Atlas("x", "y", "state", {"NM": [square], "HI": [square]}, [Nowhere()], geographic=True)
    far = pd.DataFrame({"x": np.full(2400, 9.0), "y": np.full(2400, 9.0), "state": ["NM", "HI"] * 1200})
    figures_tables.geolocation(
        tmp_path / "map", plan, ["NM", "HI"], dict.fromkeys(GENERATORS[:count], far), f"{TITLE}; dots lie inside"
    )
    assert faults == {"map.png": []}


def test_a_series_looks_the_same_whatever_stands_beside_it():
    alone = styles(["permutation_aware_llm", "random_order_llm"])
    among = styles(["real", "ctgan", "tvae", "random_order_llm", "permutation_aware_llm"])
    assert alone.items() <= among.items()
    assert styles(["order random", "order fd"]) == {"order random": KEPT["random"], "order fd": KEPT["fd"]}
    assert styles(["new", "ctgan"])["ctgan"] == KEPT["ctgan"]


def test_series_never_share_a_look():
    for names in (list(KEPT)[:MOST_SERIES], [f"g{i}" for i in range(MOST_SERIES)], ["fd", "order fd", "x"]):
        assert len(set(styles(names).values())) == len(names)


def test_titles_and_labels_are_parted_where_they_may_be():
    assert wrapped("violation rate by order; means over n = 3 training seeds", 2.5) == [
        "violation rate by order; means over",
        "n\u00a0=\u00a03 training seeds",
    ]
    assert on_lines("FD violation rate (0 is best)") == "FD violation rate\n(0 is best)"
    assert on_lines("ROC-AUC") == "ROC-AUC"
    assert columns_of(["a" * 40], 3.5) == 1
    assert columns_of(["fd", "random"], 3.5) == 4
