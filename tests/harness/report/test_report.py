import os
import re
import subprocess
import sys
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from harness.ranking.load import load
from harness.ranking.wording import clipped, shortened
from harness.records.record import Cost
from harness.report.html.charts import labelled
from harness.report.html.columns import overlay
from harness.report.html.maps import frame_of, point_map
from harness.report.html.order import arc_diagram
from harness.report.html.page import cell_page
from harness.report.html.section import build_section
from harness.report.html.svg import log_ticks, steps, tag, ticks
from harness.report.leaderboard_files import write
from harness.report.views.atlas import atlas
from harness.report.views.order import edges
from harness.report.views.pairs import distances
from harness.report.views.shares import shares
from harness.table import Column, Schema
from tests.factories import (
    FORMULA,
    HOSTILE,
    grid,
    make_dataset,
    make_full_store,
    make_record,
    make_store,
)

LEVELS = {"ctgan": 0.5, "row_llm": 0.9, "independent": 0.0, "copy": 1.0}


def html_of(store, tmp_path):
    write(store, tmp_path / "out")
    return (tmp_path / "out" / "index.html").read_text()


def test_page_is_self_contained_and_shows_every_part(tmp_path):
    html = html_of(make_full_store(tmp_path / "s", [make_dataset("one"), make_dataset("two")], LEVELS), tmp_path)
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", html)
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    for part in (
        "Leaderboard",
        "Rules and dependencies",
        "state→bird",
        "Map",
        "Column order",
        "Pair trends",
        "Real rows",
        "Cells",
    ):
        assert part in html
    assert "python -m harness dataset=one generator=row_llm seed=1" in html
    assert html.count('class="dataset"') == 2


def test_equal_stores_in_different_places_give_equal_bytes(tmp_path):
    pages = []
    for place in ("a", "b/c"):
        store = make_full_store(tmp_path / place, [make_dataset()], LEVELS)
        (store.cell_dir(make_record("toy", "ctgan", 0, level=0.49).cell) / "synthetic.parquet").unlink()
        pages.append(html_of(store, tmp_path / place))
    assert pages[0] == pages[1]
    assert "is missing" in pages[0]


def test_equal_stores_give_equal_bytes_in_another_process_with_another_hash_seed(tmp_path):
    store = make_full_store(tmp_path / "s", [make_dataset()], LEVELS)
    store.write(make_record("toy", "tvae", status="timeout"))
    write(store, tmp_path / "here")
    words = [sys.executable, "-m", "harness.leaderboard", f"store.root={store.root}", f"output={tmp_path / 'there'}"]
    other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    subprocess.run(words, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": other})
    made = [{path.name: path.read_bytes() for path in (tmp_path / place).iterdir()} for place in ("here", "there")]
    assert made[0] == made[1]
    assert len(made[0]) == 7


def test_names_beside_points_cover_neither_points_nor_each_other():
    points = [(100.0, 100.0), (104.0, 101.0), (108.0, 99.0), (690.0, 100.0), (688.0, 106.0)]
    names = ["first generator", "second", "third", "at the right end", "there too"]
    drawn = labelled(points, names, 700.0)
    boxes = [(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    for mark, name in zip(drawn, names, strict=True):
        x, y = (float(re.search(rf' {key}="([^"]+)"', mark).group(1)) for key in "xy")
        start = x - 5.6 * len(name) if " end" in mark else x
        boxes.append((start, y - 8, start + 5.6 * len(name), y + 2))
    for i, a in enumerate(boxes):
        for b in boxes[max(i + 1, len(points)) :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (a, b)


def test_hostile_text_is_escaped_everywhere(tmp_path):
    dataset = make_dataset(hostile=True)
    store = make_full_store(tmp_path / "s", [dataset], LEVELS, command=f"echo {HOSTILE}", notes=(HOSTILE,))
    failed = make_record(
        "toy", "bad", status="failed", error=HOSTILE, log_tail=(HOSTILE, "x"), cell={"params": {"p": HOSTILE}}
    )
    other = make_record("toy", "bad", 1, cell={"params": {"p": "'\"><img src=x onerror=alert(1)>"}})
    for record in (failed, other):
        store.write(record)
    html = html_of(store, tmp_path)
    assert html.count("<script") == 1
    assert "<img" not in html
    assert html.count("&lt;script&gt;") > 10
    assert FORMULA in html
    assert "'unsafe-inline'; script-src 'sha256-" in html


def test_the_page_of_one_cell_compares_nothing(tmp_path):
    store = make_full_store(tmp_path / "s", [make_dataset()], {"ctgan": 0.5}, seeds=1)
    html = cell_page(store.records()[0][0], store)
    for part in ("TabOrder cell", "Rules and dependencies", "Column", "Pair trends", "Real rows"):
        assert part in html
    for part in ("Leaderboard", "Comparison", "Elo", "How to read"):
        assert part not in html


def test_generators_stand_against_datasets_and_beside_the_ends_of_the_scale(tmp_path):
    html = html_of(
        make_store(tmp_path / "s", grid({"a": {"x": [0.5], "y": [0.2]}, "b": {"x": [0.7], "y": [0.1]}})), tmp_path
    )
    table = html[html.index('id="by-dataset"') :].partition("</table>")[0]
    assert [float(v) for v in re.findall(r'data-v="(0\.\d+)"', table)] == pytest.approx([0.5, 0.7, 0.2, 0.1])
    main = html[html.index('id="main"') :].partition("</table>")[0]
    assert "real rows (held out)" in main
    assert "independent columns" in main
    assert "references and ends" not in html  # no reference was run, so there is nothing to tick


def test_what_is_missing_is_said_and_the_rest_is_drawn(tmp_path):
    store = make_store(
        tmp_path / "s", [*grid({"toy": {"ctgan": [0.5], "tvae": [0.4]}}), make_record("toy", "great", status="timeout")]
    )
    html = html_of(store, tmp_path)
    assert "The real tables are not in this store" in html
    assert "timeout: it went wrong." in html
    assert "last line of the log" in html
    assert "great on toy" in html
    assert "Real rows" not in html
    assert "Synthetic rows" in html


def test_every_mean_over_seeds_has_its_interval_and_says_how_many(tmp_path):
    both = [
        make_record(
            "toy", "ctgan", seed, scores={"conditional.other": value}, cost=Cost(10.0 + 2 * seed, 3.0, 1.0, 2**30)
        )
        for seed, value in ((0, 0.2), (1, 0.3))
    ]
    html = html_of(make_store(tmp_path / "s", [*both, make_record("toy", "tvae", 0)]), tmp_path)
    metrics = html[html.index("all metrics on toy") :]
    # n = 2: t(0.975, 1 degree) = 12.706; 0.25 ± 12.706 · 0.0707 / √2 = 0.25 ± 0.635, cut at the metric's bound 0
    assert "n = 1–2 training seeds" in metrics
    row = metrics[metrics.index("conditional.other") :].partition("</tr>")[0]
    assert re.findall(r"0\.25 <small class=\"ci\">\[0, 0\.885\]", row)
    assert row.count('class="ci"') == 1  # a generator without the metric has no value, one seed no interval
    # seconds of 10 and 12: 11 ± 12.706; equal ones (3 and 3) have no interval
    assert '11 s <small class="ci">[0, 23.7]' in html
    assert '<td data-v="3.0">3 s</td>' in html


def test_a_table_with_other_columns_is_a_problem_of_its_panel_only(tmp_path):
    dataset = make_dataset()
    store = make_full_store(tmp_path / "s", [dataset], {"ctgan": 0.5, "tvae": 0.3}, seeds=1)
    standings, _ = load(store)
    run = standings.by_pair["toy", "ctgan"][0]
    pd.DataFrame({"else": ["a"]}).to_parquet(store.cell_dir(run.record.cell) / "synthetic.parquet")
    section = build_section(standings, store, "toy", pictures=True)
    panels = {panel.label: panel for panel in section.panels}
    assert panels["ctgan"].problem is not None
    assert len(panels["tvae"].overlays) == 5
    assert len(section.maps) == 2  # real and tvae


def test_a_damaged_stored_dataset_does_not_stop_the_page(tmp_path):
    dataset = make_dataset()
    store = make_full_store(tmp_path / "s", [dataset], {"ctgan": 0.5}, seeds=1)
    (store.dataset_dir(dataset.name, dataset.checksum) / "dataset.json").write_text("{")
    html = html_of(store, tmp_path)
    assert "the stored dataset in datasets/toy-" in html
    assert str(tmp_path) not in html


def test_column_shares_of_numbers_and_categories():
    real = pd.Series([0.0, 1.0, 1.0, np.nan])
    first, second, names = shares(Column("x", "float", 0), real, pd.Series([0.0, 0.0, 5.0, 5.0]))
    # real .5 % and 99.5 % quantiles are .01 and 1: a quarter falls into the first bin, half into the last, a quarter is missing
    assert (first[0], first[23], first[24]) == (0.25, 0.5, 0.25)
    assert (second[0], second[23], second[24]) == (0.5, 0.5, 0.0)
    assert names[-1] == "missing"
    letters = pd.Series([f"c{i:02}" for i in range(14) for _ in range(20 - i)], dtype=object)
    first, second, names = shares(Column("c", "categorical"), letters, pd.Series(["c00", "new"], dtype=object))
    assert names[:2] == ["c00", "c01"]
    assert names[-2:] == ["other (2)", "unseen"]
    assert first.sum() == pytest.approx(1)
    assert (second[0], second[-1]) == (0.5, 0.5)


def test_pair_distance_sees_a_broken_dependency_that_single_columns_hide():
    # a and b agree in the real table; in the other one they are independent: of the joint shares ½, ½ half moves to the
    # other two cells, so the distance is ½, while each single column has distance 0
    schema = Schema((Column("a", "categorical"), Column("b", "categorical")))
    real = pd.DataFrame({"a": ["x", "x", "y", "y"], "b": ["x", "x", "y", "y"]}, dtype=object)
    other = pd.DataFrame({"a": ["x", "x", "y", "y"], "b": ["x", "y", "x", "y"]}, dtype=object)
    names, found = distances(schema, real, other)
    assert names == ["a", "b"]
    assert found.tolist() == [[0.0, 0.5], [0.5, 0.0]]


def test_overlay_handles_empty_constant_and_all_missing_columns():
    nothing = pd.Series([None, None], dtype=object)
    for column, series in (
        (Column("c", "categorical"), nothing),
        (Column("x", "float"), pd.Series([np.nan, np.nan])),
        (Column("n", "integer"), pd.Series(pd.array([3, 3], dtype="Int64"))),
        (Column("c", "categorical"), pd.Series([], dtype=object)),
    ):
        assert "NaN" not in overlay(column, series, series)
        assert "nan" not in overlay(column, series, series)


def test_map_counts_points_outside_their_area():
    dataset = make_dataset()
    plan = atlas(dataset)
    assert plan is not None
    assert (plan.x, plan.y, plan.key) == ("x", "y", "state")
    moved = dataset.test.head(4).assign(x=[9.0, *dataset.test["x"].iloc[1:4]])
    assert plan.invalid(moved).tolist() == [True, False, False, False]
    drawn = point_map(plan, frame_of(plan, dataset.train), "area", moved, "t")
    assert "25\u202f% of 4 outside" in drawn
    assert drawn.count("h0") == 3  # the point at x = 9 is off the frame


def test_arcs_follow_or_break_the_order():
    info = {"fds": [{"lhs": ["a"], "rhs": "b", "g3": 0}, {"lhs": ["c"], "rhs": "a", "g3": 0}]}
    assert edges(info) == [("a", "b"), ("c", "a")]
    drawn = arc_diagram(["a", "b", "c"], edges(info))
    assert "1 of 2 dependencies" in drawn
    assert drawn.count("arc ok") == 1
    assert drawn.count("arc bad") == 1


def test_svg_helpers():
    assert tag("p", "<b>", title='"') == '<p title="&#34;">&lt;b&gt;</p>'
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert log_ticks(0.1, 100) == [0.1, 1, 10, 100]
    assert log_ticks(2, 3) == [2, 3]
    assert steps([1, 2], 10, 20, 5) == [(0, 20), (0, 15), (5, 15), (5, 10), (10, 10), (10, 20)]
    assert clipped("a\nb" + "c" * 50, 6) == "a bcc…"
    assert shortened("permutation_aware_llm [order=fd]", 16) == "permut…order=fd]"
    assert shortened("short", 16) == "short"


# Machado, Oliveira and Fernandes (2009): linear RGB as seen without one kind of cone
BLINDNESS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour):
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ np.clip(rgb, 0, 1)
    f = np.cbrt(np.maximum(xyz / [0.9505, 1.0, 1.089], 0.008856))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one, other):
    first, second = (float(linear(colour) @ [0.2126, 0.7152, 0.0722]) + 0.05 for colour in (one, other))
    return max(first, second) / min(first, second)


@pytest.mark.parametrize("place", [0, 1, 2], ids=["light", "dark", "print"])
def test_palette_is_legible_and_safe_for_colour_blind_readers(place):
    style = files("harness.report.html").joinpath("page.css").read_text()
    block = style.split(":root {")[place + 1].split("}")[0]
    colours = {
        name: f"#{value * 2 if len(value) == 3 else value}" for name, value in re.findall(r"--(\w+): #(\w+)", block)
    }
    for name in ("ink", "soft", "accent", "warn", "good"):
        assert contrast(colours[name], colours["bg"]) >= 4.5, name  # WCAG 2.2 AA, text
        assert contrast(colours[name], colours["raised"]) >= 4.5, name
    # marks that stand side by side: points in and out, arcs kept and broken, real and synthetic. They differ in shape, too.
    for kind, matrix in BLINDNESS.items():
        for one, other in (("accent", "warn"), ("good", "warn"), ("accent", "grey")):
            seen = [lab(np.array(matrix) @ linear(colours[name])) for name in (one, other)]
            assert np.linalg.norm(seen[0] - seen[1]) >= 15, (kind, one, other)
    heat = [float(linear(colours[f"heat{level}"]) @ [0.2126, 0.7152, 0.0722]) for level in range(6)]
    assert heat == sorted(heat, reverse=place != 1)
